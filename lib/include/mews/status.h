/*
 * mews/status.h - how a call, and how a query, can end.
 *
 * The first question after an error is "may I send it again?". The status
 * alone answers it: mews_status_unsent(), mews_status_undone() and the
 * comments of enum mews_status.
 */
#ifndef MEWS_STATUS_H
#define MEWS_STATUS_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * The contract between programs and libraries, in four numbers.
 *
 * MEWS_ABI (these headers) and MEWS_APP_ABI (mews/app.h) count additions: a
 * function, a value of an enumeration, a member in a structure's reserved room
 * or behind the members that a host's size names. A library serves every
 * program of its own number and of older ones, back to MEWS_ABI_OLDEST, and
 * mews run every application likewise; both refuse a newer one with a sentence.
 *
 * A structure that a host fills never changes its size. Its reserved members
 * are zero, which is the default of whatever they become; a query or a
 * transaction in which they are not is refused. (A program compiled with a
 * newer header does not get there: mews_fleet_create() refuses its number.)
 * When the room is used up, a new function takes a new structure. A structure
 * that the library fills comes with the host's sizeof: members beyond it are
 * left out. One that the library hands over, as a notification, grows at its
 * end. struct mews_error and struct mews_param never grow.
 *
 * A change that would break programs gives the library a new soname, and raises
 * MEWS_ABI_OLDEST to MEWS_ABI: older programs go on with the library they have.
 *
 * The segment has a number of its own, raised with every change of its layout:
 * all processes of a fleet, and mews status, are of one build, or refuse.
 */
#define MEWS_ABI	1
#define MEWS_ABI_OLDEST 1

/* Append only, never renumber. */
enum mews_status {
	MEWS_OK = 0,
	MEWS_SQL = 1,	      /* the server said no, and undid it: see the
				 SQLSTATE */
	MEWS_UNAVAILABLE = 2, /* no endpoint to be had; never run */
	MEWS_OVERLOAD = 3,    /* queue full; never run */
	MEWS_WAITED = 4,      /* deadline passed while waiting; never run */
	MEWS_TIMEOUT = 5,     /* the server cancelled it, and undid it */
	MEWS_LOST = 6, /* connection lost after sending; outcome unknown */
	MEWS_CANCELED = 7,    /* given up, or too late: outcome unknown if an
				 endpoint is named, else never run */
	MEWS_INVALID = 8,     /* a mistake of the caller's; never run */
	MEWS_NOMEM = 9,	      /* out of memory; never run */
	MEWS_SYSTEM = 10,     /* a system call failed; never a query's end */
	MEWS_UNDONE = 11,     /* connection lost inside a transaction whose
				 COMMIT was never sent: undone */
	MEWS_PARTLY = 12,     /* an error, or a timeout, of a command that may
				 have committed on its way: CALL, DO, VACUUM,
				 CREATE INDEX CONCURRENTLY, ... outside of
				 BEGIN */
	MEWS_TOO_LARGE = 13   /* run, and a write is committed, but the answer
				 could not be kept */
};

/* A caller's own room for one sentence: what, where and what to do. */
struct mews_error {
	enum mews_status status;
	char message[500]; /* NUL-terminated, UTF-8, no newline */
};

/** The library's own version, "0.1.0", which need not be the header's. */
const char *mews_version(void);

/** The status' name in capitals ("LOST"); "?" for a number not known here. */
const char *mews_status_name(enum mews_status status);

/** True if a query that ended so was certainly never run by a server. */
bool mews_status_unsent(enum mews_status status);

/** True if a query that ended so certainly changed nothing: it was never run,
 * or the server undid it. It may be sent again. */
bool mews_status_undone(enum mews_status status);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
