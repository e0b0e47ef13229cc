/*
 * cluster.h - a fleet on the servers that tests/with-servers started.
 *
 * A test is a process (see unit.h) and has one fleet, which this module keeps.
 * Every wait turns the pool and has a deadline.
 */
#ifndef TESTS_CLUSTER_CLUSTER_H
#define TESTS_CLUSTER_CLUSTER_H

#include <mews.h>
#include <mews/settings.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CLUSTER_PATIENCE 45000 /* ms after which a wait was in vain */
#define CLUSTER_COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define CLUSTER_GROUPS_MAX 32

struct cluster {
	struct mews_endpoint_config endpoints[3]; /* a, b, c */
	struct mews_group_config groups[CLUSTER_GROUPS_MAX];
	struct mews_config config;
	struct mews_fleet *fleet;
	struct mews_view *view;
	struct mews_pool *pool;
	char log[65536]; /* this process' log: "level event text\n" */
	char *monitor_log; /* the monitor's log; NULL: no monitor ran */
};

extern struct cluster cluster;

/* The end of a query, and how often the end was told. */
struct asked {
	int calls;
	enum mews_status status;
	bool null;	/* is the value NULL? */
	char value[80]; /* first column of the first row, cut */
	char endpoint[MEWS_NAME_MAX + 1];
	char sqlstate[6];
	char message[600];
	mews_query_id id;
};

/*
 * Fill cluster.config with all three servers, quick verdicts and these groups,
 * which wait as long as CLUSTER_WAIT() unless they say how long; the test then
 * changes what it likes. The next steps: make the fleet and a view of it; join
 * it and open the pool.
 */
void cluster_prepare(const struct mews_group_config *groups, size_t count);
void cluster_create(void);
void cluster_join(void);

/* All three steps in one. */
void cluster_open(const struct mews_group_config *groups, size_t count);

/* All three steps, with the server a alone, reached by @conninfo. */
void cluster_open_at(const char *conninfo,
    const struct mews_group_config *groups, size_t count);

/* All three steps, with a monitor; returns the monitor's pid. */
pid_t cluster_watched(const struct mews_group_config *groups, size_t count);

/* Between create and join: start a monitor, wait until it is at work, return
 * its pid. cluster_close() does not end a monitor, cluster_end() does. */
pid_t cluster_monitor(void);

/* Kill a child, wait for it, and clear its slot. */
void cluster_end(pid_t pid);

/* Undo all steps that were done. A second call is a no-op. */
void cluster_close(void);

/* The pool's group of that name. */
struct mews_group *cluster_group(const char *name);
struct mews_group_stats cluster_stats(const char *name);

/* A socket that listens on a free port of 127.0.0.1. */
int cluster_listen(in_port_t *port);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t cluster_now(void);

/* The least that a wait of @ms lasts: a pool that its host turns counts from
 * the clock of its last turn, which may be some milliseconds ago. */
#define CLUSTER_LEAST(ms) ((ms) / 2)

/* One turn of the pool, or a nap where there is no pool; turns for @ms. */
void cluster_turn(void);
void cluster_turn_for(int ms);

/* Turn until @condition holds; fail with its text if it never does. */
#define CLUSTER_WAIT(condition)						\
	do {								\
		int64_t end_ = cluster_now() + CLUSTER_PATIENCE;	\
									\
		while (!(condition)) {					\
			ck_assert_msg(cluster_now() < end_,		\
			    "waited in vain: %s", #condition);		\
			cluster_turn();					\
		}							\
	} while (0)

/* A mews_query_fn: keep the end in the struct asked that is @arg. */
void cluster_note(void *arg, const struct mews_result *result);

/* A mews_row_fn: ignore the row, and go on. */
enum mews_flow cluster_go_on(void *arg, const struct mews_result *row);

/* Send a query, and fail if it is refused; @asked is cleared first. */
void cluster_send(struct asked *asked, struct mews_group *group,
    const struct mews_query_args *args);
void cluster_send_sql(struct asked *asked, struct mews_group *group,
    const char *sql);

/* Send a query and wait for its end, by the blocking call. */
struct asked cluster_run(struct mews_group *group, const char *sql);
struct asked cluster_run_args(struct mews_group *group,
    const struct mews_query_args *args);

/* As cluster_run(), on a lease; if the call is refused, calls is 0. */
struct asked cluster_on_lease(struct mews_lease *lease, const char *sql);
struct asked cluster_commit(struct mews_lease *lease);
struct asked cluster_rollback(struct mews_lease *lease);

/* A lease, by the blocking call. */
struct mews_lease *cluster_lease(struct mews_group *group);

/* Run @sql, which must go well; its value is valid until the next call. */
const char *cluster_value(struct mews_group *group, const char *sql);

/* Ask a server directly, past the pool; the value is valid until the next
 * call. */
const char *cluster_ask(const char *server, const char *sql);
int cluster_ask_int(const char *server, const char *sql);

/* Wait until the standbys have replayed all that a has written. */
void cluster_catch_up(void);

/* config/servers: run COMMAND for the servers @names ("a b"), while the pool
 * turns. */
void cluster_servers(const char *command, const char *names);

/* A fixture that mends what the test before left: all servers run, none is
 * frozen. */
void cluster_repair(void);

/* An endpoint as the fleet's view shows it; its state and role as text. */
struct mews_view_endpoint cluster_look(const char *endpoint);
const char *cluster_state(const char *endpoint);
bool cluster_is(const char *endpoint, const char *state);
const char *cluster_role(const char *endpoint);

/* How often @text stands in this process' log, and in the monitor's. */
int cluster_logged(const char *text);
int cluster_monitor_logged(const char *text);

/* Run @fn in a child, which exits with what it returns; wait until the child
 * ended well. */
pid_t cluster_fork(void (*fn)(void *arg), void *arg);
void cluster_ended_well(pid_t pid);

#endif
