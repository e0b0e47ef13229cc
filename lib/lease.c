/*
 * lease.c - a connection of one's own: granted, used, taken back clean.
 */
#include "lease.h"

#include "copy.h"
#include "endpoint.h"
#include "stream.h"
#include "supply.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct mews_lease *
checked(struct mews_lease *lease)
{
	assert(lease != NULL && lease->magic == LEASE_MAGIC &&
	    "mews: a lease is good until mews_lease_end()");
	return lease;
}

enum mews_status
lease_alive(struct mews_lease *lease)
{
	checked(lease);
	if (lease->group == NULL)
		return MEWS_INVALID;
	if (!pool_is_ours(lease->group->pool))
		return group_refuse_foreign(lease->group);
	if (lease->conn != NULL && lease->in_flight == 0 &&
	    !conn_check(lease->conn))
		lease_lost(lease);
	if (lease->conn == NULL || lease->conn->broken)
		return group_refuse(lease->group, MEWS_UNAVAILABLE,
		    "the lease's connection to %s is gone: what was not "
		    "committed is undone", mews_lease_endpoint(lease));
	return MEWS_OK;
}

enum mews_status
lease_usable(struct mews_lease *lease)
{
	enum mews_status	status = lease_alive(lease);

	if (status != MEWS_OK)
		return status;
	if (lease->conn->copy != NULL)
		return group_refuse(lease->group, MEWS_INVALID,
		    "a COPY runs on the lease: wait for its end");
	/* BEGIN or COMMIT may have been the host's own SQL. */
	if (conn_is_idle(lease->conn))
		lease->transaction =
		    PQtransactionStatus(lease->conn->pg) != PQTRANS_IDLE;
	return MEWS_OK;
}

void
lease_free_all(struct mews_pool *pool)
{
	struct mews_lease	*lease;

	while ((lease = SLIST_FIRST(&pool->free_leases)) != NULL) {
		SLIST_REMOVE_HEAD(&pool->free_leases, free_link);
		free(lease);
	}
}

/* The first ones; NULL: out of memory. */
static struct mews_lease * __attribute__((noinline))
new_lease(void)
{
	return malloc(sizeof(struct mews_lease));
}

/* @conn is held by a new lease; NULL: out of memory. When it is forgotten the
 * pool's next scan will know, a beat from now at the latest. */
static inline struct mews_lease *
hold(struct conn *conn)
{
	struct mews_group	*group = conn->group;
	struct mews_pool	*pool = group->pool;
	struct mews_lease	*lease = SLIST_FIRST(&pool->free_leases);

	if (lease != NULL)
		SLIST_REMOVE_HEAD(&pool->free_leases, free_link);
	else if ((lease = new_lease()) == NULL)
		return NULL;
	lease->magic = LEASE_MAGIC;
	lease->group = group;
	lease->conn = conn;
	lease->in_flight = 0;
	lease->used = false;
	lease->transaction = false;
	lease->wants_transaction = false;
	lease->dirty = false;
	lease->options[0] = '\0';
	lease->active_us = pool_now(pool);
	conn->lease = lease;
	conn->slow_lane = false;
	return lease;
}

void
lease_grant(struct conn *conn, struct query *query)
{
	mews_lease_fn		*fn = query->fn.lease;
	void			*arg = query->arg;
	struct mews_lease	*lease;
	struct mews_result	 result = { .magic = RESULT_MAGIC };

	if (query->canceled || (lease = hold(conn)) == NULL) {
		query_fail(query, MEWS_NOMEM, "out of memory");
		return;
	}
	query_drop(query);
	result.endpoint = mews_lease_endpoint(lease);
	fn(arg, lease, &result);
	result_close(&result);
}

struct mews_lease *
mews_lease_try(struct mews_group *group)
{
	struct conn	*conn;

	/* Who waits was here before. */
	if (!pool_is_ours(group_pool(group)) || group->waiting_count > 0 ||
	    (conn = supply_take_idle(group)) == NULL)
		return NULL;
	return hold(conn);
}

