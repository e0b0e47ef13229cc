/*
 * test_addresses.c - host names that lead elsewhere, or nowhere.
 *
 * The program has an /etc/hosts and a resolver of its own, in a private mount
 * namespace, for which it must be root. The servers listen on three addresses
 * of the loopback: the first is that of tests and standbys, the fleet comes
 * over the others.
 */
#include "cluster.h"
#include "load.h"
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME_SERVER "127.0.0.77"

static const struct mews_group_config groups[] = {
	{ .name = "read", .role = MEWS_GROUP_STANDBY, .connection_count = 4,
	  .min_connections = 4, .acquire_timeout = 45000 },
	{ .name = "write", .role = MEWS_GROUP_PRIMARY,
	  .acquire_timeout = 45000 },
};

static const char some_read[] = "select $1::int from pg_sleep(0.002)";

static struct load *reads, *writes;
static char hosts_file[200];

static bool
write_file(const char *path, const char *text)
{
	FILE	*file = fopen(path, "w");

	return file != NULL && fputs(text, file) >= 0 && fclose(file) == 0;
}

/* Mount a file with @text over @path, for this program only. */
static bool
put_in_place(const char *path, const char *name, const char *text)
{
	char	own[200];

	snprintf(own, sizeof(own), "%s/%s", getenv("MEWS_SERVERS_DIR"), name);
	return write_file(own, text) &&
	    mount(own, path, NULL, MS_BIND, NULL) == 0;
}

static bool
have_own_names(void)
{
	snprintf(hosts_file, sizeof(hosts_file), "%s/hosts",
	    getenv("MEWS_SERVERS_DIR"));
	return unshare(CLONE_NEWNS) == 0 &&
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    put_in_place("/etc/hosts", "hosts", "") &&
	    put_in_place("/etc/nsswitch.conf", "nsswitch.conf",
		"hosts: files dns\n") &&
	    put_in_place("/etc/resolv.conf", "resolv.conf",
		"nameserver " NAME_SERVER "\noptions timeout:30\n");
}

/* The addresses of a server, each given by its last byte after 127.0.0. */
static void
listen_on(const char *server, const char *addresses)
{
	char	sql[200];

	snprintf(sql, sizeof(sql), "alter system set listen_addresses = '%s'",
	    addresses);
	cluster_ask(server, sql);
	cluster_servers("down", server);
	cluster_servers("up", server);
}

static void
set_hosts(const char *text)
{
	ck_assert(write_file(hosts_file, text));
}

static void
begin_all(void)
{
	for (const char *name = "a\0b\0c\0"; *name != '\0'; name += 2)
		listen_on(name, "127.0.0.1, 127.0.0.2, 127.0.0.3");
}

static void
begin(void)
{
	cluster_repair();
	reads = malloc(sizeof(*reads));
	writes = malloc(sizeof(*writes));
	ck_assert(reads != NULL && writes != NULL);
}

static void
end(void)
{
	cluster_close();
	free(reads);
	free(writes);
}

/* Each server has a name; its port stays. At 127.0.0.9 no server answers. */
static pid_t
open_named(const char *hosts)
{
	static char	conninfos[3][200];
	char		variable[] = "MEWS_A_PORT";
	pid_t		pid;

	set_hosts(hosts);
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	for (int i = 0; i < 3; i++) {
		variable[5] = (char)('A' + i);
		snprintf(conninfos[i], sizeof(conninfos[i]),
		    "host=%c.mews.test port=%s user=mews dbname=mews",
		    'a' + i, getenv(variable));
		cluster.endpoints[i].conninfo = conninfos[i];
	}
	cluster.config.health.resolve = 300;
	cluster_create();
	pid = cluster_monitor();
	cluster_join();
	return pid;
}

/* How many connections to 127.0.0.@address of a server all processes have
 * open. */
static int
count_to(const char *server, int address)
{
	char		variable[] = "MEWS_A_PORT", line[300];
	FILE	       *file = fopen("/proc/net/tcp", "r");
	unsigned	ip, port, state, wanted;
	int		count = 0;

	ck_assert_ptr_nonnull(file);
	variable[5] = (char)('A' + server[0] - 'a');
	wanted = (unsigned)atoi(getenv(variable));
	while (fgets(line, sizeof(line), file) != NULL)
		count += sscanf(line, " %*d: %*x:%*x %x:%x %x", &ip, &port,
		    &state) == 3 && port == wanted && state == 1 &&
		    ntohl(ip) == INADDR_LOOPBACK - 1 + (unsigned)address;
	fclose(file);
	return count;
}

static bool
is_up(const char *endpoint)
{
	return strcmp(cluster_state(endpoint), "up") == 0;
}

