/*
 * conn.h - one connection to one endpoint, in pipeline mode: its life.
 *
 * conn_become() changes its state, and keeps the lists and counts that follow
 * from it. Idle and busy are no states: the ring, the answers to come in their
 * order, tells them. Retiring and paused are flags beside the state. Serving a
 * shared query changes no state.
 *
 * A connection is closed in conn_close() only; code that finds it broken calls
 * conn_break(), and the next tick loses it.
 */
#ifndef LIB_WIRE_CONN_H
#define LIB_WIRE_CONN_H

#include "fleet/budget.h"
#include "wire/dial.h"
#include "base/patience.h"
#include "wire/wire.h"

#include <assert.h>

/* In the order of a life; conn_next[] tells which may follow which. */
enum conn_state {
	CONN_NEW,	/* listed and counted nowhere */
	CONN_DIALING,	/* the login runs */
	CONN_SETUP,	/* logged in; SET and init statements run */
	CONN_READY,	/* idle, or busy with shared queries */
	CONN_LEASED,	/* held by conn->lease */
	CONN_RESETTING, /* a lease left something: used for nothing until the
			   settings were made again */
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
	EXPECT_SYNC,
	EXPECT_NOTHING	/* BROKEN: the query that was here waits again */
};

struct expect {
	enum expect_kind kind;
	struct query *query; /* QUERY, PREPARE */
};

/* Why a connection is not read; bits. */
enum conn_pause {
	CONN_PAUSE_HOST = 1,	 /* the host paused its stream */
	CONN_PAUSE_INTERRUPT = 2 /* the next query would be canceled instead */
};

/* A statement on one connection. */
enum prepared {
	PREPARED_NOT = 0,
	PREPARED_SENT, /* PREPARE was sent, and may fail */
	PREPARED_YES,
	PREPARED_STALE
};

struct conn {
	struct mews_group *group;  /* opaque here, for the rooms above */
	struct terms *terms;	   /* of its group */
	struct wire *wire;
	struct group_endpoint *on; /* the group's record of its endpoint */
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
	bool synced;	    /* a Sync was sent in this turn */
	bool flushing;	    /* on wire->to_flush */
	bool replaces;	    /* a connection whose max_lifetime is over */
	bool retiring;	    /* no new work; closed when nothing is in flight */
	bool shared;	    /* in the slot's count: see share.h */
	bool budget_dialing; /* counted as a login that runs */
	bool unanswered;    /* SETUP: nothing came since the login */
	bool queued;	    /* SETUP: behind a pooler, and counted so */
	int orphan;	    /* where its backend is recorded, or -1 */
	bool busy;	    /* closed while the server worked on it */
	uint8_t paused;	    /* not read, no callbacks: bits of conn_pause */
	bool resumed;	    /* look again at bytes that libpq has read */
	bool slow_lane;	    /* kept for slow queries, see pool/choose.c */
	bool stall_said;    /* its stall was reported, until its head is
			       answered */
	bool bystander;	    /* broken through no fault of its queries, except
			       its head if too_large */
	bool too_large;	    /* broken by the size of its head's answer */
	bool starved;	    /* libpq just ran out of memory */
	bool overgrown;	    /* libpq keeps a large buffer */
	bool widened;	    /* an answer of many bytes has come before */
	bool bulky;	    /* an answer of many bytes has just ended */
	uint32_t bulk_head; /* the head when bytes came last */
	uint32_t reads;	    /* reads of the socket for bulk_head */
	uint64_t bulk_from; /* count of bytes where those of bulk_head start */
	enum health_evidence loss; /* BROKEN: evidence about the server */
	struct mews_lease *lease;  /* LEASED, or BROKEN while leased; else
				      NULL */

	struct expect *ring; /* ring_size is a power of two */
	uint32_t ring_size, head, tail;
	uint32_t in_flight;  /* queries in it */
	uint32_t sessions;   /* EXPECT_SESSION in it */
	uint32_t unsynced;   /* queries since the last Sync */
	uint32_t streams;    /* of the queries in flight, those streaming */
	uint32_t notices;    /* ever */
	struct copy *copy;   /* a stream that is a COPY, or NULL */
	uint32_t slow;	     /* of the queries in flight, those known to be
				slow */
	PGresult *answer;    /* to the head, until libpq says it is whole */
	PGresult *ahead_error; /* of a PREPARE or AHEAD before the head */
	struct query *held;  /* answered; ends when its Sync arrives */
	PGresult *held_answer;

	struct prepared_mark *prepared; /* by statement number */
	uint32_t prepared_room;

	int64_t role_us;       /* the last look at the role that the server
				  reports */
	int64_t heard_us;      /* when bytes last came, or were looked for */
	int64_t head_since_us; /* when the server began with the head */
	struct patience patience; /* DIALING, SETUP: how long the server may be
				     silent */
	int64_t dialed_us;
	int64_t entered_us; /* SETUP, or READY for the first time */
	int64_t wished_us;  /* queued: a session was wished for */
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

/* Something of @conn is due at @at_us: do not wait beyond it. */
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

/* Is its session usable: READY, LEASED or RESETTING? */
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

/* Was everything answered? A lease may hold it. */
static inline bool
conn_is_idle(const struct conn *conn)
{
	return conn_is_up(conn) && conn->head == conn->tail &&
	    conn->held == NULL;
}

/* Idle, and held by no lease? */
static inline bool
conn_is_free(const struct conn *conn)
{
	return conn->state == CONN_READY && conn->head == conn->tail &&
	    conn->held == NULL;
}

/* When the head of @conn will have waited for too long at its endpoint. */
static inline int64_t
conn_stalls_at(const struct conn *conn)
{
	return conn->head_since_us +
	    known_stall_us(conn->known, conn->terms->config);
}

/* Has the head of @conn waited for too long? */
static inline bool
conn_is_stalled(const struct conn *conn, int64_t now_us)
{
	return conn->head != conn->tail && now_us > conn_stalls_at(conn);
}

/* The part of conn_become() that changes lists and counts. */
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

/* A connection to @endpoint in its present epoch, on no list. NULL: out of
 * memory. */
struct conn *conn_new(struct terms *terms, uint32_t endpoint);

/* Count @conn as a login behind a pooler whose pool is full. */
void conn_queue(struct conn *conn);

/* The login ended, @well or not. */
void conn_dialed(struct conn *conn, bool well);

/* Wait for @events on its descriptor. False: out of memory. */
bool conn_watch(struct conn *conn, int events);
/* Give the descriptor up, as libpq may close it. */
void conn_unwatch(struct conn *conn);

/* Are there bytes in the socket that were not read yet? */
bool conn_has_bytes(const struct conn *conn);

/* Stop reading and running callbacks for the reason @why, or end that reason:
 * without another one the connection goes on in the next tick. */
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

/* After a failed call of libpq: if it closed the socket, give the descriptor
 * up. */
void conn_check_socket(struct conn *conn);

/* Mark @conn as broken; the next tick loses it and reports @evidence. */
void conn_break(struct conn *conn, enum health_evidence evidence,
    const char *why);

/* Give @conn no new work; it is closed when nothing is in flight. */
void conn_retire(struct conn *conn);

/* Break @conn if it retires and has nothing left to do. */
void conn_end_retired(struct conn *conn);

/* End a connection that has nothing in flight, and that no lease holds: the one
 * place where that happens. */
void conn_close(struct conn *conn);

/* Free the memory of @conn, and nothing else. */
void conn_free(struct conn *conn);

#endif
