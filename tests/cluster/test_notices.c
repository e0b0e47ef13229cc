/*
 * test_notices.c - notices of servers, and which handler hears them; what a
 * session knows: types of statements, and how to quote.
 */
#include "cluster.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define TEXT_OID 25
#define INT4_OID 23

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .acquire_timeout = 45000 },
	{ .name = "read", .connection_count = 1, .acquire_timeout = 45000 },
};

struct heard {
	int calls;
	bool leased; /* did the last notice come on a lease? */
	char endpoint[MEWS_NAME_MAX + 1];
	char text[80];
};

static void
begin(void)
{
	cluster_repair();
	cluster_open(groups, CLUSTER_COUNT(groups));
}

static void
hear(void *arg, struct mews_lease *lease, const char *endpoint,
    const PGresult *notice)
{
	struct heard	*heard = arg;

	heard->calls++;
	heard->leased = lease != NULL;
	snprintf(heard->endpoint, sizeof(heard->endpoint), "%s", endpoint);
	snprintf(heard->text, sizeof(heard->text), "%s",
	    PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY));
}

#define RAISE(text) "do $$ begin raise notice '" text "'; end $$"

START_TEST(notices_are_heard)
{
	struct heard	   all = { 0 }, mine = { 0 };
	struct mews_lease *lease;

	cluster_run(cluster_group("write"), RAISE("to nobody"));
	ck_assert_int_eq(mews_pool_set_notice(cluster.pool, hear, &all),
	    MEWS_OK);
	cluster_run(cluster_group("write"), RAISE("shared"));
	ck_assert_int_eq(all.calls, 1);
	ck_assert(!all.leased);
	ck_assert_str_eq(all.endpoint, "a");
	ck_assert_str_eq(all.text, "shared");

	lease = cluster_lease(cluster_group("write"));
	cluster_on_lease(lease, RAISE("of a lease"));
	ck_assert_int_eq(all.calls, 2);
	ck_assert(all.leased);
	mews_lease_set_notice(lease, hear, &mine);
	cluster_on_lease(lease, RAISE("for its own"));
	ck_assert_int_eq(mine.calls, 1);
	ck_assert_str_eq(mine.text, "for its own");
	mews_lease_end(&lease);

	lease = cluster_lease(cluster_group("write"));
	cluster_on_lease(lease, RAISE("of the next"));
	ck_assert_int_eq(mine.calls, 1);
	ck_assert_int_eq(all.calls, 3);
	mews_lease_end(&lease);
	mews_pool_set_notice(cluster.pool, NULL, NULL);
	cluster_run(cluster_group("write"), RAISE("to nobody again"));
	ck_assert_int_eq(all.calls, 3);
}
END_TEST

/* Check a description of "select relname .. where oid > $1 and relname =
 * $2". */
static void
check_description(enum mews_status status, struct mews_result **of)
{
	PGresult       *pg;

	ck_assert_int_eq(status, MEWS_OK);
	pg = mews_result_pg(*of);
	ck_assert_int_eq(PQnparams(pg), 2);
	ck_assert_uint_eq(PQparamtype(pg, 0), INT4_OID);
	ck_assert_uint_eq(PQparamtype(pg, 1), TEXT_OID);
	ck_assert_int_eq(PQnfields(pg), 2);
	ck_assert_str_eq(PQfname(pg, 0), "number");
	ck_assert_uint_eq(PQftype(pg, 0), INT4_OID);
	ck_assert_uint_eq(PQftype(pg, 1), TEXT_OID);
	ck_assert_int_eq(PQntuples(pg), 0);
	mews_result_free(of);
}

START_TEST(a_statement_is_described)
{
	struct mews_query_args args = {
		.sql = "select $1::int as number, $2::text",
		.flags = MEWS_QUERY_DESCRIBE
	};
	const struct mews_param param = mews_param_null();
	struct mews_group  *group = cluster_group("read");
	struct mews_statement *statement;
	struct mews_lease  *lease = cluster_lease(cluster_group("write"));
	struct mews_result *result;

	check_description(mews_query_run(group, &args, &result), &result);
	check_description(mews_lease_query_run(lease, &args, &result),
	    &result);
	ck_assert_int_eq(mews_statement_register(&statement, cluster.pool,
	    "two", args.sql, 0, NULL), MEWS_OK);
	args.statement = statement;
	args.sql = NULL;
	check_description(mews_query_run(group, &args, &result), &result);

	args.params = &param;
	args.param_count = 1;
	ck_assert_int_eq(mews_query_run(group, &args, &result),
	    MEWS_INVALID);
	mews_lease_end(&lease);
}
END_TEST

