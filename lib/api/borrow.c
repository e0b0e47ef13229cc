/*
 * borrow.c - the doors of leases: a connection is borrowed, used and taken back
 * clean.
 */
#include "api/borrow.h"

#include "wire/bulk.h"
#include "fleet/endpoint.h"
#include "pool/grow.h"
#include "pool/news.h"
#include "wire/prepared.h"
#include "wire/send.h"
#include "wire/session.h"
#include "base/status.h"
#include "wire/stream.h"
#include "pool/choose.h"

#include <stdlib.h>

enum mews_status
borrow_alive(struct mews_lease *lease)
{
	lease_checked(lease);
	if (lease->group == NULL)
		return MEWS_INVALID;
	if (!pool_admit(lease->group->pool))
		return refuse_foreign(&lease->group->why);
	if (lease->conn != NULL && lease->in_flight == 0 &&
	    !receive_confirm(lease->conn))
		lease_lost(lease);
	if (lease->conn == NULL || conn_is_broken(lease->conn))
		return refuse(&lease->group->why, MEWS_UNAVAILABLE,
		    "the lease's connection to %s is gone: what was not "
		    "committed is undone", lease_endpoint(lease));
	return MEWS_OK;
}

enum mews_status
borrow_usable(struct mews_lease *lease)
{
	enum mews_status	status = borrow_alive(lease);

	if (status != MEWS_OK)
		return status;
	if (lease->conn->copy != NULL)
		return refuse(&lease->group->why, MEWS_INVALID,
		    "a COPY runs on the lease: wait for its end");
	/* Ask libpq: BEGIN or COMMIT may have been the host's own SQL. */
	if (conn_is_idle(lease->conn)) {
		lease->transaction =
		    PQtransactionStatus(lease->conn->pg) != PQTRANS_IDLE;
		if (lease->by_hand != LEASE_HAND_OFF)
			lease->by_hand = lease->transaction ? LEASE_HAND_OFF :
							      LEASE_HAND_ENDED;
	}
	return MEWS_OK;
}

struct mews_lease *
mews_lease_try(struct mews_group *group)
{
	struct conn	*conn;

	/* Queries that wait go first. */
	if (!pool_admit(group_pool(group)) || group->queue.count > 0)
		return NULL;
	if (group->pool->loop.blocking)
		pool_arrive(group->pool);
	news_look(group->pool);
	if ((conn = choose_take_idle(group)) == NULL)
		return NULL;
	return lease_hold(conn);
}

enum mews_status
mews_lease_begin(struct mews_group *group, uint32_t wait_ms,
    mews_lease_fn *fn, void *arg, mews_query_id *id)
{
	return mews_lease_begin_after(group, 0, wait_ms, fn, arg, id);
}

enum mews_status
mews_lease_begin_after(struct mews_group *group, uint64_t after,
    uint32_t wait_ms, mews_lease_fn *fn, void *arg, mews_query_id *id)
{
	struct query	       *query;
	enum mews_status	status;

	if (!pool_admit(group_pool(group)))
		return refuse_foreign(&group->why);
	if (fn == NULL)
		return refuse(&group->why, MEWS_INVALID,
		    "a lease needs a callback");
	if ((query = query_new_wait(&group->account, wait_ms)) == NULL)
		return refuse(&group->why, MEWS_NOMEM, "out of memory");
	query->fn.lease = fn;
	query->arg = arg;
	query->after = after;
	if ((status = group_enqueue(group, query)) != MEWS_OK)
		query_drop(query);
	else if (id != NULL)
		*id = query->id;
	return status;
}

/* Is @query a COMMIT, perhaps as the host's own SQL? */
static bool
is_commit(const struct query *query)
{
	return query->kind == QUERY_ON_LEASE &&
	    sql_is_commit(query_sql(query));
}

