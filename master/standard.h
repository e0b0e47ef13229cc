/*
 * standard.h - standard output and error that make nobody wait.
 *
 * Our own lines take the way of output.h. An application, and the libraries
 * that it uses, write there by themselves: where that is a pipe or terminal, a
 * child gets a descriptor of our own in its place that does not wait, so that
 * text without room is lost, with EAGAIN, rather than the worker. So does the
 * socket that systemd made for us alone. Any other socket may be in use by
 * whoever started us, and is left as it is.
 */
#ifndef MASTER_STANDARD_H
#define MASTER_STANDARD_H

struct standard {
	int output, error; /* to take their places; -1: leave it */
};

/** The master, while it may still open them. */
void standard_open(struct standard *standard);
/** In a child: put them in place. */
void standard_take(struct standard *standard);
void standard_close(struct standard *standard);

/** Any process, also the master: its own standard error alone. Standard output
 * is left as it is, for who reads it may take the time. */
void standard_keep_error(void);

#endif
