/*
 * failure.h - what an HTTP client is told about a query that failed.
 *
 * A message of PostgreSQL's may hold rows, hosts and users: it goes into the
 * log, and to the client only with expose_errors.
 */
#ifndef WORKER_FAILURE_H
#define WORKER_FAILURE_H

#include <mews/status.h>

/**
 * The HTTP status for a query that ended with @status, other than MEWS_OK.
 *
 * @sqlstate  "" where there is none.
 *
 * 400: the server refused a value of the request (class 22). 409: a constraint
 * was violated (class 23). 504: it took too long. 503: all else.
 */
unsigned failure_status(enum mews_status status, const char *sqlstate);

#endif
