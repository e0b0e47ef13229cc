/*
 * host.h - run a host that embeds the library, as its own process.
 *
 * The servers are those of tests/with-servers; MEWS_EXAMPLES is the directory
 * of the hosts. Whatever the tests wait for has a deadline.
 */
#ifndef TESTS_EMBED_HOST_H
#define TESTS_EMBED_HOST_H

#include "unit.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HOST_WAIT_MS	 20000
#define HOST_WORKERS_MAX 16

struct host {
	pid_t pid;
	int in, out;	  /* its stdin and stdout, from our side */
	char log[120];	  /* its stderr, a file */
	char answer[512]; /* the line that host_line() found */
	char buffer[65536];
	size_t length;
};

/** Turn @condition into true, or fail the test. */
#define HOST_WAIT(condition)						\
	do {								\
		int64_t until = host_now() + HOST_WAIT_MS;		\
									\
		while (!(condition)) {					\
			ck_assert_msg(host_now() < until,		\
			    "in vain: %s", #condition);			\
			host_pause();					\
		}							\
	} while (0)

int64_t host_now(void); /* ms */
void host_pause(void);	/* 5 ms */

/** Start a host of MEWS_EXAMPLES with the three servers as arguments. */
void host_start(struct host *host, const char *name);
/** The next line of its stdout, or NULL after @timeout_ms. */
const char *host_line(struct host *host, int timeout_ms);
/** Wait for its end, and that of its workers: exit status, or -signal. */
int host_end(struct host *host, int signal);
/** The pids of its workers; their number is returned. */
int host_workers(const struct host *host, pid_t pids[HOST_WORKERS_MAX]);
/** Did it write that to its log? */
bool host_logged(const struct host *host, const char *text);

bool process_lives(pid_t pid);

/** config/servers COMMAND DIR NAME, and wait for it. */
void servers(const char *command, const char *name);

/** stdout and stderr of a command into @text; its exit status. */
int command_output(const char *command, char *text, size_t size);

#endif
