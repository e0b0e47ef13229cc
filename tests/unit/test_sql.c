/*
 * test_sql.c - what a statement may leave behind in its session.
 *
 * A text that could leave a trace is never HARMLESS; it is SESSION exactly if a
 * shared connection must refuse it. DIRTY costs a reset, so common texts that
 * leave nothing must be HARMLESS.
 */
#include "inside.h"

#include "base/sql.h"

#include <ctype.h>

static const char *const effect_names[] = {
	[SQL_HARMLESS] = "HARMLESS",
	[SQL_DIRTY] = "DIRTY",
	[SQL_SESSION] = "SESSION",
};

static const struct {
	enum sql_effect effect;
	const char *sql;
} texts[] = {
	/* Texts without any statement. */
	{ SQL_HARMLESS, "" },
	{ SQL_HARMLESS, " \t\r\n\f\v" },
	{ SQL_HARMLESS, ";" },
	{ SQL_HARMLESS, " ; ; " },
	{ SQL_HARMLESS, "-- BEGIN" },
	{ SQL_HARMLESS, "/* SET a = 1 */" },
	{ SQL_HARMLESS, "/* open" },

	/* Statements that return or change rows. */
	{ SQL_HARMLESS, "SELECT 1" },
	{ SQL_HARMLESS, "select\n*\tfrom t where id=$1" },
	{ SQL_HARMLESS, "SELECT a, (b + 1) * (c) FROM s.t AS x" },
	{ SQL_HARMLESS, "SELECT * FROM t WHERE a = (SELECT 1)" },
	{ SQL_HARMLESS, "(SELECT 1) UNION ALL (SELECT 2)" },
	{ SQL_HARMLESS, "((select 1))" },
	{ SQL_HARMLESS, "SELECT a FROM t WHERE id = ANY($1) FOR UPDATE" },
	{ SQL_HARMLESS, "SELECT 1 FROM t FOR NO KEY UPDATE OF t SKIP LOCKED" },
	{ SQL_HARMLESS, "SELECT count(*), max (a), MIN\n(b) FROM t" },
	{ SQL_HARMLESS, "SELECT count(*) FILTER (WHERE a IN (1,2)) OVER "
	  "(PARTITION BY (b) ORDER BY (c)) FROM t GROUP BY (a)" },
	{ SQL_HARMLESS, "SELECT coalesce(lower(trim(a)), '') FROM t" },
	{ SQL_HARMLESS, "SELECT a::numeric(10,2), 1.5, .5, 1e10 FROM t" },
	{ SQL_HARMLESS, "SELECT 1;" },
	{ SQL_HARMLESS, "SELECT 1 ; -- the end" },
	{ SQL_HARMLESS, "SELECT 1 ; /* the end */ " },
	{ SQL_HARMLESS, "VALUES (1), (2)" },
	{ SQL_HARMLESS, "TABLE t" },
	{ SQL_HARMLESS, "SHOW work_mem" },
	{ SQL_HARMLESS, "INSERT INTO t VALUES (1)" },
	{ SQL_HARMLESS, "INSERT INTO t (a,b) VALUES ($1, now())" },
	{ SQL_HARMLESS, "INSERT INTO s.t(a, b) VALUES (1, 2) RETURNING id" },
	{ SQL_HARMLESS, "INSERT INTO \"T\" (a) SELECT 1" },
	{ SQL_HARMLESS, "insert into d . s . t (a) values (1)" },
	{ SQL_HARMLESS, "UPDATE t SET a = a + 1 WHERE b IN ($1, $2)" },
	{ SQL_HARMLESS, "DELETE FROM t WHERE a < now()" },
	{ SQL_HARMLESS, "MERGE INTO t USING s ON (t.a = s.a) "
	  "WHEN MATCHED THEN UPDATE SET b = 1" },
	{ SQL_HARMLESS, "WITH x AS (SELECT 1) SELECT * FROM x" },
	{ SQL_HARMLESS, "WITH x AS MATERIALIZED (SELECT 1) TABLE x" },
	{ SQL_HARMLESS, "WITH x AS (SELECT 1) INSERT INTO t SELECT 2" },
	{ SQL_HARMLESS, "WITH x AS (INSERT INTO t VALUES (1) RETURNING a) "
	  "SELECT a FROM x" },

	/* Words that mean nothing where they stand. */
	{ SQL_HARMLESS, "SELECT 'set_config(1); BEGIN'" },
	{ SQL_HARMLESS, "SELECT 'it''s; INTO x' , \"a;\"\"b into\" FROM t" },
	{ SQL_HARMLESS, "SELECT $$; SET a = 1; f(x) ' \" $$" },
	{ SQL_HARMLESS, "SELECT $a$ $b$ f(1); $$ INTO $a$" },
	{ SQL_HARMLESS, "SELECT $\xc3\xa9$ ; f(1) ' $\xc3\xa9$" },
	{ SQL_HARMLESS, "SELECT $a1$ ; f(1) ' $a1$" },
	{ SQL_HARMLESS, "SELECT $1, $2 FROM t" },
	{ SQL_HARMLESS, "SELECT a$1, a$$b FROM t" },
	{ SQL_HARMLESS, "SELECT 1 -- ; SET a = 1" },
	{ SQL_HARMLESS, "SELECT 1 -- ' \n + 1" },
	{ SQL_HARMLESS, "SELECT /* ; /* f(1) */ ' INTO */ 1" },
	{ SQL_HARMLESS, "SELECT/**/1/***/+/* **/2" },
	{ SQL_HARMLESS, "SELECT \"into\", \"Begin\" FROM t" },
	{ SQL_HARMLESS, "SELECT pinto, intox, into_ FROM t" },
	{ SQL_HARMLESS, "SELECT x'ff', b'01', n'a', U&'d' FROM t" },
	{ SQL_HARMLESS, "SELECT E'a' 'b' FROM t" },
	{ SQL_HARMLESS, "SELECT \xc3\xbc\x62\x65r, stra\xc3\x9f\x65 FROM t" },

	/* Calls of functions that are not known to be harmless. */
	{ SQL_DIRTY, "SELECT set_config('a', 'b', false)" },
	{ SQL_DIRTY, "SELECT SET_CONFIG ('a', 'b', false)" },
	{ SQL_DIRTY, "SELECT set_config/* */\n-- (\n('a', 'b', false)" },
	{ SQL_DIRTY, "SELECT pg_catalog.set_config('a', 'b', false)" },
	{ SQL_DIRTY, "SELECT \"set_config\"('a', 'b', false)" },
	{ SQL_DIRTY, "SELECT pg_catalog . \"set_config\" ('a', 'b', false)" },
	{ SQL_DIRTY, "SELECT U&\"s\\0065t_config\"('a', 'b', false)" },
	{ SQL_DIRTY, "SELECT U&\"s!0065t_config\" UESCAPE '!' ('a', 'b')" },
	{ SQL_DIRTY, "SELECT U&\"s!0065t_config\" UESCAPE $$!$$ (1)" },
	{ SQL_DIRTY, "SELECT pg_advisory_lock(1)" },
	{ SQL_DIRTY, "SELECT pg_try_advisory_lock($1, $2)" },
	{ SQL_DIRTY, "SELECT nextval('s')" },	/* later currval() and lastval()
						   differ */
	{ SQL_DIRTY, "SELECT setseed(0.5)" },
	{ SQL_DIRTY, "SELECT dblink_connect('x')" },
	{ SQL_DIRTY, "SELECT lo_open($1, 1)" },
	{ SQL_DIRTY, "SELECT f(1)" },
	{ SQL_DIRTY, "SELECT \xc3\xbc(1)" },
	{ SQL_DIRTY, "SELECT co\xc3\xbcnt(1)" },
	{ SQL_DIRTY, "SELECT count1(1), count$(1)" },
	{ SQL_DIRTY, "SELECT app.count(1)" },	/* a function of the user's
						   own */
	{ SQL_DIRTY, "SELECT app . /* */ now ()" },
	{ SQL_DIRTY, "SELECT \"count\"(1)" },
	{ SQL_DIRTY, "SELECT set('a', 'b')" },	/* not a reserved word */
	{ SQL_DIRTY, "SELECT filter(1)" },
	{ SQL_DIRTY, "SELECT over(1)" },
	{ SQL_DIRTY, "SELECT by(1)" },
	{ SQL_DIRTY, "SELECT materialized(1)" },
	{ SQL_DIRTY, "SELECT conflict(1)" },
	{ SQL_DIRTY, "VALUES (f(1))" },
	{ SQL_DIRTY, "TABLE t LIMIT f(1)" },
	{ SQL_DIRTY, "UPDATE t SET a = f(1)" },
	{ SQL_DIRTY, "DELETE FROM t WHERE f(a)" },
	{ SQL_DIRTY, "INSERT INTO t VALUES (f(1))" },
	{ SQL_DIRTY, "INSERT INTO t (a) SELECT f(1)" },
	{ SQL_DIRTY, "INSERT INTO t SELECT f(1)" },
	{ SQL_DIRTY, "INSERT INTO t(a) VALUES (1) RETURNING f(a)" },
	{ SQL_DIRTY, "WITH x AS (SELECT f(1)) SELECT 1" },
	{ SQL_DIRTY, "(SELECT f(1))" },
	{ SQL_DIRTY, "SELECT 1 + f\n(1)" },
	{ SQL_DIRTY, "SELECT * FROM f(1)" },
	{ SQL_DIRTY, "SELECT 1 WHERE EXISTS (SELECT f(1))" },

	/* Strings and comments that only seem to go on. */
	{ SQL_DIRTY, "SELECT 'a', f('b')" },
	{ SQL_DIRTY, "SELECT '\\', f('b')" },
	{ SQL_DIRTY, "SELECT E'\\'', f('b')" },
	{ SQL_DIRTY, "SELECT e'\\\\', f('b')" },
	{ SQL_DIRTY, "SELECT E'a'\n'\\'', f('b')" },
	{ SQL_DIRTY, "SELECT '\\'', f('b')" },
	{ SQL_DIRTY, "SELECT $a$ $A$, f('b'), $a$, f(1)" },
	{ SQL_DIRTY, "SELECT $\xc3\xa9$ ' $\xc3\xa9$, f('b')" },
	{ SQL_DIRTY, "SELECT $1$, f(1), $1$" },
	{ SQL_DIRTY, "SELECT a$b$, f(1), a$b$" },
	{ SQL_DIRTY, "SELECT 1 -- \n, f(1)" },
	{ SQL_DIRTY, "SELECT 1 -- \r, f(1)" },
	{ SQL_DIRTY, "SELECT 1 /* /* */ */, f(1)" },
	{ SQL_DIRTY, "SELECT 1 /*/ */, f(1)" },
	{ SQL_DIRTY, "SELECT 1 /* -- */, f(1)" },
	{ SQL_DIRTY, "SELECT \"--\", f(1)" },
	{ SQL_DIRTY, "SELECT \"a\"\"/*\", f(1)" },

	/* SELECT INTO, in its disguises. */
	{ SQL_DIRTY, "SELECT 1 INTO x" },
	{ SQL_DIRTY, "SELECT INTO x" },
	{ SQL_SESSION, "SELECT * INTO TEMP x FROM t" },
	{ SQL_SESSION, "SELECT 1 AS insert INTO TEMP x" },
	{ SQL_SESSION, "SELECT insert INTO TEMP x FROM t" },
	{ SQL_SESSION, "SELECT (1) insert INTO TEMP x" },
	{ SQL_SESSION, "(SELECT (1) merge INTO TEMP x)" },
	{ SQL_SESSION, "WITH a AS (SELECT 1) SELECT 2 INTO TEMP x" },
	{ SQL_SESSION, "WITH a AS (SELECT 1) SELECT (2) insert INTO TEMP x" },
	{ SQL_SESSION, "WITH a AS (SELECT 1) (SELECT (2) insert INTO TEMP x)" },
	{ SQL_SESSION, "WITH a AS (INSERT INTO t VALUES (1) RETURNING b) "
	  "SELECT b INTO TEMP x FROM a" },
	{ SQL_SESSION, "select 0 as a into pg_temp.acct" },
	{ SQL_SESSION, "SELECT 1 INTO TABLE pg_temp.x" },
	{ SQL_SESSION, "SELECT 1 INTO UNLOGGED TABLE pg_temp.x" },
	{ SQL_SESSION, "SELECT 1 INTO \"pg_temp\".x" },
	{ SQL_SESSION, "SELECT 1 INTO pg_temp . x" },
	{ SQL_SESSION, "SELECT 1 INTO /* c */ PG_TEMP.x" },
	{ SQL_SESSION, "SELECT 1 INTO mews.pg_temp.x" },
	{ SQL_SESSION, "SELECT 1 INTO pg_temp_3.x" },
	{ SQL_SESSION, "SELECT 1 INTO \"pg_temp_31\".x" },
	{ SQL_SESSION, "(SELECT 1 INTO pg_temp.x)" },
	{ SQL_SESSION, "WITH a AS (SELECT 1) SELECT 2 INTO pg_temp.x" },
	{ SQL_SESSION, "EXPLAIN ANALYZE SELECT 1 INTO pg_temp.x" },
	{ SQL_SESSION, "EXPLAIN (ANALYZE) SELECT 1 INTO pg_temp.x" },
	{ SQL_SESSION, "SELECT 1 AS insert INTO pg_temp.x" },
	{ SQL_SESSION, "SELECT (1) insert INTO pg_temp.x" },
	{ SQL_SESSION, "WITH a AS (SELECT 1) (SELECT (2) merge "
	  "INTO pg_temp.x)" },
	{ SQL_SESSION, "SELECT 1 INTO U&\"pg\\005ftemp\".x" },
	{ SQL_SESSION, "SELECT 1 INTO u&\"pg_temp\".x" },
	{ SQL_SESSION, "SELECT 1 INTO U&\"pg!005ftemp\" UESCAPE '!' . x" },
	{ SQL_SESSION, "SELECT 1 INTO mews.U&\"pg\\005ftemp\".x" },
	{ SQL_DIRTY, "SELECT 1 INTO U&\"d\\0061ta\"" },
	{ SQL_DIRTY, "SELECT 1 INTO pg_temporal.x" },
	{ SQL_DIRTY, "SELECT 1 INTO public.pg_temp" },
	{ SQL_DIRTY, "SELECT a INTO x FROM pg_temp.y" },
	{ SQL_DIRTY, "SELECT a INTO x FROM y WHERE pg_temp.f(a)" },
	{ SQL_HARMLESS, "INSERT INTO pg_temp.x VALUES (1)" },
	{ SQL_DIRTY, "INSERT INTO pg_temp.x VALUES (f(1))" },
	{ SQL_DIRTY, "INSERT INTO t SELECT f(a) FROM pg_temp.x" },
	{ SQL_DIRTY, "WITH a AS (SELECT f(1)) INSERT INTO pg_temp.x TABLE a" },
	{ SQL_DIRTY, "WITH a AS (INSERT INTO pg_temp.x VALUES (f(1)) "
	  "RETURNING b) SELECT b FROM a" },
	{ SQL_DIRTY, "EXPLAIN ANALYZE INSERT INTO pg_temp.x VALUES (1)" },
	{ SQL_DIRTY, "MERGE INTO pg_temp.x USING f(1) ON true "
	  "WHEN MATCHED THEN DELETE" },

	/* Several statements in one text. */
	{ SQL_DIRTY, "SELECT 1; SET a = 1" },
	{ SQL_DIRTY, "SELECT 1;SELECT 2" },
	{ SQL_DIRTY, "SELECT 1; /* x */ SELECT 2" },
	{ SQL_DIRTY, "SELECT 1 -- x\n; -- y\n LISTEN a" },

	/* All other statements. */
	{ SQL_DIRTY, "DO $$ BEGIN END $$" },
	{ SQL_DIRTY, "CALL p()" },
	{ SQL_DIRTY, "EXPLAIN ANALYZE SELECT f(1)" },
	{ SQL_DIRTY, "NOTIFY a" },
	{ SQL_DIRTY, "TRUNCATE t" },
	{ SQL_DIRTY, "CREATE" },
	{ SQL_DIRTY, "CREATE TABLE t (a int)" },
	{ SQL_DIRTY, "CREATE OR REPLACE VIEW v AS SELECT 1" },
	{ SQL_SESSION, "CREATE TABLE pg_temp.t (a int)" },
	{ SQL_SESSION, "CREATE VIEW \"pg_temp\" . v AS SELECT 1" },
	{ SQL_SESSION, "EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1" },
	{ SQL_SESSION, "EXPLAIN ANALYZE CREATE TABLE pg_temp.t AS SELECT 1" },
	{ SQL_SESSION, "CREATE TABLE pg_temp_3.t (a int)" },
	{ SQL_SESSION, "CREATE TABLE U&\"pg\\005ftemp\".t (a int)" },
	{ SQL_SESSION, "CREATE TABLE U&\"pg!005ftemp\" UESCAPE '!'.t "
	  "(a int)" },
	{ SQL_SESSION, "CREATE EXTENSION hstore SCHEMA pg_temp_3" },
	{ SQL_SESSION, "create extension if not exists hstore with schema "
	  "\"pg_temp_3\" cascade" },
	{ SQL_SESSION, "CREATE EXTENSION e SCHEMA U&\"pg\\005ftemp\"" },
	{ SQL_SESSION, "ALTER EXTENSION hstore SET SCHEMA pg_temp_3" },
	{ SQL_SESSION, "ALTER TABLE t SET SCHEMA pg_temp" },
	{ SQL_SESSION, "alter function f(int) set schema /**/ \"pg_temp\"" },
	{ SQL_SESSION, "IMPORT FOREIGN SCHEMA s FROM SERVER r INTO pg_temp" },
	{ SQL_SESSION, "import foreign schema s limit to (t) from server r "
	  "into \"pg_temp\" options (a 'b')" },
	{ SQL_SESSION, "IMPORT FOREIGN SCHEMA s FROM SERVER r "
	  "INTO U&\"pg\\005ftemp\"" },
	{ SQL_DIRTY, "IMPORT FOREIGN SCHEMA pg_temp FROM SERVER r INTO s" },
	{ SQL_DIRTY, "CREATE EXTENSION pg_temp SCHEMA s" },
	{ SQL_DIRTY, "ALTER TABLE pg_temp SET SCHEMA s" },
	{ SQL_DIRTY, "ALTER SCHEMA pg_temp_3 OWNER TO u" },
	{ SQL_DIRTY, "DROP SCHEMA pg_temp_3 CASCADE" },
	{ SQL_DIRTY, "GRANT USAGE ON SCHEMA pg_temp_3 TO u" },
	{ SQL_DIRTY, "CREATE TABLE t AS SELECT * FROM pg_temp.u" },
	{ SQL_DIRTY, "EXPLAIN SELECT 1" },
	{ SQL_DIRTY, "INSERT INTO temp SELECT f(1)" },
	{ SQL_DIRTY, "INSERT INTO temp (a) VALUES (f(1))" },
	{ SQL_DIRTY, "ALTER ROLE r SET a = 1" },
	{ SQL_DIRTY, "VACUUM" },
	{ SQL_DIRTY, "selectx 1" },
	{ SQL_DIRTY, "\"select\" 1" },
	{ SQL_DIRTY, "'begin'" },
	{ SQL_DIRTY, "$$select$$" },
	{ SQL_DIRTY, "1" },
	{ SQL_DIRTY, "," },
	{ SQL_DIRTY, "\xff\xfe\x01\x7f" },
	{ SQL_DIRTY, "\xef\xbb\xbfSELECT 1" },

	/* Statements about the session or its transaction. */
	{ SQL_SESSION, "BEGIN" },
	{ SQL_SESSION, "begin;" },
	{ SQL_SESSION, "BeGiN READ ONLY" },
	{ SQL_SESSION, "\n\t/* a /* b */ c */ -- d\n ;BEGIN" },
	{ SQL_SESSION, "--\rBEGIN" },
	{ SQL_SESSION, "START TRANSACTION" },
	{ SQL_SESSION, "COMMIT" },
	{ SQL_SESSION, "END" },
	{ SQL_SESSION, "ROLLBACK TO s" },
	{ SQL_SESSION, "ABORT" },
	{ SQL_SESSION, "SAVEPOINT s" },
	{ SQL_SESSION, "RELEASE s" },
	{ SQL_SESSION, "PREPARE p AS SELECT 1" },
	{ SQL_SESSION, "PREPARE TRANSACTION 'x'" },
	{ SQL_SESSION, "EXECUTE p" },
	{ SQL_SESSION, "DEALLOCATE ALL" },
	{ SQL_SESSION, "SET a = 1" },
	{ SQL_SESSION, "set local a = 1" },
	{ SQL_SESSION, "RESET ALL" },
	{ SQL_SESSION, "DISCARD ALL" },
	{ SQL_SESSION, "LISTEN a" },
	{ SQL_SESSION, "UNLISTEN *" },
	{ SQL_SESSION, "LOAD 'x'" },
	{ SQL_SESSION, "LOCK t" },
	{ SQL_SESSION, "DECLARE c CURSOR WITH HOLD FOR SELECT 1" },
	{ SQL_SESSION, "FETCH 1 FROM c" },
	{ SQL_SESSION, "MOVE 1 FROM c" },
	{ SQL_SESSION, "CLOSE c" },
	{ SQL_SESSION, "COPY t FROM STDIN" },
	{ SQL_SESSION, "CREATE TEMP TABLE t (a int)" },
	{ SQL_SESSION, "create /**/ temporary view v as select 1" },
	{ SQL_SESSION, "CREATE LOCAL TEMPORARY TABLE t (a int)" },
	{ SQL_SESSION, "CREATE GLOBAL TEMP TABLE t (a int)" },
	{ SQL_SESSION, "CREATE OR REPLACE TEMP VIEW v AS SELECT 1" },
};

