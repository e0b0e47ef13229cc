/*
 * doing.h - logging what a stuck worker is doing.
 *
 * The master sends a signal to a worker that gives no sign of life; its handler
 * logs where the worker is, before the master kills it. If a worker cannot even
 * handle a signal, the master logs what the kernel knows.
 *
 * One per process, as a signal's handler needs a global.
 */
#ifndef WORKER_DOING_H
#define WORKER_DOING_H

#include "log.h"

#include <signal.h>

/* The master's question. A worker answers only its parent. */
#define DOING_SIGNAL (SIGRTMIN + 3)

/** Begin to answer the signal, in @log, which is copied. */
void doing_start(const struct log *log);

/** The application is called, for @what: one word, static. NULL: it has
 * returned to the loop. */
void doing_call(const char *what);
/** The request that the application is called for; copied in part. */
void doing_request(const char *method, const char *path);
/** The statement that the application sent; copied in part. */
void doing_statement(const char *text);

#endif
