/*
 * doing.h - what a worker is doing, for the day that it gets stuck.
 *
 * A worker that gives no sign of life is asked by its master with a signal,
 * and says in the log where it is before it is killed. One that cannot even
 * handle a signal is described by its master, as the kernel knows it.
 *
 * One per process: the handler of a signal has no other place for it.
 */
#ifndef WORKER_DOING_H
#define WORKER_DOING_H

#include "log.h"

#include <signal.h>

/* The master's question. A worker answers only its parent. */
#define DOING_SIGNAL (SIGRTMIN + 3)

/** Begin to answer, in @log, which is copied. */
void doing_start(const struct log *log);

/** The application is called, for @what: one word, static. NULL: it returned,
 * and what runs now is the loop. */
void doing_call(const char *what);
/** The request that the application is called for; copied in part. */
void doing_request(const char *method, const char *path);
/** The statement that it asked for; copied in part. */
void doing_statement(const char *text);

#endif
