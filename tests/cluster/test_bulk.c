/*
 * test_bulk.c - values that are too large are refused, or told once, and harm
 * no other query.
 */
#include "cluster.h"
#include "unit.h"

#include <mews/transaction.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Have sanitizers give back freed memory, as tests measure how much is used. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define MB	((size_t)1024 * 1024)
#define SMALL	20 /* reads beside the large one */

/* Four hundred megabytes in many rows, and in one. */
static const char *const large[] = {
	"select repeat('x', 1000) from generate_series(1, 400000)",
	"select repeat('x', 400000000)",
};

/* Gigabytes take long on a busy machine. */
#define PATIENT	.acquire_timeout = 45000, .query_timeout = 45000

static const struct mews_group_config groups[] = {
	{ .name = "any", .role = MEWS_GROUP_ANY, PATIENT,
	  .connection_count = 6, .min_connections = 6, .stall_after = 60000,
	  .retry_budget = 100, .max_result_size = 8 * 1024 * 1024 },
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, PATIENT,
	  .stall_after = 60000, .max_result_size = 8 * 1024 * 1024 },
	{ .name = "unbound", .role = MEWS_GROUP_ANY, PATIENT,
	  .stall_after = 60000, .retry_budget = 100,
	  .max_result_size = (uint64_t)1 << 40 },
	{ .name = "hasty", .role = MEWS_GROUP_ANY, PATIENT,
	  .retry_budget = 100, .max_result_size = 8 * 1024 * 1024 },
	{ .name = "twins", .role = MEWS_GROUP_STANDBY, PATIENT,
	  .connection_count = 2, .min_connections = 2, .stall_after = 2000,
	  .hedge_after = 20, .retry_budget = 100,
	  .max_result_size = 1024 * 1024 },
	{ .name = "one", .role = MEWS_GROUP_PRIMARY, PATIENT,
	  .connection_count = 1, .stall_after = 60000,
	  .max_result_size = (uint64_t)1 << 40 },
};

static void
begin(void)
{
	cluster_repair();
	cluster_ask("a", "drop table if exists truth;"
	    "create table truth (id int, text text)");
	cluster_open(groups, CLUSTER_COUNT(groups));
}

/* A mapping of @size zeros that takes no memory. */
static void *
nothing(size_t size)
{
	void	*bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE |
	    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert_ptr_ne(bytes, MAP_FAILED);
	return bytes;
}

START_TEST(parameters_too_large_for_a_message_are_invalid)
{
	void			*bytes = nothing(1100 * MB);
	const struct mews_param	 one = mews_param_bytes(bytes, 1100000000);
	const struct mews_param	 half = mews_param_bytes(bytes, 600000000);
	const struct mews_param	 both[] = { half, half };
	const struct mews_query_args args[] = {
		{ .sql = "select length($1::bytea)", .params = &one,
		  .param_count = 1 },
		{ .sql = "select length($1::bytea), length($2::bytea)",
		  .params = both, .param_count = 2 },
	};
	struct mews_group	*group = cluster_group("write");
	struct mews_lease	*lease;
	struct asked		 asked, none = { 0 };

	cluster_value(group, "select 1");
	lease = cluster_lease(group);
	cluster_send_sql(&asked, group, "insert into truth values (1)");
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(mews_query_send(group, &args[i],
		    cluster_note, &none, NULL), MEWS_INVALID);
		ck_assert_ptr_nonnull(strstr(mews_group_message(group),
		    "gigabyte"));
		ck_assert_int_eq(mews_lease_query(lease, &args[i],
		    cluster_note, &none, NULL), MEWS_INVALID);
	}
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_int_eq(asked.status, MEWS_OK);
	ck_assert_str_eq(cluster_on_lease(lease, "select 7").value, "7");
	mews_lease_end(&lease);
	ck_assert_int_eq(none.calls, 0);
	ck_assert_int_eq(cluster_logged("connection_lost"), 0);
	munmap(bytes, 1100 * MB);
}
END_TEST

