/*
 * test_assertions.c - misuse that ends the process does so with a sentence.
 * Each misuse runs in a process of its own. Misuse that gets a status:
 * test_misuse.c.
 */
#include "misuse.h"

#include "host.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct mews_result *kept;

static void
keep(void *arg, const struct mews_result *result)
{
	*(bool *)arg = true;
	kept = result;
}

static void
use_result_late(void)
{
	bool	called = false;

	mews_query_send(group, &one, keep, &called, NULL);
	while (!called)
		mews_pool_turn(pool, 10);
	mews_result_status(kept);
}

static void
free_result(void *arg, const struct mews_result *result)
{
	struct mews_result *own = (struct mews_result *)(uintptr_t)result;

	(void)arg;
	mews_result_free(&own);
}

static void
close_pool(void *arg, const struct mews_result *result)
{
	struct mews_pool *same = arg;

	(void)result;
	mews_pool_close(&same);
}

static void
tick_pool(void *arg, const struct mews_result *result)
{
	(void)arg;
	(void)result;
	mews_pool_tick(pool);
}

static void
run_callback(mews_query_fn *fn)
{
	bool	called = false;

	mews_query_send(group, &one, fn, pool, NULL);
	mews_query_send(group, &one, keep, &called, NULL);
	while (!called)
		mews_pool_turn(pool, 10);
}

static void
free_result_in_callback(void)
{
	run_callback(free_result);
}

static void
close_pool_in_callback(void)
{
	run_callback(close_pool);
}

static void
tick_in_callback(void)
{
	run_callback(tick_pool);
}

static void
close_pool_while_it_closes(void)
{
	mews_query_send(group, &one, close_pool, pool, NULL);
	mews_pool_close(&pool);
}

static void
destroy_fleet_before_pool(void)
{
	mews_fleet_destroy(&fleet);
}

static void
leave_fleet_before_pool(void)
{
	mews_fleet_leave(fleet);
}

static void
use_null_group(void)
{
	struct mews_result	*result;

	mews_query_run(mews_pool_group(pool, "typo"), &one, &result);
}

static void
use_closed_pool(void)
{
	mews_pool_close(&pool);
	mews_pool_tick(pool);
}

static void
use_null_result(void)
{
	mews_result_status(NULL);
}

static void
use_null_lease(void)
{
	mews_lease_query(NULL, &one, keep, NULL, NULL);
}

static void
run_on_null_lease(void)
{
	struct mews_result	*result;

	mews_lease_commit_run(NULL, &result);
}

static void
copy_on_null_lease(void)
{
	mews_copy_out(NULL, "COPY t TO STDOUT", NULL, keep, NULL, NULL);
}

static void
ask_null_lease(void)
{
	mews_lease_endpoint(NULL);
}

static void
use_null_pool(void)
{
	mews_pool_group(NULL, "any");
}

static void
join_null_fleet(void)
{
	mews_fleet_join(NULL, NULL);
}

static void
open_on_null_fleet(void)
{
	struct mews_pool	*other;

	mews_pool_open(&other, NULL, NULL, NULL, NULL);
}

static void
create_without_config(void)
{
	struct mews_fleet	*other;

	mews_fleet_create(&other, NULL, NULL);
}

static void
run_without_out(void)
{
	mews_query_run(group, &one, NULL);
}

static void
register_without_out(void)
{
	mews_statement_register(NULL, pool, NULL, "SELECT 1", 0, NULL);
}

static void
end_without_pointer(void)
{
	mews_lease_end(NULL);
}

static void
close_without_pointer(void)
{
	mews_pool_close(NULL);
}

static void
free_without_pointer(void)
{
	mews_result_free(NULL);
}

static void
unlisten_without_pointer(void)
{
	mews_unlisten(NULL);
}

static void
destroy_without_pointer(void)
{
	mews_fleet_destroy(NULL);
}

static void
free_config_without_pointer(void)
{
	mews_config_free(NULL);
}

static void
close_view_without_pointer(void)
{
	mews_view_close(NULL);
}

static void
look_through_null_view(void)
{
	struct mews_view_fleet	seen;

	mews_view_fleet(NULL, &seen, sizeof(seen));
}

static void
interrupt_null_pool(void)
{
	mews_pool_interrupt(NULL);
}

static void
drain_null_fleet(void)
{
	mews_fleet_drain(NULL, "a", true, NULL);
}

static void
leave_null_fleet(void)
{
	mews_fleet_leave(NULL);
}

static void
reap_null_fleet(void)
{
	mews_fleet_reap(NULL, 1);
}

static void
ask_for_no_name(void)
{
	mews_pool_group(pool, NULL);
}

static void
fill_without_size(void)
{
	struct mews_group_stats	stats;

	mews_group_stats(group, &stats, 0);
}

static void *
look_there(void *arg)
{
	struct mews_group_stats	stats;

	(void)arg;
	mews_group_stats(group, &stats, sizeof(stats));
	return NULL;
}

static void
look_from_second_thread(void)
{
	pthread_t	thread;

	pthread_create(&thread, NULL, look_there, NULL);
	pthread_join(thread, NULL);
}