START_TEST(each_sql_text_is_classified)
{
	enum sql_effect effect = sql_effect(texts[_i].sql);

	ck_assert_msg(effect == texts[_i].effect, "%s, not %s: %s",
	    effect_names[effect], effect_names[texts[_i].effect],
	    texts[_i].sql);
}
END_TEST

/* Judge the text in capitals and in small letters. */
static void
assert_letters_do_not_count(const char *sql, enum sql_effect effect)
{
	char	text[256];

	for (int small = 0; small <= 1; small++) {
		size_t	length = strlen(sql);

		ck_assert_uint_lt(length, sizeof(text));
		strcpy(text, sql);
		for (char *c = text; *c != '\0'; c++)
			if (small && *c >= 'A' && *c <= 'Z')
				*c = (char)(*c + 32);
			else if (!small && *c >= 'a' && *c <= 'z')
				*c = (char)(*c - 32);
		ck_assert_msg(sql_effect(text) == effect, "%s: %s",
		    effect_names[sql_effect(text)], text);
	}
}

START_TEST(upper_and_lower_case_of_sql_are_equal)
{
	for (int i = 0; i < COUNT(texts); i++)
		/* The tag of a dollar quote keeps its case. */
		if (strstr(texts[i].sql, "$A$") == NULL)
			assert_letters_do_not_count(texts[i].sql,
			    texts[i].effect);
}
END_TEST

