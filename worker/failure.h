/*
 * failure.h - what an HTTP client is told of a query that failed.
 *
 * A message of PostgreSQL's may hold rows, hosts and users: it goes into the
 * log, and to the client only with expose_errors.
 */
#ifndef WORKER_FAILURE_H
#define WORKER_FAILURE_H

#include <mews/status.h>

/**
 * The status of HTTP for a query that ended so, other than MEWS_OK.
 *
 * @sqlstate  "" where there is none.
 *
 * 400: the server refused a value of the request's (class 22). 409: what it
 * asks for contradicts what is there (class 23). 504: it took too long. 503:
 * all else.
 */
unsigned failure_status(enum mews_status status, const char *sqlstate);

#endif
