/*
 * mews/status.h - how a call, and how a query, can end.
 *
 * The first question after an error is "may I send it again?". The status
 * alone answers it: mews_status_unsent() and the comments below.
 */
#ifndef MEWS_STATUS_H
#define MEWS_STATUS_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The contract of these headers; mews_fleet_create() refuses another one. */
#define MEWS_ABI 1

/* Append only, never renumber. */
enum mews_status {
	MEWS_OK = 0,
	MEWS_SQL = 1,	      /* the server said no: see the SQLSTATE */
	MEWS_UNAVAILABLE = 2, /* no endpoint to be had; never sent */
	MEWS_OVERLOAD = 3,    /* queue full; never sent */
	MEWS_WAITED = 4,      /* deadline passed while waiting; never sent */
	MEWS_TIMEOUT = 5,     /* sent; the server cancelled it; not committed */
	MEWS_LOST = 6, /* connection lost after sending; outcome unknown */
	MEWS_CANCELED = 7, /* the caller gave it up; outcome unknown if sent */
	MEWS_INVALID = 8,     /* a mistake of the caller's; never sent */
	MEWS_NOMEM = 9,	      /* out of memory; never sent */
	MEWS_SYSTEM = 10      /* a system call failed; never a query's end */
};

/* A caller's own room for one sentence: what, where and what to do. */
struct mews_error {
	enum mews_status status;
	char message[500]; /* NUL-terminated, UTF-8, no newline */
};

/** The status' name in capitals ("LOST"); "?" for a number not known here. */
const char *mews_status_name(enum mews_status status);

/** True if a query that ended so was certainly never run by a server. */
bool mews_status_unsent(enum mews_status status);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
