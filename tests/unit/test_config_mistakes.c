/*
 * test_config_mistakes.c - what is said of a wrong configuration.
 *
 * Each kind of mistake is told with the line where it was written and with what
 * is allowed, and all mistakes are told at once.
 */
#include "config_file.h"

#include <sys/stat.h>

/* One mistake, its line, and the sentence about it. */
static const struct {
	const char *text;
	unsigned line;
	const char *said;
} mistakes[] = {
	/* Keys. */
	{ COMPLETE "wokers = 2\n", 4,
	  "unknown key 'wokers'; did you mean 'workers'?" },
	{ "\n\nwokers = {1,\n2}\n" COMPLETE, 3, "did you mean 'workers'?" },
	{ COMPLETE "xyz = 2\n", 4, "allowed: instance, app, workers, " },
	{ COMPLETE "xyz = {}\n", 4, "unknown key 'xyz'" },
	{ COMPLETE "healt { fall = 2 }\n", 4, "did you mean 'health'?" },
	{ COMPLETE "grop \"x\" {\nrole = any\ninit = {a, b}\n}\n", 4,
	  "did you mean 'group'?" },
	{ COMPLETE "xyz {\n a { b = 2 }\n c \"d\" { }\n}\n", 4,
	  "unknown key 'xyz'" },
	{ "app = app.so\n" ENDPOINT_A "group g {\n rolle = any\n}\n", 4,
	  "unknown key 'rolle' in group; did you mean 'role'?" },
	{ "app = app.so\n" ENDPOINT_A "group g {\n conninfo = any\n}\n", 4,
	  "unknown key 'conninfo' in group; it belongs into endpoint" },
	{ COMPLETE "health {\n\n workers = 2 }\n", 6,
	  "'workers' in health; it belongs outside of any section" },
	{ COMPLETE "role = any\n", 4, "it belongs into group" },
	{ COMPLETE "group h {\n health { } }\n", 5, "is a '}' missing?" },
	{ COMPLETE "workers = 2\n\nworkers = 2\n", 6,
	  "workers is there already, in line 4" },
	{ COMPLETE "health { }\nhealth x { }\n", 5,
	  "missing opening brace of section 'health'" },
	{ COMPLETE "health = 2\n", 4,
	  "missing opening brace of section 'health'" },
	{ COMPLETE "group| = 2\n", 4, "unknown key" },

	/* Types. */
	{ COMPLETE "workers =\n two\n", 5,
	  "workers = 'two' is not a whole number; 0 to 256" },
	{ COMPLETE "workers = 2s\n", 4, "is not a whole number" },
	{ COMPLETE "workers = -1\n", 4, "is not a whole number" },
	{ COMPLETE "workers = 1.5\n", 4, "is not a whole number" },
	{ COMPLETE "workers = \"\"\n", 4, "is not a whole number" },
	{ COMPLETE "workers = {1}\n", 4,
	  "workers takes one value, not a list" },
	{ COMPLETE "log_level = {info,\n error}\n", 4, "takes one value" },
	{ COMPLETE "\nlog = {}\n", 5, "log needs one value" },
	{ COMPLETE "log = file\n", 4, "log = 'file' is none of stderr, "
	  "syslog, file:PATH" },
	{ COMPLETE "log = 'file:'\n", 4, "log = 'file:' is none of stderr" },
	{ COMPLETE "log_level = loud\n", 4,
	  "none of debug, info, warning, error" },
	{ COMPLETE "group h { autocommit = 1 }\n", 4,
	  "none of true, false, on, off, yes, no" },
	{ COMPLETE "group h { role = master }\n", 4,
	  "none of primary, standby, any, prefer-standby" },
	{ COMPLETE "instance = \"\"\n", 4, "instance is empty" },
	{ COMPLETE "group h { init = {a,\n\"\"} }\n", 5, "empty text" },

	/* Units. */
	{ COMPLETE "graceful_timeout = 10\n", 4, "graceful_timeout = '10' "
	  "is not a duration: a whole number with ms, s, min, h or d" },
	{ COMPLETE "graceful_timeout = 0\n", 4, "is not a duration" },
	{ COMPLETE "graceful_timeout = 10S\n", 4, "is not a duration" },
	{ COMPLETE "graceful_timeout = 10m\n", 4, "is not a duration" },
	{ COMPLETE "graceful_timeout = 1.5s\n", 4, "is not a duration" },
	{ COMPLETE "graceful_timeout = -1s\n", 4, "is not a duration" },
	{ COMPLETE "graceful_timeout = '10  s'\n", 4, "is not a duration" },
	{ COMPLETE "graceful_timeout = '10s '\n", 4, "is not a duration" },
	{ COMPLETE "graceful_timeout = s\n", 4, "is not a duration" },
	{ COMPLETE "group h { session_tmp_buffer = 64 }\n", 4,
	  "is not a size: a whole number with B, kB, MB, GB or TB" },
	{ COMPLETE "group h { session_tmp_buffer = 64mb }\n", 4,
	  "is not a size" },

	/* Ranges. */
	{ COMPLETE "workers = 257\n", 4,
	  "workers = 257 is out of range: 0 to 256" },
	{ COMPLETE "workers = 4294967297\n", 4, "is out of range" },
	{ COMPLETE "workers = 18446744073709551616\n", 4, "out of range" },
	{ COMPLETE "graceful_timeout = 0s\n", 4,
	  "is out of range: 1ms to 1d or never" },
	{ COMPLETE "graceful_timeout = 2d\n", 4, "is out of range" },
	{ COMPLETE "graceful_timeout = 213503982334602d\n", 4, "range" },
	{ COMPLETE "worker_timeout = 999ms\n", 4, "1s to 1d or never" },
	{ COMPLETE "group h { connection_count = 0 }\n", 4, "1 to 1024" },
	{ COMPLETE "group h { connection_count = 1025 }\n", 4, "1 to 1024" },
	{ COMPLETE "group h { min_connections = 1025 }\n", 4, "0 to 1024" },
	{ COMPLETE "group h { pipeline = 0 }\n", 4, "1 to 10000" },
	{ COMPLETE "group h { queue = 0 }\n", 4, "1 to 1000000" },
	{ COMPLETE "group h { query_timeout = 0ms }\n", 4, "1ms to 1d" },
	{ COMPLETE "group h { acquire_timeout = never }\n", 4,
	  "is not a duration" },
	{ COMPLETE "group h { idle_timeout = 31d }\n", 4, "1ms to 30d" },
	{ COMPLETE "group h { max_lifetime = 31d }\n", 4, "1ms to 30d" },
	{ COMPLETE "group h { session_tmp_buffer = 1kB }\n", 4,
	  "800kB to 8TB or 0B" },
	{ COMPLETE "group h { batch = 1 }\n", 4, "on, off, yes, no, auto" },
	{ COMPLETE "group h { max_lag = never }\n", 4,
	  "neither a duration nor a size, as in 5s or 16MB, nor any" },
	{ COMPLETE "group h { max_lag = 5 }\n", 4, "neither a duration" },
	{ COMPLETE "group h { max_lag = 2d }\n", 4, "1ms to 1d or any" },
	{ COMPLETE "group h { max_lag = 0B }\n", 4, "1B to 1024TB or any" },
	{ COMPLETE "group h { stall_after = 0ms }\n", 4,
	  "1ms to 1min or auto" },
	{ COMPLETE "group h { hedge_after = 1ms }\n", 4,
	  "2ms to 1min or auto or off" },
	{ COMPLETE "group h { hedge_after = on }\n", 4, "not a duration" },
	{ COMPLETE "group h { retry_budget = 101 }\n", 4, "0 to 100" },
	{ COMPLETE "endpoint b { conninfo = 'host=b' connect_burst = 0 }\n",
	  4, "1 to 1000" },
	{ COMPLETE "endpoint b { conninfo = 'host=b' weight = 101 }\n",
	  4, "1 to 100" },
	{ COMPLETE "health { slow_start = never }\n", 4, "0ms to 1h" },
	{ COMPLETE "health { resolve = 99ms }\n", 4, "100ms to 1d" },
	{ COMPLETE "health { interval = 9ms }\n", 4, "10ms to 1h" },
	{ COMPLETE "health { timeout = 61s }\n", 4, "1ms to 1min" },
	{ COMPLETE "health { fall = 16 }\n", 4, "1 to 15" },
	{ COMPLETE "health { rise = 0 }\n", 4, "1 to 15" },

	/* Settings that are missing, or are there twice. */
	{ ENDPOINT_A GROUP_G, 1, "app is missing" },
	{ "app = app.so\n" GROUP_G, 1, "at least one endpoint" },
	{ "app = app.so\n" ENDPOINT_A, 1, "at least one group" },
	{ COMPLETE "endpoint b\n{\n}\n", 5, "conninfo is missing" },
	{ COMPLETE "\nendpoint a { conninfo = 'host=b' }\n", 5,
	  "endpoint \"a\" is there already, in line 2" },
	{ COMPLETE "group g { role = any }\n", 4,
	  "group \"g\" is there already, in line 3" },
	{ COMPLETE "health { }\nhealth { }\n", 5, "already, in line 4" },

	/* Mistakes that the library finds, in the line of the file. */
	{ COMPLETE "instance = 'a b'\n", 4, "letters, digits" },
	{ COMPLETE "instance = '..'\n", 4, "must not begin with a dot" },
	{ COMPLETE "instance = .a\n", 4, "must not begin with a dot" },
	{ COMPLETE "endpoint b { conninfo = 'host=b' max_connections = "
	  "262144 }\n", 4, "0 to 262143" },
	{ COMPLETE "\ngroup 'a b' {\n}\n", 5, "letters, digits" },
	{ COMPLETE "endpoint b {\n conninfo = 'hots=b'\n}\n", 5,
	  "endpoint: conninfo: libpq does not take it" },
	{ COMPLETE "endpoint b {\n conninfo = 'host=b,c'\n}\n", 5,
	  "several servers" },
	{ COMPLETE "group h {\n min_connections = 5\n}\n", 5,
	  "min_connections is 5; allowed is 0 to connection_count" },
	{ COMPLETE "group h {\n role = primary\n batch = on\n}\n", 6,
	  "cannot batch" },
	{ COMPLETE "group h {\n role = primary\n hedge_after = auto\n}\n", 6,
	  "cannot hedge" },
	{ "app = app.so\nworkers = 2\nendpoint a { conninfo = 'host=a' "
	  "max_connections = 3 }\ngroup g {\nmin_connections = 2\n}\n", 5,
	  "no endpoint can serve it" },

	/* Mistakes that the system reports. */
	{ "\napp = nothing.so\n" ENDPOINT_A GROUP_G, 2,
	  "nothing.so' cannot be read: No such file or directory" },
	{ "app = nothing.so\n" ENDPOINT_A GROUP_G, 1,
	  "by its name beside this file or in /" },
	{ "app = /tmp\n" ENDPOINT_A GROUP_G, 1, "is not a file" },
	{ COMPLETE "user = no-such-user\n", 4, "there is no such user" },
	{ COMPLETE "user = root:no-such-group\n", 4,
	  "there is no group 'no-such-group'" },
	{ COMPLETE "runtime_dir = app.so\n", 4, "is not a directory" },
	{ COMPLETE "runtime_dir = a/b\n", 4, "cannot be made" },
	{ COMPLETE "runtime_dir = app.so/b\n", 4, "cannot be made" },

	/* Addresses. */
	{ COMPLETE "listen = {'*:1',\n'127.0.0.1'}\n", 5, "has no port" },
	{ COMPLETE "listen = '127.0.0.1:0'\n", 4, "bad port: 1 to 65535" },
	{ COMPLETE "listen = '127.0.0.1:65536'\n", 4, "bad port" },
	{ COMPLETE "listen = '*:080'\n", 4, "bad port" },
	{ COMPLETE "listen = '*:+80'\n", 4, "bad port" },
	{ COMPLETE "user = \"${}\"\n", 4,
	    "'${}' names no variable; write ${NAME} or ${NAME:-TEXT}" },
	{ COMPLETE "user = ${:-x}\n", 4, "'${}' names no variable" },
	{ COMPLETE "user = \"${A-x}\"\n", 4, "'${A-x}' names no variable" },
	{ COMPLETE "user = ${1}\n", 4, "'${1}' names no variable" },
	{ COMPLETE "listen = '127.0.0.1:http'\n", 4, "bad port" },
	{ COMPLETE "listen = '127.0.0.1: 80'\n", 4, "bad port" },
	{ COMPLETE "listen = 'localhost:80'\n", 4, "bad address" },
	{ COMPLETE "listen = ':80'\n", 4, "or * for all" },
	{ COMPLETE "listen = '::1:80'\n", 4, "bad address" },
	{ COMPLETE "listen = '[::1:80'\n", 4, "bad address" },
	{ COMPLETE "admin = '*:80'\n", 4, "open to other hosts" },
	{ COMPLETE "admin = '10.0.0.1:80'\n", 4, "unless admin_public" },
	{ COMPLETE "admin = '[::]:80'\n", 4, "must be a loopback" },
	{ COMPLETE "admin = '127.0.0.1'\n", 4, "admin = '127.0.0.1' has no" },
	{ COMPLETE "listen = '127.1:80'\n", 4, "bad address" },
	{ COMPLETE "listen = 'unix:'\n", 4, "lacks the path" },
	{ COMPLETE "listen = 'unix:/0123456789012345678901234567890123456789"
	  "012345678901234567890123456789012345678901234567890123456789"
	  "0123456789'\n", 4, "is too long" },
	{ COMPLETE "listen = {'*:80',\n'*:80'}\n", 5,
	  "is there already, in line 4" },
	{ COMPLETE "\n\nlisten = {\n}\n", 6, "listen needs at least one" },

	/* Syntax. */
	{ COMPLETE "workers 2\n", 4, "syntax error: missing equal sign" },
	{ COMPLETE "workers =\n\n", 4, "syntax error: premature end" },
	{ COMPLETE "workers = = 2\n", 4, "syntax error: unexpected token" },
	{ COMPLETE "workers += 2 +\n, 3\n", 5, "syntax error" },
	{ COMPLETE "group { }\n", 4, "syntax error: missing title" },
	{ COMPLETE "}\n", 4, "syntax error: unexpected closing brace" },
	{ COMPLETE "group h {\n role = any\n", 4, "'{' is never closed" },
	{ COMPLETE "group h {\n init = { a\n}\n", 4, "'{' is never closed" },
	{ COMPLETE "log = \"stderr\nworkers = 2\n", 4,
	  "string is never closed: \" is missing" },
	{ COMPLETE "log = 'stderr\nworkers = 2\n", 4,
	  "string is never closed: ' is missing" },
	{ COMPLETE "log = \"\\", 4, "string is never closed" },
	{ COMPLETE "/* log = stderr\nworkers = 2\n", 4,
	  "comment is never closed" },
	{ COMPLETE "log = \"${LOG\n}\"\n", 4, "'${' needs its '}'" },
	{ COMPLETE "instance = ${MEWS_TEST_NOT_SET}\n", 4,
	  "${MEWS_TEST_NOT_SET} is not set in the environment; write "
	  "${MEWS_TEST_NOT_SET:-} if" },
	{ COMPLETE "group h { init = {a,\n\"${MEWS_TEST_NOT_SET}\"} }\n", 5,
	  "is not set in the environment" },
	{ COMPLETE "group h { init = {a b} }\n", 4,
	  "syntax error: unexpected token 'b'" },
	{ COMPLETE "log = stderr\nstderr\n", 5, "unknown key 'stderr'" },
	{ COMPLETE "log = \"\\0\"\n", 4, "syntax error: \\0 is no character" },
	{ COMPLETE "init(\"a\")\n", 4, "unknown key 'init'" },
	{ COMPLETE "\"\\001\" = 2\n", 4, "syntax error" },
	{ COMPLETE "\"\\002\" = 2\n", 4, "syntax error" },
	{ COMPLETE "log = \"\\777\"\n", 4, "syntax error" },

	/* The line of a mistake is right after all that may stand before it. */
	{ COMPLETE "# one\n## two\n// three\n/* four */ /* four */\n"
	  "/*\n\n*/ log = bad # eight\n", 10, "log = 'bad'" },
	{ COMPLETE "group h { init = {'a\nb', \"c\\\nd\n\" } }\nlog = bad\n",
	  8, "log = 'bad'" },
	{ COMPLETE "group h\n\n{\n}\nlog = bad\n", 8, "log = 'bad'" },
};

