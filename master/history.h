/*
 * history.h - how a fleet was in each of the last ten minutes' seconds.
 *
 * The admin process writes it and reads it. The memory is the master's, shared
 * with each admin process that it starts: one that dies, or that a reload
 * renews, takes nothing along. The segment has no part in it, so that a fleet
 * without an admin address does not pay for it, and the segment stays
 * read-only for those who look.
 *
 * A process may die between any two instructions: a moment is true once it has
 * its second. Seconds are those of CLOCK_MONOTONIC, from 1 on.
 *
 * A master that is replaced passes the memory on as a descriptor. The next one
 * copies what it understands of it into memory of its own.
 */
#ifndef MASTER_HISTORY_H
#define MASTER_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define HISTORY_SECONDS 600

struct history;

/* An endpoint in one second. */
struct history_endpoint {
	_Atomic uint32_t second; /* 0: none; set by history_add_endpoint() */
	char state; /* the first letter of its name; '-': unknown */
	char role;
	uint32_t rtt_us;  /* 0: not known */
	int32_t lag_ms;	  /* -1: not known */
	uint32_t answers;
};

/* A group in one second. */
struct history_group {
	_Atomic uint32_t second; /* 0: none; set by history_add_group() */
	uint32_t waiting; /* at its end */
	uint32_t ended;
	uint32_t failed;  /* of these */
	uint32_t run_us;  /* that 99 of 100 answers did not take */
};

/** Memory for one, shared with all processes that are forked later; pages that
 * are not written cost nothing. NULL: there is none. @fd: set to the file that
 * it is, which the caller closes; may be NULL. */
struct history *history_make(int *fd);

/**
 * Take over what another master remembered, up to the second @now. Left out is
 * what is not plausible, and what is older than the last moment of a name here.
 *
 * @fd  of history_make(), of whatever version of it. False: it is another one,
 *      and nothing was taken.
 */
bool history_take(struct history *history, int fd, uint32_t now);

/* Add a moment. A name that is new takes the place of the one that was not
 * heard of for the longest time, if all have one. NULL @history is a no-op. */
void history_add_endpoint(struct history *history, uint32_t second,
    const char *name, const struct history_endpoint *moment);
void history_add_group(struct history *history, uint32_t second,
    const char *name, const struct history_group *moment);

/**
 * Print the seconds from @from to @to as one JSON object: lists with an element
 * for each second, null or '-' where nothing is known. Nothing is printed of
 * the seconds before the first that is known.
 */
void history_print(const struct history *history, uint32_t from, uint32_t to,
    FILE *out);

#endif