START_TEST(a_described_statement_does_not_run)
{
	struct mews_query_args args = {
		.sql = "insert into t values (1)",
		.flags = MEWS_QUERY_DESCRIBE
	};
	struct mews_lease  *lease = cluster_lease(cluster_group("write"));
	struct mews_result *result;

	cluster_on_lease(lease, "create temp table t (id int)");
	ck_assert_int_eq(mews_lease_query_run(lease, &args, &result),
	    MEWS_OK);
	ck_assert_int_eq(PQnfields(mews_result_pg(result)), 0);
	mews_result_free(&result);
	args.sql = "commit";
	ck_assert_int_eq(mews_lease_query_run(lease, &args, &result),
	    MEWS_OK);
	mews_result_free(&result);
	args.sql = "select nonsense";
	ck_assert_int_eq(mews_lease_query_run(lease, &args, &result),
	    MEWS_SQL);
	ck_assert_str_eq(mews_result_sqlstate(result), "42703");
	mews_result_free(&result);
	ck_assert_str_eq(cluster_on_lease(lease,
	    "select count(*) from t").value, "0");
	mews_lease_end(&lease);
}
END_TEST

/* The text as the server reads what was quoted; NULL: quoting was refused. */
static const char *
back(struct mews_lease *lease, const char *text, size_t length)
{
	static struct asked	asked;
	char		       *quoted, sql[200];

	if (mews_quote_literal(lease, text, length, &quoted) != MEWS_OK)
		return NULL;
	snprintf(sql, sizeof(sql), "select %s::text", quoted);
	mews_quote_free(&quoted);
	ck_assert_ptr_null(quoted);
	asked = cluster_on_lease(lease, sql);
	return asked.value;
}

START_TEST(texts_are_quoted)
{
	static const char *const texts[] = { "", "it's", "\\", "a\\'b",
		"\"", "$1", "\xc3\xa9", "--", "'; drop table x; --" };
	struct mews_lease *lease = cluster_lease(cluster_group("write"));

	for (int standard = 0; standard < 2; standard++) {
		cluster_on_lease(lease, standard != 0 ?
		    "set standard_conforming_strings = on" :
		    "set standard_conforming_strings = off");
		for (size_t i = 0; i < CLUSTER_COUNT(texts); i++)
			ck_assert_str_eq(back(lease, texts[i],
			    strlen(texts[i])), texts[i]);
	}
	ck_assert_str_eq(back(lease, "half", 2), "ha");
	ck_assert_ptr_null(back(lease, "a\0b", 3));
	ck_assert_ptr_null(back(lease, NULL, 0));
	/* An incomplete character of UTF-8 is refused. */
	cluster_on_lease(lease, "set client_encoding = 'UTF8'");
	ck_assert_ptr_null(back(lease, "\xc3", 1));
	mews_lease_end(&lease);
}
END_TEST

START_TEST(names_are_quoted)
{
	struct mews_lease *lease = cluster_lease(cluster_group("write"));
	char		  *quoted, sql[200];

	ck_assert_int_eq(mews_quote_identifier(lease, "My \"x\"", 6, &quoted),
	    MEWS_OK);
	ck_assert_str_eq(quoted, "\"My \"\"x\"\"\"");
	snprintf(sql, sizeof(sql), "create temp table %s (id int)", quoted);
	mews_quote_free(&quoted);
	ck_assert_int_eq(cluster_on_lease(lease, sql).status, MEWS_OK);
	ck_assert_int_eq(mews_quote_identifier(lease, "", 0, &quoted),
	    MEWS_INVALID);
	ck_assert_ptr_null(quoted);
	mews_pool_close(&cluster.pool);
	ck_assert_int_eq(mews_quote_identifier(lease, "x", 1, &quoted),
	    MEWS_INVALID);
	ck_assert_int_eq(mews_lease_set_notice(lease, hear, NULL),
	    MEWS_INVALID);
	mews_lease_end(&lease);
}
END_TEST

static Suite *
notices_suite(void)
{
	Suite	*suite = suite_create("notices");
	TCase	*tcase = unit_case(suite, "notices");

	tcase_set_timeout(tcase, 180);
	tcase_add_checked_fixture(tcase, begin, cluster_close);
	tcase_add_test(tcase, notices_are_heard);
	tcase_add_test(tcase, a_statement_is_described);
	tcase_add_test(tcase, a_described_statement_does_not_run);
	tcase_add_test(tcase, texts_are_quoted);
	tcase_add_test(tcase, names_are_quoted);
	return suite;
}

UNIT_MAIN(notices_suite)
