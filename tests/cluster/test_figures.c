/*
 * test_figures.c - queries are counted, by group, endpoint and statement.
 */
#include "cluster.h"
#include "unit.h"

#include <mews/figures.h>
#include <mews/query.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct mews_group_config groups[] = {
	{ .name = "read", .role = MEWS_GROUP_STANDBY, .connection_count = 1,
	  .acquire_timeout = 45000, .batch = MEWS_SWITCH_ON },
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .acquire_timeout = 45000 },
};

static struct mews_figures *figures;

static void
begin(void)
{
	cluster_repair();
	cluster_open(groups, CLUSTER_COUNT(groups));
}

static void
end(void)
{
	mews_figures_free(&figures);
	cluster_close();
}

static struct mews_figures_group
look_at_group(const char *name)
{
	struct mews_figures_group group = { 0 };

	mews_figures_free(&figures);
	ck_assert_int_eq(mews_figures_read(&figures, cluster.view, NULL),
	    MEWS_OK);
	for (uint32_t i = 0; mews_figures_group(figures, i, &group,
	    sizeof(group)); i++)
		if (strcmp(group.name, name) == 0)
			return group;
	ck_abort_msg("no group %s", name);
	return group;
}

/* Sum up the answers of all endpoints to @group. */
static struct mews_times
look_at_answers(const char *group)
{
	struct mews_figures_pair pair;
	struct mews_times	 sum = { 0 };

	look_at_group(group);
	for (uint32_t i = 0; mews_figures_pair(figures, i, &pair,
	    sizeof(pair)); i++)
		if (strcmp(pair.group, group) == 0) {
			ck_assert_uint_eq(strlen(pair.endpoint), 1);
			sum.count += pair.times.count;
			sum.sum_us += pair.times.sum_us;
		}
	return sum;
}

static struct mews_figures_statement
look_at_statement(const char *name)
{
	struct mews_figures_statement statement = { 0 };

	look_at_group("read");
	for (uint32_t i = 0; mews_figures_statement(figures, i, &statement,
	    sizeof(statement)); i++)
		if (strcmp(statement.name, name) == 0)
			return statement;
	ck_abort_msg("no statement %s", name);
	return statement;
}

START_TEST(queries_are_counted)
{
	struct mews_group *read = cluster_group("read");

	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(cluster_run(read, "select 1").status,
		    MEWS_OK);
	ck_assert_int_eq(cluster_run(read, "select 1/0").status, MEWS_SQL);
	ck_assert_uint_eq(look_at_answers("read").count, 6);
	ck_assert_uint_eq(look_at_answers("write").count, 0);
	ck_assert_uint_eq(look_at_group("read").ends[MEWS_SQL], 1);
	CLUSTER_WAIT(look_at_group("read").ends[MEWS_OK] == 5);
	ck_assert_uint_ge(look_at_group("read").opened, 1);
	ck_assert_uint_eq(look_at_group("read").waiting, 0);
	ck_assert_uint_ge(look_at_group("read").endpoints, 1);
}
END_TEST

/* How many connections of @group are idle, and how many are in use. */
static void
look_at_connections(const char *group, uint64_t *idle, uint64_t *used)
{
	struct mews_figures_pair pair;

	look_at_group(group);
	*idle = *used = 0;
	for (uint32_t i = 0; mews_figures_pair(figures, i, &pair,
	    sizeof(pair)); i++)
		if (strcmp(pair.group, group) == 0) {
			*idle += pair.idle;
			*used += pair.used;
		}
}

START_TEST(connections_are_counted_by_state)
{
	struct mews_lease *lease = cluster_lease(cluster_group("write"));
	uint64_t	   idle, used;

	CLUSTER_WAIT((look_at_connections("write", &idle, &used), used) == 1);
	ck_assert_uint_eq(idle, 0);
	mews_lease_end(&lease);
	CLUSTER_WAIT((look_at_connections("write", &idle, &used), idle) == 1);
	ck_assert_uint_eq(used, 0);
}
END_TEST