/* Ask for the position of @query, or of the end of its transaction. */
static enum mews_status __attribute__((noinline))
want_position(struct mews_lease *lease, const struct query *query)
{
	if (lease->group->terms.reader)
		return refuse(&lease->group->why, MEWS_INVALID, "%s",
		    QUERY_NO_POSITION);
	/* Only the answer will tell whether a transaction is open. */
	if (lease->by_hand == LEASE_HAND_SENT && !is_commit(query))
		return refuse(&lease->group->why, MEWS_INVALID, "a BEGIN or "
		    "COMMIT of your own is in flight: MEWS_QUERY_POSITION can "
		    "be asked for behind its answer");
	lease->position = true;
	return MEWS_OK;
}

/* Let the query that commits take the position: @query, or its transaction's
 * COMMIT. */
static void __attribute__((noinline))
take_position(struct mews_lease *lease, struct query *query, bool begin)
{
	if (query->kind == QUERY_ROLLBACK)
		lease->position = false;
	if (query->kind != QUERY_COMMIT && !is_commit(query) &&
	    (query->kind != QUERY_ON_LEASE || begin || lease->transaction ||
		sql_transacts(query_sql(query))))
		return;
	query->position = lease->position;
	lease->position = false;
}

static inline enum mews_status
make_query(struct query **out, struct mews_lease *lease,
    enum query_kind kind, const struct mews_query_args *args,
    mews_query_fn *fn, void *arg)
{
	enum mews_status status = query_new(out, &lease->group->account, kind,
	    args);

	if (status != MEWS_OK)
		return status;
	if (kind == QUERY_ON_LEASE && args->after != 0) {
		query_drop(*out);
		return refuse(&lease->group->why, MEWS_INVALID, "a lease has "
		    "its server already: after belongs to its begin, see "
		    "mews_lease_begin_after()");
	}
	if (kind == QUERY_ON_LEASE &&
	    query_copies(*out) != SQL_COPY_NONE) {
		query_drop(*out);
		return refuse(&lease->group->why, MEWS_INVALID, "COPY from "
		    "and to the client: mews_copy_in() and mews_copy_out()");
	}
	if ((args->flags & MEWS_QUERY_POSITION) != 0 &&
	    (status = want_position(lease, *out)) != MEWS_OK) {
		query_drop(*out);
		return status;
	}
	(*out)->fn.query = fn;
	(*out)->arg = arg;
	(*out)->lease = lease;
	return MEWS_OK;
}

enum mews_status
borrow_query(struct query **out, struct mews_lease *lease,
    enum query_kind kind, const struct mews_query_args *args,
    mews_query_fn *fn, void *arg)
{
	return make_query(out, lease, kind, args, fn, arg);
}

static inline void
sent(struct mews_lease *lease, struct query *query, bool begin,
    mews_query_id *id)
{
	lease->in_flight++;
	lease->used = true;
	lease->active_us = query->sent_us;
	lease->transaction = lease->transaction || begin;
	/* Neither the library's own statements nor DESCRIBE leave anything
	 * behind. */
	if (query->kind <= QUERY_COPY && !query->describes) {
		enum sql_effect	effect = query_effect(query);

		if (effect != SQL_HARMLESS)
			lease->dirty = true;
		if (effect == SQL_SESSION && sql_transacts(query_sql(query))) {
			lease->by_hand = LEASE_HAND_SENT;
			if (is_commit(query))
				query->kind = QUERY_COMMIT;
		}
		/* Queries after a DEALLOCATE in the pipeline are prepared
		 * anew. */
		if (effect == SQL_SESSION && sql_deallocates(query_sql(query)))
			prepared_doubt(lease->conn);
	}
	query->inside = lease->transaction &&
	    lease->by_hand != LEASE_HAND_SENT;
	if (id != NULL)
		*id = query->id;
}

void
borrow_sent(struct mews_lease *lease, struct query *query, bool begin,
    mews_query_id *id)
{
	sent(lease, query, begin, id);
}