static const char *const servers[] = { "a", "b", "c" };

/* Among many small results of one turn is one that is too large. */
static void
ask_among_others(const char *group, const char *sql)
{
	struct asked	asked[SMALL + 1];

	cluster_value(cluster_group(group), "select 1");
	for (int i = 0; i <= SMALL; i++)
		cluster_send_sql(&asked[i], cluster_group(group),
		    i == SMALL / 2 ? sql : "select 7");
	for (int i = 0; i <= SMALL; i++) {
		enum mews_status status = i == SMALL / 2 ? MEWS_TOO_LARGE :
		    MEWS_OK;

		CLUSTER_WAIT(asked[i].calls == 1);
		ck_assert_msg(asked[i].status == status, "%d: %s: %s", i,
		    mews_status_name(asked[i].status), asked[i].message);
		if (status == MEWS_OK)
			ck_assert_str_eq(asked[i].value, "7");
		else
			ck_assert_str_ne(asked[i].endpoint, "");
	}
	/* The silence before the first byte alone may be suspicious, as that of
	 * any slow query is; a verdict on the server follows soon. */
	ck_assert_int_eq(cluster_logged("to=suspect"), strcmp(group,
	    "hasty") == 0 ? cluster_logged("evidence=stall") : 0);
	for (size_t i = 0; i < CLUSTER_COUNT(servers); i++)
		CLUSTER_WAIT(strcmp(cluster_state(servers[i]), "up") == 0);
	/* Queries beside the large one may be resent; the large one never
	 * is. */
	ck_assert_uint_le(cluster_stats(group).resent, SMALL);
}

START_TEST(a_result_above_the_limit_is_told_once)
{
	ask_among_others("any", large[_i]);
}
END_TEST

START_TEST(a_large_result_leaves_no_suspicion)
{
	ask_among_others("hasty", large[_i]);
}
END_TEST

/* One server answered with too much; the other one, which was asked as well,
 * takes long and is no suspect. */
START_TEST(the_twin_of_a_large_result_leaves_no_suspicion)
{
	struct mews_group      *group = cluster_group("twins");
	struct asked		asked;
	char			sql[200];

	CLUSTER_WAIT(cluster_stats("twins").idle == 2);
	snprintf(sql, sizeof(sql), "select repeat('x', 20000000) from "
	    "pg_sleep(case when inet_server_port() = %s then 5 else 0.3 end)",
	    getenv(_i == 0 ? "MEWS_B_PORT" : "MEWS_C_PORT"));
	cluster_send_sql(&asked, group, sql);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_msg(asked.status == MEWS_TOO_LARGE, "%s", asked.message);
	ck_assert_str_eq(asked.endpoint, _i == 0 ? "c" : "b");
	CLUSTER_WAIT(cluster_stats("twins").in_flight == 0);
	ck_assert_msg(cluster_logged("to=suspect") == 0, "%s", cluster.log);
}
END_TEST

START_TEST(a_result_too_large_tells_what_is_unknown)
{
	struct mews_lease      *lease;
	struct asked		asked;
	char			sql[200];

	/* The statement calls no user's function: it cannot have written
	 * anything. */
	asked = cluster_run(cluster_group("write"),
	    "select md5(g::text) from generate_series(1, 2000000) g");
	ck_assert_msg(asked.status == MEWS_TOO_LARGE, "%s", asked.message);
	snprintf(sql, sizeof(sql), "insert into truth "
	    "select 2, repeat('x', 1000) from generate_series(1, 100000) "
	    "returning text");
	asked = cluster_run(cluster_group("write"), sql);
	ck_assert_msg(asked.status == MEWS_LOST ||
	    asked.status == MEWS_TOO_LARGE, "%s", asked.message);
	if (asked.status == MEWS_TOO_LARGE)
		ck_assert_int_eq(cluster_ask_int("a",
		    "select count(*) from truth"), 100000);
	lease = cluster_lease(cluster_group("write"));
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	asked = cluster_on_lease(lease, sql);
	ck_assert_msg(asked.status == MEWS_UNDONE ||
	    asked.status == MEWS_TOO_LARGE, "%s", asked.message);
	ck_assert_ptr_nonnull(strstr(asked.message, "max_result_size"));
	mews_lease_end(&lease);
	ck_assert_int_eq(cluster_logged("to=suspect"), 0);
}
END_TEST

