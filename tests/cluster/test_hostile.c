/*
 * test_hostile.c - a server that answers nonsense costs others nothing.
 *
 * Each row is one wrong answer; the server a stands beside and goes on serving.
 * An endless loop would show as a test that takes too long.
 */
#include "cluster.h"
#include "hostile.h"
#include "libpq_leaks.h"
#include "unit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES(text) text, sizeof(text) - 1
#define COPY_IN	 "G\0\0\0\7\0\0\0"
#define COPY_OUT "H\0\0\0\7\0\0\0"
#define COPY_BOTH "W\0\0\0\7\0\0\0"
#define NOTICE	 "N\0\0\0\30SNOTICE\0C00000\0Mhi\0\0"
#define AUTH_OK	 "R\0\0\0\10\0\0\0\0"
#define READY	 "Z\0\0\0\5I"
#define ONE_FIELD \
	"T\0\0\0\31\0\1r\0\0\0\0\0\0\0\0\0\0\20\0\1\377\377\377\377\0\0"
#define SELECT	 "C\0\0\0\rSELECT 1\0"

static const struct hostile_answer rows[] = {
	{ "hangs up", HOSTILE_SSL, BYTES(""), HOSTILE_HANG_UP, false },
	{ "is no database", HOSTILE_SSL,
	  BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"), HOSTILE_HANG_UP, false },
	{ "TLS that is none", HOSTILE_SSL, BYTES("Snonsense, and more of it"),
	  HOSTILE_SILENCE, false },
	{ "an error without an end", HOSTILE_SSL, BYTES("EFATAL"),
	  HOSTILE_SILENCE, false },
	{ "hangs up", HOSTILE_LOGIN, BYTES(""), HOSTILE_HANG_UP, false },
	{ "silence", HOSTILE_LOGIN, BYTES(""), HOSTILE_SILENCE, false },
	{ "garbage", HOSTILE_LOGIN, BYTES("\377\376\375\374\373\372\371"),
	  HOSTILE_SILENCE, false },
	{ "unknown authentication", HOSTILE_LOGIN,
	  BYTES("R\0\0\0\10\0\0\0\143"), HOSTILE_SILENCE, false },
	{ "SASL without a mechanism", HOSTILE_LOGIN,
	  BYTES("R\0\0\0\11\0\0\0\12\0"), HOSTILE_SILENCE, false },
	{ "an error without fields", HOSTILE_LOGIN, BYTES("E\0\0\0\5\0"),
	  HOSTILE_HANG_UP, false },
	{ "in, then silence", HOSTILE_LOGIN, BYTES(AUTH_OK),
	  HOSTILE_SILENCE, false },
	{ "in, and says nothing of itself", HOSTILE_LOGIN,
	  BYTES(AUTH_OK READY), HOSTILE_SILENCE, false },
	{ "a negative length", HOSTILE_LOGIN, BYTES("R\377\377\377\377"),
	  HOSTILE_SILENCE, false },
	{ "a gigabyte to come", HOSTILE_LOGIN, BYTES(AUTH_OK
	    "E\100\0\0\0S"), HOSTILE_SILENCE, false },
	{ "notices without end", HOSTILE_LOGIN, BYTES(NOTICE),
	  HOSTILE_ENDLESS, false },
	{ "let in without end", HOSTILE_LOGIN, BYTES(AUTH_OK),
	  HOSTILE_ENDLESS, false },
	{ "COPY", HOSTILE_LOGIN, BYTES(AUTH_OK COPY_IN READY),
	  HOSTILE_SILENCE, false },
	{ "hangs up", HOSTILE_PROBE, BYTES(""), HOSTILE_HANG_UP, false },
	{ "silence", HOSTILE_PROBE, BYTES(""), HOSTILE_SILENCE, false },
	{ "COPY in", HOSTILE_PROBE, BYTES(COPY_IN), HOSTILE_SILENCE, false },
	{ "COPY out", HOSTILE_PROBE, BYTES(COPY_OUT), HOSTILE_SILENCE, false },
	{ "COPY both", HOSTILE_PROBE, BYTES(COPY_BOTH), HOSTILE_SILENCE,
	  false },
	{ "an empty query", HOSTILE_PROBE, BYTES("I\0\0\0\4" READY),
	  HOSTILE_SILENCE, false },
	{ "ready, no more", HOSTILE_PROBE, BYTES(READY), HOSTILE_SILENCE,
	  false },
	{ "no row", HOSTILE_PROBE, BYTES(ONE_FIELD "C\0\0\0\rSELECT 0\0"
	    READY), HOSTILE_SILENCE, false },
	{ "one field", HOSTILE_PROBE, BYTES(ONE_FIELD
	    "D\0\0\0\13\0\1\0\0\0\1t" SELECT READY), HOSTILE_SILENCE, false },
	{ "a row of nothing known", HOSTILE_PROBE,
	  BYTES("D\0\0\0\13\0\1\0\0\0\1t" SELECT READY), HOSTILE_SILENCE,
	  false },
	{ "an error without fields", HOSTILE_PROBE, BYTES("E\0\0\0\5\0" READY),
	  HOSTILE_SILENCE, false },
	{ "rows without end", HOSTILE_PROBE, BYTES("D\0\0\0\6\0\0"),
	  HOSTILE_ENDLESS, false },
	{ "notices without end", HOSTILE_PROBE, BYTES(NOTICE),
	  HOSTILE_ENDLESS, false },
	{ "ready without end", HOSTILE_PROBE, BYTES(READY), HOSTILE_ENDLESS,
	  false },
	{ "hangs up", HOSTILE_QUERY, BYTES(""), HOSTILE_HANG_UP, false },
	{ "silence", HOSTILE_QUERY, BYTES(""), HOSTILE_SILENCE, false },
	{ "COPY in", HOSTILE_QUERY, BYTES(COPY_IN), HOSTILE_SILENCE, false },
	{ "COPY both", HOSTILE_QUERY, BYTES(COPY_BOTH), HOSTILE_SILENCE,
	  false },
	{ "ready too early", HOSTILE_QUERY, BYTES(READY READY READY),
	  HOSTILE_SILENCE, false },
	{ "a row of nothing known", HOSTILE_QUERY,
	  BYTES("D\0\0\0\13\0\1\0\0\0\1t" SELECT READY), HOSTILE_SILENCE,
	  false },
	{ "a gigabyte to come", HOSTILE_QUERY, BYTES("D\100\0\0\0\0\1"),
	  HOSTILE_SILENCE, false },
	{ "garbage", HOSTILE_QUERY, BYTES("\377\376\375\374\373\372\371"),
	  HOSTILE_SILENCE, false },
	{ "notices without end", HOSTILE_QUERY, BYTES(NOTICE),
	  HOSTILE_ENDLESS, false },
	{ "hangs up", HOSTILE_LISTEN, BYTES(""), HOSTILE_HANG_UP, true },
	{ "silence", HOSTILE_LISTEN, BYTES(""), HOSTILE_SILENCE, true },
	{ "COPY in", HOSTILE_LISTEN, BYTES(COPY_IN), HOSTILE_SILENCE, true },
	{ "COPY out", HOSTILE_LISTEN, BYTES(COPY_OUT), HOSTILE_SILENCE, true },
	{ "COPY both", HOSTILE_LISTEN, BYTES(COPY_BOTH), HOSTILE_SILENCE,
	  true },
	{ "garbage", HOSTILE_LISTEN, BYTES("\377\376\375\374\373\372\371"),
	  HOSTILE_SILENCE, true },
	{ "notices without end", HOSTILE_LISTEN, BYTES(NOTICE),
	  HOSTILE_ENDLESS, true },
};

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 2 },
	{ .name = "read", .role = MEWS_GROUP_STANDBY, .connection_count = 2,
	  .acquire_timeout = 1000, .query_timeout = 300 },
};

