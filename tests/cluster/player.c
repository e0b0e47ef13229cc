/*
 * player.c - what a player does next.
 *
 * A player without a lease has some shared queries under way. With a lease it
 * sends the next step without waiting for the last, but begins a transaction
 * only after the one before ended. calls.c judges how each call ends.
 */
#include "player.h"

#include "calls.h"
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct mews_query_args
with_token(const struct call *call, struct mews_param *param, const char *sql)
{
	*param = mews_param_text(call->token);
	return (struct mews_query_args) { .sql = sql, .params = param,
		.param_count = 1 };
}

static void
end_lease(struct player *player)
{
	struct call *call = player->calls;
	bool	     streams = player->draining || player->drains_rows;

	for (int i = 0; i < CALLS_MAX; i++)
		streams = streams || (call[i].under_way && call[i].leased &&
		    call[i].kind >= ROWS && call[i].kind <= SCRIPT);
	for (int i = 0; i < CALLS_MAX; i++)
		if (call[i].under_way && call[i].leased)
			call[i].stopped = call[i].cut_off = streams;
	mews_lease_end(&player->lease);
	ck_assert_ptr_null(player->lease);
	player->copy = NULL;
	player->paused = false;
	lease_over(player);
}

/* Rows that the transaction is to have. */
static void
tx_add(struct player *player, int row, int count)
{
	for (int i = 0; i < count && player->tx; i++) {
		player->tx_rows[player->tx_count].id = row + i;
		player->tx_rows[player->tx_count++].fate = LEDGER_MAYBE;
	}
}

static void
insert_row(struct player *player, struct call *call)
{
	char	sql[100];

	call->row = ledger_new();
	call->count = 1;
	snprintf(sql, sizeof(sql), "insert into public.ledger values (%d)",
	    call->row);
	if (call_made(call, mews_lease_query(player->lease,
	    &(struct mews_query_args) { .sql = sql }, calls_on_written, call,
	    &call->id)))
		tx_add(player, call->row, 1);
}

/* Pause one time in @often, else go on. */
static enum mews_flow
flow(struct call *call, unsigned often)
{
	if (game_draw(often) != 0)
		return MEWS_FLOW_GO;
	call->player->paused = true;
	return MEWS_FLOW_PAUSE;
}

static enum mews_flow
on_row(void *arg, const struct mews_result *result)
{
	struct call *call = arg;

	ck_assert(call->under_way);
	ck_assert_int_eq(atoi(PQgetvalue(mews_result_pg(result), 0, 0)),
	    ++call->count);
	if (game_draw(200) != 0)
		return flow(call, 200);
	call->stopped = true;
	return MEWS_FLOW_STOP;
}

static enum mews_flow
on_data(void *arg, const void *data, size_t length)
{
	struct call *call = arg;

	ck_assert(call->under_way && length > 0);
	ck_assert_int_eq(atoi(data), ++call->count);
	return flow(call, 300);
}

static void
on_room(void *arg)
{
	struct call   *call = arg;
	struct player *player = call->player;
	enum mews_status status = MEWS_OK;
	char	line[20];
	int	n;

	for (int i = 0; i < call->count && status == MEWS_OK; i++) {
		n = snprintf(line, sizeof(line), "%d\n", call->row + i);
		status = mews_copy_put(player->lease, line, (size_t)n);
	}
	if (call->bad && status == MEWS_OK)
		status = mews_copy_put(player->lease, "?\n", 2);
	call->stopped = game_draw(5) == 0;
	if (status == MEWS_OK)
		status = mews_copy_end(player->lease,
		    call->stopped ? "at random" : NULL);
	ck_assert_msg(status == MEWS_OK ||
	    (status == MEWS_UNAVAILABLE && game.broken), "copy: %s: %s",
	    mews_status_name(status), mews_group_message(player->group));
}

/* Rows for @call to write. */
static void
take_rows(struct call *call, int count)
{
	call->count = count;
	call->row = ledger_new();
	for (int i = 1; i < count; i++)
		ledger_new();
}

static void
begin_script(struct player *player, struct call *call)
{
	char	sql[160];

	player->copy = call;
	take_rows(call, 2);
	snprintf(sql, sizeof(sql), "insert into public.ledger values (%d); "
	    "set game.leak = 'z'; insert into public.ledger values (%d)",
	    call->row, call->row + 1);
	if (call_made(call, mews_lease_script(player->lease, sql, NULL,
	    calls_on_written, call, &call->id)))
		tx_add(player, call->row, 2);
	else
		player->copy = NULL;
}

static void
begin_copy(struct player *player, struct call *call)
{
	player->copy = call;
	if (call->kind == COPY_IN) {
		take_rows(call, 1 + (int)game_draw(20));
		call->bad = game_draw(5) == 0;
		if (call_made(call, mews_copy_in(player->lease,
		    "copy public.ledger from stdin", on_room,
		    calls_on_written, call, &call->id)))
			tx_add(player, call->row, call->count);
		else
			player->copy = NULL;
	} else if (!call_made(call, mews_copy_out(player->lease,
	    "copy (select generate_series(1, 300)) to stdout", on_data,
	    calls_on_stream_end, call, &call->id)))
		player->copy = NULL;
}

