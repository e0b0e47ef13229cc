/*
 * test_listen.c - notifications arrive, wherever the primary is; a listener
 * that may have missed some is told.
 *
 * The last test promotes b.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1 },
};

static void
open_pool(void)
{
	cluster_repair();
	cluster_open(groups, CLUSTER_COUNT(groups));
}

/* The events that a listener was told. */
struct ear {
	struct mews_listener *listener;
	int listening, lost, missed, refused, messages;
	char last[64]; /* the last payload */
	int sender;
	char endpoint[MEWS_NAME_MAX + 1];
	bool ordered; /* do payloads count up from 1? */
	bool hang_up; /* end this listener at the next message */
	struct ear *other; /* begin that listener at the next message */
};

static void listen_to(struct ear *ear, const char *channel);

static void
on_notify(void *arg, const struct mews_notification *n)
{
	struct ear	*ear = arg;

	snprintf(ear->endpoint, sizeof(ear->endpoint), "%s", n->endpoint);
	switch (n->event) {
	case MEWS_NOTIFY_LISTENING:
		ear->listening++;
		break;
	case MEWS_NOTIFY_LOST:
		ear->lost++;
		break;
	case MEWS_NOTIFY_MISSED:
		ear->missed++;
		break;
	case MEWS_NOTIFY_REFUSED:
		ear->refused++;
		break;
	case MEWS_NOTIFY_MESSAGE:
		ear->messages++;
		ear->ordered = ear->ordered &&
		    atoi(n->payload) == ear->messages;
		ear->sender = n->sender;
		snprintf(ear->last, sizeof(ear->last), "%s", n->payload);
		if (ear->hang_up)
			mews_unlisten(&ear->listener);
		if (ear->other != NULL)
			listen_to(ear->other, n->channel);
		ear->other = NULL;
		break;
	}
	if (n->event != MEWS_NOTIFY_MESSAGE)
		ck_assert_str_eq(n->payload, "");
}

static void
listen_to(struct ear *ear, const char *channel)
{
	struct mews_error	error;

	ear->ordered = true;
	ck_assert_msg(mews_listen(&ear->listener, cluster.pool, channel,
	    on_notify, ear, &error) == MEWS_OK, "%s", error.message);
	/* The callback never runs inside the call. */
	ck_assert_int_eq(ear->listening, 0);
}

static void
hear(struct ear *ear, const char *channel)
{
	listen_to(ear, channel);
	CLUSTER_WAIT(ear->listening == 1);
}

/* Wait for a message that is sent now: the listener has all earlier ones
 * then. */
static void
settle(const char *server)
{
	struct ear	last = { 0 };

	hear(&last, "settled");
	cluster_ask(server, "notify settled");
	CLUSTER_WAIT(last.messages == 1);
	mews_unlisten(&last.listener);
}

static int
backends(void)
{
	return cluster_ask_int("a", "select count(*) from pg_stat_activity "
	    "where application_name = 'mews:cluster'");
}

START_TEST(a_notification_arrives_with_its_sender)
{
	struct ear	ear = { 0 };

	hear(&ear, "news");
	ck_assert_str_eq(ear.endpoint, "a");
	cluster_ask("a", "notify news, 'hello'");
	CLUSTER_WAIT(ear.messages == 1);
	ck_assert_str_eq(ear.last, "hello");
	ck_assert_int_gt(ear.sender, 1);
	cluster_ask("a", "notify news");
	CLUSTER_WAIT(ear.messages == 2);
	ck_assert_str_eq(ear.last, "");
	mews_unlisten(&ear.listener);
	ck_assert_ptr_null(ear.listener);
	mews_unlisten(&ear.listener);
}
END_TEST

/* The message is sent over the pool, and heard by a host that only waits for
 * its query. */