static bool
has_moved(const char *server, int from, int to)
{
	return count_to(server, from) == 0 && count_to(server, to) > 0;
}

static void
start_load(void)
{
	load_start(reads, "read", some_read);
	load_start(writes, "write", "insert into written values ($1)");
	CLUSTER_WAIT(reads->on[1] > 20 && reads->on[2] > 20);
	CLUSTER_WAIT(writes->on[0] > 20);
}

static void
stop_load(void)
{
	load_stop(reads);
	load_stop(writes);
	ck_assert_msg(load_failed(reads) == 0, "%s", reads->message);
	ck_assert_msg(load_failed(writes) == 0, "%s", writes->message);
}

START_TEST(connections_follow_a_name_and_nothing_fails)
{
	pid_t	pid;
	int	before;

	cluster_ask("a", "drop table if exists written;"
	    "create table written (id int)");
	pid = open_named("127.0.0.2 a.mews.test b.mews.test c.mews.test\n");
	start_load();
	ck_assert(count_to("a", 2) > 0 && count_to("a", 3) == 0);
	/* The name moves back and forth several times. */
	for (int i = 0; i < 6; i++) {
		int	from = 2 + i % 2, to = 3 - i % 2;
		char	hosts[100];

		snprintf(hosts, sizeof(hosts),
		    "127.0.0.%d a.mews.test b.mews.test\n"
		    "127.0.0.2 c.mews.test\n", to);
		set_hosts(hosts);
		CLUSTER_WAIT(has_moved("a", from, to));
		CLUSTER_WAIT(has_moved("b", from, to));
		ck_assert_int_gt(count_to("c", 2), 0);
		before = reads->on[1];
		CLUSTER_WAIT(reads->on[1] > before + 20);
		before = writes->on[0];
		CLUSTER_WAIT(writes->on[0] > before + 20);
	}
	stop_load();
	ck_assert_int_eq(cluster_logged("to=down") +
	    cluster_monitor_logged("to=down"), 0);
	ck_assert_int_eq(cluster_ask_int("a", "select count(*) from written"),
	    load_answers(writes));
	ck_assert_int_eq(count_to("c", 3), 0);
	cluster_end(pid);
}
END_TEST

/* A name of several servers, in any order, does no harm: the server that is at
 * one of the addresses has not vanished. */
START_TEST(the_order_of_several_addresses_changes_nothing)
{
	static const char *const hosts[2] = {
		"127.0.0.2 a.mews.test b.mews.test c.mews.test\n"
		"127.0.0.3 b.mews.test\n",
		"127.0.0.3 b.mews.test c.mews.test\n"
		"127.0.0.2 a.mews.test b.mews.test\n",
	};
	pid_t	pid = open_named(hosts[0]);

	load_start(reads, "read", some_read);
	CLUSTER_WAIT(reads->on[1] > 20 && reads->on[2] > 20);
	for (int i = 0; i < 4; i++) {
		set_hosts(hosts[1 - i % 2]);
		CLUSTER_WAIT(has_moved("c", 2 + i % 2, 3 - i % 2));
		ck_assert_int_gt(count_to("b", 2), 0);
		ck_assert_int_eq(count_to("b", 3), 0);
	}
	ck_assert_str_ne(cluster_look("b").reason, "address_changed");
	load_stop(reads);
	ck_assert_msg(load_failed(reads) == 0, "%s", reads->message);
	cluster_end(pid);
}
END_TEST

/* The addresses of b's name before the move and after it. */
static const char *const moves[][2] = {
	{ "127.0.0.2 b.mews.test\n", "127.0.0.3 b.mews.test\n" },
	/* b is at one of the addresses all the time; the other one answered. */
	{ "127.0.0.2 b.mews.test\n127.0.0.3 b.mews.test\n", NULL },
	/* Of two addresses the one in use vanishes. */
	{ "127.0.0.2 b.mews.test\n127.0.0.3 b.mews.test\n",
	  "127.0.0.3 b.mews.test\n127.0.0.9 b.mews.test\n" },
};

