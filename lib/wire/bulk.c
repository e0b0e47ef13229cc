/*
 * bulk.c - refusing answers and parameters that are too large, and giving the
 * memory of large ones back.
 */
#include "wire/bulk.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Have the next tick give the memory back that @conn frees until then. */
static void
trim_later(struct conn *conn)
{
	struct wire	*wire = conn->wire;

	wire->trim = true;
	if (wire->lid == NULL)
		wire->lid = memory_lid();
}

void
bulk_break(struct conn *conn, const char *why)
{
	if (conn_is_broken(conn))
		return;
	trim_later(conn);
	conn->too_large = true;
	conn->bystander = true;
	conn_break(conn, HEALTH_NOTHING, why);
}

/* Bytes read from @conn, as the kernel counts them, or else an estimate of
 * those since its head. */
static uint64_t
received(const struct conn *conn)
{
	struct tcp_info	info;
	socklen_t	size = sizeof(info);
	int		unread = 0;

	if (!conn->corkable || getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO,
	    &info, &size) == -1 || size < offsetof(struct tcp_info,
	    tcpi_bytes_received) + sizeof(info.tcpi_bytes_received) ||
	    ioctl(conn->fd, FIONREAD, &unread) == -1)
		return (uint64_t)conn->reads * BULK_READ;
	return (uint64_t)info.tcpi_bytes_received - (uint64_t)unread;
}

void
bulk_measure(struct conn *conn)
{
	uint64_t	now, most = conn->terms->config->max_result_size;
	char		why[100];

	/* Streams are not kept in memory. */
	if (conn->head == conn->tail || conn->streams > 0)
		return;
	now = received(conn);
	if (conn->reads == 1)
		conn->bulk_from = now;
	if (now <= conn->bulk_from || now - conn->bulk_from <= most)
		return;
	snprintf(why, sizeof(why), "an answer is larger than "
	    "max_result_size, which is %llu bytes", (unsigned long long)most);
	bulk_break(conn, why);
}

PGresult *
bulk_take(struct conn *conn, PGresult *answer)
{
	size_t	size = PQresultMemorySize(answer);

	trim_later(conn);
	conn->bulky = conn->widened = true;
	conn->overgrown = conn->overgrown || size > BULK_BYTES;
	if (size <= conn->terms->config->max_result_size)
		return answer;
	PQclear(answer);
	return PQmakeEmptyPGresult(conn->pg, PGRES_FATAL_ERROR);
}

void
bulk_taken(struct conn *conn)
{
	conn->bulky = false;
	conn->wire->trim = true;
	conn_due(conn, conn_now(conn));
	/* libpq never shrinks its buffer for a row: close the connection, if it
	 * is worth a login. */
	if (conn->overgrown && !conn_is_broken(conn))
		conn_retire(conn);
}

void
bulk_sent(struct conn *conn, struct query *query)
{
	size_t	keep = 0;
	char   *memory;

	if (query->outside > BULK_BYTES) {
		conn->wire->trim = true;
		conn_retire(conn);
	}
	if (query->kind == QUERY_SHARED || query->outside < BULK_PARAMS)
		return;
	/* Keep SQL that was not registered: its text may tell what an error
	 * means. */
	if (query->statement == NULL)
		keep = (size_t)(query->sql + strlen(query->sql) + 1 -
		    (char *)query->memory);
	if (keep == 0) {
		free(query->memory);
		query->memory = NULL;
		query->outside = 0;
	} else if ((memory = malloc(keep)) != NULL) {
		size_t	at = (size_t)(query->sql - (char *)query->memory);

		memcpy(memory, query->memory, keep);
		free(query->memory);
		query->memory = memory;
		query->outside = keep;
		query->sql = memory + at;
	}
	query->values = NULL;
	query->param_count = 0;
}

bool
bulk_fits_now(const struct query *query)
{
	/* Volatile, as a compiler may drop a malloc() whose memory is not
	 * used. */
	void	*volatile room = malloc(query->outside + BULK_LOOK);

	free(room);
	return room != NULL;
}

bool
bulk_end_unfit(struct query *query)
{
	if (bulk_fits(query))
		return false;
	query_fail(query, query->sent_to >= 0 ? MEWS_LOST : MEWS_NOMEM,
	    BULK_NO_ROOM);
	return true;
}