/* Part lease and connection; answers to come belong to neither. */
static inline void
part(struct mews_lease *lease)
{
	struct conn	*conn = lease->conn;

	lease->conn = NULL;
	conn->lease = NULL;
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
	part(lease);
	LIST_INSERT_HEAD(&lease->group->pool->shells, lease, link);
}

void
lease_orphan_all(struct mews_pool *pool)
{
	struct mews_lease	*lease;
	struct conn		*conn;

	for (uint32_t g = 0; g < pool->group_count; g++)
		for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
			TAILQ_FOREACH (conn, &pool->groups[g].on[i].conns,
			    link)
				if (conn->lease != NULL)
					lease_lost(conn->lease);
	while ((lease = LIST_FIRST(&pool->shells)) != NULL) {
		LIST_REMOVE(lease, link);
		lease->group = NULL;
	}
}

void
lease_heard(struct mews_lease *lease, int64_t now_us)
{
	lease->in_flight--;
	lease->active_us = now_us;
}

void
lease_scan(struct mews_lease *lease, int64_t now_us)
{
	struct mews_group *group = lease->group;
	uint32_t	   timeout = group->config->query_timeout;
	int64_t		   until;

	if (lease->conn->copy != NULL)
		copy_scan(lease->conn, now_us);
	/* While it is the host's turn nobody waits for the server. */
	if (stream_waits(lease->conn))
		lease->conn->head_since_us = POOL_NEVER / 2;
	else if (lease->in_flight > 0)
		return;
	if (timeout == MEWS_FOREVER)
		return;
	until = lease->active_us + (int64_t)timeout * 1000;
	if (until > now_us) {
		pool_due(group->pool, until);
		return;
	}
	fleet_log(group->pool->fleet, MEWS_WARNING, "lease_forgotten",
	    "group=%s endpoint=%s idle_ms=%lld", group->config->name,
	    mews_lease_endpoint(lease),
	    (long long)((now_us - lease->active_us) / 1000));
	conn_break(lease->conn, HEALTH_NOTHING, "its lease was forgotten");
}

enum mews_status
mews_lease_begin(struct mews_group *group, uint32_t timeout_ms,
    mews_lease_fn *fn, void *arg, mews_query_id *id)
{
	struct query	       *query;
	enum mews_status	status;

	if (!pool_is_ours(group_pool(group)))
		return group_refuse_foreign(group);
	if (fn == NULL)
		return group_refuse(group, MEWS_INVALID,
		    "a lease needs a callback");
	if ((query = query_new_wait(group, timeout_ms)) == NULL)
		return group_refuse(group, MEWS_NOMEM, "out of memory");
	query->fn.lease = fn;
	query->arg = arg;
	if ((status = group_enqueue(group, query)) != MEWS_OK)
		query_drop(query);
	else if (id != NULL)
		*id = query->id;
	return status;
}

bool
lease_begins(const struct mews_lease *lease)
{
	return !lease->transaction && (lease->wants_transaction ||
	    lease->group->config->autocommit == MEWS_OFF);
}

enum mews_status
lease_query(struct query **out, struct mews_lease *lease,
    enum query_kind kind, const struct mews_query_args *args,
    mews_query_fn *fn, void *arg)
{
	enum mews_status status = query_new(out, lease->group, kind, args);

	if (status != MEWS_OK)
		return status;
	(*out)->fn.query = fn;
	(*out)->arg = arg;
	(*out)->lease = lease;
	return MEWS_OK;
}

void
lease_sent(struct mews_lease *lease, const struct query *query, bool begin,
    mews_query_id *id)
{
	lease->in_flight++;
	lease->used = true;
	lease->active_us = query->sent_us;
	lease->transaction = lease->transaction || begin;
	/* What the library itself says leaves nothing behind. */
	if (query->kind <= QUERY_COPY && query_effect(query) != SQL_HARMLESS)
		lease->dirty = true;
	if (id != NULL)
		*id = query->id;
}

