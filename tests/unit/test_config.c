/*
 * test_config.c - the configuration language: each key arrives in its field.
 */
#include "config_field.h"
#include "config_file.h"
#include "processors.h"

#define SECONDS 1000ULL

/* Each key with a value, and the text of its field after loading. */
static const struct {
	enum section_kind section;
	const char *name;
	const char *written;
	const char *stored;
} keys[] = {
	{ SECTION_FILE, "instance", "shop", "shop" },
	{ SECTION_FILE, "app", "/bin/sh", "/bin/sh" },
	{ SECTION_FILE, "workers", "3", "3" },
	{ SECTION_FILE, "workers", "256", "256" },
	{ SECTION_FILE, "listen", "127.0.0.1:80", "<127.0.0.1:80>" },
	{ SECTION_FILE, "listen", "{\"*:80\", \"[::1]:81\", unix:/tmp/s}",
	  "<*:80><[::1]:81><unix:/tmp/s>" },
	{ SECTION_FILE, "admin", "127.0.0.1:80", "<127.0.0.1:80>" },
	{ SECTION_FILE, "admin", "unix:/tmp/a", "<unix:/tmp/a>" },
	{ SECTION_FILE, "admin_public", "true", "1" },
	{ SECTION_FILE, "user", "root", "root" },
	{ SECTION_FILE, "runtime_dir", "/tmp", "/tmp" },
	{ SECTION_FILE, "log", "syslog", "syslog" },
	{ SECTION_FILE, "log", "stderr", "stderr" },
	{ SECTION_FILE, "log", "'file:x.log'", "file:x.log" },
	{ SECTION_FILE, "log_level", "debug", "0" },
	{ SECTION_FILE, "log_level", "info", "1" },
	{ SECTION_FILE, "log_level", "warning", "2" },
	{ SECTION_FILE, "log_level", "error", "3" },
	{ SECTION_FILE, "graceful_timeout", "1min", "60000" },
	{ SECTION_FILE, "graceful_timeout", "never", "4294967295" },
	{ SECTION_FILE, "queue_memory", "1GB", "1073741824" },
	{ SECTION_FILE, "worker_timeout", "2s", "2000" },
	{ SECTION_FILE, "worker_timeout", "never", "4294967295" },
	{ SECTION_FILE, "max_requests", "1000000000", "1000000000" },
	{ SECTION_FILE, "max_memory", "0B", "0" },
	{ SECTION_FILE, "max_memory", "1GB", "1073741824" },
	{ SECTION_ENDPOINT, "conninfo", "'host=x sslmode=require'",
	  "host=x sslmode=require" },
	{ SECTION_ENDPOINT, "max_connections", "90", "90" },
	{ SECTION_ENDPOINT, "connect_burst", "1000", "1000" },
	{ SECTION_ENDPOINT, "weight", "100", "100" },
	{ SECTION_GROUP, "role", "any", "0" },
	{ SECTION_GROUP, "role", "primary", "1" },
	{ SECTION_GROUP, "role", "standby", "2" },
	{ SECTION_GROUP, "role", "prefer-standby", "3" },
	{ SECTION_GROUP, "connection_count", "1024", "1024" },
	{ SECTION_GROUP, "min_connections", "4", "4" },
	{ SECTION_GROUP, "autocommit", "true", "1" },
	{ SECTION_GROUP, "autocommit", "on", "1" },
	{ SECTION_GROUP, "autocommit", "yes", "1" },
	{ SECTION_GROUP, "autocommit", "false", "2" },
	{ SECTION_GROUP, "autocommit", "off", "2" },
	{ SECTION_GROUP, "autocommit", "no", "2" },
	{ SECTION_GROUP, "pipeline", "1", "1" },
	{ SECTION_GROUP, "batch", "auto", "0" },
	{ SECTION_GROUP, "batch", "true", "1" },
	{ SECTION_GROUP, "batch", "off", "2" },
	{ SECTION_GROUP, "query_timeout", "500ms", "500" },
	{ SECTION_GROUP, "query_timeout", "never", "4294967295" },
	{ SECTION_GROUP, "acquire_timeout", "1h", "3600000" },
	{ SECTION_GROUP, "queue", "1000000", "1000000" },
	{ SECTION_GROUP, "idle_timeout", "\"2 h\"", "7200000" },
	{ SECTION_GROUP, "idle_timeout", "never", "4294967295" },
	{ SECTION_GROUP, "max_lifetime", "30d", "2592000000" },
	{ SECTION_GROUP, "max_lifetime", "never", "4294967295" },
	{ SECTION_GROUP, "max_lag", "5s", "5000 0" },
	{ SECTION_GROUP, "max_lag", "1d", "86400000 0" },
	{ SECTION_GROUP, "max_lag", "16MB", "0 16777216" },
	{ SECTION_GROUP, "max_lag", "1B", "0 1" },
	{ SECTION_GROUP, "max_lag", "any", "0 0" },
	{ SECTION_GROUP, "slow_query", "250ms", "250" },
	{ SECTION_GROUP, "slow_query", "off", "0" },
	{ SECTION_GROUP, "slow_query_parameters", "true", "1" },
	{ SECTION_GROUP, "trace_comments", "true", "1" },
	{ SECTION_GROUP, "stall_after", "30ms", "30" },
	{ SECTION_GROUP, "stall_after", "auto", "0" },
	{ SECTION_GROUP, "hedge_after", "2ms", "2" },
	{ SECTION_GROUP, "hedge_after", "auto", "1" },
	{ SECTION_GROUP, "hedge_after", "off", "0" },
	{ SECTION_GROUP, "retry_budget", "100", "100" },
	{ SECTION_GROUP, "retry_budget", "0", "4294967295" },
	{ SECTION_GROUP, "max_result_size", "1TB", "1099511627776" },
	{ SECTION_GROUP, "session_tmp_buffer", "64MB", "67108864" },
	{ SECTION_GROUP, "session_tmp_buffer", "800kB", "819200" },
	{ SECTION_GROUP, "session_tmp_buffer", "819201B", "819201" },
	{ SECTION_GROUP, "session_tmp_buffer", "1GB", "1073741824" },
	{ SECTION_GROUP, "session_tmp_buffer", "8TB", "8796093022208" },
	{ SECTION_GROUP, "init", "\"SET jit = off\"", "<SET jit = off>" },
	{ SECTION_GROUP, "init", "{\"a\", 'b\"', c}", "<a><b\"><c>" },
	{ SECTION_GROUP, "init", "{}", "" },
	{ SECTION_HTTP, "max_connections", "1", "1" },
	{ SECTION_HTTP, "max_per_client", "0", "0" },
	{ SECTION_HTTP, "max_per_client", "64", "64" },
	{ SECTION_HTTP, "header_timeout", "1s", "1000" },
	{ SECTION_HTTP, "idle_timeout", "2min", "120000" },
	{ SECTION_HTTP, "request_timeout", "1d", "86400000" },
	{ SECTION_HTTP, "max_header_size", "1MB", "1048576" },
	{ SECTION_HTTP, "max_body_size", "0B", "0" },
	{ SECTION_HTTP, "max_body_size", "1GB", "1073741824" },
	{ SECTION_HTTP, "min_receive_rate", "0B", "0" },
	{ SECTION_HTTP, "min_receive_rate", "16kB", "16384" },
	{ SECTION_HTTP, "min_send_rate", "0B", "0" },
	{ SECTION_HTTP, "min_send_rate", "16kB", "16384" },
	{ SECTION_HTTP, "expose_errors", "true", "1" },
	{ SECTION_HTTP, "expose_errors", "off", "2" },
	{ SECTION_HEALTH, "interval", "10ms", "10" },
	{ SECTION_HEALTH, "timeout", "1min", "60000" },
	{ SECTION_HEALTH, "fall", "15", "15" },
	{ SECTION_HEALTH, "rise", "15", "15" },
	{ SECTION_HEALTH, "slow_start", "1min", "60000" },
	{ SECTION_HEALTH, "slow_start", "0s", "4294967295" },
	{ SECTION_HEALTH, "resolve", "100ms", "100" },
	{ SECTION_PYTHON, "module", "'shop:app'", "shop:app" },
	{ SECTION_PYTHON, "kind", "webapp", "1" },
	{ SECTION_PYTHON, "path", "/srv/shop", "/srv/shop" },
	{ SECTION_PYTHON, "virtualenv", "/srv/venv", "/srv/venv" },
};

