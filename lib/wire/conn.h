/*
 * conn.h - one connection to one endpoint, in pipeline mode: its life.
 *
 * conn_become() changes its state, and keeps the lists and counts that follow
 * from that. Apart from the state are: whether it is idle or busy, which is
 * what the ring says, the server's answers to come in their order; whether it
 * retires, and whether it is paused. Serving a shared query changes no state.
 *
 * A connection is closed in conn_close() only; code that finds it broken says
 * so with conn_break() and lets the next tick lose it.
 */
#ifndef LIB_WIRE_CONN_H
#define LIB_WIRE_CONN_H

#include "fleet/budget.h"
#include "wire/dial.h"
#include "base/patience.h"
#include "wire/wire.h"

#include <assert.h>

/* In the order of a life; conn_next[] has which may follow which. */
enum conn_state {
	CONN_NEW,	/* listed and counted nowhere */
	CONN_DIALING,	/* the login runs */
	CONN_SETUP,	/* logged in; SET and init statements run */
	CONN_READY,	/* shared: idle, or busy with queries of anybody */
	CONN_LEASED,	/* held by conn->lease */
	CONN_RESETTING, /* a lease left something: nobody's until the settings
			   were made again */
	CONN_BROKEN,	/* on wire->broken; the next tick loses it */
	CONN_CLOSED,	/* listed and counted nowhere any more */
	CONN_STATES
};

/* Kinds of answers that a connection expects. */
enum expect_kind {
	EXPECT_QUERY,
	EXPECT_PREPARE, /* on behalf of the query behind it */
	EXPECT_AHEAD,	/* for the query behind, which fails with it */
	EXPECT_POSITION, /* in the WAL, of the query that is held */
	EXPECT_SESSION, /* BEGIN, reset, setup: its failure ends the session */
	EXPECT_SYNC
};

struct expect {
	enum expect_kind kind;
	struct query *query; /* QUERY, PREPARE */
};

/* Why a connection is not read; bits. */
enum conn_pause {
	CONN_PAUSE_HOST = 1,	 /* its stream is to wait */
	CONN_PAUSE_INTERRUPT = 2 /* whoever comes next would be hit */
};

/* A statement on one connection. */
enum prepared {
	PREPARED_NOT = 0,
	PREPARED_SENT, /* not answered yet, and may fail */
	PREPARED_YES,
	PREPARED_STALE
};

struct conn {
	struct mews_group *group;  /* whose; for the rooms above */
	struct terms *terms;	   /* of its group */
	struct wire *wire;
	struct group_endpoint *on; /* the group's to its endpoint */
	struct known *known;	   /* of its endpoint */
	uint32_t endpoint;
	unsigned epoch; /* of the endpoint when it was dialed */
	enum conn_state state; /* written by conn_become() */
	enum conn_state was;   /* BROKEN: the state before */
	struct dial dial;
	PGconn *pg;
	int fd;
	int events;	    /* watched for */
	bool corkable;	    /* a TCP socket */
	bool corked;
	bool synced;	    /* this turn, at least once */
	bool flushing;	    /* on wire->to_flush */
	bool replaces;	    /* one whose max_lifetime was over */
	bool retiring;	    /* no new work; closed when nothing is in flight */
	bool shared;	    /* in the slot's count: see share.h */
	bool budget_dialing; /* counted as a login that runs */
	int orphan;	    /* where its backend is recorded, or -1 */
	bool busy;	    /* closed while the server was at work on it */
	uint8_t paused;	    /* nothing of it is read, or told: conn_pause
			       bits */
	bool resumed;	    /* bytes read before are looked at again */
	bool slow_lane;	    /* kept for slow queries, see choose.c */
	bool stall_said;    /* reported, until its head is answered */
	bool bystander;	    /* ended for what none of its queries did, but for
			       its head if too_large */
	bool too_large;	    /* broken for the size of its head's answer */
	bool starved;	    /* libpq had no memory just now */
	bool overgrown;	    /* libpq keeps much memory for it */
	bool widened;	    /* an answer of many bytes came, ever */
	bool bulky;	    /* an answer of many bytes was told just now */
	uint32_t bulk_head; /* the head when bytes came last */
	uint32_t reads;	    /* how often bytes came for bulk_head */
	uint64_t bulk_from; /* start of the bytes of bulk_head */
	enum health_evidence loss; /* BROKEN: what it says of the server */
	struct mews_lease *lease;  /* LEASED, or since then BROKEN; else NULL */

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