enum mews_status
lease_submit(struct mews_lease *lease, struct query *query, mews_query_id *id)
{
	bool	begin = query->kind != QUERY_COMMIT &&
	    query->kind != QUERY_ROLLBACK && lease_begins(lease);

	if (!conn_send(lease->conn, query, begin)) {
		query_drop(query);
		return group_refuse(lease->group, MEWS_UNAVAILABLE,
		    "the lease's connection to %s broke",
		    mews_lease_endpoint(lease));
	}
	lease_sent(lease, query, begin, id);
	return MEWS_OK;
}

enum mews_status
lease_send(struct mews_lease *lease, enum query_kind kind,
    const struct mews_query_args *args, mews_query_fn *fn, void *arg,
    mews_query_id *id)
{
	struct query	       *query;
	enum mews_status	status;

	status = lease_query(&query, lease, kind, args, fn, arg);
	return status != MEWS_OK ? status : lease_submit(lease, query, id);
}

enum mews_status
mews_lease_query(struct mews_lease *lease, const struct mews_query_args *args,
    mews_query_fn *fn, void *arg, mews_query_id *id)
{
	enum mews_status	 status = lease_usable(lease);
	struct mews_group	*group = lease->group;

	if (status != MEWS_OK)
		return status;
	if (fn == NULL)
		return group_refuse(group, MEWS_INVALID,
		    "a query needs a callback");
	if (args != NULL && args->sql != NULL &&
	    sql_copies(args->sql) != SQL_COPY_NONE)
		return group_refuse(group, MEWS_INVALID, "COPY from and to "
		    "the client: mews_copy_in() and mews_copy_out()");
	return lease_send(lease, QUERY_ON_LEASE, args, fn, arg, id);
}

const char *
mews_lease_endpoint(const struct mews_lease *lease)
{
	return lease->group == NULL ? "" :
	    endpoint_name(lease->group->pool->fleet, lease->conn != NULL ?
	    lease->conn->endpoint : lease->endpoint);
}

/* What it was used for, ends. */
static void __attribute__((noinline))
finish(struct mews_lease *lease, struct conn *conn)
{
	bool	open = lease->transaction || lease->in_flight > 0 ||
	    PQtransactionStatus(conn->pg) != PQTRANS_IDLE;

	if (conn->streams > 0)
		stream_abandon(conn);
	if (lease->dirty)
		conn->reset_due = true;
	part(lease);
	if (open && !conn->broken &&
	    (!conn_send_session(conn, "ROLLBACK") || !conn_sync(conn)))
		conn_break(conn, HEALTH_LOST, PQerrorMessage(conn->pg));
}

/* Its connection is the group's again. */
static inline void
give_back(struct mews_lease *lease, struct conn *conn)
{
	struct mews_group	*group = lease->group;

	if (lease->used)
		finish(lease, conn);
	else
		part(lease);
	conn->idle_since_us = pool_now(group->pool);
	if (conn->retiring && conn_is_idle(conn))
		conn_break(conn, HEALTH_NOTHING, "");
	/* Somebody may wait for it. */
	if (group->waiting_count > 0)
		group->pool->hurry = true;
}

void
mews_lease_end(struct mews_lease **lease)
{
	struct mews_lease	*l = *lease;
	struct mews_pool	*pool;

	*lease = NULL;
	if (l == NULL)
		return;
	checked(l)->magic = 0;
	if (l->group == NULL) {
		free(l);
		return;
	}
	pool = l->group->pool;
	if (l->conn == NULL)
		LIST_REMOVE(l, link);
	else if (pool_is_ours(pool))
		give_back(l, l->conn);
	SLIST_INSERT_HEAD(&pool->free_leases, l, free_link);
}
