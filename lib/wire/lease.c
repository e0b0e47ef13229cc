/*
 * lease.c - a connection that one user holds: granted, parted, lost.
 *
 *	FREE -> HELD -> FREE
 *	        HELD -> SHELL -> FREE, or ORPHAN and freed
 *
 * Borrowing, using and giving back: api/borrow.c.
 */
#include "wire/lease.h"

#include "fleet/endpoint.h"
#include "base/trace.h"

#include <assert.h>
#include <stdlib.h>

const struct mews_lease *
lease_checked(const struct mews_lease *lease)
{
	assert(lease != NULL && lease->magic == LEASE_MAGIC &&
	    "mews: a lease is good once granted, until mews_lease_end()");
	return lease;
}

const char *
lease_endpoint(const struct mews_lease *lease)
{
	return endpoint_name(lease->terms->wire->fleet,
	    lease->conn != NULL ? lease->conn->endpoint : lease->endpoint);
}

void
lease_become(struct mews_lease *lease, enum lease_state to)
{
	static const uint8_t next[LEASE_STATES] = {
		[LEASE_FREE] = 1u << LEASE_HELD,
		[LEASE_HELD] = 1u << LEASE_FREE | 1u << LEASE_SHELL,
		[LEASE_SHELL] = 1u << LEASE_FREE | 1u << LEASE_ORPHAN,
	};
	struct wire *wire = lease->terms->wire;

	assert((next[lease->state] & 1u << to) != 0 &&
	    "mews: a lease is held, and ends once");
	if (lease->state == LEASE_SHELL)
		LIST_REMOVE(lease, link);
	if (to == LEASE_FREE)
		TRACE(lease__end, lease, lease->terms->config->name);
	if (to == LEASE_HELD)
		lease->magic = LEASE_MAGIC;
	else if (to == LEASE_FREE)
		SLIST_INSERT_HEAD(&wire->free_leases, lease, free_link);
	else if (to == LEASE_SHELL)
		LIST_INSERT_HEAD(&wire->shells, lease, link);
	else if (to == LEASE_ORPHAN)
		lease->group = NULL, lease->terms = NULL;
	lease->state = to;
}

void
lease_free_all(struct wire *wire)
{
	struct mews_lease	*lease;

	while ((lease = SLIST_FIRST(&wire->free_leases)) != NULL) {
		SLIST_REMOVE_HEAD(&wire->free_leases, free_link);
		free(lease);
	}
}

/* A lease in new memory; NULL: out of memory. */
static struct mews_lease * __attribute__((noinline))
new_lease(void)
{
	struct mews_lease	*lease = malloc(sizeof(*lease));

	if (lease != NULL)
		lease->state = LEASE_FREE;
	return lease;
}

struct mews_lease *
lease_hold(struct conn *conn)
{
	struct wire		*wire = conn->wire;
	struct mews_lease	*lease = SLIST_FIRST(&wire->free_leases);

	if (lease != NULL)
		SLIST_REMOVE_HEAD(&wire->free_leases, free_link);
	else if ((lease = new_lease()) == NULL)
		return NULL;
	lease->group = conn->group;
	lease->terms = conn->terms;
	lease_become(lease, LEASE_HELD);
	lease->conn = conn;
	lease->in_flight = 0;
	lease->used = false;
	lease->transaction = false;
	lease->wants_transaction = false;
	lease->dirty = false;
	lease->by_hand = LEASE_HAND_OFF;
	lease->position = false;
	lease->on_notice = NULL;
	lease->options[0] = '\0';
	lease->active_us = conn_now(conn);
	conn->lease = lease;
	conn_become(conn, CONN_LEASED);
	conn->slow_lane = false;
	TRACE(lease__begin, lease, lease->terms->config->name,
	    lease_endpoint(lease));
	return lease;
}

void
lease_grant(struct conn *conn, struct query *query)
{
	mews_lease_fn		*fn = query->fn.lease;
	void			*arg = query->arg;
	struct mews_lease	*lease;

	if (query->canceled || (lease = lease_hold(conn)) == NULL) {
		query_fail(query, MEWS_NOMEM, "out of memory");
		return;
	}
	query->fn.lease = NULL;
	query->told = (struct mews_result) {
		.magic = RESULT_MAGIC,
		.endpoint = lease_endpoint(lease),
	};
	fn(arg, lease, &query->told);
	result_close(&query->told);
	query_drop(query);
}

void
lease_part(struct mews_lease *lease)
{
	struct conn	*conn = lease->conn;

	lease->conn = NULL;
	conn->lease = NULL;
	if (conn->state == CONN_LEASED)
		conn_become(conn, CONN_READY);
	if (!lease->used)
		return;
	lease->transaction = false;
	for (uint32_t i = conn->head; i != conn->tail; i++) {
		struct expect *e = &conn->ring[i & (conn->ring_size - 1)];

		if (e->kind == EXPECT_QUERY)
			e->query->lease = NULL;
	}
	if (conn->held != NULL)
		conn->held->lease = NULL;
}

void
lease_lost(struct mews_lease *lease)
{
	lease->endpoint = lease->conn->endpoint;
	lease_part(lease);
	lease_become(lease, LEASE_SHELL);
}

void
lease_orphan_all(struct wire *wire)
{
	struct mews_lease	*lease;
	struct conn		*conn;

	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		TAILQ_FOREACH (conn, &wire->conns[i], sibling_link)
			if (conn->lease != NULL)
				lease_lost(conn->lease);
	while ((lease = LIST_FIRST(&wire->shells)) != NULL)
		lease_become(lease, LEASE_ORPHAN);
}

void
lease_heard(struct mews_lease *lease, int64_t now_us)
{
	lease->in_flight--;
	lease->active_us = now_us;
}

bool
lease_begins(const struct mews_lease *lease)
{
	return !lease->transaction && (lease->wants_transaction ||
	    lease->terms->config->autocommit == MEWS_SWITCH_OFF);
}