/* SQL that changes the session. Its value is a token, so that no two steps
 * collide. */
static void
change_session(struct player *player, struct call *call)
{
	static const char *const all[] = { "set game.leak = 'x%s'",
		"select set_config('game.leak', 'y%s', false)",
		"select pg_advisory_lock(%s)", "set search_path = pg_catalog",
		"prepare p%s as select 1",
		"declare c%s cursor with hold for select 1",
		"create temporary table t%s (id int)", "listen l%s" };
	unsigned count = player->writes ? 8 : 5;
	char	 sql[100];

	snprintf(sql, sizeof(sql), all[game_draw(count)], call->token);
	call_made(call, mews_lease_query(player->lease,
	    &(struct mews_query_args) { .sql = sql }, calls_on_end, call,
	    &call->id));
}

/* The next of a transaction: its begin, a savepoint, the way back to the last
 * one, or its end. */
static void
transact(struct player *player, struct call *call)
{
	struct mews_query_args args = { .sql = "commit" };
	unsigned choice = game_draw(9);
	char	 name[20];

	if (!player->tx) {
		if (mews_lease_transaction(player->lease, NULL) == MEWS_OK)
			player->tx = true;
	} else if (choice < 3 || (choice < 5 && player->savepoint == 0)) {
		snprintf(name, sizeof(name), "s%u", player->order + 1);
		if (call_made(call, mews_lease_savepoint(player->lease, name,
		    calls_on_end, call))) {
			player->tx_cut = player->tx_count;
			player->savepoint = call->order;
		}
	} else if (choice < 5) {
		snprintf(name, sizeof(name), "s%u", player->savepoint);
		call->kind = BACK_TO;
		call->cut = player->tx_cut;
		call->count = player->tx_count;
		call_made(call, mews_lease_rollback_to(player->lease, name,
		    calls_on_back, call));
	} else if (choice < 7) {
		call->kind = choice == 5 ? ROLLBACK : COMMIT;
		player->ending = call_made(call, call->kind == ROLLBACK ?
		    mews_lease_rollback(player->lease, calls_on_committed,
			call) :
		    mews_lease_commit(player->lease, calls_on_committed,
			call));
	} else {
		call->kind = choice == 7 ? ROLLBACK : COMMIT;
		call->as_sql = true;
		if (call->kind == ROLLBACK)
			args.sql = "rollback";
		player->ending = call_made(call, mews_lease_query(
		    player->lease, &args, calls_on_committed, call, NULL));
	}
}

static void
send_echo(struct player *player, struct call *call)
{
	static const char slow[] = "select $1::text, "
	    "coalesce(current_setting('game.leak', true), '') "
	    "from pg_sleep(0.02)";
	struct mews_param	param;
	struct mews_query_args	args = with_token(call, &param, slow);

	if (call->kind == ECHO) {
		args.sql = NULL;
		args.statement = game.echo;
	} else if (call->kind == FAIL)
		args.sql = "select 1 / (length($1) - length($1))";
	if (game_draw(8) == 0)
		args.flags |= MEWS_QUERY_ALONE;
	if (game_draw(20) == 0) {
		args.deadline_ms = 1 + game_draw(30);
		call->bounded = true;
	}
	if (call->leased)
		call_made(call, mews_lease_query(player->lease, &args,
		    calls_on_answer, call, &call->id));
	else
		call_made(call, mews_query_send(player->group, &args,
		    calls_on_answer, call, &call->id));
}

static void
step(struct player *player)
{
	unsigned     choice = game_draw(player->writes ? 13 : 9);
	struct call *call;

	if (player->ending || player->copy != NULL ||
	    player->tx_count > TX_ROWS_MAX - 30)
		return;
	if ((call = call_new(player, STEP)) == NULL)
		return;
	player->steps--;
	if (choice < 3) {
		call->kind = choice == 0 ? ECHO : choice == 1 ? SLEEP : FAIL;
		send_echo(player, call);
	} else if (choice < 5)
		change_session(player, call);
	else if (choice == 5) {
		call->kind = ROWS;
		call_made(call, mews_lease_rows(player->lease,
		    &(struct mews_query_args) { .sql =
		    "select generate_series(1, 300)" }, on_row,
		    calls_on_stream_end, call, &call->id));
	} else if (choice == 6) {
		call->kind = COPY_OUT;
		begin_copy(player, call);
	} else if (choice < 9)
		transact(player, call);
	else if (choice < 11) {
		call->kind = WRITE;
		insert_row(player, call);
	} else if (choice == 11) {
		call->kind = COPY_IN;
		begin_copy(player, call);
	} else {
		call->kind = SCRIPT;
		begin_script(player, call);
	}
}

