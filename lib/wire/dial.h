/*
 * dial.h - one login to one endpoint, without blocking.
 *
 * Used by connections, probes and interrupts. The owner waits for dial.events
 * on dial.fd, gives the descriptor up, as it may change, and calls dial_step().
 * The owner keeps the deadline.
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
	/* After DIAL_FAILED: evidence about the server, and why. */
	enum health_evidence evidence;
	char sqlstate[6]; /* ""; or the code with which the server refused */
	char why[256];	  /* one line */
	/* After DIAL_DONE. */
	enum health_role role;
};

enum dial_state dial_start(struct dial *dial, const struct mews_fleet *fleet,
    uint32_t endpoint);
enum dial_state dial_step(struct dial *dial);

/* The server's role, as an open session reports it. */
enum health_role dial_role(const PGconn *pg);

/* Would PQgetResult() return @status again and again, without an end? */
static inline bool
dial_is_copy(const PGresult *result)
{
	ExecStatusType	status = PQresultStatus(result);

	return status == PGRES_COPY_IN || status == PGRES_COPY_OUT ||
	    status == PGRES_COPY_BOTH;
}

/* The first line of libpq's message, without the hints and the place in the
 * server's source that follow. */
void dial_message(char *buffer, size_t size, const char *message);

#endif
