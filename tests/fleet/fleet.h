/*
 * fleet.h - run the real mews command as a user would.
 *
 * Each test has a directory of its own, with a configuration, the log of the
 * master and a runtime directory. Nothing here sleeps and hopes: it waits for
 * a condition, and fails when that does not come true in time. What a failed
 * test leaves running is killed by Check, with the test's process group.
 *
 * From the environment: MEWS (the command), MEWS_TEST_APP (the application
 * of these tests).
 */
#ifndef TESTS_FLEET_FLEET_H
#define TESTS_FLEET_FLEET_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#define FLEET_WAIT_MS	  45000
#define FLEET_WORKERS_MAX 8

/* Wait until @condition is true; fail the test if it stays false. */
#define fleet_wait(condition)                                               \
	do {                                                                \
		int64_t fleet_end = fleet_now() + FLEET_WAIT_MS;            \
		while (!(condition)) {                                      \
			ck_assert_msg(fleet_now() < fleet_end,              \
			    "waited in vain for %s; see the log:\n%.4000s", \
			    #condition, fleet_log_text(fleet));             \
			usleep(5000);                                       \
		}                                                           \
	} while (0)

struct fleet {
	char	 dir[256];
	char	 config[300];	/* path of the configuration file */
	char	 runtime[300];	/* path of the runtime directory */
	char	 log[300];	/* path of the master's output */
	char	 socket[320];	/* path of the fleet's unix socket */
	unsigned port;
	pid_t	 master; /* 0: it does not run */
};

/* A command's output, and how it ended. */
struct said {
	int  status; /* of exit(2); -1: the command ended otherwise */
	char out[16384];
	char err[4096];
};

int64_t fleet_now(void);

/** The user of the workers: nobody, if root runs the test, else that user. */
uid_t fleet_user(void);

/** Make a directory for this fleet, and a configuration of two workers in it,
 * with @more at its end. */
void fleet_init(struct fleet *fleet, const char *more);
/** Call before the start: do not look for leaks at the end of the fleet's
 * processes. For tests that kill the master. Its death sends SIGCONT to its
 * children, which undoes the SIGSTOP by which the leak sanitizer holds the
 * process it looks through; both would wait for ever. */
void fleet_ignore_leaks(void);
/** Replace the first @from in the fleet's configuration by @to. */
void fleet_edit(const struct fleet *fleet, const char *from, const char *to);
/** Start the fleet and wait until its workers are ready. */
void fleet_start(struct fleet *fleet);
/** Start the fleet and wait for nothing. */
void fleet_launch(struct fleet *fleet);
/** As fleet_launch(); the output goes to @log, which is closed by this call. */
void fleet_launch_log(struct fleet *fleet, int log);
/** Start `mews monitor` instead, and wait until the monitor is ready. */
void fleet_keep(struct fleet *fleet);
/** The master's pid, as the pid file says; 0: there is none. */
pid_t fleet_pid(const struct fleet *fleet);
/** Run mews upgrade, which must succeed. */
void fleet_upgrade(const struct fleet *fleet);
/** Wait for the end of a master that was upgraded; @fleet is the new one from
 * then on. The test is a subreaper, so the new master becomes its child. */
void fleet_follow(struct fleet *fleet);
/** Send a signal to the master. */
void fleet_signal(const struct fleet *fleet, int signal);
/** Send a signal to the master, and wait for its end; returns the exit status.
 * Fails if a sanitizer reported something. */
int fleet_end(struct fleet *fleet, int signal);

/** The pids of the workers; returns how many there are. */
int fleet_workers(const struct fleet *fleet, pid_t pids[FLEET_WORKERS_MAX]);
/** The pid of the monitor that was started last. */
pid_t fleet_monitor(const struct fleet *fleet);
bool fleet_is_alive(pid_t pid);
/** How many lines of the log hold @text. */
int fleet_logged(const struct fleet *fleet, const char *text);
const char *fleet_log_text(const struct fleet *fleet);

/** Send @bytes on a connection of their own, and read to its end. */
void fleet_send(const struct fleet *fleet, const char *bytes);
/** GET @path. Returns the HTTP status, 0 if there was no complete answer. */
int fleet_get(const struct fleet *fleet, const char *path);
/** As fleet_get(), through the unix socket. */
int fleet_get_unix(const struct fleet *fleet, const char *path);
/** As fleet_get(), through the port; returns the pid of the worker that
 * answered. */
pid_t fleet_get_worker(const struct fleet *fleet);

/** A port of 127.0.0.1 that nothing listens at. */
unsigned fleet_free_port(void);
/** Listen at the fleet's port in this process; returns the descriptor. */
int fleet_take_port(const struct fleet *fleet);

/** Run mews with these arguments, up to a NULL, until it ends. */
void mews(struct said *said, ...) __attribute__((sentinel));
/** How many lines a command wrote. */
int fleet_count_lines(const char *text);

/** Make the file @name in @dir. */
void fleet_write_file(const char *dir, const char *name, const char *text,
    mode_t mode);
/** Make the empty file @name in the fleet's directory, which any user may write
 * to. Its path goes into @path, and into the variable unless that is NULL. */
char *fleet_open_file(const struct fleet *fleet, char *path, size_t size,
    const char *name, const char *variable);

/** Make and remove the directory that contains those of a program's tests. */
void fleet_make_base(void);
void fleet_remove_base(void);

#endif