START_TEST(each_mistake_is_told_with_its_line)
{
	char	begin[128];

	ck_assert_msg(load_text(mistakes[_i].text) == NULL, "accepted:\n%s",
	    mistakes[_i].text);
	snprintf(begin, sizeof(begin), "%s:%u: ", file, mistakes[_i].line);
	ck_assert_msg(report_count == 1 &&
	    strncmp(reports[0], begin, strlen(begin)) == 0 &&
	    strstr(reports[0], mistakes[_i].said) != NULL,
	    "%zu mistakes, the first: %s\nexpected: %s... %s", report_count,
	    reports[0], begin, mistakes[_i].said);
}
END_TEST

START_TEST(all_mistakes_are_told_at_once)
{
	static const struct {
		unsigned line;
		const char *said;
	} expected[] = {
		{ 1, "'wokers'" }, { 2, "workers = 999" }, { 3, "user" },
		{ 3, "group" }, { 4, "port" }, { 5, "address" },
		{ 7, "graceful_timeout" }, { 8, "'endpont'" },
		{ 13, "hots" },
		{ 14, "'role' in endpoint" }, { 16, "already, in line 12" },
		{ 16, "conninfo is missing" }, { 17, "max_connections" },
		{ 20, "min_connections" }, { 21, "autocommit" },
		{ 22, "idle_timeout" }, { 24, "interval" }, { 25, "app" },
	};
	char	begin[128];

	ck_assert_ptr_null(load_text("wokers = 2\n"
	    "workers = 999\n"
	    "user = 'no-such-user:no-such-group'\n"
	    "listen = {'127.0.0.1',\n"
	    "  'localhost:80',\n"
	    "  '*:80' }\n"
	    "graceful_timeout = 10\n"
	    "endpont x {\n"
	    "  conninfo = foo\n"
	    "  bar { baz = 2 }\n"
	    "}\n"
	    "endpoint a {\n"
	    "  conninfo = 'hots=x'\n"
	    "  role = any\n"
	    "}\n"
	    "endpoint a {\n"
	    "  max_connections = many\n"
	    "}\n"
	    "group g {\n"
	    "  min_connections = 5\n"
	    "  autocommit = maybe\n"
	    "  idle_timeout = 5\n"
	    "}\n"
	    "health { interval = 1ms }\n"
	    "app = nothing.so\n"));
	for (int i = 0; i < COUNT(expected); i++) {
		ck_assert_uint_lt((size_t)i, report_count);
		snprintf(begin, sizeof(begin), "%s:%u: ", file,
		    expected[i].line);
		ck_assert_msg(strncmp(reports[i], begin, strlen(begin)) == 0 &&
		    strstr(reports[i], expected[i].said) != NULL,
		    "%s\nexpected: %s... %s", reports[i], begin,
		    expected[i].said);
	}
	ck_assert_uint_eq(report_count, COUNT(expected));
}
END_TEST