static void *
tick_there(void *arg)
{
	(void)arg;
	mews_pool_tick(pool);
	return NULL;
}

static void
use_from_second_thread(void)
{
	pthread_t	thread;

	pthread_create(&thread, NULL, tick_there, NULL);
	pthread_join(thread, NULL);
}

static const struct {
	void (*misuse)(void);
	const char *sentence;
} deaths[] = {
	{ use_result_late, "a result is good until its callback returns" },
	{ use_null_result, "a result is good until its callback returns" },
	{ free_result_in_callback, "a callback does not free its result" },
	{ close_pool_in_callback, "cannot be closed from inside its own" },
	{ close_pool_while_it_closes, "cannot be closed from inside its own" },
	{ tick_in_callback, "a callback of the pool cannot turn its loop" },
	{ destroy_fleet_before_pool, "close the pool before the fleet" },
	{ leave_fleet_before_pool, "close the pool before the fleet" },
	{ use_null_group, "mews_pool_group() knows no group of that name" },
	{ use_closed_pool, "a pool is there after mews_pool_open()" },
	{ use_null_lease, "a lease is good once granted" },
	{ run_on_null_lease, "a lease is good once granted" },
	{ copy_on_null_lease, "a lease is good once granted" },
	{ ask_null_lease, "a lease is good once granted" },
	{ use_null_pool, "a pool is there after mews_pool_open()" },
	{ join_null_fleet, "a fleet is there after mews_fleet_create()" },
	{ open_on_null_fleet, "a fleet is there after mews_fleet_create()" },
	{ create_without_config,
	  "a configuration is there after mews_config_new()" },
	{ run_without_out, "the pointer that this call sets is NULL" },
	{ register_without_out, "the pointer that this call sets is NULL" },
	{ end_without_pointer,
	  "the pointer that this call sets is NULL" },
	{ close_without_pointer,
	  "the pointer that this call sets is NULL" },
	{ free_without_pointer,
	  "the pointer that this call sets is NULL" },
	{ unlisten_without_pointer,
	  "the pointer that this call sets is NULL" },
	{ destroy_without_pointer,
	  "the pointer that this call sets is NULL" },
	{ free_config_without_pointer,
	  "the pointer that this call sets is NULL" },
	{ close_view_without_pointer,
	  "the pointer that this call sets is NULL" },
	{ look_through_null_view, "a view is there after mews_view_open()" },
	{ interrupt_null_pool, "a pool is there after mews_pool_open()" },
	{ drain_null_fleet, "a fleet is there after mews_fleet_create()" },
	{ leave_null_fleet, "a fleet is there after mews_fleet_create()" },
	{ reap_null_fleet, "a fleet is there after mews_fleet_create()" },
	{ ask_for_no_name, "a group has a name" },
	{ fill_without_size, "comes with its sizeof" },
	{ look_from_second_thread, "by the thread that opened it only" },
	{ use_from_second_thread, "by the thread that opened it only" },
};

#define DEATHS ((int)(sizeof(deaths) / sizeof(deaths[0])))

START_TEST(misuse_dies_with_a_sentence)
{
	char	text[4096];
	size_t	length = 0;
	ssize_t	got;
	int	tube[2], status;
	pid_t	child;

	ck_assert_int_eq(pipe(tube), 0);
	if ((child = fork()) == 0) {
		dup2(tube[1], STDERR_FILENO);
		close(tube[0]);
		close(tube[1]);
		setup();
		deaths[_i].misuse();
		_exit(0);
	}
	close(tube[1]);
	while ((got = read(tube[0], text + length,
	    sizeof(text) - 1 - length)) > 0)
		length += (size_t)got;
	text[length] = '\0';
	close(tube[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
	    "status %#x: %s", (unsigned)status, text);
	ck_assert_msg(strstr(text, deaths[_i].sentence) != NULL, "%s", text);
}
END_TEST

START_TEST(a_pool_needs_a_slot)
{
	struct mews_pool	*other = pool;
	struct mews_error	 error;

	create_fleet();
	ck_assert_int_eq(mews_pool_open(&other, fleet, NULL, NULL, &error),
	    MEWS_INVALID);
	ck_assert_ptr_null(other);
	ck_assert_ptr_nonnull(strstr(error.message, "mews_fleet_join()"));
	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_OK);
	ck_assert_int_eq(mews_fleet_join(fleet, &error), MEWS_INVALID);
	ck_assert_ptr_nonnull(strstr(error.message, "already"));
	mews_fleet_destroy(&fleet);
	mews_fleet_destroy(&fleet);
}
END_TEST

static Suite *
assertions_suite(void)
{
	Suite  *suite = suite_create("assertions");
	TCase  *assertions = unit_case(suite, "assertions");

	tcase_add_test(assertions, a_pool_needs_a_slot);
	tcase_add_loop_test(assertions, misuse_dies_with_a_sentence, 0,
	    DEATHS);
	return suite;
}

UNIT_MAIN(assertions_suite)
