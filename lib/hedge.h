/*
 * hedge.h - a read without an answer is asked of another endpoint, too.
 *
 * The twin is a query of its own that brings its answer to the original: the
 * first answer counts, the other is thrown away when it comes.
 */
#ifndef HEDGE_H
#define HEDGE_H

#include "conn.h"

#define HEDGE_AUTO_TIMES 3	/* MEWS_HEDGE_AUTO: so many times the p99 ... */
#define HEDGE_AUTO_US	 2000	/* ... but this at least */

/* When a read of the group has waited long enough for that endpoint. */
int64_t hedge_after_us(const struct mews_group *group, uint32_t endpoint);

/* Send twins of what has waited too long on @conn. Sets pool_due(). */
void hedge_scan(struct conn *conn, int64_t now_us);

/*
 * A query that has a twin, or is one, ended with @result: settle between the
 * two. True: nothing is left to do but to free it. False: it is the original,
 * alone now, and ends as any other.
 */
bool hedge_ended(struct query *query, struct mews_result *result);

#endif
