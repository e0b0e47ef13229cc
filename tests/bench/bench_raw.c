/*
 * bench_raw.c - the same work as the pool's in bare libpq, as well as one can.
 *
 * The pool is compared with this program, so it does nothing that the benchmark
 * does not need: a fixed share of the queries in flight on each connection, no
 * deadlines, no retries; any error ends the program.
 */
#include "bench.h"

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

struct connection {
	PGconn *pg;
	unsigned share;	    /* the most queries in flight */
	unsigned in_flight; /* how many queries are in flight */
	unsigned pending;   /* queries and Syncs that are yet to be answered */
	unsigned unsynced;  /* queries since the last Sync */
	bool flush;	    /* something may be left in the buffer to send */
};

struct raw {
	struct bench *bench;
	bool pipeline;
	struct pollfd *polls;
	struct connection connections[];
};

static void
fail(const struct connection *c, const char *what)
{
	errx(1, "%s: %s", what, PQerrorMessage(c->pg));
}

#ifndef LIBPQ_HAS_SEND_PIPELINE_SYNC
/* The kernel gathers small packets, as each PQpipelineSync() writes one. */
static void
cork(const struct raw *raw, const struct connection *c, int on)
{
	if (raw->bench->mode == BENCH_SYNC)
		setsockopt(PQsocket(c->pg), IPPROTO_TCP, TCP_CORK, &on,
		    sizeof(on));
}
#endif

static void
send_sync(struct connection *c)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
	if (PQsendPipelineSync(c->pg) != 1)
		fail(c, "Sync");
#else
	if (PQpipelineSync(c->pg) != 1)
		fail(c, "Sync");
#endif
	c->pending++;
	c->unsynced = 0;
	c->flush = true;
}

static void
send_query(struct raw *raw, struct connection *c)
{
	char digits[12], *text = digits + sizeof(digits) - 1;
	const char *value;
	int id = bench_id(raw->bench);

	*text = '\0';
	do
		*--text = (char)('0' + id % 10);
	while ((id /= 10) != 0);
	value = text;
	if (PQsendQueryPrepared(c->pg, "q", 1, &value, NULL, NULL, 0) != 1)
		fail(c, "query");
	raw->bench->sent++;
	c->in_flight++;
	c->pending++;
	c->unsynced++;
	if (raw->bench->mode == BENCH_SYNC)
		send_sync(c);
}

static void
fill(struct raw *raw, struct connection *c)
{
	while (c->in_flight < c->share && bench_more(raw->bench))
		send_query(raw, c);
}

/* Queries of one turn are flushed together. */
static void
end_turn(struct raw *raw, struct connection *c)
{
	if (raw->pipeline && c->unsynced > 0)
		send_sync(c);
	if (!c->flush)
		return;
	switch (PQflush(c->pg)) {
	case 0:
		c->flush = false;
		break;
	case -1:
		fail(c, "flush");
	}
}

static void
ended(struct raw *raw, struct connection *c, const PGresult *result)
{
	bench_row(raw->bench, result);
	raw->bench->ended++;
	c->in_flight--;
}

static void
receive_pipeline(struct raw *raw, struct connection *c)
{
	PGresult *result;

	while (c->pending > 0 && !PQisBusy(c->pg)) {
		if ((result = PQgetResult(c->pg)) == NULL)
			continue;	/* the NULL behind a command's
					   results */
		c->pending--;
		if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
			ended(raw, c, result);
			PQclear(result);
			fill(raw, c);
		} else {
			PQclear(result);
		}
	}
}

static void
receive_single(struct raw *raw, struct connection *c)
{
	PGresult *result;

	while (c->pending > 0 && !PQisBusy(c->pg)) {
		if ((result = PQgetResult(c->pg)) != NULL) {
			ended(raw, c, result);
			PQclear(result);
			continue;
		}
		c->pending = 0;
		c->unsynced = 0;
		fill(raw, c);
	}
}

static void
ready(struct raw *raw, struct connection *c)
{
#ifndef LIBPQ_HAS_SEND_PIPELINE_SYNC
	cork(raw, c, 1);
#endif
	if (PQconsumeInput(c->pg) != 1)
		fail(c, "receive");
	if (raw->pipeline)
		receive_pipeline(raw, c);
	else
		receive_single(raw, c);
	end_turn(raw, c);
#ifndef LIBPQ_HAS_SEND_PIPELINE_SYNC
	cork(raw, c, 0);
#endif
}

static void
raw_turn(void *side)
{
	struct raw *raw = side;
	unsigned count = raw->bench->connections;

	if (raw->bench->sent == raw->bench->ended)
		for (unsigned i = 0; i < count; i++) {
			fill(raw, &raw->connections[i]);
			end_turn(raw, &raw->connections[i]);
		}
	for (unsigned i = 0; i < count; i++)
		raw->polls[i].events = raw->connections[i].flush ?
		    POLLIN | POLLOUT : POLLIN;
	if (poll(raw->polls, count, 1000) == -1 && errno != EINTR)
		err(1, "poll");
	for (unsigned i = 0; i < count; i++)
		if (raw->polls[i].revents != 0)
			ready(raw, &raw->connections[i]);
}

static void
connect_one(struct raw *raw, struct connection *c)
{
	PGresult *result;

	c->pg = PQconnectdb(raw->bench->conninfo);
	if (PQstatus(c->pg) != CONNECTION_OK)
		fail(c, "connect");
	result = PQprepare(c->pg, "q", BENCH_SQL, 0, NULL);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail(c, "prepare");
	PQclear(result);
	if (PQsetnonblocking(c->pg, 1) != 0 ||
	    (raw->pipeline && PQenterPipelineMode(c->pg) != 1))
		fail(c, "pipeline");
}

static void *
raw_open(struct bench *bench)
{
	unsigned count = bench->connections;
	struct raw *raw = calloc(1, sizeof(*raw) +
	    count * sizeof(raw->connections[0]));

	if (raw == NULL ||
	    (raw->polls = calloc(count, sizeof(raw->polls[0]))) == NULL)
		err(1, "raw");
	raw->bench = bench;
	raw->pipeline = bench->mode == BENCH_SYNC || bench->mode == BENCH_BATCH;
	for (unsigned i = 0; i < count; i++) {
		struct connection *c = &raw->connections[i];

		connect_one(raw, c);
		raw->polls[i].fd = PQsocket(c->pg);
		c->share = bench->inflight / count +
		    (i < bench->inflight % count);
	}
	return raw;
}

static void
raw_close(void *side)
{
	struct raw *raw = side;

	for (unsigned i = 0; i < raw->bench->connections; i++)
		PQfinish(raw->connections[i].pg);
	free(raw->polls);
	free(raw);
}

const struct bench_side bench_raw = { raw_open, raw_turn, raw_close };