enum mews_status
borrow_submit(struct mews_lease *lease, struct query *query, mews_query_id *id)
{
	bool	begin = query->kind != QUERY_COMMIT &&
	    query->kind != QUERY_ROLLBACK && lease_begins(lease);

	if (lease->position && !query->describes)
		take_position(lease, query, begin);
	if (!bulk_fits(query)) {
		query_drop(query);
		return refuse(&lease->group->why, MEWS_NOMEM, BULK_NO_ROOM);
	}
	if (!conn_send(lease->conn, query, begin)) {
		query_drop(query);
		return refuse(&lease->group->why, MEWS_UNAVAILABLE,
		    "the lease's connection to %s broke",
		    lease_endpoint(lease));
	}
	sent(lease, query, begin, id);
	return MEWS_OK;
}

enum mews_status
borrow_send(struct mews_lease *lease, enum query_kind kind,
    const struct mews_query_args *args, mews_query_fn *fn, void *arg,
    mews_query_id *id)
{
	struct query	       *query;
	enum mews_status	status;

	status = make_query(&query, lease, kind, args, fn, arg);
	return status != MEWS_OK ? status : borrow_submit(lease, query, id);
}

enum mews_status
mews_lease_query(struct mews_lease *lease, const struct mews_query_args *args,
    mews_query_fn *fn, void *arg, mews_query_id *id)
{
	enum mews_status	 status = borrow_usable(lease);
	struct mews_group	*group = lease->group;

	if (status != MEWS_OK)
		return status;
	if (fn == NULL)
		return refuse(&group->why, MEWS_INVALID,
		    "a query needs a callback");
	return borrow_send(lease, QUERY_ON_LEASE, args, fn, arg, id);
}

const char *
mews_lease_endpoint(const struct mews_lease *lease)
{
	if (lease_checked(lease)->group == NULL)
		return "";
	(void)pool_admit(lease->group->pool);
	return lease_endpoint(lease);
}

/* Send what ends the use of @lease on the server, within this call, without
 * waiting. */
static void __attribute__((noinline))
finish_use(struct mews_lease *lease, struct conn *conn)
{
	bool	open = lease->transaction || lease->in_flight > 0 ||
	    PQtransactionStatus(conn->pg) != PQTRANS_IDLE;
	bool	dirty;

	if (conn->streams > 0)
		stream_abandon(conn);
	/* A retiring connection is closed instead of reset. */
	dirty = lease->dirty && !conn->retiring;
	lease_part(lease);
	if (conn_is_broken(conn) || (!open && !dirty))
		return;
	if ((open && (!conn_send_session(conn, "ROLLBACK") ||
		!conn_sync(conn))) || (dirty && !conn_send_reset(conn)))
		conn_break(conn, HEALTH_LOST, PQerrorMessage(conn->pg));
	/* Flush now: the host may not turn the loop for a long time. */
	session_flush(conn);
}

/* Give @conn back to the group. */
static inline void
give_conn_back(struct mews_lease *lease, struct conn *conn)
{
	struct mews_group	*group = lease->group;

	if (lease->used)
		finish_use(lease, conn);
	else
		lease_part(lease);
	conn->idle_since_us = pool_now(group->pool);
	conn_end_retired(conn);
	if (!conn->retiring && !conn_is_broken(conn) &&
	    conn->expires_us <= conn->idle_since_us)
		grow_replace(conn);
	/* A query may wait for it. */
	if (group->queue.count > 0)
		group->pool->loop.hurry = true;
}

void
mews_lease_end(struct mews_lease **lease)
{
	struct mews_lease	*l;
	struct mews_pool	*pool;

	STATUS_NEED_OUT(lease);
	l = *lease;
	*lease = NULL;
	if (l == NULL)
		return;
	lease_checked(l);
	l->magic = 0;
	if (l->state == LEASE_ORPHAN) {
		free(l);
		return;
	}
	pool = l->group->pool;
	if (l->state == LEASE_HELD && pool_admit(pool))
		give_conn_back(l, l->conn);
	else if (l->state == LEASE_HELD)
		lease_part(l); /* a fork's copy: nothing is sent */
	lease_become(l, LEASE_FREE);
}
