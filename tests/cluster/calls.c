/*
 * calls.c - see calls.h.
 */
#include "calls.h"

#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct game game;

static const char *const kinds[PLAYER_KINDS] = {
	[ECHO] = "echo", [FAIL] = "fail", [WRITE] = "write",
	[BORROW] = "borrow", [LOOK] = "look", [STEP] = "step",
	[COMMIT] = "commit", [ROLLBACK] = "rollback", [BACK_TO] = "back to",
	[ROWS] = "rows", [COPY_OUT] = "copy out", [COPY_IN] = "copy in",
	[SCRIPT] = "script", [SLEEP] = "sleep",
};

/* Drawn by splitmix64. */
unsigned
game_draw(unsigned n)
{
	uint64_t z = game.seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (unsigned)((z ^ z >> 31) % n);
}

const char *
player_kind(unsigned kind)
{
	return kinds[kind];
}

unsigned
calls_owed(const struct player *player)
{
	unsigned sum = 0;

	for (int i = 0; i < CALLS_MAX; i++)
		sum += player->calls[i].under_way;
	return sum;
}

struct call *
call_new(struct player *player, enum kind kind)
{
	static uint64_t	token;

	for (int i = 0; i < CALLS_MAX; i++) {
		struct call *call = &player->calls[i];

		if (call->under_way)
			continue;
		*call = (struct call) { .player = player, .kind = kind,
			.inside = true, .row = -1,
			.leased = player->lease != NULL,
			.in_tx = player->lease != NULL && player->tx };
		snprintf(call->token, sizeof(call->token), "%lu",
		    (unsigned long)++token);
		return call;
	}
	return NULL;
}

bool
call_made(struct call *call, enum mews_status status)
{
	struct player *player = call->player;

	call->inside = false;
	if (status == MEWS_OK) {
		call->under_way = true;
		game.owed++;
		if (call->leased)
			call->order = ++player->order;
		player->draining = player->draining && !call->leased;
		return true;
	}
	if (call->leased && status == MEWS_INVALID && player->draining)
		return false;
	if (call->leased) {
		ck_assert_msg(status == MEWS_UNAVAILABLE && game.broken,
		    "%s on a lease: %s: %s", kinds[call->kind],
		    mews_status_name(status),
		    mews_group_message(player->group));
		player->lost = true;
	} else
		ck_assert_msg(status == MEWS_OVERLOAD, "%s: %s: %s",
		    kinds[call->kind], mews_status_name(status),
		    mews_group_message(player->group));
	return false;
}

/*
 * Ends.
 */

static bool
is_one_of(const char *sqlstate, const char *all)
{
	return sqlstate[0] != '\0' && strstr(all, sqlstate) != NULL;
}

static bool
is_explained(const struct call *call, const struct mews_result *result)
{
	const struct player *player = call->player;
	const char *sqlstate = mews_result_sqlstate(result);

	switch (mews_result_status(result)) {
	case MEWS_OK:
		return call->kind != FAIL;
	case MEWS_SQL:
		if (call->kind == FAIL && strcmp(sqlstate, "22012") == 0)
			return true;
		if (call->bad && strcmp(sqlstate, "22P02") == 0)
			return true;
		/* A COMMIT that was answered with ROLLBACK is no error. */
		if (call->kind == COMMIT && sqlstate[0] == '\0')
			return true;
		return call->leased && is_one_of(sqlstate,
		    "25P01 25P02 3B001");
	case MEWS_CANCELED:
		return call->given_up || call->bounded || call->stopped;
	case MEWS_WAITED:
		return call->bounded;
	case MEWS_TIMEOUT:
		return game.broken || call->interrupted ||
		    (call->leased && player->interrupted);
	case MEWS_UNAVAILABLE:
		/* A wait may end before the first login does. */
		return game.broken || call->cut_off || call->bounded;
	case MEWS_LOST:
	case MEWS_UNDONE:
		return game.broken || call->cut_off;
	default:
		return false;
	}
}

void
call_over(struct call *call, const struct mews_result *result)
{
	struct player	*player = call->player;
	enum mews_status status = mews_result_status(result);

	ck_assert_msg(call->under_way, "%s %s ends twice", kinds[call->kind],
	    call->token);
	ck_assert_msg(!call->inside, "%s ends inside its call",
	    kinds[call->kind]);
	ck_assert_msg(is_explained(call, result),
	    "%s %s in %s%s%s%s%s: %s %s on '%s': %s",
	    kinds[call->kind], call->token, player->name,
	    call->leased ? " leased" : "", call->in_tx ? " in_tx" : "",
	    call->given_up ? " given_up" : "",
	    call->interrupted ? " interrupted" : "",
	    mews_status_name(status), mews_result_sqlstate(result),
	    mews_result_endpoint(result), mews_result_message(result));
	if (call->leased && !call->given_up && status != MEWS_CANCELED) {
		ck_assert_msg(call->order > player->answered,
		    "%s %s: call %u of the lease ends behind call %u",
		    kinds[call->kind], call->token, call->order,
		    player->answered);
		player->answered = call->order;
	}
	game.ends[call->kind][status]++;
	game.owed--;
	call->under_way = false;
}