START_TEST(each_key_fills_its_field)
{
	const char	*set[SECTION_KINDS] = { "", "", "", "", "", "" };
	char		 python[300] = "";
	struct config	*config;
	char		 setting[256];

	snprintf(setting, sizeof(setting), "%s = %s\n", keys[_i].name,
	    keys[_i].written);
	set[keys[_i].section] = setting;
	if (keys[_i].section == SECTION_PYTHON)
		snprintf(python, sizeof(python), "python { %s%s }\n",
		    strcmp(keys[_i].name, "module") == 0 ? "" :
		    "module = shop\n", setting);
	config = load_good("%s%s endpoint a { %s%s }\n group g { %s }\n"
	    "health { %s }\nhttp { %s }\n%s", set[SECTION_FILE],
	    strcmp(keys[_i].name, "app") == 0 ? "" : "app = app.so\n",
	    set[SECTION_ENDPOINT], strcmp(keys[_i].name, "conninfo") == 0 ?
	    "" : "conninfo = 'host=x'\n", set[SECTION_GROUP],
	    set[SECTION_HEALTH], set[SECTION_HTTP], python);
	ck_assert_str_eq(field_text(config,
	    option_find(keys[_i].section, keys[_i].name)), keys[_i].stored);
	config_free(&config);
	ck_assert_ptr_null(config);
}
END_TEST