START_TEST(the_locale_changes_no_verdict_on_sql)
{
	if (!use_odd_locale())
		return;
	ck_assert_int_ne(tolower('I'), 'i');
	assert_letters_do_not_count("select 1 into temp x", SQL_SESSION);
	assert_letters_do_not_count("begin", SQL_SESSION);
	assert_letters_do_not_count("insert into t (a) values (1)",
	    SQL_HARMLESS);
}
END_TEST

/* A text that leaves something is found, whatever stands before the call. */
START_TEST(comments_before_a_call_do_not_hide_it)
{
	static const char *const hiding[] = {
		"''", "'a'", "'''", "''''", "'--'", "'/*'", "\"'\"", "\"--\"",
		"\"/*\"", "$$'$$", "$a$ $$ $a$", "$\xc3\xa9$\"$\xc3\xa9$",
		"/* ' */", "/* \" */", "/* /* */ ' */", "/**/", "--'\n",
		"--\"\r", "-- /*\n", "- -1", "1", "$1", "a", "a$", "E'x'",
		"E'\\''", "E'\\\\'", "N'x'", "U&'x'", "(1)", "(insert", ")",
		"x.", "count", "insert", "into", "with", ";", ",", "\xff",
	};
	uint64_t	seed = 1;
	char		text[512];

	for (int round = 0; round < 20000; round++) {
		int	parts = (int)(dice(&seed) % 4);
		bool	whole = true;

		strcpy(text, "SELECT ");
		for (int i = 0; i < parts; i++) {
			const char *part = hiding[dice(&seed) %
			    (size_t)COUNT(hiding)];

			/* An unterminated string hides what follows. */
			whole = whole && strcmp(part, "'''") != 0;
			strcat(text, part);
			strcat(text, " ");
		}
		strcat(text, ", set_config('a', 'b', false)");
		if (whole)
			ck_assert_msg(sql_effect(text) != SQL_HARMLESS,
			    "HARMLESS: %s", text);
	}
}
END_TEST