START_TEST(a_blocking_host_hears_notifications)
{
	struct ear	ear = { 0 };
	int		pid;

	listen_to(&ear, "news");
	while (ear.listening == 0)
		cluster_value(cluster_group("write"), "select pg_sleep(0.01)");
	pid = atoi(cluster_value(cluster_group("write"),
	    "select pg_backend_pid() from pg_notify('news', 'x')"));
	while (ear.messages == 0)
		cluster_value(cluster_group("write"), "select pg_sleep(0.01)");
	ck_assert_int_eq(ear.sender, pid);
	mews_unlisten(&ear.listener);
}
END_TEST

START_TEST(all_channels_share_one_connection)
{
	struct ear	ears[20] = { { 0 } };
	char		channel[20];

	ck_assert_int_eq(backends(), 0);
	for (int i = 0; i < 20; i++) {
		snprintf(channel, sizeof(channel), "channel %d", i);
		listen_to(&ears[i], channel);
	}
	for (int i = 0; i < 20; i++)
		CLUSTER_WAIT(ears[i].listening == 1);
	ck_assert_int_eq(backends(), 1);
	cluster_ask("a", "select count(pg_notify('channel ' || i, i::text)) "
	    "from generate_series(0, 19) i");
	for (int i = 0; i < 20; i++) {
		snprintf(channel, sizeof(channel), "%d", i);
		CLUSTER_WAIT(ears[i].messages == 1);
		ck_assert_str_eq(ears[i].last, channel);
		mews_unlisten(&ears[i].listener);
	}
	/* Without listeners there is no connection. */
	CLUSTER_WAIT(backends() == 0);
}
END_TEST

START_TEST(the_listening_connection_counts_in_no_group)
{
	struct mews_view_endpoint	seen;
	struct ear			ear = { 0 };

	hear(&ear, "news");
	ck_assert(mews_view_endpoint(cluster.view, 0, &seen, sizeof(seen)));
	ck_assert_uint_eq(seen.connections, 1);
	ck_assert_uint_eq(cluster_stats("write").connections, 0);
	mews_unlisten(&ear.listener);
	CLUSTER_WAIT(mews_view_endpoint(cluster.view, 0, &seen, sizeof(seen)) &&
	    seen.connections == 0);
}
END_TEST

START_TEST(a_channel_may_have_several_listeners)
{
	struct ear	ears[3] = { { 0 } };

	for (int i = 0; i < 3; i++)
		hear(&ears[i], "news");
	cluster_ask("a", "notify news, '1'");
	for (int i = 0; i < 3; i++)
		CLUSTER_WAIT(ears[i].messages == 1);
	mews_unlisten(&ears[1].listener);
	cluster_ask("a", "notify news, '2'");
	CLUSTER_WAIT(ears[0].messages == 2 && ears[2].messages == 2);
	ck_assert_int_eq(ears[1].messages, 1);
	mews_unlisten(&ears[0].listener);
	settle("a");
	cluster_ask("a", "notify news, '3'");
	CLUSTER_WAIT(ears[2].messages == 3);
	ck_assert(ears[2].ordered);
	ck_assert_int_eq(ears[0].messages, 2);
	mews_unlisten(&ears[2].listener);
}
END_TEST

/* End a listener and begin it again at once, and after a while. */
START_TEST(a_channel_can_be_listened_to_again)
{
	struct ear	first = { 0 }, second = { 0 }, third = { 0 },
			keeper = { 0 };

	hear(&keeper, "keeper");
	hear(&first, "news");
	mews_unlisten(&first.listener);
	hear(&second, "news");
	cluster_ask("a", "notify news, '1'");
	CLUSTER_WAIT(second.messages == 1);
	mews_unlisten(&second.listener);
	settle("a");
	cluster_ask("a", "notify news, '2'");
	settle("a");
	hear(&third, "news");
	cluster_ask("a", "notify news, '1'");
	CLUSTER_WAIT(third.messages == 1);
	ck_assert(third.ordered);
	ck_assert_int_eq(first.messages, 0);
	ck_assert_int_eq(second.messages, 1);
	mews_unlisten(&third.listener);
	mews_unlisten(&keeper.listener);
}
END_TEST