/* A host without a loop may not call again for long. */
START_TEST(after_a_blocking_call_no_query_is_shown_in_flight)
{
	struct mews_view_worker own = { 0 };
	uint64_t		idle, used;

	ck_assert_int_eq(cluster_run(cluster_group("read"),
	    "select 1").status, MEWS_OK);
	ck_assert_uint_eq(look_at_group("read").waiting, 0);
	look_at_connections("read", &idle, &used);
	ck_assert_uint_eq(used, 0);
	ck_assert_uint_eq(idle, 1);
	for (uint32_t i = 0; i < 64 && own.pid != getpid(); i++)
		mews_view_worker(cluster.view, i, &own, sizeof(own));
	ck_assert_int_eq(own.pid, getpid());
	ck_assert_uint_eq(own.in_flight, 0);
	ck_assert_uint_eq(own.waiting, 0);
}
END_TEST

START_TEST(a_pool_that_closed_has_nothing_that_waits)
{
	struct mews_group *write = cluster_group("write");
	struct mews_lease *lease = cluster_lease(write);
	struct asked	   asked;

	cluster_send_sql(&asked, write, "select 1");
	CLUSTER_WAIT(look_at_group("write").waiting == 1);
	ck_assert_uint_eq(look_at_group("write").processes, 1);
	mews_pool_close(&cluster.pool);
	ck_assert_int_eq(asked.status, MEWS_CANCELED);
	ck_assert_uint_eq(look_at_group("write").waiting, 0);
	ck_assert_uint_eq(look_at_group("write").processes, 0);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(batches_are_counted)
{
	struct mews_group *read = cluster_group("read");
	struct mews_group *write = cluster_group("write");
	uint64_t	   before;
	struct asked	   asked[5];

	cluster_run(read, "select 1");
	cluster_run(write, "select 1");
	CLUSTER_WAIT(look_at_group("read").ends[MEWS_OK] == 1 &&
	    look_at_group("write").ends[MEWS_OK] == 1);
	before = look_at_group("write").batches;
	/* Reads of one turn share a batch, writes do not. */
	for (int i = 0; i < 5; i++)
		cluster_send_sql(&asked[i], write, "select 1");
	CLUSTER_WAIT(look_at_group("write").batches == before + 5);
	CLUSTER_WAIT(asked[4].calls == 1);
	before = look_at_group("read").batches;
	for (int i = 0; i < 5; i++)
		cluster_send_sql(&asked[i], read, "select 1");
	CLUSTER_WAIT(look_at_group("read").ends[MEWS_OK] == 6);
	ck_assert_uint_ge(look_at_group("read").batches, before + 1);
	ck_assert_uint_le(look_at_group("read").batches, before + 2);
}
END_TEST

START_TEST(a_duration_is_as_long_as_the_query)
{
	cluster_run(cluster_group("write"), "select pg_sleep(0.3)");
	ck_assert_uint_eq(look_at_answers("write").count, 1);
	ck_assert_uint_ge(look_at_answers("write").sum_us, 150000);
}
END_TEST

START_TEST(a_wait_for_a_connection_is_counted)
{
	struct mews_group *write = cluster_group("write");
	struct mews_lease *lease = cluster_lease(write);
	uint64_t	   before = look_at_group("write").wait.count;
	struct asked	   asked;

	cluster_send_sql(&asked, write, "select 1");
	CLUSTER_WAIT(look_at_group("write").waiting == 1);
	mews_lease_end(&lease);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_uint_eq(look_at_group("write").wait.count, before + 1);
	CLUSTER_WAIT(look_at_group("write").waiting == 0);
}
END_TEST

START_TEST(statements_are_counted_by_name)
{
	struct mews_group     *read = cluster_group("read");
	struct mews_statement *rows, *bad;
	struct mews_figures_statement counted;

	ck_assert_int_eq(mews_statement_register(&rows, cluster.pool, "rows",
	    "select * from generate_series(1, 7)", 0, NULL), MEWS_OK);
	ck_assert_int_eq(mews_statement_register(&bad, cluster.pool, "bad",
	    "select 1 / (now() is null)::int", 0, NULL), MEWS_OK);
	for (int i = 0; i < 3; i++)
		cluster_run_args(read, &(struct mews_query_args) {
		    .statement = rows });
	cluster_run_args(read, &(struct mews_query_args) { .statement = bad });
	counted = look_at_statement("rows");
	ck_assert_uint_eq(counted.answers, 3);
	ck_assert_uint_eq(counted.rows, 21);
	ck_assert_uint_eq(counted.errors, 0);
	ck_assert_uint_gt(counted.sum_us, 0);
	counted = look_at_statement("bad");
	ck_assert_uint_eq(counted.answers, 1);
	ck_assert_uint_eq(counted.errors, 1);
	ck_assert_uint_eq(counted.rows, 0);
}
END_TEST

/* Answers to two statements and to other SQL, asked for in one turn: some come
 * in a row, some by themselves. */
START_TEST(answers_that_come_together_are_counted_one_by_one)
{
	static const char	order[] = "aaabbxxabxaxxxbbb";
	struct mews_group      *read = cluster_group("read");
	struct mews_statement  *a, *b;
	struct mews_query_args	args;
	struct asked		asked[sizeof(order) - 1];
	uint64_t		before;

	ck_assert_int_eq(mews_statement_register(&a, cluster.pool, "a",
	    "select * from generate_series(1, 3)", 0, NULL), MEWS_OK);
	ck_assert_int_eq(mews_statement_register(&b, cluster.pool, "b",
	    "select * from generate_series(1, 5)", 0, NULL), MEWS_OK);
	cluster_run(read, "select 1");
	before = look_at_answers("read").count;
	for (size_t i = 0; order[i] != '\0'; i++) {
		args = (struct mews_query_args) {
			.statement = order[i] == 'a' ? a :
			    order[i] == 'b' ? b : NULL,
			.sql = order[i] == 'x' ? "select 1" : NULL,
		};
		cluster_send(&asked[i], read, &args);
	}
	for (size_t i = 0; order[i] != '\0'; i++)
		CLUSTER_WAIT(asked[i].calls == 1);
	ck_assert_uint_eq(look_at_answers("read").count, before + 17);
	ck_assert_uint_eq(look_at_statement("a").answers, 5);
	ck_assert_uint_eq(look_at_statement("a").rows, 5 * 3);
	ck_assert_uint_eq(look_at_statement("b").answers, 6);
	ck_assert_uint_eq(look_at_statement("b").rows, 6 * 5);
}
END_TEST

static const struct mews_group_config slow_groups[] = {
	{ .name = "read", .role = MEWS_GROUP_STANDBY, .connection_count = 1,
	  .acquire_timeout = 45000, .slow_query = 200 },
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .acquire_timeout = 45000, .slow_query = 200,
	  .slow_query_parameters = MEWS_SWITCH_ON },
};