START_TEST(mistakes_before_a_syntax_error_are_told_too)
{
	ck_assert_ptr_null(load_text("wokers = 2\nlog = bad\nlog_level = =\n"
	    "what = ever\n"));
	ck_assert_uint_eq(report_count, 3);
	ck_assert_ptr_nonnull(strstr(reports[0], ":1: unknown key"));
	ck_assert_ptr_nonnull(strstr(reports[1], ":2: log = 'bad'"));
	ck_assert_ptr_nonnull(strstr(reports[2], ":3: syntax error"));
}
END_TEST

START_TEST(a_bad_file_leaves_the_next_one_alone)
{
	struct config	*config;

	ck_assert_ptr_null(load_text("log = \"${"));
	ck_assert_ptr_null(load_text("log = \"\\777\n"));
	ck_assert_ptr_null(load_text("group \"g\" { x \"y\" = \n"));
	config = load_good(COMPLETE);
	config_free(&config);
	config_free(&config);
}
END_TEST

START_TEST(a_long_list_of_unknown_keys_is_cut)
{
	char	text[8192] = COMPLETE;

	for (int i = 0; i < 200; i++)
		sprintf(text + strlen(text), "unknown%d = 2\n", i);
	ck_assert_ptr_null(load_text(text));
	ck_assert_uint_eq(report_count, REPORTS_MAX);
}
END_TEST

