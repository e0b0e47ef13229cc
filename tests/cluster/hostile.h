/*
 * hostile.h - a server that speaks the protocol of PostgreSQL until it is
 * asked for what a row of the test attacks, and then answers something else.
 */
#ifndef TESTS_CLUSTER_HOSTILE_H
#define TESTS_CLUSTER_HOSTILE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hostile_phase {
	HOSTILE_SSL,	/* instead of the answer to SSLRequest */
	HOSTILE_LOGIN,	/* instead of the answer to the startup message */
	HOSTILE_PROBE,	/* instead of the answer to a probe */
	HOSTILE_QUERY,	/* instead of the answer to a group's query, up to
			   Sync */
	HOSTILE_LISTEN
};

/* The server's act after its wrong answer. */
enum hostile_then { HOSTILE_SILENCE, HOSTILE_HANG_UP, HOSTILE_ENDLESS };

struct hostile_answer {
	const char *name;
	enum hostile_phase phase;
	const char *bytes; /* may contain NUL */
	size_t size;
	enum hostile_then then; /* ENDLESS: sends the bytes again and again */
	bool primary;		/* does it claim to be a primary? */
};

/*
 * Serve on @fd, in this process, for ever; *@attacks counts the wrong answers.
 */
void hostile_serve(int fd, const struct hostile_answer *answer,
    _Atomic int *attacks);

#endif