	struct prepared_mark *prepared; /* by statement number */
	uint32_t prepared_room;

	int64_t role_us;       /* the last look at what it says of its role */
	int64_t heard_us;      /* bytes came, or were looked for */
	int64_t head_since_us; /* the head is being worked on since */
	struct patience patience; /* DIALING, SETUP: with the server */
	int64_t dialed_us;
	int64_t idle_since_us;
	int64_t expires_us;    /* LOOP_NEVER: not by age */
	TAILQ_ENTRY(conn) link;	      /* group_endpoint.conns */
	TAILQ_ENTRY(conn) sibling_link; /* wire->conns[endpoint] */
	TAILQ_ENTRY(conn) flush_link; /* wire->to_flush */
	TAILQ_ENTRY(conn) broken_link; /* wire->broken */
	char why[200];	       /* BROKEN: in words */
};

/* The states that may follow each, as bits. */
extern const uint8_t conn_next[CONN_STATES];

const char *conn_state_name(enum conn_state state);

/* The clock, read once per turn. */
static inline int64_t
conn_now(const struct conn *conn)
{
	return loop_now(conn->wire->loop);
}

/* Something of @conn is due at @at_us: do not sleep beyond. */
static inline void
conn_due(const struct conn *conn, int64_t at_us)
{
	loop_due(conn->wire->loop, at_us);
}

/* Is the login still under way? */
static inline bool
conn_logs_in(const struct conn *conn)
{
	return conn->state < CONN_READY;
}

/* Can it serve somebody: READY, LEASED or RESETTING? */
static inline bool
conn_is_up(const struct conn *conn)
{
	return conn->state >= CONN_READY && conn->state <= CONN_RESETTING;
}

static inline bool
conn_is_broken(const struct conn *conn)
{
	return conn->state == CONN_BROKEN;
}

/* Was everything answered? It may be held by a lease. */
static inline bool
conn_is_idle(const struct conn *conn)
{
	return conn_is_up(conn) && conn->head == conn->tail &&
	    conn->held == NULL;
}

/* Idle, and held by nobody? */
static inline bool
conn_is_free(const struct conn *conn)
{
	return conn->state == CONN_READY && conn->head == conn->tail &&
	    conn->held == NULL;
}

/* As conn_become(), where lists and counts change. */
void conn_enter(struct conn *conn, enum conn_state to);

/*
 * The one place where a connection's state changes. Lending it to a lease and
 * back changes no list, hence inline.
 */
static inline void
conn_become(struct conn *conn, enum conn_state to)
{
	assert((conn_next[conn->state] & 1u << to) != 0 &&
	    "mews: a connection's life goes as in conn_next[]");
	if (!conn_is_up(conn) || to > CONN_RESETTING)
		conn_enter(conn, to);
	conn->state = to;
}

/* One to @endpoint, as it is now, on no list. NULL: out of memory. */
struct conn *conn_new(struct terms *terms, uint32_t endpoint);

/* The login is over. */
void conn_dialed(struct conn *conn, bool well);

/* Wait for @events on its descriptor. False: out of memory. */
bool conn_watch(struct conn *conn, int events);
/* libpq may close the descriptor: give it up. */
void conn_unwatch(struct conn *conn);

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

/* Undo what a lease left behind, and make the group's settings again. */
bool conn_send_reset(struct conn *conn);

/* Did bytes arrive that nobody has read yet? */
bool conn_has_bytes(const struct conn *conn);

/* Stop reading and telling for @why, or no longer for that: in the next tick
 * it goes on, unless there is another reason. */
void conn_pause(struct conn *conn, enum conn_pause why, bool paused);

/* Something was sent: session_flush() is to be called in the next tick. */
static inline void
conn_flush_later(struct conn *conn)
{
	if (conn->flushing)
		return;
	conn->flushing = true;
	TAILQ_INSERT_TAIL(&conn->wire->to_flush, conn, flush_link);
}

/* A call of libpq failed: if that closed the socket, give it up. */
void conn_check_socket(struct conn *conn);

/* @conn is of no more use; the next tick loses it and reports @evidence. */
void conn_break(struct conn *conn, enum health_evidence evidence,
    const char *why);

/* No new work for it; it is closed when nothing is in flight. */
void conn_retire(struct conn *conn);

/* The one place where a connection ends. Nothing is in flight any more, and
 * nobody holds it. */
void conn_close(struct conn *conn);

/* Free the memory of @conn, and tell nobody. */
void conn_free(struct conn *conn);

#endif