static size_t
resident(void)
{
	FILE   *file = fopen("/proc/self/statm", "r");
	size_t	pages, all;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%zu %zu", &all, &pages), 2);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

START_TEST(the_memory_of_a_large_answer_goes_back)
{
	struct mews_group      *group = cluster_group("unbound");
	struct asked		asked;
	size_t			before;

	cluster_value(group, "select 1");
	before = resident();
	cluster_send_sql(&asked, group, large[_i]);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	CLUSTER_WAIT(resident() < before + 40 * MB);
	cluster_run(group, large[_i]);
	CLUSTER_WAIT(resident() < before + 40 * MB);
}
END_TEST

/* Run queries that answer with @bytes in one row, one by one; the number of
 * logins that this took. */
static uint64_t
logins_of(size_t bytes)
{
	struct mews_group      *group = cluster_group("one");
	uint64_t		before;
	struct asked		asked;
	char			sql[80];

	cluster_value(group, "select 1");
	before = cluster_stats("one").opened;
	snprintf(sql, sizeof(sql), "select repeat('x', %zu)", bytes);
	for (int i = 0; i < 5; i++) {
		cluster_send_sql(&asked, group, sql);
		CLUSTER_WAIT(asked.calls == 1);
		ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	}
	cluster_value(group, "select 1");
	return cluster_stats("one").opened - before;
}

START_TEST(a_session_is_worth_more_than_little_memory)
{
	ck_assert_uint_eq(logins_of(2 * MB), 0);
	ck_assert_uint_eq(logins_of(15 * MB), 0);
	ck_assert_uint_eq(logins_of(20 * MB), 5);
}
END_TEST

START_TEST(the_memory_of_middling_answers_stays_within_bounds)
{
	size_t	before;

	cluster_value(cluster_group("one"), "select 1");
	before = resident();
	logins_of(15 * MB);
	/* Memory that libpq keeps for one large row after its answer was
	 * freed. */
	CLUSTER_WAIT(resident() < before + 24 * MB);
}
END_TEST

START_TEST(the_memory_of_a_large_parameter_goes_back)
{
	struct mews_group      *group = cluster_group("write");
	void		       *bytes = nothing(100 * MB);
	const struct mews_param	param = mews_param_bytes(bytes,
	    (int32_t)(100 * MB));
	const struct mews_query_args args = { .params = &param,
		.param_count = 1,
		.sql = "select length($1::bytea) from pg_sleep(0.5)" };
	struct mews_lease      *lease = cluster_lease(group);
	struct asked		asked = { 0 };
	size_t			before = resident();

	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, &asked,
	    NULL), MEWS_OK);
	/* libpq's copy of the parameter, and what was read of @bytes; no copy
	 * of libmews in addition. */
	CLUSTER_WAIT(resident() < before + 250 * MB);
	CLUSTER_WAIT(asked.calls == 1);
	ck_assert_str_eq(asked.value, "104857600");
	mews_lease_end(&lease);
	ck_assert_int_eq(munmap(bytes, 100 * MB), 0);
	CLUSTER_WAIT(resident() < before + 40 * MB);
}
END_TEST

/* Run in a process with little memory. */
static void
ask_with_little(void *arg)
{
	const char	       *sql = arg;
	struct rlimit		limit;

	cluster_join();
	cluster_value(cluster_group("unbound"), "select 1");
	limit.rlim_cur = limit.rlim_max = resident() + 300 * MB;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	ask_among_others("unbound", sql);
	cluster_close();
}

/* Run in a process with memory for libmews' copy of a parameter but not for
 * libpq's. */
