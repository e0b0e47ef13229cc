/*
 * slow.h - queries that took long are logged, up to a rate.
 */
#ifndef LIB_QUERY_SLOW_H
#define LIB_QUERY_SLOW_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

struct query;

/* Ten lines at once, then one a second. Begins as zero. */
struct slow_rate {
	int64_t second;	     /* of the last call */
	unsigned lines;	     /* written, less one for each second since */
	unsigned suppressed; /* since the last line that was written */
};

/* Take the right to write one more line at @now_us. False: one too many. */
bool slow_take_line(struct slow_rate *rate, int64_t now_us);

/* Log @query, which @endpoint answered @run_us after it was sent. */
void slow_log(const struct query *query, const PGresult *answer,
    const char *endpoint, int64_t run_us, int64_t now_us);

#endif
