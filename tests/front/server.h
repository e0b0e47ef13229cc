/*
 * server.h - a real worker in a process of its own, without a database.
 *
 * Its only endpoint is a socket of the test that accepts connections and
 * never says a word: a query waits for as long as it is told to, which is
 * how the test application answers later.
 */
#ifndef TESTS_FRONT_SERVER_H
#define TESTS_FRONT_SERVER_H

#include "worker.h"

#include <stdint.h>
#include <sys/types.h>

struct server {
	pid_t pid;
	uint16_t port;
	int listener;
	int silent;  /* the endpoint */
	int channel; /* close it, and the worker's master is gone */
	struct mews_fleet *fleet;
};

/* Options of a server. Zero stands for the default. */
struct server_options {
	const struct mews_app *app;
	const char *conninfo; /* of a server instead of the silent socket */
	struct config_http http;
	uint32_t graceful_timeout; /* ms */
};

/* See application.c for what it answers. */
extern const struct mews_app test_app;
#define TEST_BIG (16u << 20) /* bytes of /big; more than a kernel buffers */

/** Start it, without waiting for it. */
void server_fork(struct server *server, const struct server_options *options);
/** Start it and wait until it serves; options may be NULL. */
void server_start(struct server *server, const struct server_options *options);
/** Wait for its end: the exit status, or minus the signal that ended it. */
int server_wait(struct server *server);
/** End it with TERM; it must end properly, leaks included. */
void server_stop(struct server *server);

/** Kilobytes of memory that are resident. */
long server_resident_kb(const struct server *server);

/** Fail if it stays busy although no client asks for anything. */
void server_expect_idle(const struct server *server);

/** Stop it where it is, so that what happens next happens at once for it. */
void server_freeze(const struct server *server);
void server_thaw(const struct server *server);

/** Milliseconds of CLOCK_MONOTONIC. */
int64_t now_ms(void);

#endif