/* The byte behind the text's NUL faults when it is read; each text is also cut
 * anywhere. */
START_TEST(nothing_behind_the_end_is_read)
{
	char	*end = fenced(1) + 1;

	for (int i = 0; i < COUNT(texts); i++) {
		size_t	length = strlen(texts[i].sql);

		for (size_t cut = 0; cut <= length; cut++) {
			char	*at = end - cut - 1;

			memcpy(at, texts[i].sql, cut);
			at[cut] = '\0';
			ck_assert_int_le(sql_effect(at), SQL_SESSION);
		}
	}
}
END_TEST

START_TEST(random_bytes_as_sql_do_no_harm)
{
	static const char some[] = "'\"$;()-/*\\ \nEe\xc3.a1into";
	uint64_t	  seed = 2;
	char		 *end = fenced(1) + 1;

	for (int round = 0; round < 50000; round++) {
		size_t	length = dice(&seed) % 40;
		char   *at = end - length - 1;

		for (size_t i = 0; i < length; i++)
			at[i] = round % 2 == 0 ?
			    some[dice(&seed) % (sizeof(some) - 1)] :
			    (char)(dice(&seed) % 255 + 1);
		at[length] = '\0';
		ck_assert_int_le(sql_effect(at), SQL_SESSION);
	}
}
END_TEST

