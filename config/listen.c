/*
 * listen.c - parsing addresses to listen on.
 *
 * Addresses are numeric: a name could mean several, or another one at the next
 * start.
 */
#include "listen.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define UNIX_PREFIX "unix:"

static bool
listen_unix(struct config_listen *listen, const char *name,
    const char *path, const struct option_context *context, char *why,
    size_t why_size)
{
	const size_t	most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (*path == '\0') {
		snprintf(why, why_size,
		    "%s = '%s' lacks the path after unix:", name, listen->text);
		return false;
	}
	if ((listen->path = option_path(context, path)) == NULL) {
		snprintf(why, why_size, "out of memory");
		return false;
	}
	if (strlen(listen->path) > most) {
		snprintf(why, why_size, "%s = '%.200s' is too long: the "
		    "path of a unix socket has at most %zu bytes",
		    name, listen->text, most);
		return false;
	}
	return true;
}

/* "127.0.0.1", "[::1]", "*" */
static bool
listen_host(struct config_listen *listen, char *host)
{
	const size_t	length = strlen(host);
	struct in6_addr	address;

	if (strcmp(host, "*") == 0)
		return true;
	if (length == 0)
		return false;
	listen->host = host;
	if (host[0] != '[')
		return inet_pton(AF_INET, host, &address) == 1;
	if (host[length - 1] != ']')
		return false;
	host[length - 1] = '\0';
	listen->host = host + 1;
	return inet_pton(AF_INET6, listen->host, &address) == 1;
}

bool
listen_parse(struct config_listen *listen, const char *name,
    const char *text, const struct option_context *context, char *why,
    size_t why_size)
{
	const char	*wrong = NULL;
	char		*host, *colon;

	if ((listen->text = memory_text(context->memory, text)) == NULL ||
	    (host = memory_text(context->memory, text)) == NULL) {
		snprintf(why, why_size, "out of memory");
		return false;
	}
	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return listen_unix(listen, name, text + strlen(UNIX_PREFIX),
		    context, why, why_size);

	if ((colon = strrchr(host, ':')) == NULL) {
		snprintf(why, why_size, "%s = '%.200s' has no port: "
		    "ADDRESS:PORT, [IPV6]:PORT, *:PORT or unix:PATH", name,
		    text);
		return false;
	}
	*colon = '\0';
	listen->port = (uint16_t)strtonum(colon + 1, 1, UINT16_MAX, &wrong);
	if (wrong != NULL || colon[1] < '1' || colon[1] > '9') {
		snprintf(why, why_size, "%s = '%.200s' has a bad port: "
		    "1 to %d", name, text, UINT16_MAX);
		return false;
	}
	if (!listen_host(listen, host)) {
		snprintf(why, why_size, "%s = '%.200s' has a bad address: "
		    "an IPv4 address, an IPv6 address in [], or * for all",
		    name, text);
		return false;
	}
	return true;
}

static bool
text_equal(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool
listen_equal(const struct config_listen *a, const struct config_listen *b)
{
	return a->port == b->port && text_equal(a->host, b->host) &&
	    text_equal(a->path, b->path);
}

bool
listen_is_local(const struct config_listen *listen)
{
	struct in_addr	address;

	if (listen->path != NULL)
		return true;
	if (listen->host == NULL)
		return false;
	return strcmp(listen->host, "::1") == 0 ||
	    (inet_pton(AF_INET, listen->host, &address) == 1 &&
		ntohl(address.s_addr) >> 24 == 127);
}