/* Open another fleet than begin() does. */
static void
open_slow(void)
{
	cluster_close();
	cluster_open(slow_groups, CLUSTER_COUNT(slow_groups));
}

START_TEST(a_slow_query_is_logged)
{
	const struct mews_param	   secret = { .value = "hush", .length = 4 };
	const struct mews_param	   raw = mews_param_bytes("\0\1\2", 3);
	struct mews_statement	  *sleep;
	struct mews_query_args	   args = { .params = &secret,
		.param_count = 1 };

	open_slow();
	ck_assert_int_eq(mews_statement_register(&sleep, cluster.pool,
	    "sleep", "select pg_sleep(0.3), $1::text", 0, NULL), MEWS_OK);
	args.statement = sleep;
	cluster_run(cluster_group("read"), "select 1");
	ck_assert_int_eq(cluster_logged("slow_query"), 0);
	cluster_run_args(cluster_group("read"), &args);
	ck_assert_int_eq(cluster_logged("slow_query group=read "
	    "statement=sleep endpoint="), 1);
	ck_assert_int_eq(cluster_logged("rows=1"), 1);
	ck_assert_int_eq(cluster_logged("hush"), 0);
	cluster_run_args(cluster_group("write"), &args);
	ck_assert_int_eq(cluster_logged("$1=\"hush\""), 1);
	cluster_run(cluster_group("write"), "select pg_sleep(0.3)");
	ck_assert_int_eq(cluster_logged("sql=\"select pg_sleep(0.3)\""), 1);
	args = (struct mews_query_args) { .params = &raw, .param_count = 1,
		.sql = "select pg_sleep(0.3), $1::bytea" };
	cluster_run_args(cluster_group("write"), &args);
	ck_assert_int_eq(cluster_logged("$1=(3 bytes)"), 1);
	ck_assert_uint_eq(look_at_group("read").slow, 1);
	ck_assert_uint_eq(look_at_group("write").slow, 3);
}
END_TEST

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

