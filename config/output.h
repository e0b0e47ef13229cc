/*
 * output.h - where the lines of a log go, without waiting for a reader.
 *
 * A pipe that nobody reads, a terminal stopped by Ctrl-S and a syslog daemon
 * that hangs stop no process: a line that cannot be written at once is dropped
 * and counted. A regular file is written with a plain write(2); if it was
 * opened by its path, each process opens it anew once the master did so.
 *
 * The master opens the output while it has the privileges; a child writes
 * through its inherited copy. Dropped lines are counted in shared memory, so
 * that the first process that can write again reports all, also those of a
 * killed process.
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
	/* Dropped lines of all processes, since they were last reported. */
	_Atomic unsigned long *dropped;
	_Atomic unsigned long *lost; /* lines of all processes, ever */
	_Atomic unsigned long *renewals; /* OUTPUT_NAMED: opened anew, ever */
	_Atomic unsigned long uncounted[3]; /* these, without shared memory */
	unsigned long renewed; /* renewals that this process knows */
	size_t rest_length;    /* of a line that left in part */
	char rest[OUTPUT_LINE_MAX];
};

/**
 * Open the pipe or terminal of @fd once more, as a non-blocking descriptor. -1:
 * @fd is something else, or may not be opened.
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
/** Could the file @path be opened? Does not make it. */
bool output_check_file(const char *path, const char **why);

/**
 * Open the file of OUTPUT_NAMED anew, as the one at its path may be another by
 * now. Other processes that inherited @output do so in output_follow().
 *
 * Returns false, and @why, if it cannot be opened: the old one is kept.
 */
bool output_renew(struct output *output, const char **why);
/** As output_renew(), if another process has opened the file anew; else a
 * no-op. */
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
