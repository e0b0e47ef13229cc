/*
 * dial.c - PQconnectStart and PQconnectPoll, and what their failure means.
 */
#include "wire/dial.h"

#include "base/status.h"

#include <ctype.h>
#include <mews/pool.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define DIAL_STEPS 4 /* of PQconnectPoll() in a row, within one turn */

/* Ignore notices of a login, which libpq would print on stderr. */
static void
swallow(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

void
dial_message(char *buffer, size_t size, const char *message)
{
	message = message == NULL ? "" : message + strspn(message, "\r\n");
	snprintf(buffer, size, "%s", message);
	buffer[strcspn(buffer, "\n")] = '\0';
	status_fold(buffer);
}

/*
 * libpq keeps the SQLSTATE of a refused login to itself, but prints it in
 * verbose messages: "FATAL:  57P03: the database system is starting up".
 * The severity is translated, the rest is not.
 */
static void
find_sqlstate(char sqlstate[6], const char *message)
{
	sqlstate[0] = '\0';
	while ((message = strstr(message, ":  ")) != NULL) {
		size_t	n;

		message += 3;
		for (n = 0; n < 5; n++)
			if (!isdigit((unsigned char)message[n]) &&
			    !isupper((unsigned char)message[n]))
				break;
		if (n == 5 && message[5] == ':' && message[6] == ' ') {
			memcpy(sqlstate, message, 5);
			sqlstate[5] = '\0';
			return;
		}
	}
}

/* Is the socket connected? */
static bool
is_connected(const PGconn *pg)
{
	struct sockaddr_storage	peer;
	socklen_t		size = sizeof(peer);

	return PQsocket(pg) >= 0 &&
	    getpeername(PQsocket(pg), (struct sockaddr *)&peer, &size) == 0;
}

/*
 * Did the server end the TLS handshake with an alert? That is how it refuses a
 * client's certificate: under TLS 1.3 after the client has finished, and libpq
 * closes the socket. The words are OpenSSL's, always in English.
 */
static bool
is_alert(const char *message)
{
	return strstr(message, " alert ") != NULL;
}

/* Did libpq give up before it tried an address? libpq 17 does so without
 * credentials if GSS is required. */
static bool
is_local(const PGconn *pg)
{
	const char *host = PQhost(pg), *address = PQhostaddr(pg);

	return host != NULL && host[0] != '/' && host[0] != '@' &&
	    address != NULL && address[0] == '\0';
}

static enum dial_state
dial_fail(struct dial *dial)
{
	const char *message = PQerrorMessage(dial->pg);

	/* The descriptor is not watched any more, whether libpq closed it or
	 * not. */
	dial->fd = -1;
	find_sqlstate(dial->sqlstate, message);
	dial_message(dial->why, sizeof(dial->why), message);
	if (strncmp(dial->sqlstate, "57P", 3) == 0)
		dial->evidence = HEALTH_NOT_READY;
	else if (strcmp(dial->sqlstate, "53300") == 0)
		dial->evidence = HEALTH_TOO_MANY;
	else if (dial->sqlstate[0] != '\0')
		dial->evidence = HEALTH_REJECTED;
	else if (is_alert(message) || is_connected(dial->pg) ||
	    is_local(dial->pg))
		/* The server lives, or was not asked. If the socket is open
		 * libpq gave up itself, for want of a password, a certificate,
		 * TLS, GSS or channel binding; if the server had hung up, libpq
		 * would have closed it. */
		dial->evidence = HEALTH_REJECTED;
	else
		dial->evidence = HEALTH_REFUSED;
	return DIAL_FAILED;
}

enum health_role
dial_role(const PGconn *pg)
{
	const char *standby = PQparameterStatus(pg, "in_hot_standby");
	const char *readonly;

	if (standby == NULL)
		return HEALTH_ROLE_UNKNOWN;
	if (strcmp(standby, "on") == 0)
		return HEALTH_ROLE_STANDBY;
	readonly = PQparameterStatus(pg, "default_transaction_read_only");
	return readonly != NULL && strcmp(readonly, "on") == 0 ?
	    HEALTH_ROLE_READONLY : HEALTH_ROLE_PRIMARY;
}

/* Can the login go on at once, as the socket takes bytes? */
static bool
may_write(const struct dial *dial)
{
	struct pollfd	p = { .fd = dial->fd, .events = POLLOUT };

	return dial->events == MEWS_WATCH_WRITE && poll(&p, 1, 0) == 1;
}

enum dial_state
dial_start(struct dial *dial, const struct mews_fleet *fleet,
    uint32_t endpoint)
{
	const struct segment_endpoint *e =
	    &fleet->segment.endpoints[endpoint];
	char	    address[SEGMENT_HOSTADDR_MAX + 1];
	char	    name[MEWS_NAME_MAX + 8];
	const char *keywords[] = { "dbname", "fallback_application_name",
		"target_session_attrs", "hostaddr", "client_encoding", NULL };
	const char *values[] = {
		fleet->config->endpoints[endpoint].conninfo, name,
		"any", address, fleet->config->client_encoding, NULL };

	memset(dial, 0, sizeof(*dial));
	dial->fd = -1;
	segment_get_address(e, address);
	if (!atomic_load(&e->named)) {
		values[3] = NULL;
	} else if (address[0] == '\0') {
		/* Do not let libpq wait for DNS. */
		dial->evidence = HEALTH_REFUSED;
		snprintf(dial->why, sizeof(dial->why),
		    "its host name could not be resolved yet");
		return DIAL_FAILED;
	}
	snprintf(name, sizeof(name), "mews:%s", fleet->config->instance);
	if ((dial->pg = PQconnectStartParams(keywords, values, 1)) == NULL) {
		dial->evidence = HEALTH_NOTHING;
		snprintf(dial->why, sizeof(dial->why), "out of memory");
		return DIAL_FAILED;
	}
	PQsetNoticeProcessor(dial->pg, swallow, NULL);
	PQsetErrorVerbosity(dial->pg, PQERRORS_VERBOSE);
	if (PQstatus(dial->pg) == CONNECTION_BAD)
		return dial_fail(dial);
	/* As documented, begin as if PQconnectPoll() wanted to write. */
	dial->fd = PQsocket(dial->pg);
	dial->events = MEWS_WATCH_WRITE;
	return may_write(dial) ? dial_step(dial) : DIAL_RUNS;
}

/* Call PQconnectPoll() once. */
static enum dial_state
poll_login(struct dial *dial)
{
	switch (PQconnectPoll(dial->pg)) {
	case PGRES_POLLING_READING:
		dial->events = MEWS_WATCH_READ;
		break;
	case PGRES_POLLING_WRITING:
		dial->events = MEWS_WATCH_WRITE;
		break;
	case PGRES_POLLING_OK:
		dial->fd = PQsocket(dial->pg);
		dial->role = dial_role(dial->pg);
		if (dial->role == HEALTH_ROLE_UNKNOWN) {
			dial->evidence = HEALTH_REJECTED;
			snprintf(dial->why, sizeof(dial->why),
			    "the server (version %d) does not report "
			    "in_hot_standby: PostgreSQL 14 or later is needed",
			    PQserverVersion(dial->pg));
			return DIAL_FAILED;
		}
		PQsetErrorVerbosity(dial->pg, PQERRORS_DEFAULT);
		return DIAL_DONE;
	default:
		return dial_fail(dial);
	}
	dial->fd = PQsocket(dial->pg);
	return DIAL_RUNS;
}

enum dial_state
dial_step(struct dial *dial)
{
	enum dial_state	state = poll_login(dial);

	for (int i = 0; i < DIAL_STEPS && state == DIAL_RUNS &&
	    may_write(dial); i++)
		state = poll_login(dial);
	return state;
}