/* Files of a megabyte that are nothing but mistakes. */
static const struct {
	const char *before, *after; /* a number, each time another one, is
				       written between these */
	size_t least;		    /* how many reports there are at least */
} endless[] = {
	{ "unknown", " = 2\n", REPORTS_MAX },
	{ "health { fall = ", "000 }\n", REPORTS_MAX },
	{ "log = ", "\n", REPORTS_MAX },
	{ "group g", " { }\n", 1 },
	{ "section", " {", 1 },
};

START_TEST(a_file_full_of_mistakes_is_reported)
{
	static char	text[1 << 20];
	size_t		used = 0;

	while (used < sizeof(text) - 64)
		used += (size_t)sprintf(text + used, "%s%zu%s",
		    endless[_i].before, used, endless[_i].after);
	ck_assert_ptr_null(load_text(text));
	ck_assert_uint_ge(report_count, endless[_i].least);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_reported)
{
	ck_assert_ptr_null(load_path(in_directory("nothing.conf")));
	ck_assert_ptr_nonnull(strstr(reports[0], "nothing.conf: cannot be "
	    "opened: No such file or directory"));
	ck_assert_ptr_null(load_path(directory));
	ck_assert_ptr_nonnull(strstr(reports[0], ": is not a regular file"));
	ck_assert_ptr_null(load_path("/dev/zero"));
	ck_assert_ptr_nonnull(strstr(reports[0], ": is not a regular file"));
	ck_assert_int_eq(mkfifo(in_directory("fifo"), 0600), 0);
	ck_assert_ptr_null(load_path(in_directory("fifo")));
	ck_assert_ptr_nonnull(strstr(reports[0], ": is not a regular file"));
	ck_assert_int_eq(unlink(in_directory("fifo")), 0);
	write_file(file, "");
	ck_assert_int_eq(truncate(file, 1024 * 1024 + 1), 0);
	ck_assert_ptr_null(load_path(file));
	ck_assert_ptr_nonnull(strstr(reports[0], "larger than"));
	write_file(file, "a = b\nc");
	ck_assert_int_eq(truncate(file, 10), 0);
	ck_assert_ptr_null(load_path(file));
	ck_assert_ptr_nonnull(strstr(reports[0], ":2: holds a NUL byte"));
}
END_TEST

static Suite *
mistakes_suite(void)
{
	Suite	*suite = suite_create("config mistakes");
	TCase	*tcase = unit_case(suite, "mistakes");

	tcase_add_checked_fixture(tcase, make_directory, remove_directory);
	tcase_add_loop_test(tcase, each_mistake_is_told_with_its_line, 0,
	    COUNT(mistakes));
	tcase_add_test(tcase, all_mistakes_are_told_at_once);
	tcase_add_test(tcase, mistakes_before_a_syntax_error_are_told_too);
	tcase_add_test(tcase, a_bad_file_leaves_the_next_one_alone);
	tcase_add_test(tcase, a_long_list_of_unknown_keys_is_cut);
	tcase_add_loop_test(tcase, a_file_full_of_mistakes_is_reported, 0,
	    COUNT(endless));
	tcase_add_test(tcase, a_file_that_cannot_be_read_is_reported);
	return suite;
}

UNIT_MAIN(mistakes_suite)
