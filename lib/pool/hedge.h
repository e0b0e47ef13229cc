/*
 * hedge.h - a read without an answer is asked of another endpoint, too.
 *
 * The twin is a query of its own that brings its answer to the original: the
 * first answer counts, the second is thrown away.
 *
 * A read that is held up behind one that takes longer than expected has a twin
 * on an idle connection. Each twin has a connection to itself, so that none is
 * held up again. In a segment of several reads any may be the long one: all of
 * them have twins.
 *
 * Even if the group does not hedge, a connection may have lost an answer, or a
 * piece of one. A read that is not known to take long, and that waits for
 * HEDGE_SILENT_US on a silent connection while others are heard, is asked over
 * another connection. If no other is heard, the oldest such read tries an idle
 * one: if an answer comes the server is well, and the other reads follow.
 */
#ifndef LIB_POOL_HEDGE_H
#define LIB_POOL_HEDGE_H

#include "wire/conn.h"
#include "pool/group.h"

#define HEDGE_AGAIN_US	 1000	/* no idle connection for a read: look again */
#define HEDGE_SILENT_US	 3000000 /* hedge_after, if that is off */

/* A query was sent over @conn: look in time whether it is held up. */
static inline void
hedge_in_time(const struct conn *conn)
{
	struct mews_pool *pool = conn->group->pool;
	int64_t		  soon, due;

	if (conn->in_flight < 2 || !conn->terms->reader)
		return;
	soon = pool_now(pool) + HEDGE_AGAIN_US;
	due = conn->head_since_us +
	    known_held_us(conn->known, conn->group->config);
	pool_due(pool, due > soon ? due : soon);
}

/* Send twins of reads that have waited too long on @conn. Sets pool_due(). */
void hedge_scan(struct conn *conn, int64_t now_us);

#endif