START_TEST(no_key_is_missing_from_these_tests)
{
	for (size_t i = 0; i < option_count(); i++) {
		bool	found = false;

		for (int j = 0; j < COUNT(keys); j++)
			found = found || option_find(keys[j].section,
			    keys[j].name) == option_at(i);
		ck_assert_msg(found, "%s has no row in keys[]",
		    option_at(i)->name);
	}
}
END_TEST

START_TEST(defaults_are_those_of_the_library)
{
	struct config			*config = load_good(COMPLETE);
	const struct mews_group_config	*group = config->fleet.groups;
	const struct mews_health_config	*health = &config->fleet.health;

	ck_assert_str_eq(config->fleet.instance, "mews");
	ck_assert_uint_eq(config->fleet.abi, MEWS_ABI);
	ck_assert_uint_eq(config->workers, processors_usable(""));
	ck_assert_uint_eq(config->fleet.workers, config->workers);
	ck_assert_str_eq(config->fleet.runtime_file, "/run/mews/mews.segment");
	ck_assert_str_eq(config->user, "nobody");
	ck_assert_ptr_null(config->group);
	ck_assert_str_eq(config->runtime_dir, "/run/mews");
	ck_assert_uint_eq(config->listen_count, 1);
	ck_assert_str_eq(config->listen[0].host, "127.0.0.1");
	ck_assert_uint_eq(config->listen[0].port, 8080);
	ck_assert_int_eq(config->log, CONFIG_LOG_STDERR);
	ck_assert_int_eq(config->log_level, MEWS_LOG_INFO);
	ck_assert_uint_eq(config->graceful_timeout, 30 * SECONDS);
	ck_assert_uint_eq(config->worker_timeout, 30 * SECONDS);
	ck_assert_uint_eq(config->max_requests, 0);
	ck_assert_uint_eq(config->max_memory, 0);
	ck_assert_uint_eq(config->fleet.queue_memory,
	    MEWS_QUEUE_MEMORY_DEFAULT);
	ck_assert_uint_eq(config->fleet.endpoints->max_connections, 0);
	ck_assert_uint_eq(config->fleet.endpoints->connect_burst,
	    MEWS_CONNECT_BURST_DEFAULT);
	ck_assert_uint_eq(config->fleet.endpoints->weight,
	    MEWS_WEIGHT_DEFAULT);
	ck_assert_int_eq(group->role, MEWS_GROUP_ANY);
	ck_assert_uint_eq(group->connection_count,
	    MEWS_CONNECTION_COUNT_DEFAULT);
	ck_assert_uint_eq(group->min_connections, 0);
	ck_assert_int_eq(group->autocommit, MEWS_SWITCH_ON);
	ck_assert_uint_eq(group->pipeline, MEWS_PIPELINE_DEFAULT);
	ck_assert_int_eq(group->batch, MEWS_SWITCH_DEFAULT);
	ck_assert_uint_eq(group->max_lag, 0);
	ck_assert_uint_eq(group->max_lag_bytes, 0);
	ck_assert_uint_eq(group->stall_after, 0);
	ck_assert_uint_eq(group->hedge_after, 0);
	ck_assert_uint_eq(group->retry_budget, MEWS_RETRY_BUDGET_DEFAULT);
	ck_assert_uint_eq(group->query_timeout, MEWS_QUERY_TIMEOUT_DEFAULT);
	ck_assert_uint_eq(group->acquire_timeout,
	    MEWS_ACQUIRE_TIMEOUT_DEFAULT);
	ck_assert_uint_eq(group->queue, MEWS_QUEUE_DEFAULT);
	ck_assert_uint_eq(group->idle_timeout, MEWS_IDLE_TIMEOUT_DEFAULT);
	ck_assert_uint_eq(group->max_lifetime, MEWS_MAX_LIFETIME_DEFAULT);
	ck_assert_uint_eq(group->max_result_size,
	    MEWS_MAX_RESULT_SIZE_DEFAULT);
	ck_assert_uint_eq(group->session_tmp_buffer, 0);
	ck_assert_uint_eq(group->init_count, 0);
	ck_assert_uint_eq(health->interval, MEWS_HEALTH_INTERVAL_DEFAULT);
	ck_assert_uint_eq(health->timeout, MEWS_HEALTH_TIMEOUT_DEFAULT);
	ck_assert_uint_eq(health->fall, MEWS_HEALTH_FALL_DEFAULT);
	ck_assert_uint_eq(health->rise, MEWS_HEALTH_RISE_DEFAULT);
	ck_assert_uint_eq(health->slow_start, MEWS_HEALTH_SLOW_START_DEFAULT);
	ck_assert_uint_eq(health->resolve, MEWS_HEALTH_RESOLVE_DEFAULT);
	config_free(&config);
}
END_TEST