static const struct {
	const char *sql;
	bool commits, transacts, is_commit, ends;
} ends[] = {
	{ "", false, false },
	{ "select 1", false, false },
	{ "insert into call values (1)", false, false },
	{ "CALL p()", true, false },
	{ "; /* x */ Do $$ begin end $$", true, false },
	{ "vacuum t", true, false },
	{ "analyze", true, false },
	{ "cluster", true, false },
	{ "reindex table concurrently t", true, false },
	{ "create unique index concurrently i on t (a)", true, false },
	{ "drop index concurrently i", true, false },
	{ "alter table t detach partition p concurrently", true, false },
	{ "create database d", true, false },
	{ "drop subscription s", true, false },
	{ "alter database d set tablespace t", true, false },
	{ "create index i on t (a)", false, false },
	{ "create table \"concurrently\" ()", false, false },
	{ "refresh materialized view concurrently v", false, false },
	{ "begin", false, true },
	{ "START TRANSACTION", false, true },
	{ "commit", false, true, true, true },
	{ "COMMIT AND CHAIN", false, true, true, true },
	{ ";/**/ end work", false, true, true, true },
	{ "committed", false, false },
	{ "abort", false, true, false, true },
	{ "rollback to savepoint s", false, true },
	{ "ROLLBACK WORK /* back */ TO s", false, true },
	{ "rollback transaction to s", false, true },
	{ "rollback", false, true, false, true },
	{ "rollback work and chain", false, true, false, true },
	{ "-- back\nRollback; ", false, true, false, true },
	{ "prepare transaction 'x'", false, true, true, true },
	{ "prepare s as select 1", false, true },
	{ "savepoint s", false, false },
	{ "set local a = 1", false, false },
};

