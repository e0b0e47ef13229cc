/*
 * slow.h - queries that took long are logged, though not as often as they come.
 */
#ifndef LIB_QUERY_SLOW_H
#define LIB_QUERY_SLOW_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

struct query;

/* Ten lines at once, then one a second. Zero is a fresh one. */
struct slow_rate {
	int64_t second;	     /* of the last call */
	unsigned lines;	     /* let through, less one for each second since */
	unsigned suppressed; /* since the last that was let through */
};

/* May another line be written at @now_us? */
bool slow_allow(struct slow_rate *rate, int64_t now_us);

/* Log @query, which @endpoint answered @run_us after it was sent. */
void slow_log(const struct query *query, const PGresult *answer,
    const char *endpoint, int64_t run_us, int64_t now_us);

#endif