START_TEST(sections_keep_their_order_and_names)
{
	struct config	*config = load_good("app = app.so\n"
	    "group r { role = standby }\n"
	    "endpoint b { conninfo = 'host=b' max_connections = 2 }\n"
	    "health { fall = 3 }\n"
	    "endpoint 'a.1-x_y' { conninfo = 'host=a' }\n"
	    "group w { role = primary init = {a} init += {b} }\n");

	ck_assert_uint_eq(config->fleet.endpoint_count, 2);
	ck_assert_str_eq(config->fleet.endpoints[0].name, "b");
	ck_assert_uint_eq(config->fleet.endpoints[0].max_connections, 2);
	ck_assert_str_eq(config->fleet.endpoints[1].name, "a.1-x_y");
	ck_assert_uint_eq(config->fleet.endpoints[1].max_connections, 0);
	ck_assert_uint_eq(config->fleet.group_count, 2);
	ck_assert_str_eq(config->fleet.groups[0].name, "r");
	ck_assert_int_eq(config->fleet.groups[0].role, MEWS_GROUP_STANDBY);
	ck_assert_str_eq(config->fleet.groups[1].name, "w");
	ck_assert_int_eq(config->fleet.groups[1].role, MEWS_GROUP_PRIMARY);
	ck_assert_uint_eq(config->fleet.groups[1].init_count, 2);
	config_free(&config);
}
END_TEST

static const struct {
	const char *written;
	const char *host, *path;
	unsigned port;
} addresses[] = {
	{ "127.0.0.1:80", "127.0.0.1", NULL, 80 },
	{ "0.0.0.0:65535", "0.0.0.0", NULL, 65535 },
	{ "'[::1]:80'", "::1", NULL, 80 },
	{ "'[::]:80'", "::", NULL, 80 },
	{ "'*:80'", NULL, NULL, 80 },
	{ "*:80", NULL, NULL, 80 },
	{ "unix:/run/mews.sock", NULL, "/run/mews.sock", 0 },
};

START_TEST(listen_addresses_are_split_into_host_and_port)
{
	struct config	*config = load_good("app = app.so\nlisten =\n%s\n"
	    ENDPOINT_A GROUP_G, addresses[_i].written);

	ck_assert_uint_eq(config->listen_count, 1);
	ck_assert_uint_eq(config->listen->line, 3);
	ck_assert_uint_eq(config->listen->port, addresses[_i].port);
	ck_assert_pstr_eq(config->listen->host, addresses[_i].host);
	ck_assert_pstr_eq(config->listen->path, addresses[_i].path);
	config_free(&config);
}
END_TEST