/* The connection ends with the last listener. The next one waits for a login,
 * not for the sign of life that would have been due. */
START_TEST(a_listener_after_the_last_one_ended_waits_for_no_pause)
{
	struct ear	last = { 0 }, next = { 0 };
	int64_t		began;

	hear(&last, "news");
	mews_unlisten(&last.listener);
	CLUSTER_WAIT(cluster_ask_int("a", "select count(*) from "
	    "pg_stat_activity where query like '%LISTEN%news%' and "
	    "pid <> pg_backend_pid()") == 0);
	began = cluster_now();
	hear(&next, "news");
	ck_assert_int_lt(cluster_now() - began, 4000);
	mews_unlisten(&next.listener);
}
END_TEST

START_TEST(channel_names_are_quoted)
{
	static const struct {
		const char *name;
		const char *notify;
	} rows[] = {
		{ "News", "notify \"News\"" },
		{ "a \"b\"; drop table x",
		  "notify \"a \"\"b\"\"; drop table x\"" },
		{ "Größe", "notify \"Größe\"" },
		{ "select", "notify \"select\"" },
	};
	struct ear	ears[CLUSTER_COUNT(rows)] = { { 0 } };
	struct ear	other = { 0 };

	hear(&other, "news");
	for (size_t i = 0; i < CLUSTER_COUNT(rows); i++)
		hear(&ears[i], rows[i].name);
	for (size_t i = 0; i < CLUSTER_COUNT(rows); i++) {
		cluster_ask("a", rows[i].notify);
		CLUSTER_WAIT(ears[i].messages == 1);
		mews_unlisten(&ears[i].listener);
	}
	ck_assert_int_eq(other.messages, 0);
	mews_unlisten(&other.listener);
}
END_TEST

START_TEST(many_notifications_keep_their_order)
{
	struct ear	ear = { 0 };

	hear(&ear, "news");
	for (int i = 0; i < 10; i++) {
		char	sql[160];

		snprintf(sql, sizeof(sql), "select count(pg_notify('news', "
		    "i::text)) from generate_series(%d, %d) i", i * 2000 + 1,
		    i * 2000 + 2000);
		cluster_ask("a", sql);
	}
	CLUSTER_WAIT(ear.messages == 20000);
	ck_assert(ear.ordered);
	mews_unlisten(&ear.listener);
}
END_TEST

START_TEST(a_callback_may_end_and_begin_listeners)
{
	struct ear	second = { 0 };
	struct ear	first = { .hang_up = true, .other = &second };

	hear(&first, "news");
	cluster_ask("a", "select pg_notify('news', '1'), "
	    "pg_notify('news', '2')");
	CLUSTER_WAIT(second.listening == 1);
	ck_assert_ptr_null(first.listener);
	ck_assert_int_eq(first.messages, 1);
	cluster_ask("a", "notify news, 'again'");
	CLUSTER_WAIT(strcmp(second.last, "again") == 0);
	ck_assert_int_eq(first.messages, 1);
	mews_unlisten(&second.listener);
}
END_TEST

START_TEST(mistakes_of_a_listener_are_told)
{
	char			name[MEWS_CHANNEL_MAX + 2];
	struct mews_listener   *listener;
	struct mews_error	error;
	struct ear		ear = { 0 };

	memset(name, 'x', sizeof(name));
	name[MEWS_CHANNEL_MAX + 1] = '\0';
	ck_assert_int_eq(mews_listen(&listener, cluster.pool, name, on_notify,
	    &ear, &error), MEWS_INVALID);
	ck_assert_ptr_null(listener);
	ck_assert_ptr_nonnull(strstr(error.message, "63"));
	ck_assert_int_eq(mews_listen(&listener, cluster.pool, "", on_notify,
	    &ear, &error), MEWS_INVALID);
	ck_assert_int_eq(mews_listen(&listener, cluster.pool, NULL, on_notify,
	    &ear, &error), MEWS_INVALID);
	ck_assert_int_eq(mews_listen(&listener, cluster.pool, "x", NULL,
	    &ear, &error), MEWS_INVALID);
	name[MEWS_CHANNEL_MAX] = '\0';
	hear(&ear, name);
	mews_unlisten(&ear.listener);
}
END_TEST