START_TEST(a_slow_query_names_its_request)
{
	struct mews_query_args	args = { .sql = "select pg_sleep(0.3)",
		.traceparent = PARENT };

	open_slow();
	cluster_run_args(cluster_group("read"), &args);
	ck_assert_int_eq(cluster_logged(" traceparent=" PARENT), 1);
	args.traceparent = "00-x sqlstate=00000";
	cluster_run_args(cluster_group("read"), &args);
	ck_assert_int_eq(cluster_logged("slow_query"), 2);
	ck_assert_int_eq(cluster_logged("traceparent="), 1);
}
END_TEST

static const struct mews_group_config traced_groups[] = {
	{ .name = "read", .role = MEWS_GROUP_STANDBY, .connection_count = 1,
	  .acquire_timeout = 45000 },
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .acquire_timeout = 45000, .trace_comments = MEWS_SWITCH_ON },
};

/* The text that the server got when @args were run in @group. */
static const char *
heard(const char *group, const struct mews_query_args *args)
{
	static char	    text[200];
	struct mews_result *result;

	ck_assert_int_eq(mews_query_run(cluster_group(group), args, &result),
	    MEWS_OK);
	snprintf(text, sizeof(text), "%s",
	    PQgetvalue(mews_result_pg(result), 0, 0));
	mews_result_free(&result);
	return text;
}

START_TEST(the_server_hears_of_a_request_where_it_may)
{
	struct mews_query_args	args = { .sql = "select current_query()",
		.traceparent = PARENT };
	struct mews_statement  *statement;

	cluster_close();
	cluster_open(traced_groups, CLUSTER_COUNT(traced_groups));
	ck_assert_str_eq(heard("write", &args), "select current_query() "
	    "/*traceparent='" PARENT "'*/");
	ck_assert_str_eq(heard("read", &args), "select current_query()");
	args.traceparent = "*/ drop table t";
	ck_assert_str_eq(heard("write", &args), "select current_query()");
	args.traceparent = "00-00000000000000000000000000000000-"
	    "00f067aa0ba902b7-01";
	ck_assert_str_eq(heard("write", &args), "select current_query()");
	ck_assert_int_eq(mews_statement_register(&statement, cluster.pool,
	    "own", "select current_query()", 0, NULL), MEWS_OK);
	args = (struct mews_query_args) { .statement = statement,
		.traceparent = PARENT };
	ck_assert_str_eq(heard("write", &args), "select current_query()");
}
END_TEST

START_TEST(a_wait_makes_a_query_slow)
{
	struct mews_lease *lease;
	struct asked	   asked;
	int64_t		   until;

	open_slow();
	lease = cluster_lease(cluster_group("write"));
	cluster_send_sql(&asked, cluster_group("write"), "select 1");
	until = cluster_now() + 500;
	CLUSTER_WAIT(cluster_now() > until);
	mews_lease_end(&lease);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_int_eq(cluster_logged("slow_query group=write text="), 1);
}
END_TEST