static pid_t	    server, monitor;
static _Atomic int *attacks;
static int	    listening;

struct serving {
	int fd;
	const struct hostile_answer *row;
};

static void
serve(void *arg)
{
	const struct serving	*serving = arg;

	hostile_serve(serving->fd, serving->row, attacks);
}

static void
begin(void)
{
	attacks = mmap(NULL, sizeof(*attacks), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(attacks != MAP_FAILED);
	cluster_repair();
}

static void
end(void)
{
	if (monitor != 0)
		cluster_end(monitor);
	cluster_end(server);
	cluster_close();
}

/* A fleet of the hostile server, and of a unless the hostile one claims to be
 * primary. */
static void
open_fleet(const struct hostile_answer *row, bool with_monitor)
{
	static char	conninfo[100];
	struct serving	serving = { .row = row };
	in_port_t	port;

	serving.fd = cluster_listen(&port);
	snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d user=x "
	    "gssencmode=disable", port);
	cluster_prepare(groups, CLUSTER_COUNT(groups));
	cluster.config.endpoint_count = row->primary ? 1 : 2;
	cluster.endpoints[row->primary ? 0 : 1].conninfo = conninfo;
	cluster.config.health.interval = 100;
	cluster.config.health.timeout = 300;
	cluster_create();
	server = cluster_fork(serve, &serving);
	if (with_monitor)
		monitor = cluster_monitor();
	cluster_join();
	close(serving.fd);
}

