/*
 * host.h - run a host that embeds the library, as a process of its own.
 *
 * The servers are those of tests/with-servers; MEWS_EXAMPLES is the directory
 * of the hosts. Every wait of these functions has a deadline.
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
	int in, out;	  /* pipes to its stdin and from its stdout */
	char log[120];	  /* the file that its stderr goes to */
	char answer[512]; /* the last line that host_line() read */
	char buffer[65536];
	size_t length;
};

/** Wait until @condition is true, or fail the test. */
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

int64_t host_now(void); /* in ms */
void host_pause(void);	/* wait for 5 ms */

/** Start a host of MEWS_EXAMPLES with the three servers as arguments. */
void host_start(struct host *host, const char *name);
/** The next line of the host's stdout, or NULL after @timeout_ms. */
const char *host_line(struct host *host, int timeout_ms);
/** Wait for the end of the host and its workers: exit status, or -signal. */
int host_end(struct host *host, int signal);
/** The pids of the host's workers; returns how many there are. */
int host_workers(const struct host *host, pid_t pids[HOST_WORKERS_MAX]);
/** Does @text stand in the host's log? */
bool host_logged(const struct host *host, const char *text);

bool process_lives(pid_t pid);

/** Run config/servers COMMAND DIR NAME, and wait for it. */
void servers(const char *command, const char *name);

/** Run a command; its stdout and stderr go into @text; the exit status. */
int command_output(const char *command, char *text, size_t size);

#endif