START_TEST(statements_that_may_commit_on_their_way_are_known)
{
	for (int i = 0; i < COUNT(ends); i++) {
		ck_assert_msg(sql_commits(ends[i].sql) == ends[i].commits,
		    "%s", ends[i].sql);
		ck_assert_msg(sql_transacts(ends[i].sql) == ends[i].transacts,
		    "%s", ends[i].sql);
		ck_assert_msg(sql_is_commit(ends[i].sql) == ends[i].is_commit,
		    "%s", ends[i].sql);
		ck_assert_msg(sql_ends(ends[i].sql) == ends[i].ends,
		    "%s", ends[i].sql);
	}
}
END_TEST

static Suite *
sql_suite(void)
{
	Suite	*suite = suite_create("sql");
	TCase	*tcase = unit_case(suite, "effect");

	tcase_add_loop_test(tcase, each_sql_text_is_classified, 0,
	    COUNT(texts));
	tcase_add_test(tcase, upper_and_lower_case_of_sql_are_equal);
	tcase_add_test(tcase, the_locale_changes_no_verdict_on_sql);
	tcase_add_test(tcase, comments_before_a_call_do_not_hide_it);
	tcase_add_test(tcase, nothing_behind_the_end_is_read);
	tcase_add_test(tcase, random_bytes_as_sql_do_no_harm);
	tcase_add_test(tcase,
	    statements_that_may_commit_on_their_way_are_known);
	return suite;
}

UNIT_MAIN(sql_suite)
