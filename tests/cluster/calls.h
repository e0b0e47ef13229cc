/*
 * calls.h - the calls of a player that are under way, and how each may end.
 *
 * player.c makes them. calls.c judges their ends and keeps the ledger.
 */
#ifndef TESTS_CLUSTER_CALLS_H
#define TESTS_CLUSTER_CALLS_H

#include "ledger.h"
#include "player.h"

#define CALLS_MAX   12	/* of one player */
#define TX_ROWS_MAX 200
#define STREAM_ROWS 300

enum kind {
	ECHO, FAIL, WRITE, BORROW, LOOK, STEP, COMMIT, ROLLBACK, BACK_TO, ROWS,
	COPY_OUT, COPY_IN, SCRIPT, SLEEP
};

struct call {
	struct player *player;
	enum kind kind;
	bool	under_way;   /* its callback is to run */
	bool	inside;	     /* the call has not returned */
	bool	given_up;    /* it was canceled or interrupted */
	bool	interrupted;
	bool	bounded;     /* it has a deadline */
	bool	stopped;     /* its stream was, or its COPY aborted */
	bool	cut_off;     /* its connection was closed, to end a stream */
	bool	leased, in_tx;
	bool	bad;	     /* its data is */
	bool	as_sql;	     /* its end of a transaction begins the next */
	mews_query_id id; /* 0: cannot be given up */
	char	token[24];
	unsigned order;
	int	row, count; /* first row written; rows written or seen */
	int	cut;	    /* BACK_TO: rows of the transaction before it */
};

struct player {
	struct call calls[CALLS_MAX];
	struct mews_group *group;
	const char *name; /* of the group */
	bool	writes, manual; /* role primary; autocommit off */
	bool	borrowing;
	/* On the lease. */
	struct mews_lease *lease;
	bool	tx;	     /* a transaction is open, or is to begin */
	bool	ending;	     /* its end was sent */
	bool	interrupted; /* one of its calls was */
	bool	paused;	     /* a stream */
	bool	lost;	     /* its connection */
	/* The server may still be at a COPY, or at rows, given up. */
	bool	draining, drains_rows;
	int	steps;
	unsigned order, answered, savepoint;
	struct call *copy; /* has the lease for itself */
	struct {
		int id;
		enum ledger_fate fate;
	} tx_rows[TX_ROWS_MAX];
	int	tx_count, tx_cut; /* rows; and before the last savepoint */
};

/* Let the player do something; player.c has it. */
void player_act(struct player *player);

/* Callbacks of its calls under way. */
unsigned calls_owed(const struct player *player);
/* A call that is not under way; NULL: there is none. */
struct call *call_new(struct player *player, enum kind kind);
/* The call was made and returned @status. True: its callback will run. */
bool call_made(struct call *call, enum mews_status status);
/* The call is over: judge its end as such. */
void call_over(struct call *call, const struct mews_result *result);
/* After an end: settle a lease that is over, and do something new, also from
 * inside the callback. */
void calls_go_on(struct player *player);
/* Settle the rows of a lease that was ended, once all its calls are over. */
void lease_over(struct player *player);

/* Callbacks: of a call that answers with its token. */
void calls_on_answer(void *arg, const struct mews_result *result);
/* Of one whose answer does not matter. */
void calls_on_end(void *arg, const struct mews_result *result);
/* Of rows written, alone or in the transaction. */
void calls_on_written(void *arg, const struct mews_result *result);
/* Of the end of a transaction, and of a return to a savepoint. */
void calls_on_committed(void *arg, const struct mews_result *result);
void calls_on_back(void *arg, const struct mews_result *result);
/* Of the first query of a lease: nothing is there of the one before. */
void calls_on_look(void *arg, const struct mews_result *result);
/* Of rows or data that came one by one. */
void calls_on_stream_end(void *arg, const struct mews_result *result);

#endif
