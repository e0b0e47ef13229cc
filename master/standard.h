/*
 * standard.h - standard output and error that never block a child.
 *
 * Log lines go through output.h. An application and its libraries write to
 * standard output and error by themselves: in place of a pipe or terminal a
 * child gets a non-blocking descriptor, so that text without room fails with
 * EAGAIN and does not block the worker. systemd's journal socket, which is for
 * this service alone, is made non-blocking. Any other socket may be shared with
 * the parent, and is left as it is.
 */
#ifndef MASTER_STANDARD_H
#define MASTER_STANDARD_H

struct standard {
	int output, error; /* to take their places; -1: leave it */
};

/** In the master, while it may still open them. */
void standard_open(struct standard *standard);
/** In a child: put them in place. */
void standard_take(struct standard *standard);
void standard_close(struct standard *standard);

/** In any process, also the master: only its standard error. Standard output is
 * left as it is, as its reader may take its time. */
void standard_keep_error(void);

#endif
