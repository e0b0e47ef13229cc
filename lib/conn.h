/*
 * conn.h - one connection to one endpoint, in pipeline mode.
 *
 * The ring holds what the server still has to answer, in order. A connection
 * is closed in one function of conn.c only; code that finds it broken says so
 * with conn_break() and lets the next tick lose it.
 */
#ifndef CONN_H
#define CONN_H

#include "budget.h"
#include "dial.h"
#include "group.h"

enum conn_state {
	CONN_DIALING, /* the login runs */
	CONN_SETUP,   /* logged in; SET and init statements run */
	CONN_READY
};

/* What the server answers next. */
enum expect_kind {
	EXPECT_QUERY,
	EXPECT_PREPARE, /* on behalf of the query behind it */
	EXPECT_AHEAD,	/* the same: its failure is that query's answer */
	EXPECT_POSITION, /* in the WAL, of the query that is held */
	EXPECT_SESSION, /* BEGIN, reset, setup: its failure ends the session */
	EXPECT_SYNC
};

struct expect {
	enum expect_kind kind;
	struct query *query; /* QUERY, PREPARE */
};

/* A statement on one connection. */
enum prepared { PREPARED_NOT = 0, PREPARED_YES, PREPARED_STALE };

struct conn {
	struct mews_group *group;
	struct group_endpoint *on;   /* the group's to its endpoint */
	struct pool_endpoint *known; /* what the pool learned of that */
	uint32_t endpoint;
	unsigned epoch; /* of the endpoint when it was dialed */
	enum conn_state state;
	struct dial dial;
	PGconn *pg;
	int fd;
	int events;	    /* watched for */
	bool corkable;	    /* a TCP socket */
	bool corked;
	bool synced;	    /* this turn, at least once */
	bool flushing;	    /* on pool->to_flush */
	bool broken;	    /* on pool->broken */
	bool retiring;	    /* no new work; closed when nothing is in flight */
	bool reset_due;	    /* a lease left something behind */
	bool budget_dialing; /* counted as a login that runs */
	int orphan;	    /* where its backend is recorded, or -1 */
	bool paused;	    /* nothing of it is read, or told */
	bool resumed;	    /* what was read before is gone on with */
	bool slow_lane;	    /* kept for slow queries, see supply.c */
	bool stall_said;    /* reported, until its head is answered */
	enum health_evidence loss; /* with broken */
	struct mews_lease *lease;  /* holds it, or NULL */

	struct expect *ring; /* ring_size is a power of two */
	uint32_t ring_size, head, tail;
	uint32_t in_flight;  /* queries in it */
	uint32_t sessions;   /* EXPECT_SESSION in it */
	uint32_t unsynced;   /* queries since the last Sync */
	uint32_t streams;    /* of the queries in flight, those streaming */
	uint32_t notices;    /* ever */
	struct copy *copy;   /* one of these streams, or NULL */
	uint32_t slow;	     /* of the queries in flight, those known so */
	PGresult *answer;    /* to the head, until libpq says it is whole */
	PGresult *ahead_error; /* of the PREPARE or AHEAD before the head */
	struct query *held;  /* answered; told when its Sync arrives */
	PGresult *held_answer;

	uint8_t *prepared; /* enum prepared, by statement number */
	uint32_t prepared_room;

	int64_t role_us;       /* the last look at what it says of its role */
	int64_t heard_us;      /* bytes came, or were looked for */
	int64_t head_since_us; /* the head is being worked on since */
	int64_t until_us;      /* DIALING, SETUP: given up then */
	int64_t dialed_us;
	int64_t idle_since_us;
	int64_t expires_us;    /* POOL_NEVER: not by age */
	TAILQ_ENTRY(conn) link;	      /* group_endpoint.conns */
	TAILQ_ENTRY(conn) flush_link; /* pool->to_flush */
	TAILQ_ENTRY(conn) broken_link; /* pool->broken */
	char why[200];	       /* with broken */
};

static inline bool
conn_is_idle(const struct conn *conn)
{
	return conn->state == CONN_READY && conn->head == conn->tail &&
	    conn->held == NULL && !conn->broken;
}

/* Begin a login, if the fleet's budget allows it. */
enum budget conn_dial(struct mews_group *group, uint32_t endpoint);

/* Something happened on its descriptor. */
void conn_ready(struct conn *conn, int events);

/*
 * Put a query into its pipeline, to be flushed in this turn's tick, with the
 * BEGIN of its lease ahead of it if @begin. False: it could not; the query was
 * not sent and the connection is broken.
 */
bool conn_send(struct conn *conn, struct query *query, bool begin);

/* Send SQL of our own; its failure breaks the connection. */
bool conn_send_session(struct conn *conn, const char *sql);

/* End the segment: the server commits, or skips to here. */
bool conn_sync(struct conn *conn);

bool conn_look(struct conn *conn);

/* Still there? A look without a round trip, for one that was idle; the clock
 * is read anew whenever the host did something else. */
static inline bool
conn_check(struct conn *conn)
{
	if (conn->head != conn->tail ||
	    conn->heard_us == pool_now(conn->group->pool))
		return !conn->broken;
	return conn_look(conn);
}

/* Did bytes arrive that nobody has read yet? */
bool conn_has_bytes(const struct conn *conn);

/* Stop reading and telling, or go on with it in the next tick. */
void conn_pause(struct conn *conn, bool paused);

/* Something was sent: conn_flush() is to be called in the next tick. */
static inline void
conn_flush_later(struct conn *conn)
{
	if (conn->flushing)
		return;
	conn->flushing = true;
	TAILQ_INSERT_TAIL(&conn->group->pool->to_flush, conn, flush_link);
}

/* Push out what was sent this turn. */
void conn_flush(struct conn *conn);

/* It is of no more use; the next tick loses it and reports @evidence. */
void conn_break(struct conn *conn, enum health_evidence evidence,
    const char *why);

/* Lose it: what was in flight is sent again or LOST, then close. */
void conn_lose(struct conn *conn);

/* Close it properly, ending what is in flight with CANCELED. */
void conn_cancel(struct conn *conn);

/* Free it in a fork's copy: no word to the server, none to who asked, and
 * nothing is given back that the parent still has. */
void conn_abandon(struct conn *conn);

#endif
