/*
 * cluster.c - one fleet on the servers of tests/with-servers; see cluster.h.
 */
#include "cluster.h"

#include "unit.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct cluster cluster;

static const char *const names[3] = { "a", "b", "c" };

/* The value of a variable that tests/with-servers sets. */
static const char *
given(const char *variable)
{
	const char *value = getenv(variable);

	ck_assert_msg(value != NULL, "%s is not set: run by tests/with-servers",
	    variable);
	return value;
}

static const char *
conninfo_of(const char *server)
{
	char	variable[] = "MEWS_A";

	variable[5] = (char)('A' + server[0] - 'a');
	return given(variable);
}

static void
keep_log(void *arg, enum mews_log_level level, const char *event,
    const char *text)
{
	static const char *const levels[] = {
		[MEWS_LOG_DEBUG] = "debug", [MEWS_LOG_INFO] = "info",
		[MEWS_LOG_WARNING] = "warning", [MEWS_LOG_ERROR] = "error",
	};
	char   *log = arg;
	size_t	used = strlen(log);

	snprintf(log + used, sizeof(cluster.log) - used, "%s %s %s\n",
	    levels[level], event, text);
}

void
cluster_prepare(const struct mews_group_config *groups, size_t count)
{
	static char	file[200];

	for (size_t i = 0; i < 3; i++)
		cluster.endpoints[i] = (struct mews_endpoint_config) {
			.name = names[i], .conninfo = conninfo_of(names[i]),
		};
	ck_assert_uint_le(count, CLUSTER_GROUPS_MAX);
	for (size_t i = 0; i < count; i++) {
		cluster.groups[i] = groups[i];
		if (groups[i].acquire_timeout == 0)
			cluster.groups[i].acquire_timeout = CLUSTER_PATIENCE;
	}
	snprintf(file, sizeof(file), "%s/%ld.segment",
	    given("MEWS_SERVERS_DIR"), (long)getpid());
	cluster.config = (struct mews_config) {
		.abi = MEWS_ABI,
		.instance = "cluster",
		.runtime_file = file,
		.workers = 8,
		.endpoints = cluster.endpoints,
		.endpoint_count = 3,
		.groups = cluster.groups,
		.group_count = count,
		.health = { .interval = 200, .timeout = 500 },
	};
}

void
cluster_create(void)
{
	struct mews_error	error;

	ck_assert_msg(mews_fleet_create(&cluster.fleet, &cluster.config,
	    &error) == MEWS_OK, "%s", error.message);
	mews_fleet_set_log(cluster.fleet, keep_log, cluster.log);
	ck_assert_msg(mews_view_open(&cluster.view,
	    cluster.config.runtime_file, &error) == MEWS_OK,
	    "%s", error.message);
}

void
cluster_join(void)
{
	struct mews_error	error;

	ck_assert_msg(mews_fleet_join(cluster.fleet, &error) == MEWS_OK,
	    "%s", error.message);
	ck_assert_msg(mews_pool_open(&cluster.pool, cluster.fleet, NULL, NULL,
	    &error) == MEWS_OK, "%s", error.message);
}

void
cluster_open(const struct mews_group_config *groups, size_t count)
{
	cluster_prepare(groups, count);
	cluster_create();
	cluster_join();
}

/* Run the monitor in the child; it ends with the test's process at the
 * latest. */
static void
run_monitor(int ends[2])
{
	struct mews_error	error;

	close(ends[1]);
	mews_fleet_set_log(cluster.fleet, keep_log, cluster.monitor_log);
	_exit(mews_monitor_run(cluster.fleet, ends[0], &error) == MEWS_OK ?
	    EXIT_SUCCESS : EXIT_FAILURE);
}

