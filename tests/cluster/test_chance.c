/*
 * test_chance.c - any call at any time, while sessions and servers die.
 *
 * Players (player.h) call at random, in rounds of a second. Every second round
 * breaks sessions, every fourth kills a server. After each round all calls have
 * ended, the table has the rows that these ends promise, and the pool is at
 * rest.
 *
 * MEWS_TEST_CHANCE is the number of rounds, 6 if it is not set. Round N draws
 * from the seed MEWS_TEST_SEED + N.
 */
#include "cluster.h"
#include "ledger.h"
#include "player.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAYERS	 24
#define ROUND_MS 1000

static const char *const names[] = { "read", "write", "manual", "hedged" };

static const struct mews_group_config groups[] = {
	{ .name = "read", .connection_count = 3 },
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 3 },
	{ .name = "manual", .role = MEWS_GROUP_PRIMARY, .connection_count = 2,
	  .autocommit = MEWS_SWITCH_OFF },
	{ .name = "hedged", .connection_count = 2, .queue = 20,
	  .hedge_after = 10 },
};

static pid_t	monitor;

static long
given(const char *variable, long otherwise)
{
	const char *value = getenv(variable);

	return value == NULL ? otherwise : atol(value);
}

/* One of our sessions ends, or what runs in it. */
static void
break_one(void)
{
	static const char *const servers[] = { "a", "b", "c" };
	char	sql[200];

	snprintf(sql, sizeof(sql), "select pg_%s_backend(pid) from "
	    "pg_stat_activity where application_name like 'mews:%%' and "
	    "application_name not like '%%monitor%%' order by random() "
	    "limit 1", game_draw(3) == 0 ? "cancel" : "terminate");
	cluster_ask(servers[game_draw(3)], sql);
}

/* In some rounds a server dies, with all its sessions, and comes back. */
static void
break_server(long round)
{
	static const char *const servers[] = { "a", "b", "c" };
	const char *server = servers[round / 4 % 3];

	cluster_servers("kill", server);
	cluster_servers("up", server);
}

static void
play(struct player *players, long round)
{
	int64_t	until = cluster_now() + ROUND_MS, next = 0;
	bool	dies = round % 4 == 3;

	game.seed = (uint64_t)(given("MEWS_TEST_SEED", 0) + round);
	game.broken = round % 2 == 1;
	game.stop = false;
	while (cluster_now() < until) {
		players_turn(players, PLAYERS);
		if (game.broken && cluster_now() >= next) {
			break_one();
			next = cluster_now() + game_draw(100);
		}
		if (dies && cluster_now() >= until - ROUND_MS / 2) {
			break_server(round);
			dies = false;
		}
		mews_pool_turn(cluster.pool, (int)game_draw(3));
	}
	game.stop = true;
	until = cluster_now() + CLUSTER_PATIENCE;
	while (game.owed > 0 || cluster_stats("read").leased +
	    cluster_stats("write").leased + cluster_stats("manual").leased +
	    cluster_stats("hedged").leased > 0) {
		ck_assert_msg(cluster_now() < until, "%u calls never end",
		    game.owed);
		players_turn(players, PLAYERS);
		cluster_turn();
	}
}

static bool
is_at_rest(const char *name)
{
	struct mews_group_stats stats = cluster_stats(name);

	return stats.in_flight == 0 && stats.waiting == 0 &&
	    stats.leased == 0 && stats.idle == stats.connections;
}

/* How often @kind was called, and how that ended. */
static void
tell(unsigned kind, long rounds)
{
	unsigned sum = 0;

	fprintf(stderr, "%-9s", player_kind(kind));
	for (unsigned i = 0; i < 16; i++) {
		sum += game.ends[kind][i];
		if (game.ends[kind][i] > 0)
			fprintf(stderr, " %s %u", mews_status_name(
			    (enum mews_status)i), game.ends[kind][i]);
	}
	fputc('\n', stderr);
	ck_assert_msg(sum > 0 || rounds < 6, "nobody called %s",
	    player_kind(kind));
}

START_TEST(any_call_in_any_order_keeps_its_promise)
{
	long	rounds = given("MEWS_TEST_CHANCE", 6);
	struct player *players;

	ledger_open();
	players = players_new(PLAYERS);
	for (long round = 0; round < rounds; round++) {
		play(players, round);
		ledger_check();
		for (size_t i = 0; i < 4; i++)
			CLUSTER_WAIT(is_at_rest(names[i]));
	}
	for (unsigned kind = 0; kind < PLAYER_KINDS; kind++)
		tell(kind, rounds);
	free(players);
}
END_TEST

static void
begin(void)
{
	struct mews_error error;

	monitor = cluster_watched(groups, CLUSTER_COUNT(groups));
	ck_assert_int_eq(mews_statement_register(&game.echo, cluster.pool,
	    "echo", "select $1::text, "
	    "coalesce(current_setting('game.leak', true), '')", 0, &error),
	    MEWS_OK);
}

static void
end(void)
{
	cluster_end(monitor);
	cluster_close();
}

static Suite *
chance_suite(void)
{
	Suite	*suite = suite_create("chance");
	TCase	*tcase = unit_case(suite, "any calls");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_set_timeout(tcase,
	    (double)given("MEWS_TEST_CHANCE", 6) * 10 + 180);
	tcase_add_test(tcase, any_call_in_any_order_keeps_its_promise);
	return suite;
}

UNIT_MAIN(chance_suite)
