/*
 * dial.c - PQconnectStart and PQconnectPoll, and what their failure means.
 */
#include "dial.h"

#include <ctype.h>
#include <mews/pool.h>
#include <stdio.h>
#include <string.h>

/* libpq prints notices on stderr unless told otherwise. */
static void
swallow(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

void
dial_message(char *buffer, size_t size, const char *message)
{
	snprintf(buffer, size, "%s", message == NULL ? "" : message);
	buffer[strcspn(buffer, "\n")] = '\0';
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

static enum dial_state
fail(struct dial *dial, ConnStatusType phase)
{
	const char *message = PQerrorMessage(dial->pg);

	find_sqlstate(dial->sqlstate, message);
	dial_message(dial->why, sizeof(dial->why), message);
	if (strncmp(dial->sqlstate, "57P", 3) == 0)
		dial->evidence = HEALTH_NOT_READY;
	else if (strcmp(dial->sqlstate, "53300") == 0)
		dial->evidence = HEALTH_TOO_MANY;
	else if (dial->sqlstate[0] != '\0')
		dial->evidence = HEALTH_REJECTED;
	else if (((phase == CONNECTION_SSL_STARTUP ||
		      phase == CONNECTION_GSS_STARTUP) &&
		     PQsocket(dial->pg) >= 0) ||
	    PQconnectionNeedsPassword(dial->pg))
		/* It spoke, and it was we who did not like the answer; where
		 * it hung up libpq closed the socket. */
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

enum dial_state
dial_start(struct dial *dial, const struct mews_fleet *fleet,
    uint32_t endpoint)
{
	const struct segment_endpoint *e =
	    &fleet->segment.endpoints[endpoint];
	char	    address[SEGMENT_HOSTADDR_MAX + 1];
	char	    name[MEWS_NAME_MAX + 8];
	const char *keywords[4] = { "dbname", "fallback_application_name",
		"hostaddr", NULL };
	const char *values[4] = {
		fleet->config->endpoints[endpoint].conninfo, name,
		address, NULL };

	memset(dial, 0, sizeof(*dial));
	dial->fd = -1;
	segment_get_address(e, address);
	if (!e->named) {
		values[2] = NULL;
	} else if (address[0] == '\0') {
		/* Never wait for DNS here. */
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
		return fail(dial, CONNECTION_STARTED);
	/* The documented start: as if PQconnectPoll wanted to write. */
	dial->fd = PQsocket(dial->pg);
	dial->events = MEWS_WRITE;
	return DIAL_RUNS;
}

enum dial_state
dial_step(struct dial *dial)
{
	ConnStatusType	phase = PQstatus(dial->pg);

	switch (PQconnectPoll(dial->pg)) {
	case PGRES_POLLING_READING:
		dial->events = MEWS_READ;
		break;
	case PGRES_POLLING_WRITING:
		dial->events = MEWS_WRITE;
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
		return fail(dial, phase);
	}
	dial->fd = PQsocket(dial->pg);
	return DIAL_RUNS;
}