/* The transaction is over, and so is each of its rows. */
static void
tx_over(struct player *player, enum ledger_fate fate)
{
	for (int i = 0; i < player->tx_count; i++) {
		enum ledger_fate own = player->tx_rows[i].fate;

		if (own > fate)
			own = fate;
		else if (own == LEDGER_OPEN)
			own = fate;
		ledger_set(player->tx_rows[i].id, own);
	}
	player->tx_count = player->tx_cut = 0;
	player->savepoint = 0;
}

void
lease_over(struct player *player)
{
	if (player->lease == NULL && !player->borrowing &&
	    calls_owed(player) == 0 && player->tx_count > 0)
		tx_over(player, LEDGER_NEVER);
}

void
calls_go_on(struct player *player)
{
	lease_over(player);
	if (game_draw(2) == 0)
		player_act(player);
}

static void
check_echo(const struct call *call, const struct mews_result *result)
{
	PGresult *pg = mews_result_pg(result);

	if (mews_result_status(result) != MEWS_OK)
		return;
	ck_assert_int_eq(PQntuples(pg), 1);
	ck_assert_str_eq(PQgetvalue(pg, 0, 0), call->token);
	if (!call->leased)
		ck_assert_str_eq(PQgetvalue(pg, 0, 1), "");
}

void
calls_on_answer(void *arg, const struct mews_result *result)
{
	struct call *call = arg;

	call_over(call, result);
	check_echo(call, result);
	calls_go_on(call->player);
}

void
calls_on_end(void *arg, const struct mews_result *result)
{
	struct call *call = arg;

	call_over(call, result);
	calls_go_on(call->player);
}

void
calls_on_written(void *arg, const struct mews_result *result)
{
	struct call	*call = arg;
	struct player	*player = call->player;
	enum ledger_fate fate = ledger_fate_of(result);

	call_over(call, result);
	if (player->copy == call)
		player->copy = NULL;
	for (int i = 0; i < call->count; i++) {
		if (!call->in_tx)
			ledger_set(call->row + i, fate);
		for (int at = 0; call->in_tx && at < player->tx_count; at++)
			if (player->tx_rows[at].id == call->row + i)
				player->tx_rows[at].fate =
				    fate == LEDGER_THERE ? LEDGER_OPEN : fate;
	}
	calls_go_on(player);
}

void
calls_on_committed(void *arg, const struct mews_result *result)
{
	struct call   *call = arg;
	struct player *player = call->player;

	call_over(call, result);
	tx_over(player, call->kind == ROLLBACK ? LEDGER_NEVER :
	    ledger_fate_of(result));
	player->ending = false;
	player->tx = player->manual || call->as_sql;
	calls_go_on(player);
}

void
calls_on_back(void *arg, const struct mews_result *result)
{
	struct call *call = arg;

	call_over(call, result);
	for (int i = call->cut; i < call->count &&
	    mews_result_status(result) == MEWS_OK; i++)
		call->player->tx_rows[i].fate = LEDGER_NEVER;
	calls_go_on(call->player);
}

void
calls_on_look(void *arg, const struct mews_result *result)
{
	static const char *const names[] = { "token", "setting", "locks",
		"tables", "search_path", "cursors", "prepared", "channels" };
	static const char *const wanted[] = { NULL, "", "0", "0",
		"\"$user\", public", "0", "0", "0" };
	struct call *call = arg;
	PGresult    *pg = mews_result_pg(result);

	call_over(call, result);
	check_echo(call, result);
	for (int i = 1; i < PQnfields(pg) &&
	    mews_result_status(result) == MEWS_OK; i++)
		ck_assert_msg(strcmp(PQgetvalue(pg, 0, i), wanted[i]) == 0,
		    "a new lease finds %s '%s'", names[i],
		    PQgetvalue(pg, 0, i));
	calls_go_on(call->player);
}

void
calls_on_stream_end(void *arg, const struct mews_result *result)
{
	struct call *call = arg;

	call_over(call, result);
	if (call->player->copy == call)
		call->player->copy = NULL;
	if (mews_result_status(result) == MEWS_OK && !call->stopped)
		ck_assert_int_eq(call->count, STREAM_ROWS);
	calls_go_on(call->player);
}
