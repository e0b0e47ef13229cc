/*
 * servers.c - the servers from outside the fleet; see servers.h.
 */
#include "servers.h"

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const names[] = { "a", "b", "c" };
#define SERVERS 3u

static int guard = -1; /* closing it makes the guard restore the traffic */
static pid_t guard_pid;

static const char *
given(const char *variable)
{
	const char *value = getenv(variable);

	if (value == NULL)
		errx(1, "%s is not set: run by tests/with-servers", variable);
	return value;
}

const char *
servers_name(unsigned server)
{
	return names[server];
}

const char *
servers_conninfo(unsigned server)
{
	char	variable[] = "MEWS_A";

	variable[5] = (char)('A' + (int)server);
	return given(variable);
}

const char *
servers_port(unsigned server)
{
	char	variable[] = "MEWS_A_PORT";

	variable[5] = (char)('A' + (int)server);
	return given(variable);
}

const char *
servers_dir(void)
{
	return given("MEWS_SERVERS_DIR");
}

pid_t
servers_begin(const char *command, const char *which)
{
	char	line[300];
	pid_t	pid;

	snprintf(line, sizeof(line), "exec \"$MEWS_SERVERS\" %s "
	    "\"$MEWS_SERVERS_DIR\" %s >&2", command, which);
	given("MEWS_SERVERS");
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	return pid;
}

PGresult *
servers_query(unsigned server, const char *sql)
{
	PGconn	       *pg = PQconnectdb(servers_conninfo(server));
	PGresult       *answer = PQexec(pg, sql);
	ExecStatusType	status = PQresultStatus(answer);

	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
		warnx("%s: %s: %s", names[server], sql, PQerrorMessage(pg));
		PQclear(answer);
		answer = NULL;
	}
	PQfinish(pg);
	return answer;
}

bool
servers_do(unsigned server, const char *sql)
{
	PGresult	*answer = servers_query(server, sql);

	PQclear(answer);
	return answer != NULL;
}

long
servers_number(unsigned server, const char *sql)
{
	PGresult       *answer = servers_query(server, sql);
	long		number = -1;

	if (answer != NULL && PQntuples(answer) > 0)
		number = strtol(PQgetvalue(answer, 0, 0), NULL, 10);
	PQclear(answer);
	return number;
}

char *
servers_rows(unsigned server, unsigned long count)
{
	char	 *there = calloc(count, 1);
	PGresult *answer = servers_query(server, "SELECT id FROM fault_write");

	if (there == NULL || answer == NULL)
		errx(1, "the written rows cannot be read");
	for (int i = 0; i < PQntuples(answer); i++) {
		unsigned long id = strtoul(PQgetvalue(answer, i, 0), NULL, 10);

		if (id < count)
			there[id] = 1;
	}
	PQclear(answer);
	return there;
}

void
servers_make_synchronous(unsigned primary)
{
	char		sql[120];
	unsigned	b = (primary + 1) % SERVERS;
	unsigned	c = (primary + 2) % SERVERS;

	snprintf(sql, sizeof(sql), "ALTER SYSTEM SET "
	    "synchronous_standby_names = '2 (%s, %s)'", servers_name(b),
	    servers_name(c));
	if (!servers_do(primary, sql) ||
	    !servers_do(primary, "SELECT pg_reload_conf()"))
		errx(1, "the primary cannot be made synchronous");
}

unsigned
servers_primary(void)
{
	for (unsigned i = 0; i < 3; i++)
		if (servers_number(i, "SELECT pg_is_in_recovery()::int") == 0)
			return i;
	errx(1, "no server is a primary");
}

/* Run nft ARGS, with its messages if @loud; true: it succeeded. */
static bool
nft(const char *script, bool loud)
{
	char	line[600];
	int	status;

	snprintf(line, sizeof(line), "PATH=$PATH:/usr/sbin nft '%s'%s",
	    script, loud ? " >&2" : " >/dev/null 2>&1");
	fflush(NULL);
	status = system(line);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* In the guard: wait for the end of this program, or of the fault; then
 * restore. */
static void
stand_guard(int fd, const char *undo)
{
	char	byte;

	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	while (read(fd, &byte, 1) > 0)
		;
	nft(undo, false);
	_exit(0);
}

bool
servers_cut(unsigned server)
{
	const char *port = servers_port(server);
	char	    cut[500], undo[100];
	int	    ends[2];

	if (geteuid() != 0)
		return false;
	snprintf(undo, sizeof(undo), "delete table inet mews_fault_%ld",
	    (long)getpid());
	snprintf(cut, sizeof(cut), "table inet mews_fault_%ld { chain cut { "
	    "type filter hook input priority 0; policy accept; "
	    "ip daddr 127.0.0.1 tcp dport %s drop; "
	    "ip saddr 127.0.0.1 tcp sport %s drop; }; }",
	    (long)getpid(), port, port);
	if (pipe2(ends, O_CLOEXEC) == -1 || (guard_pid = fork()) == -1)
		err(1, "pipe and fork");
	if (guard_pid == 0) {
		close(ends[1]);
		stand_guard(ends[0], undo);
	}
	close(ends[0]);
	guard = ends[1];
	if (nft(cut, true))
		return true;
	servers_join();
	return false;
}

void
servers_join(void)
{
	if (guard == -1)
		return;
	close(guard);
	guard = -1;
	waitpid(guard_pid, NULL, 0);
}
