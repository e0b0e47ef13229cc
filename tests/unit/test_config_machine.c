/*
 * test_config_machine.c - what a configuration means on this machine: who can
 * read its passwords, whether the servers' connections suffice, and how many
 * processors there are to use.
 */
#include "config_file.h"
#include "processors.h"

#include <sched.h>
#include <sys/stat.h>

/* Passwords in a file that others can read, and passwords that are
 * elsewhere. */
static const struct {
	const char *conninfo;
	mode_t mode;
	bool warned;
} secrets[] = {
	{ "password=x", 0644, true },
	{ "password=x", 0640, false },
	{ "password=x", 0600, false },
	{ "postgresql://me:x@h/", 0604, true },
	{ "password=${MEWS_TEST_SECRET}", 0644, false },
	{ "host=${MEWS_TEST_SECRET} password=x", 0644, true },
	{ "host=${MEWS_TEST_UNSET:-} password=x", 0644, true },
	{ "password=${MEWS_TEST_SECRET:-x}", 0644, true },
	{ "password=${MEWS_TEST_UNSET:-x}", 0644, true },
	{ "password=${MEWS_TEST_UNSET:-}", 0644, false },
	{ "password=a${MEWS_TEST_SECRET}", 0644, true },
	{ "sslpassword=x", 0644, true },
	{ "sslpassword=${MEWS_TEST_SECRET}", 0644, false },
	{ "postgresql://u:${MEWS_TEST_SECRET}@h", 0644, false },
	{ "postgresql://u:x@${MEWS_TEST_SECRET}", 0644, true },
	{ "user=x", 0644, false },
};

START_TEST(a_password_that_others_can_read_is_warned_of)
{
	struct config	*config;
	char		 text[256], wanted[256];

	setenv("MEWS_TEST_SECRET", "x", 1);
	snprintf(text, sizeof(text), "app = app.so\nendpoint a {\n"
	    "conninfo = \"%s\" }\n" GROUP_G, secrets[_i].conninfo);
	write_file(file, text);
	ck_assert_int_eq(chmod(file, secrets[_i].mode), 0);
	config = load_path(file);
	ck_assert_ptr_nonnull(config);
	ck_assert_uint_eq(config->warning_count, secrets[_i].warned);
	if (secrets[_i].warned) {
		snprintf(wanted, sizeof(wanted), "%s:3: warning: there is a "
		    "password here, and every user can read", file);
		ck_assert_ptr_nonnull(strstr(config->warnings[0], wanted));
	}
	config_free(&config);
}
END_TEST

START_TEST(the_dropped_user_shall_not_read_passwords)
{
	struct config	*config;

	if (getuid() != 0)
		return;
	write_file(file, "app = app.so\nuser = daemon\nendpoint a {\n"
	    "conninfo = 'password=x' }\n" GROUP_G);
	ck_assert_int_eq(chown(file, 1, 0), 0);
	ck_assert_int_eq(chmod(file, 0600), 0);
	config = load_path(file);
	ck_assert_ptr_nonnull(config);
	ck_assert_ptr_nonnull(strstr(config->warnings[0], "daemon can read"));
	config_free(&config);
}
END_TEST

/* A group for three servers, and how many connections are enough. */
static const struct {
	const char *role;
	int enough;
} roles[] = {
	{ "any", 3 }, { "standby", 2 }, { "prefer-standby", 2 },
	{ "primary", 1 },
};

START_TEST(too_few_connections_for_the_servers_are_warned_of)
{
	struct config	*config;

	for (int count = 1; count <= 3; count++) {
		config = load_good(COMPLETE
		    "endpoint b { conninfo = 'host=b' }\n"
		    "endpoint c { conninfo = 'host=c' }\n"
		    "group h { role = %s connection_count = %d }\n",
		    roles[_i].role, count);
		ck_assert_uint_eq(config->warning_count,
		    count < roles[_i].enough);
		if (config->warning_count > 0)
			ck_assert_ptr_nonnull(strstr(config->warnings[0],
			    "mews.conf:6: warning: group \"h\" has "
			    "connection_count = "));
		config_free(&config);
	}
}
END_TEST

/* The files of a machine that limit processors, where two may be used. */
static const struct {
	const char *cgroup, *file, *says;
	uint32_t most;
} quotas[] = {
	{ "0::/a/b\n", "a/b/cpu.max", "50000 100000\n", 1 },
	{ "0::/a/b\n", "a/cpu.max", "100001 100000\n", 2 },
	{ "0::/a/b\n", "cpu.max", "100000 100000\n", 1 },
	{ "0::/a/b\n", "a/b/cpu.max", "max 100000\n", UINT32_MAX },
	{ "0::/\n", "cpu.max", "20000 100000\n", 1 },
	{ "3:cpuset:/x\n4:cpu,cpuacct:/a\n", "cpu/a/cpu.cfs_quota_us",
	  "100000\n", 1 },
	{ "4:cpuset:/a\n", "cpu/a/cpu.cfs_quota_us", "100000\n",
	  UINT32_MAX },
	{ "nonsense\n", "cpu.max", "1 1\n", UINT32_MAX },
};

START_TEST(processors_are_those_that_may_be_used)
{
	char		command[512], path[256];
	cpu_set_t	set;
	uint32_t	all;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	all = (uint32_t)CPU_COUNT(&set);
	ck_assert_uint_eq(processors_usable("/nonexistent"), all);
	snprintf(command, sizeof(command), "mkdir -p %s/proc/self "
	    "%s/sys/fs/cgroup/a/b %s/sys/fs/cgroup/cpu/a && echo 100000 > "
	    "%s/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", directory, directory,
	    directory, directory);
	ck_assert_int_eq(system(command), 0);
	snprintf(path, sizeof(path), "%s/proc/self/cgroup", directory);
	write_file(path, quotas[_i].cgroup);
	snprintf(path, sizeof(path), "%s/sys/fs/cgroup/%s", directory,
	    quotas[_i].file);
	write_file(path, quotas[_i].says);
	ck_assert_uint_eq(processors_usable(directory),
	    quotas[_i].most < all ? quotas[_i].most : all);
	snprintf(command, sizeof(command), "rm -r %s/proc %s/sys", directory,
	    directory);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

static Suite *
machine_suite(void)
{
	Suite	*suite = suite_create("config machine");
	TCase	*tcase = unit_case(suite, "machine");

	tcase_add_checked_fixture(tcase, make_directory, remove_directory);
	tcase_add_loop_test(tcase,
	    a_password_that_others_can_read_is_warned_of, 0, COUNT(secrets));
	tcase_add_test(tcase, the_dropped_user_shall_not_read_passwords);
	tcase_add_loop_test(tcase,
	    too_few_connections_for_the_servers_are_warned_of, 0,
	    COUNT(roles));
	tcase_add_loop_test(tcase, processors_are_those_that_may_be_used, 0,
	    COUNT(quotas));
	return suite;
}

UNIT_MAIN(machine_suite)
