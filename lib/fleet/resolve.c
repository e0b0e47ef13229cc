/*
 * resolve.c - asking libpq which server a conninfo means.
 *
 * Only libpq knows (service files, the environment, defaults): let it begin to
 * connect, read what it found, and close.
 */
#include "fleet/resolve.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Is @host an address? One of IPv6 may name its interface: fe80::1%eth0. */
static bool
is_numeric(const char *host)
{
	struct in6_addr	address; /* has room for an IPv4 address, too */
	char		text[INET6_ADDRSTRLEN];
	size_t		length = strcspn(host, "%");

	if (inet_pton(AF_INET, host, &address) == 1)
		return true;
	if (length >= sizeof(text))
		return false;
	memcpy(text, host, length);
	text[length] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
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

/* Is @known one of the addresses of @host? @next: the one after it, or the
 * first after the last; "": there is none. */
static bool
is_still_there(const char *host, const char *known,
    char next[SEGMENT_HOSTADDR_MAX + 1])
{
	const struct addrinfo	hints = { .ai_socktype = SOCK_STREAM };
	char			text[SEGMENT_HOSTADDR_MAX + 1];
	struct addrinfo	       *list = NULL;
	bool			found = false;

	next[0] = '\0';
	if (getaddrinfo(host, NULL, &hints, &list) != 0)
		return false;
	for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text),
			NULL, 0, NI_NUMERICHOST) != 0 || !is_numeric(text))
			continue;
		if (found || next[0] == '\0')
			strcpy(next, text);
		if (found)
			break;
		found = strcmp(text, known) == 0;
	}
	freeaddrinfo(list);
	return found;
}

static uint64_t
hash(uint64_t h, const char *text)
{
	/* FNV-1a; the end of each text counts as well. */
	do
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	while (*text++ != '\0');
	return h;
}

/* Keywords that tell servers apart; the last one tells databases apart. */
static const struct part {
	const char *keyword, *variable, *fallback;
} parts[] = {
	{ "host", "PGHOST", "" }, { "hostaddr", "PGHOSTADDR", "" },
	{ "port", "PGPORT", "5432" }, { "service", "PGSERVICE", "" },
	{ "dbname", "PGDATABASE", "" },
};

#define PARTS	     (sizeof(parts) / sizeof(parts[0]))
#define SERVER_PARTS (PARTS - 1)

/* The value in the conninfo, or else in the environment. */
static const char *
value_of_part(const PQconninfoOption *options, const struct part *part)
{
	const char	*value = getenv(part->variable);

	for (const PQconninfoOption *o = options;
	    o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, part->keyword) == 0 &&
		    o->val != NULL && o->val[0] != '\0')
			value = o->val;
	return value == NULL ? part->fallback : value;
}

uint64_t
resolve_place(const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	uint64_t	  h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < SERVER_PARTS; i++)
		h = hash(h, value_of_part(options, &parts[i]));
	PQconninfoFree(options);
	return h;
}

void
resolve_server(const char *conninfo, char server[SEGMENT_SERVER_MAX + 1])
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	size_t		  used = 0;

	server[0] = '\0';
	for (size_t i = 0; i < PARTS; i++) {
		const char	*value = value_of_part(options, &parts[i]);
		int		 length;

		if (value[0] == '\0')
			continue;
		length = snprintf(server + used, SEGMENT_SERVER_MAX + 1 - used,
		    "%s%s=%s", used == 0 ? "" : " ", parts[i].keyword, value);
		if (length < 0 || (size_t)length > SEGMENT_SERVER_MAX - used)
			break;
		used += (size_t)length;
	}
	PQconninfoFree(options);
}

void
resolve_endpoint(struct segment_endpoint *endpoint, const char *conninfo,
    bool dead)
{
	PGconn		*pg = PQconnectStart(conninfo);
	const char	*host, *address;
	char		 known[SEGMENT_HOSTADDR_MAX + 1];
	char		 next[SEGMENT_HOSTADDR_MAX + 1];
	bool		 named;

	if (pg == NULL)
		return;
	host = PQhost(pg);
	address = PQhostaddr(pg);
	named = host != NULL && host[0] != '\0' && host[0] != '/' &&
	    host[0] != '@' && !is_numeric(host) && !has_hostaddr(pg);
	segment_get_address(endpoint, known);
	if (!named || address == NULL || !is_numeric(address))
		goto done;
	if (known[0] != '\0' && (dead || strcmp(address, known) != 0) &&
	    is_still_there(host, known, next))
		address = dead ? next : known;
	if (strcmp(address, known) != 0)
		segment_set_address(endpoint, address);
done:
	/* Last: an endpoint with a name and without an address is not
	 * dialed. */
	atomic_store(&endpoint->named, named);
	PQfinish(pg);
}