START_TEST(a_listener_outlives_its_pool)
{
	struct ear	ear = { 0 }, ended = { 0 };

	hear(&ear, "news");
	hear(&ended, "news");
	mews_unlisten(&ended.listener);
	mews_pool_close(&cluster.pool);
	ck_assert_int_eq(ear.lost, 0);
	mews_unlisten(&ear.listener);
	/* A pool's end while a listener has not yet heard anything. */
	cluster_close();
	cluster_open(groups, CLUSTER_COUNT(groups));
	memset(&ear, 0, sizeof(ear));
	listen_to(&ear, "news");
	mews_pool_close(&cluster.pool);
	mews_unlisten(&ear.listener);
}
END_TEST

static void
misuse(void *arg)
{
	struct mews_listener   *listener;
	struct mews_error	error;
	struct ear	       *ear = arg;

	ck_assert_int_eq(mews_listen(&listener, cluster.pool, "x", on_notify,
	    ear, &error), MEWS_INVALID);
	mews_unlisten(&ear->listener);
	mews_pool_close(&cluster.pool);
}

START_TEST(a_fork_does_not_touch_its_parents_listeners)
{
	struct ear	ear = { 0 };

	hear(&ear, "news");
	cluster_ended_well(cluster_fork(misuse, &ear));
	cluster_ask("a", "notify news, '1'");
	CLUSTER_WAIT(ear.messages == 1);
	ck_assert_int_eq(ear.lost, 0);
	mews_unlisten(&ear.listener);
}
END_TEST

START_TEST(a_killed_backend_is_replaced_and_told_of)
{
	struct ear	ears[2] = { { 0 } };

	hear(&ears[0], "news");
	hear(&ears[1], "more");
	for (int i = 1; i <= 3; i++) {
		cluster_ask("a", "select pg_terminate_backend(pid) from "
		    "pg_stat_activity where application_name = "
		    "'mews:cluster'");
		CLUSTER_WAIT(ears[0].missed == i && ears[1].missed == i);
		ck_assert_int_eq(ears[0].lost, i);
		ck_assert_int_eq(ears[0].listening, 1);
		cluster_ask("a", "notify news; notify more");
		CLUSTER_WAIT(ears[0].messages == i && ears[1].messages == i);
	}
	mews_unlisten(&ears[0].listener);
	mews_unlisten(&ears[1].listener);
}
END_TEST

START_TEST(a_listener_begun_while_nobody_is_there_hears_later)
{
	struct ear	ear = { 0 };

	cluster_servers("kill", "a");
	listen_to(&ear, "news");
	CLUSTER_WAIT(cluster_logged("listen_failed") > 0 ||
	    strcmp(cluster_state("a"), "down") == 0);
	ck_assert_int_eq(ear.listening, 0);
	cluster_servers("up", "a");
	CLUSTER_WAIT(ear.listening == 1);
	ck_assert_int_eq(ear.lost, 0);
	ck_assert_int_eq(ear.missed, 0);
	ck_assert_str_eq(ear.endpoint, "a");
	mews_unlisten(&ear.listener);
}
END_TEST

START_TEST(a_frozen_server_is_left_and_found_again)
{
	struct ear	ear = { 0 };

	hear(&ear, "news");
	cluster_servers("freeze", "a");
	CLUSTER_WAIT(ear.lost == 1);
	cluster_servers("thaw", "a");
	CLUSTER_WAIT(ear.missed == 1);
	cluster_ask("a", "notify news, '1'");
	CLUSTER_WAIT(ear.messages == 1);
	mews_unlisten(&ear.listener);
}
END_TEST

