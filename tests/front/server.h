/*
 * server.h - a real worker in a process of its own, without a database.
 *
 * Its only endpoint is a socket of the test that accepts connections and never
 * answers. A query waits for as long as its time allows, which is how the test
 * application answers later.
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
	int silent;  /* the socket of the endpoint */
	int channel; /* closing it looks like the master's death */
	struct mews_fleet *fleet;
};

/* Options of a server; zero is the default. */
struct server_options {
	const struct mews_app *app;
	const char *conninfo; /* of a real server instead of the silent
				 socket */
	struct config_http http;
	uint32_t graceful_timeout; /* ms */
};

/* The test application: application.c says what it answers. */
extern const struct mews_app test_app;
#define TEST_BIG (16u << 20) /* bytes of /big, which are more than a kernel
				buffers */

/** Start a server, without waiting until it serves. */
void server_fork(struct server *server, const struct server_options *options);
/** Start a server and wait until it serves; options may be NULL. */
void server_start(struct server *server, const struct server_options *options);
/** Wait for the server's end: the exit status, or minus the signal. */
int server_wait(struct server *server);
/** End the server with TERM; it must end properly, without leaks. */
void server_stop(struct server *server);

/** Resident memory of the server, in kilobytes. */
long server_resident_kb(const struct server *server);

/** Fail if the server stays busy although no client asks for anything. */
void server_expect_idle(const struct server *server);

/** Stop the process, so that all that happens next happens at once for it. */
void server_freeze(const struct server *server);
void server_thaw(const struct server *server);

/** Milliseconds of CLOCK_MONOTONIC. */
int64_t now_ms(void);

#endif