static void
heard(void *arg, const struct mews_notification *notification)
{
	(void)arg;
	listening += notification->event == MEWS_NOTIFY_LISTENING;
}

START_TEST(a_server_that_talks_nonsense_costs_others_nothing)
{
	const struct hostile_answer *row = &rows[_i];
	struct mews_listener	    *listener = NULL;
	struct mews_error	     error;
	struct asked		     asked = { .calls = 1 }, write;

	open_fleet(row, row->phase == HOSTILE_PROBE && _i % 2 == 0);
	if (row->phase == HOSTILE_LISTEN)
		ck_assert_int_eq(mews_listen(&listener, cluster.pool, "news",
		    heard, NULL, &error), MEWS_OK);
	for (int round = 0; round < 2; round++) {
		int	before = *attacks;
		int64_t	end_ms = cluster_now() + CLUSTER_PATIENCE;

		if (row->phase == HOSTILE_QUERY && asked.calls == 1)
			cluster_send_sql(&asked, cluster_group("read"),
			    "select 'attack'");
		/* A server that is up gets no second login. */
		while (*attacks == before && (row->phase > HOSTILE_LOGIN ||
		    *attacks == 0 || strcmp(cluster_state("b"), "up") != 0)) {
			write = cluster_run(cluster_group("write"),
			    "select 1");
			ck_assert_msg(write.status == MEWS_OK, "%s: %s",
			    row->name, write.message);
			if (row->phase == HOSTILE_QUERY && asked.calls == 1)
				cluster_send_sql(&asked,
				    cluster_group("read"), "select 'attack'");
			ck_assert_msg(cluster_now() < end_ms, "%s", row->name);
			cluster_turn();
		}
	}
	if (row->phase == HOSTILE_QUERY)
		CLUSTER_WAIT(asked.calls == 1);
	ck_assert_int_eq(asked.calls, 1);
	if (!row->primary) {
		/* A busy machine may suspect a for a moment. */
		CLUSTER_WAIT(strcmp(cluster_state("a"), "up") == 0);
		ck_assert_int_eq(cluster_logged("endpoint=a from=suspect "
		    "to=down") + cluster_logged("endpoint=a from=up to=down"),
		    0);
	}
	ck_assert_int_eq(listening, 0);
	mews_unlisten(&listener);
}
END_TEST

static Suite *
hostile_suite(void)
{
	Suite	*suite = suite_create("hostile");
	TCase	*tcase = unit_case(suite, "answers");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_loop_test(tcase,
	    a_server_that_talks_nonsense_costs_others_nothing, 0,
	    (int)CLUSTER_COUNT(rows));
	return suite;
}

UNIT_MAIN(hostile_suite)
