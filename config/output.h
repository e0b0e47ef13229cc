/*
 * output.h - where the lines of a log go, without waiting for a reader.
 *
 * A pipe that nobody reads, a terminal stopped by Ctrl-S and a syslog daemon
 * that hangs stop no process: a line that does not flow at once is dropped
 * and counted. A regular file is written as the kernel writes it; one that was
 * opened by its path is opened anew by each process once the master did so.
 *
 * Opened by the master while it may still do so; a child writes through its
 * inherited copy. Lines that were dropped are counted in memory that all of
 * them share, so that whoever writes first when it flows again tells all, also
 * those of a process that was killed.
 */
#ifndef CONFIG_OUTPUT_H
#define CONFIG_OUTPUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define OUTPUT_LINE_MAX 2048 /* bytes, with the newline; below PIPE_BUF */

enum output_kind {
	OUTPUT_FILE,	/* never makes a writer wait for another process */
	OUTPUT_STREAM,	/* a pipe or terminal, by a descriptor of our own */
	OUTPUT_FOREIGN, /* a pipe or terminal that could not be opened again */
	OUTPUT_SOCKET,
	OUTPUT_SYSLOG,
	OUTPUT_NAMED,	/* a regular file, opened by its path */
};

struct output {
	enum output_kind kind;
	int fd;
	/* OUTPUT_SYSLOG: of the daemon's socket; OUTPUT_NAMED: our own copy. */
	char *path;
	/* Lines of all processes, since it was last told. */
	_Atomic unsigned long *dropped;
	_Atomic unsigned long *lost; /* lines of all processes, ever */
	_Atomic unsigned long *renewals; /* OUTPUT_NAMED: opened anew, ever */
	_Atomic unsigned long uncounted[3]; /* these, without shared memory */
	unsigned long renewed; /* renewals that this process knows */
	size_t rest_length;    /* of a line that left in part */
	char rest[OUTPUT_LINE_MAX];
};

/**
 * Open the pipe or terminal of @fd once more, as a descriptor that does not
 * wait. -1: it is something else, or may not be opened.
 */
int output_reopen(int fd);

/** Lines go to @fd, which is standard error outside of tests. */
void output_open(struct output *output, int fd);

/** Lines go to the syslog daemon of @path; NULL: /dev/log. */
void output_open_syslog(struct output *output, const char *path);

/**
 * Lines are added to the file @path, which is made if it is missing.
 *
 * @why  set if false is returned: one phrase, as of strerror(3).
 */
bool output_open_file(struct output *output, const char *path,
    const char **why);
/** Could it be opened? Makes none. */
bool output_check_file(const char *path, const char **why);

/**
 * Open the file of OUTPUT_NAMED anew, as the one at its path may be another by
 * now. Other processes that inherited @output do so in output_follow().
 *
 * Returns false, and @why, if it cannot be opened: the old one is kept.
 */
bool output_renew(struct output *output, const char **why);
/** Open it anew if another process did; else a no-op. As output_renew(). */
bool output_follow(struct output *output, const char **why);

void output_close(struct output *output);

/**
 * Write a line at once, or not at all.
 *
 * @line      ends with a newline; at most OUTPUT_LINE_MAX bytes.
 * @priority  of syslog(3); ignored elsewhere.
 *
 * Returns false if it was dropped; the caller counts that.
 */
bool output_write(struct output *output, const char *line, size_t length,
    int priority);

#endif