static void
send_with_little(void *arg)
{
	void		       *bytes = nothing(200 * MB);
	const struct mews_param	param = mews_param_bytes(bytes,
	    (int32_t)(200 * MB));
	const struct mews_query_args args = { .params = &param,
		.param_count = 1, .sql = "select length($1::bytea)" };
	struct mews_group      *group;
	struct mews_lease      *lease;
	struct asked		asked[3];
	struct rlimit		limit;
	size_t			all;
	FILE		       *file;

	(void)arg;
	cluster_join();
	group = cluster_group("write");
	cluster_value(group, "select 1");
	lease = cluster_lease(group);
	ck_assert_int_eq(mews_lease_transaction(lease, NULL), MEWS_OK);
	cluster_on_lease(lease, "insert into truth values (3)");
	file = fopen("/proc/self/statm", "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%zu", &all), 1);
	fclose(file);
	limit.rlim_cur = limit.rlim_max = all * (size_t)sysconf(
	    _SC_PAGESIZE) + 300 * MB;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	ck_assert_int_eq(mews_lease_query(lease, &args, cluster_note, NULL,
	    NULL), MEWS_NOMEM);
	/* Nothing was sent, so the transaction goes on. */
	ck_assert_str_eq(cluster_on_lease(lease,
	    "select count(*) from truth").value, "1");
	ck_assert_int_eq(cluster_commit(lease).status, MEWS_OK);
	mews_lease_end(&lease);
	cluster_send_sql(&asked[0], group, "select 7");
	cluster_send(&asked[1], group, &args);
	cluster_send_sql(&asked[2], group, "select 7");
	for (int i = 0; i < 3; i++) {
		CLUSTER_WAIT(asked[i].calls == 1);
		ck_assert_msg(asked[i].status == (i == 1 ? MEWS_NOMEM :
		    MEWS_OK), "%d: %s", i, asked[i].message);
	}
	ck_assert_int_eq(cluster_logged("connection_lost"), 0);
	ck_assert_int_eq(cluster_logged("to=suspect"), 0);
	cluster_close();
}

START_TEST(parameters_larger_than_memory_are_not_sent)
{
	cluster_close();
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster_create();
	cluster_ended_well(cluster_fork(send_with_little, NULL));
}
END_TEST

START_TEST(a_result_larger_than_memory_is_told_once)
{
	cluster_close();
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster_create();
	cluster_ended_well(cluster_fork(ask_with_little,
	    (void *)(uintptr_t)large[_i]));
}
END_TEST

static Suite *
bulk_suite(void)
{
	Suite	*suite = suite_create("bulk");
	TCase	*tcase = unit_case(suite, "bulk");
	TCase	*memory = unit_case(suite, "memory");

	tcase_set_timeout(tcase, 100);
	tcase_add_checked_fixture(tcase, begin, cluster_close);
	tcase_add_test(tcase, parameters_too_large_for_a_message_are_invalid);
	tcase_add_loop_test(tcase, a_result_above_the_limit_is_told_once, 0, 2);
	tcase_add_loop_test(tcase, a_large_result_leaves_no_suspicion, 0, 2);
	tcase_add_loop_test(tcase,
	    the_twin_of_a_large_result_leaves_no_suspicion, 0, 2);
	tcase_add_test(tcase, a_result_too_large_tells_what_is_unknown);
	tcase_add_test(tcase, a_session_is_worth_more_than_little_memory);
	tcase_set_timeout(memory, 100);
	tcase_add_checked_fixture(memory, begin, cluster_close);
	if (!SANITIZED) {
		tcase_add_loop_test(memory,
		    the_memory_of_a_large_answer_goes_back, 0, 2);
		tcase_add_test(memory,
		    the_memory_of_middling_answers_stays_within_bounds);
		tcase_add_test(memory,
		    the_memory_of_a_large_parameter_goes_back);
		tcase_add_loop_test(memory,
		    a_result_larger_than_memory_is_told_once, 0, 2);
		tcase_add_test(memory,
		    parameters_larger_than_memory_are_not_sent);
	}
	return suite;
}

UNIT_MAIN(bulk_suite)