START_TEST(relative_paths_begin_at_the_configuration_file)
{
	struct config	*config;
	char		 text[256];

	write_file(file, "app = app.so\nruntime_dir = run\n"
	    "listen = { unix:a.sock, unix:/b.sock }\n" ENDPOINT_A GROUP_G);
	ck_assert_int_eq(chdir(directory), 0);
	config = load_path("mews.conf");
	ck_assert_ptr_nonnull(config);
	ck_assert_str_eq(config->path, file);
	ck_assert_str_eq(config->app, in_directory("app.so"));
	ck_assert_uint_eq(config->app_line, 1);
	ck_assert_str_eq(config->runtime_dir, in_directory("run"));
	ck_assert_str_eq(config->listen[0].path, in_directory("a.sock"));
	ck_assert_str_eq(config->listen[1].path, "/b.sock");
	snprintf(text, sizeof(text), "%s/run/mews.segment", directory);
	ck_assert_str_eq(config->fleet.runtime_file, text);
	config_free(&config);
}
END_TEST

START_TEST(runtime_paths_are_named_by_the_instance)
{
	char	*segment = config_segment_path("/run/x", "shop");
	char	*pid = config_pid_path("/run/x", "shop");

	ck_assert_str_eq(segment, "/run/x/shop.segment");
	ck_assert_str_eq(pid, "/run/x/shop.pid");
	free(segment);
	free(pid);
}
END_TEST

START_TEST(user_and_group_are_split)
{
	struct config	*config = load_good("user = 'root:root'\n" COMPLETE);

	ck_assert_str_eq(config->user, "root");
	ck_assert_str_eq(config->group, "root");
	config_free(&config);
}
END_TEST

START_TEST(variables_of_the_environment_are_expanded)
{
	struct config	*config;

	setenv("MEWS_TEST_NAME", "from#env", 1);
	unsetenv("MEWS_TEST_NONE");
	config = load_good("app = app.so\ninstance = ${MEWS_TEST_NONE:-x}\n"
	    ENDPOINT_A "group g { init = { \"${MEWS_TEST_NAME} {\",\n"
	    "'${MEWS_TEST_NAME}' } }\n");
	ck_assert_str_eq(config->fleet.instance, "x");
	ck_assert_str_eq(config->fleet.groups->init[0], "from#env {");
	ck_assert_str_eq(config->fleet.groups->init[1], "${MEWS_TEST_NAME}");
	config_free(&config);
}
END_TEST

START_TEST(comments_may_stand_everywhere)
{
	struct config	*config = load_good("# a \" ' { comment\n"
	    "app /* here */ = app.so // there\n/* over\n two { lines */\n"
	    ENDPOINT_A "group g { # x\n init = { # y\n a, /* z */ b # }\n"
	    " , 'http://x#y' /**/ } }\n// last, without a line end");

	ck_assert_uint_eq(config->fleet.groups->init_count, 3);
	ck_assert_str_eq(config->fleet.groups->init[2], "http://x#y");
	config_free(&config);
}
END_TEST

static Suite *
config_suite(void)
{
	Suite	*suite = suite_create("config");
	TCase	*tcase;

	tcase = unit_case(suite, "values");
	tcase_add_checked_fixture(tcase, make_directory, remove_directory);
	tcase_add_loop_test(tcase, each_key_fills_its_field, 0, COUNT(keys));
	tcase_add_test(tcase, no_key_is_missing_from_these_tests);
	tcase_add_test(tcase, defaults_are_those_of_the_library);
	tcase_add_test(tcase, sections_keep_their_order_and_names);
	tcase_add_loop_test(tcase,
	    listen_addresses_are_split_into_host_and_port, 0, COUNT(addresses));
	tcase_add_test(tcase, relative_paths_begin_at_the_configuration_file);
	tcase_add_test(tcase, runtime_paths_are_named_by_the_instance);
	tcase_add_test(tcase, user_and_group_are_split);
	tcase_add_test(tcase, variables_of_the_environment_are_expanded);
	tcase_add_test(tcase, comments_may_stand_everywhere);
	return suite;
}

UNIT_MAIN(config_suite)