START_TEST(the_listening_connection_follows_the_primary)
{
	struct ear	ears[2] = { { 0 } };

	hear(&ears[0], "news");
	hear(&ears[1], "more");
	ck_assert_str_eq(ears[0].endpoint, "a");
	cluster_servers("kill", "a");
	CLUSTER_WAIT(ears[0].lost == 1 && ears[1].lost == 1);
	cluster_servers("promote", "b");
	CLUSTER_WAIT(ears[0].missed == 1 && ears[1].missed == 1);
	ck_assert_str_eq(ears[0].endpoint, "b");
	cluster_ask("b", "notify news, '1'");
	cluster_ask("b", "notify more, '1'");
	CLUSTER_WAIT(ears[0].messages == 1 && ears[1].messages == 1);
	mews_unlisten(&ears[0].listener);
	mews_unlisten(&ears[1].listener);
}
END_TEST

START_TEST(a_name_that_is_none_silences_nobody)
{
	struct ear	ears[4] = { { 0 } };

	if (_i == 1)
		hear(&ears[0], "news");
	else
		listen_to(&ears[0], "news");
	listen_to(&ears[1], "\xff");
	listen_to(&ears[2], "more");
	CLUSTER_WAIT(ears[0].listening == 1 && ears[1].refused == 1 &&
	    ears[2].listening == 1);
	/* A refused listener does no harm when the others are heard anew. */
	cluster_ask(ears[0].endpoint, "select pg_terminate_backend(pid) from "
	    "pg_stat_activity where application_name = 'mews:cluster'");
	CLUSTER_WAIT(ears[0].missed > 0 && ears[2].missed > 0);
	listen_to(&ears[3], "last");
	CLUSTER_WAIT(ears[3].listening == 1);
	cluster_ask(ears[0].endpoint, "notify news, '1'");
	cluster_ask(ears[0].endpoint, "notify more, '1'");
	CLUSTER_WAIT(ears[0].messages == 1 && ears[2].messages == 1);
	ck_assert_int_eq(ears[1].refused, 1);
	ck_assert_int_eq(ears[1].listening, 0);
	for (int i = 0; i < 4; i++)
		mews_unlisten(&ears[i].listener);
}
END_TEST

static Suite *
listen_suite(void)
{
	Suite *suite = suite_create("listen");
	TCase *channels = unit_case(suite, "channels");
	TCase *ends = unit_case(suite, "ends");
	TCase *failover = unit_case(suite, "failover");
	TCase *cases[] = { channels, ends, failover };

	for (size_t i = 0; i < CLUSTER_COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], open_pool, cluster_close);
		tcase_set_timeout(cases[i], 180);
	}
	tcase_add_test(channels, a_notification_arrives_with_its_sender);
	tcase_add_test(channels, a_blocking_host_hears_notifications);
	tcase_add_test(channels, all_channels_share_one_connection);
	tcase_add_test(channels, the_listening_connection_counts_in_no_group);
	tcase_add_test(channels, a_channel_may_have_several_listeners);
	tcase_add_test(channels, a_channel_can_be_listened_to_again);
	tcase_add_test(channels,
	    a_listener_after_the_last_one_ended_waits_for_no_pause);
	tcase_add_test(channels, channel_names_are_quoted);
	tcase_add_test(channels, many_notifications_keep_their_order);
	tcase_add_test(ends, a_callback_may_end_and_begin_listeners);
	tcase_add_test(ends, mistakes_of_a_listener_are_told);
	tcase_add_test(ends, a_listener_outlives_its_pool);
	tcase_add_test(ends, a_fork_does_not_touch_its_parents_listeners);
	tcase_add_test(failover, a_killed_backend_is_replaced_and_told_of);
	tcase_add_test(failover,
	    a_listener_begun_while_nobody_is_there_hears_later);
	tcase_add_test(failover, a_frozen_server_is_left_and_found_again);
	tcase_add_test(failover, the_listening_connection_follows_the_primary);
	tcase_add_loop_test(failover, a_name_that_is_none_silences_nobody, 0,
	    2);
	return suite;
}

UNIT_MAIN(listen_suite)