/* Is the last line about a slow query one line of whole values? */
static void
check_line(void)
{
	const char *line = cluster.log, *next, *at;
	bool	    quoted = false;

	ck_assert_ptr_nonnull(line);
	while ((next = strstr(line + 1, "slow_query group=")) != NULL)
		line = next;
	for (at = line; *at != '\0' && *at != '\n'; at++) {
		ck_assert_uint_ge((unsigned char)*at, ' ');
		ck_assert_uint_lt((unsigned char)*at, 0x7f);
		if (quoted && *at == '\\')
			at++;
		else if (*at == '"')
			quoted = !quoted;
	}
	ck_assert_msg(!quoted, "a value without an end: %.*s",
	    (int)(at - line), line);
	ck_assert_int_gt(at - line, 200);
	ck_assert_int_lt(at - line, 1024);
	ck_assert_msg(*at == '\n', "a line without an end");
}

/* Run the query behind a wait that makes any query slow. */
static void
ask_slowly(const struct mews_query_args *args)
{
	struct mews_group *group = cluster_group("write");
	struct mews_lease *lease = cluster_lease(group);
	struct asked	   asked;
	int64_t		   until;

	/* The wait begins behind the call, which a megabyte makes slow. */
	cluster_send(&asked, group, args);
	until = cluster_now() + 300;
	CLUSTER_WAIT(cluster_now() > until);
	mews_lease_end(&lease);
	CLUSTER_WAIT(asked.calls == 1);
}

#define HOSTILE_BYTES (1 << 20)

START_TEST(whatever_is_slow_is_one_clean_line)
{
	char		       *sql = malloc(HOSTILE_BYTES + 1), text[200];
	struct mews_param	params[20];
	struct mews_query_args	args = { .sql = sql, .params = params };

	ck_assert_ptr_nonnull(sql);
	open_slow();
	/* Bytes that are no UTF-8, quotes, and sequences that move a terminal's
	 * cursor. */
	for (size_t i = 0; i < HOSTILE_BYTES; i++)
		sql[i] = "\xff\x1b\"\\\n\x80\r\x7f"[i % 8];
	sql[HOSTILE_BYTES] = '\0';
	memcpy(text, sql, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 20; i++)
		params[i] = mews_param_text(i % 3 == 2 ? NULL : text);
	for (int i = 0; i < 6; i++) {
		args.param_count = 4 * i;
		args.sql = i % 2 == 0 ? sql : "select 1";
		ask_slowly(&args);
		ck_assert_int_eq(cluster_logged("slow_query group=write"),
		    i + 1);
		check_line();
	}
	free(sql);
}
END_TEST

static Suite *
figures_suite(void)
{
	Suite	*suite = suite_create("cluster figures");
	TCase	*tcase = unit_case(suite, "figures");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, queries_are_counted);
	tcase_add_test(tcase, connections_are_counted_by_state);
	tcase_add_test(tcase,
	    after_a_blocking_call_no_query_is_shown_in_flight);
	tcase_add_test(tcase, a_pool_that_closed_has_nothing_that_waits);
	tcase_add_test(tcase, batches_are_counted);
	tcase_add_test(tcase, a_duration_is_as_long_as_the_query);
	tcase_add_test(tcase, a_wait_for_a_connection_is_counted);
	tcase_add_test(tcase, statements_are_counted_by_name);
	tcase_add_test(tcase,
	    answers_that_come_together_are_counted_one_by_one);
	tcase_add_test(tcase, a_slow_query_is_logged);
	tcase_add_test(tcase, a_slow_query_names_its_request);
	tcase_add_test(tcase, the_server_hears_of_a_request_where_it_may);
	tcase_add_test(tcase, a_wait_makes_a_query_slow);
	tcase_add_test(tcase, whatever_is_slow_is_one_clean_line);
	return suite;
}

UNIT_MAIN(figures_suite)
