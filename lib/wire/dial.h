/*
 * dial.h - one login to one endpoint, without blocking.
 *
 * Used by connections and by probes. The owner waits for dial.events on
 * dial.fd and calls dial_step(); around each step the descriptor may change,
 * so it must not be watched during the call. No deadline: the owner's.
 */
#ifndef LIB_WIRE_DIAL_H
#define LIB_WIRE_DIAL_H

#include "fleet/fleet.h"

#include <libpq-fe.h>

#define DIAL_US 3000000 /* a login may take this long */

enum dial_state { DIAL_RUNS, DIAL_DONE, DIAL_FAILED };

struct dial {
	PGconn *pg;
	int fd;
	int events; /* MEWS_WATCH_READ or MEWS_WATCH_WRITE */
	/* After DIAL_FAILED: what it says of the server, and of the login. */
	enum health_evidence evidence;
	char sqlstate[6]; /* "" if it was not the server that refused */
	char why[256];	  /* one line */
	/* After DIAL_DONE. */
	enum health_role role;
};

enum dial_state dial_start(struct dial *dial, const struct mews_fleet *fleet,
    uint32_t endpoint);
enum dial_state dial_step(struct dial *dial);

/* The server's role, as an open session reports it. */
enum health_role dial_role(const PGconn *pg);

/* PQgetResult() gives this one again and again, without an end. */
static inline bool
dial_is_copy(const PGresult *result)
{
	ExecStatusType	status = PQresultStatus(result);

	return status == PGRES_COPY_IN || status == PGRES_COPY_OUT ||
	    status == PGRES_COPY_BOTH;
}

/* The first line of libpq's message, which is the sentence: the rest is hints,
 * and where in the server's source it was raised. */
void dial_message(char *buffer, size_t size, const char *message);

#endif