static void
on_borrowed(void *arg, struct mews_lease *lease,
    const struct mews_result *result)
{
	static const char sql[] = "select $1::text, "
	    "coalesce(current_setting('game.leak', true), ''), "
	    "(select count(*) from pg_locks where locktype = 'advisory' and "
	    "pid = pg_backend_pid()), (select count(*) from pg_class where "
	    "relnamespace = pg_my_temp_schema()), "
	    "current_setting('search_path'), (select count(*) from pg_cursors "
	    "where name like 'c%'), (select count(*) from "
	    "pg_prepared_statements where name like 'p%'), "
	    "(select count(*) from pg_listening_channels())";
	struct call		*call = arg;
	struct player		*player = call->player;
	struct mews_param	 param;
	struct mews_query_args	 args;

	call_over(call, result);
	player->borrowing = false;
	ck_assert_int_eq(lease != NULL,
	    mews_result_status(result) == MEWS_OK);
	if (lease == NULL)
		return;
	player->lease = lease;
	player->tx = player->manual;
	player->ending = player->interrupted = player->lost = false;
	player->draining = player->drains_rows = false;
	player->order = player->answered = 0;
	player->steps = (int)game_draw(12);
	call = call_new(player, LOOK);
	args = with_token(call, &param, sql);
	call_made(call, mews_lease_query(lease, &args, calls_on_look, call,
	    &call->id));
}

/* With a lease: end it, go on with a stream, or send the next step. */
static void
act_leased(struct player *player)
{
	if (player->paused && game_draw(2) == 0) {
		player->paused = false;
		mews_lease_resume(player->lease);
	}
	if (player->lost || game_draw(60) == 0 ||
	    (player->steps <= 0 && game_draw(3) == 0) ||
	    ((player->steps <= 0 || game.stop) && calls_owed(player) == 0))
		end_lease(player);
	else if (player->steps > 0 && !game.stop)
		step(player);
}

void
player_act(struct player *player)
{
	struct call *call;
	unsigned     choice = game_draw(8);

	if (player->lease != NULL) {
		act_leased(player);
		return;
	}
	/* The calls of an ended lease come to their end first. */
	if (game.stop || player->borrowing || player->tx_count > 0 ||
	    (call = call_new(player, ECHO)) == NULL)
		return;
	for (int i = 0; i < CALLS_MAX; i++)
		if (player->calls[i].under_way && player->calls[i].leased)
			return;
	if (choice == 0 && calls_owed(player) == 0) {
		call->kind = BORROW;
		player->borrowing = true;
		call->bounded = game_draw(4) == 0;
		player->borrowing = call_made(call, mews_lease_begin(
		    player->group, call->bounded ? 1 + game_draw(20) : 0,
		    on_borrowed, call, &call->id));
	} else if (player->manual)
		return;
	else if (choice == 1 && player->writes) {
		char	sql[60];

		call->kind = WRITE;
		call->row = ledger_new();
		call->count = 1;
		snprintf(sql, sizeof(sql),
		    "insert into public.ledger values (%d)", call->row);
		call_made(call, mews_query_send(player->group,
		    &(struct mews_query_args) { .sql = sql,
		    .flags = game_draw(4) == 0 ? MEWS_QUERY_POSITION : 0 },
		    calls_on_written, call, &call->id));
	} else {
		call->kind = choice == 2 ? FAIL : choice == 3 ? SLEEP : ECHO;
		send_echo(player, call);
	}
}

/* Cancel or interrupt a call. */
static void
give_up(struct player *player)
{
	struct call *call = &player->calls[game_draw(CALLS_MAX)];

	if (!call->under_way || call->id == 0 || call->given_up)
		return;
	if (game_draw(2) == 0) {
		/* A call whose deadline passed, or whose lease ended, has
		 * been given up. */
		if (mews_query_cancel(cluster.pool, call->id) != MEWS_OK) {
			ck_assert_msg(call->bounded || call->stopped,
			    "%s %s: nothing to cancel",
			    player_kind(call->kind), call->token);
			return;
		}
		call->given_up = true;
		if (call->leased && call->kind == ROWS)
			player->drains_rows = true;
		else if (call->leased && call->kind > ROWS &&
		    call->kind <= SCRIPT)
			player->draining = true;
	} else if (mews_query_interrupt(cluster.pool, call->id) == MEWS_OK) {
		call->interrupted = call->given_up = true;
		if (call->leased)
			player->interrupted = true;
	}
}

struct player *
players_new(unsigned count)
{
	static const char *const groups[] = { "read", "write", "manual",
		"hedged" };
	struct player *players = calloc(count, sizeof(*players));

	ck_assert_ptr_nonnull(players);
	for (unsigned i = 0; i < count; i++) {
		players[i].name = groups[i % 4];
		players[i].group = cluster_group(groups[i % 4]);
		players[i].writes = i % 4 == 1 || i % 4 == 2;
		players[i].manual = i % 4 == 2;
	}
	return players;
}

void
players_turn(struct player *players, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (game_draw(2) == 0)
			player_act(&players[i]);
		if (game_draw(60) == 0)
			give_up(&players[i]);
	}
}
