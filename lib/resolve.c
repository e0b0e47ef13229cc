/*
 * resolve.c - asking libpq which server a conninfo means.
 *
 * libpq alone knows (service files, the environment, defaults): let it begin
 * to connect, ask, and hang up.
 */
#include "resolve.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <string.h>

static bool
is_numeric(const char *host)
{
	struct in6_addr	address; /* holds the shorter kind as well */

	return inet_pton(AF_INET, host, &address) == 1 ||
	    inet_pton(AF_INET6, host, &address) == 1;
}

static bool
has_hostaddr(PGconn *pg)
{
	PQconninfoOption	*options = PQconninfo(pg);
	bool			 found = false;

	for (const PQconninfoOption *o = options;
	    o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, "hostaddr") == 0)
			found = o->val != NULL && o->val[0] != '\0';
	PQconninfoFree(options);
	return found;
}

bool
resolve_endpoint(struct segment_endpoint *endpoint, const char *conninfo)
{
	PGconn		*pg = PQconnectStart(conninfo);
	const char	*host, *address;
	char		 known[SEGMENT_HOSTADDR_MAX + 1];
	bool		 named;

	if (pg == NULL)
		return false;
	host = PQhost(pg);
	address = PQhostaddr(pg);
	named = host != NULL && host[0] != '\0' && host[0] != '/' &&
	    host[0] != '@' && !is_numeric(host) && !has_hostaddr(pg);
	segment_get_address(endpoint, known);
	if (named && address != NULL && is_numeric(address) &&
	    strcmp(address, known) != 0)
		segment_set_address(endpoint, address);
	PQfinish(pg);
	return named;
}
