/*
 * wire.h - what all connections of a pool have in common.
 *
 * One process, one thread: nothing in here is atomic. Only the next tick loses
 * a connection that broke.
 */
#ifndef LIB_WIRE_WIRE_H
#define LIB_WIRE_WIRE_H

#include "fleet/fleet.h"
#include "fleet/known.h"
#include "base/loop.h"
#include "query/statement.h"
#include "wire/terms.h"

#include <mews/notice.h>

struct wire {
	struct loop *loop;
	struct mews_fleet *fleet;
	struct statements *statements;
	struct known *known; /* by endpoint */
	bool trim;	/* much memory was freed: give it back */
	void *lid;	/* with trim: memory_lid(), or NULL */

	struct conn_list conns[MEWS_ENDPOINTS_MAX]; /* of all groups */
	struct conn_list to_flush; /* those that sent something in this turn */
	struct conn_list broken;   /* to be lost in the next tick */

	LIST_HEAD(, interrupt) interrupts; /* under way */
	LIST_HEAD(, mews_lease) shells; /* leases whose connection is gone */
	SLIST_HEAD(, mews_lease) free_leases;

	mews_notice_fn *on_notice; /* of all connections; or NULL */
	void *notice_arg;
};

static inline void
wire_open(struct wire *wire, struct loop *loop, struct mews_fleet *fleet,
    struct statements *statements, struct known *known)
{
	*wire = (struct wire) {
		.loop = loop, .fleet = fleet, .statements = statements,
		.known = known,
	};
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		TAILQ_INIT(&wire->conns[i]);
	TAILQ_INIT(&wire->to_flush);
	TAILQ_INIT(&wire->broken);
	LIST_INIT(&wire->interrupts);
	LIST_INIT(&wire->shells);
	SLIST_INIT(&wire->free_leases);
}

#endif
