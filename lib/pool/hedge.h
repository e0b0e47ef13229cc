/*
 * hedge.h - a read without an answer is asked of another endpoint, too.
 *
 * The twin is a query of its own that brings its answer to the original: the
 * first answer counts, the other is thrown away when it comes.
 *
 * A read that is held up behind one that takes longer than expected has a twin
 * on an idle connection. Each twin has a connection to itself, so that none is
 * held up again. In a segment of several reads any may be the long one: all of
 * them have twins.
 *
 * Where the group does not hedge, a connection may still have lost an answer,
 * or a piece of one: a read that is not known to take long, and waits for
 * HEDGE_SILENT_US on a connection that is silent while others are heard, is
 * asked over another connection. Where no other has anything to say, the
 * oldest such read tries one that is idle: the answer tells that the server is
 * well, and so the other reads follow.
 */
#ifndef LIB_POOL_HEDGE_H
#define LIB_POOL_HEDGE_H

#include "wire/conn.h"
#include "pool/group.h"

#define HEDGE_AGAIN_US	 1000	/* no idle connection for a read: look again */
#define HEDGE_SILENT_US	 3000000 /* where hedge_after is off */

/* More was sent over @conn: look in time whether that is held up. */
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

/* Send twins of what has waited too long on @conn, of a group of readers. Sets
 * pool_due(). */
void hedge_scan(struct conn *conn, int64_t now_us);

#endif
