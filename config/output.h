/*
 * output.h - where the lines of a log go, without waiting for a reader.
 *
 * A pipe that nobody reads, a terminal stopped by Ctrl-S and a syslog daemon
 * that hangs stop no process: a line that does not flow at once is dropped
 * and counted. A regular file is written as the kernel writes it.
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
};

struct output {
	enum output_kind kind;
	int fd;
	const char *path;      /* OUTPUT_SYSLOG: of the daemon's socket */
	/* Lines of all processes, since it was last told. */
	_Atomic unsigned long *dropped;
	_Atomic unsigned long *lost; /* lines of all processes, ever */
	_Atomic unsigned long uncounted[2]; /* these, without shared memory */
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