pid_t
cluster_monitor(void)
{
	struct mews_view_fleet	seen = { .monitor_pid = 0 };
	int			ends[2];
	pid_t			pid;

	if (cluster.monitor_log == NULL)
		cluster.monitor_log = mmap(NULL, sizeof(cluster.log),
		    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(cluster.monitor_log, MAP_FAILED);
	ck_assert_int_eq(pipe(ends), 0);
	if ((pid = fork()) == 0)
		run_monitor(ends);
	ck_assert_int_gt(pid, 0);
	close(ends[0]);
	while (seen.monitor_pid != pid) {
		CLUSTER_WAIT(waitpid(pid, NULL, WNOHANG) == 0);
		mews_view_fleet(cluster.view, &seen, sizeof(seen));
		cluster_turn();
	}
	return pid;
}

void
cluster_open_at(const char *conninfo, const struct mews_group_config *groups,
    size_t count)
{
	cluster_prepare(groups, count);
	cluster.endpoints[0].conninfo = conninfo;
	cluster.config.endpoint_count = 1;
	cluster_create();
	cluster_join();
}

pid_t
cluster_watched(const struct mews_group_config *groups, size_t count)
{
	pid_t	pid;

	cluster_prepare(groups, count);
	cluster_create();
	pid = cluster_monitor();
	cluster_join();
	return pid;
}

void
cluster_end(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	mews_fleet_reap(cluster.fleet, pid);
}

void
cluster_close(void)
{
	mews_pool_close(&cluster.pool);
	mews_view_close(&cluster.view);
	mews_fleet_destroy(&cluster.fleet);
}

struct mews_group *
cluster_group(const char *name)
{
	struct mews_group *group = mews_pool_group(cluster.pool, name);

	ck_assert_ptr_nonnull(group);
	return group;
}

struct mews_group_stats
cluster_stats(const char *name)
{
	struct mews_group_stats	stats;

	mews_group_stats(cluster_group(name), &stats, sizeof(stats));
	return stats;
}

int64_t
cluster_now(void)
{
	struct timespec	ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
cluster_turn(void)
{
	if (cluster.pool == NULL)
		poll(NULL, 0, 10);
	else
		ck_assert_int_eq(mews_pool_turn(cluster.pool, 10), MEWS_OK);
}

void
cluster_turn_for(int ms)
{
	int64_t	until = cluster_now() + ms;

	while (cluster_now() < until)
		cluster_turn();
}

enum mews_flow
cluster_go_on(void *arg, const struct mews_result *row)
{
	(void)arg;
	(void)row;
	return MEWS_FLOW_GO;
}

void
cluster_note(void *arg, const struct mews_result *result)
{
	struct asked	*asked = arg;
	PGresult	*pg = (PGresult *)(uintptr_t)mews_result_pg(result);

	asked->calls++;
	asked->status = mews_result_status(result);
	if (pg != NULL && PQntuples(pg) > 0) {
		asked->null = PQgetisnull(pg, 0, 0);
		snprintf(asked->value, sizeof(asked->value), "%s",
		    PQgetvalue(pg, 0, 0));
	}
	snprintf(asked->endpoint, sizeof(asked->endpoint), "%s",
	    mews_result_endpoint(result));
	snprintf(asked->sqlstate, sizeof(asked->sqlstate), "%s",
	    mews_result_sqlstate(result));
	snprintf(asked->message, sizeof(asked->message), "%s",
	    mews_result_message(result));
}

void
cluster_send(struct asked *asked, struct mews_group *group,
    const struct mews_query_args *args)
{
	memset(asked, 0, sizeof(*asked));
	ck_assert_msg(mews_query_send(group, args, cluster_note, asked,
	    &asked->id) == MEWS_OK, "%s", mews_group_message(group));
	ck_assert_uint_ne(asked->id, 0);
}

void
cluster_send_sql(struct asked *asked, struct mews_group *group,
    const char *sql)
{
	cluster_send(asked, group, &(struct mews_query_args) { .sql = sql });
}

/* Keep the outcome of a blocking call; @status must be that of @result. */
static struct asked
finish(enum mews_status status, struct mews_result *result)
{
	struct asked	asked = { .status = status };

	if (result == NULL) {
		ck_assert_int_ne(status, MEWS_OK);
		return asked;
	}
	cluster_note(&asked, result);
	ck_assert_int_eq(asked.status, status);
	mews_result_free(&result);
	return asked;
}

struct asked
cluster_run_args(struct mews_group *group, const struct mews_query_args *args)
{
	struct mews_result     *result;
	enum mews_status	status = mews_query_run(group, args, &result);

	return finish(status, result);
}

struct asked
cluster_run(struct mews_group *group, const char *sql)
{
	return cluster_run_args(group,
	    &(struct mews_query_args) { .sql = sql });
}

struct asked
cluster_on_lease(struct mews_lease *lease, const char *sql)
{
	struct mews_query_args	args = { .sql = sql };
	struct mews_result     *result;
	enum mews_status	status;

	status = mews_lease_query_run(lease, &args, &result);
	return finish(status, result);
}

struct asked
cluster_commit(struct mews_lease *lease)
{
	struct mews_result     *result;
	enum mews_status	status = mews_lease_commit_run(lease, &result);

	return finish(status, result);
}

struct asked
cluster_rollback(struct mews_lease *lease)
{
	struct mews_result     *result;
	enum mews_status	status;

	status = mews_lease_rollback_run(lease, &result);
	return finish(status, result);
}

struct mews_lease *
cluster_lease(struct mews_group *group)
{
	struct mews_lease	*lease;

	ck_assert_msg(mews_lease_begin_run(group, 0, &lease) == MEWS_OK, "%s",
	    mews_group_message(group));
	ck_assert_ptr_nonnull(lease);
	return lease;
}

const char *
cluster_value(struct mews_group *group, const char *sql)
{
	static struct asked	asked;

	asked = cluster_run(group, sql);
	ck_assert_msg(asked.status == MEWS_OK, "%s: %s: %s", sql,
	    mews_status_name(asked.status), asked.message);
	return asked.value;
}

const char *
cluster_ask(const char *server, const char *sql)
{
	static char	value[200];
	PGconn	       *pg = PQconnectdb(conninfo_of(server));
	PGresult       *answer = PQexec(pg, sql);
	ExecStatusType	status = PQresultStatus(answer);

	ck_assert_msg(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK,
	    "%s: %s: %s", server, sql, PQerrorMessage(pg));
	snprintf(value, sizeof(value), "%s", PQntuples(answer) == 0 ? "" :
	    PQgetvalue(answer, 0, 0));
	PQclear(answer);
	PQfinish(pg);
	return value;
}

int
cluster_ask_int(const char *server, const char *sql)
{
	return atoi(cluster_ask(server, sql));
}

void
cluster_catch_up(void)
{
	char	sql[200];

	snprintf(sql, sizeof(sql), "select pg_last_wal_replay_lsn() >= '%s'",
	    cluster_ask("a", "select pg_current_wal_lsn()"));
	for (size_t i = 1; i < 3; i++)
		CLUSTER_WAIT(strcmp(cluster_ask(names[i], sql), "t") == 0);
}

static pid_t
start_servers(const char *command, const char *which)
{
	char	sql[300];
	pid_t	pid;

	snprintf(sql, sizeof(sql), "exec \"$MEWS_SERVERS\" %s "
	    "\"$MEWS_SERVERS_DIR\" %s >&2", command, which);
	given("MEWS_SERVERS");
	if ((pid = fork()) == 0) {
		execl("/bin/sh", "sh", "-c", sql, (char *)NULL);
		_exit(127);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

void
cluster_servers(const char *command, const char *which)
{
	pid_t	pid = start_servers(command, which);
	int	status;

	CLUSTER_WAIT(waitpid(pid, &status, WNOHANG) == pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "servers %s %s failed", command, which);
}

void
cluster_repair(void)
{
	cluster_servers("thaw", "a b c");
	cluster_servers("up", "a b c");
}

int
cluster_listen(in_port_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t	   length = sizeof(address);
	int		   fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, length), 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address,
	    &length), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

struct mews_view_endpoint
cluster_look(const char *endpoint)
{
	struct mews_view_endpoint	seen;

	for (uint32_t i = 0;
	     mews_view_endpoint(cluster.view, i, &seen, sizeof(seen)); i++)
		if (strcmp(seen.name, endpoint) == 0)
			return seen;
	ck_abort_msg("no endpoint %s", endpoint);
}

const char *
cluster_state(const char *endpoint)
{
	return cluster_look(endpoint).state;
}

bool
cluster_is(const char *endpoint, const char *state)
{
	return strcmp(cluster_state(endpoint), state) == 0;
}

const char *
cluster_role(const char *endpoint)
{
	return cluster_look(endpoint).role;
}

static int
count_in(const char *log, const char *text)
{
	int	count = 0;

	for (; log != NULL && (log = strstr(log, text)) != NULL; log++)
		count++;
	return count;
}

int
cluster_logged(const char *text)
{
	return count_in(cluster.log, text);
}

int
cluster_monitor_logged(const char *text)
{
	return count_in(cluster.monitor_log, text);
}

pid_t
cluster_fork(void (*fn)(void *arg), void *arg)
{
	pid_t	pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		fn(arg);
		_exit(0);
	}
	return pid;
}

void
cluster_ended_well(pid_t pid)
{
	int	status;

	CLUSTER_WAIT(waitpid(pid, &status, WNOHANG) == pid);
	mews_fleet_reap(cluster.fleet, pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "a child ended with status %#x", (unsigned)status);
}