START_TEST(where_the_old_address_is_dead_the_new_one_is_used)
{
	static const char	others[] = "127.0.0.2 a.mews.test "
				    "c.mews.test\n";
	char			hosts[200];
	pid_t			pid;
	int			before;

	listen_on("b", "127.0.0.1, 127.0.0.2, 127.0.0.3");
	snprintf(hosts, sizeof(hosts), "%s%s", others, moves[_i][0]);
	pid = open_named(hosts);
	load_start(reads, "read", some_read);
	CLUSTER_WAIT(reads->on[1] > 20 && reads->on[2] > 20);
	ck_assert_int_gt(count_to("b", 2), 0);
	listen_on("b", "127.0.0.1, 127.0.0.3");
	CLUSTER_WAIT(!is_up("b") || has_moved("b", 2, 3));
	if (moves[_i][1] != NULL) {
		before = reads->on[2];
		CLUSTER_WAIT(reads->on[2] > before + 100);
		ck_assert(_i != 0 || !is_up("b"));
		snprintf(hosts, sizeof(hosts), "%s%s", others, moves[_i][1]);
		set_hosts(hosts);
	}
	CLUSTER_WAIT(is_up("b") && has_moved("b", 2, 3));
	before = reads->on[1];
	CLUSTER_WAIT(reads->on[1] > before + 100);
	load_stop(reads);
	ck_assert_msg(load_failed(reads) == 0, "%s", reads->message);
	cluster_end(pid);
}
END_TEST

/* A name server that receives questions and answers none. */
static int
silent_name_server(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(53) };
	int		   fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, NAME_SERVER, &address.sin_addr);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	return fd;
}

/* CPU time of a process, in milliseconds. */
static long
time_used(pid_t pid)
{
	char		path[60], line[600];
	unsigned long	user, system;
	FILE	       *file;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	fclose(file);
	ck_assert_int_eq(sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d "
	    "%*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
	return (long)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

/* How long the longest of some reads took, which b answers as well as
 * others. */
static int64_t
longest_read(void)
{
	int64_t	longest = 0;

	for (int on_b = 0; on_b < 200;) {
		int64_t		before = cluster_now();
		struct asked	asked;

		asked = cluster_run(cluster_group("read"), "select 1");
		ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
		on_b += strcmp(asked.endpoint, "b") == 0;
		if (cluster_now() - before > longest)
			longest = cluster_now() - before;
	}
	return longest;
}

START_TEST(a_resolver_that_hangs_blocks_nobody)
{
	struct pollfd	asked = { .fd = silent_name_server(),
		.events = POLLIN };
	int64_t		since;
	uint64_t	lsn;
	long		used;
	pid_t		pid;

	pid = open_named("127.0.0.2 a.mews.test b.mews.test c.mews.test\n");
	CLUSTER_WAIT(is_up("a") && is_up("b") && is_up("c"));
	CLUSTER_WAIT(cluster_stats("read").idle == 4);
	/* The name of b leaves the file, and c moves. */
	set_hosts("127.0.0.2 a.mews.test\n"
	    "127.0.0.3 c.mews.test\n");
	CLUSTER_WAIT(poll(&asked, 1, 0) == 1);
	/* The look-up hangs from here on, for half a minute. */
	used = time_used(pid);
	since = cluster_now();
	CLUSTER_WAIT(has_moved("c", 2, 3));
	ck_assert_int_lt(longest_read(), 5000);
	ck_assert_int_gt(count_to("b", 2), 0);
	/* Probes go on meanwhile. */
	lsn = strtoull(cluster_ask("a", "insert into written values (1);"
	    "select pg_current_wal_lsn() - '0/0'::pg_lsn"), NULL, 10);
	CLUSTER_WAIT(cluster_look("a").lsn >= lsn);
	cluster_servers("freeze", "c");
	CLUSTER_WAIT(strcmp(cluster_state("c"), "down") == 0);
	ck_assert_int_lt(longest_read(), 5000);
	cluster_servers("thaw", "c");
	CLUSTER_WAIT(is_up("c"));
	ck_assert(is_up("b") && count_to("b", 2) > 0);
	/* The monitor waits, it does not spin. */
	ck_assert_int_lt(time_used(pid) - used,
	    (cluster_now() - since) / 2 + 100);
	/* Names are looked up again after a look-up that hung. */
	set_hosts("127.0.0.2 a.mews.test\n"
	    "127.0.0.3 b.mews.test c.mews.test\n");
	CLUSTER_WAIT(has_moved("b", 2, 3));
	close(asked.fd);
	cluster_end(pid);
}
END_TEST

static Suite *
addresses_suite(void)
{
	Suite	*suite = suite_create("addresses");
	TCase	*tcase = unit_case(suite, "addresses");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, begin_all, NULL);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, connections_follow_a_name_and_nothing_fails);
	tcase_add_test(tcase, the_order_of_several_addresses_changes_nothing);
	tcase_add_test(tcase, a_resolver_that_hangs_blocks_nobody);
	tcase_add_loop_test(tcase,
	    where_the_old_address_is_dead_the_new_one_is_used, 0,
	    (int)CLUSTER_COUNT(moves));
	return suite;
}

int
main(void)
{
	if (!have_own_names()) {
		printf("1..0 # SKIP no /etc/hosts of its own: %s\n",
		    strerror(errno));
		return EXIT_SUCCESS;
	}
	return unit_run(addresses_suite());
}
