/*
 * listener.h - who listens to which channel, and what he is told.
 *
 * A listener belongs to its host until mews_unlisten(), and then to the list,
 * until nobody's callback runs and the server was told: listener_sweep() is
 * where it goes. Callbacks may append to the list and mark its entries ended.
 */
#ifndef LIB_NOTIFY_LISTENER_H
#define LIB_NOTIFY_LISTENER_H

#include <libpq-fe.h>
#include <mews/listen.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define LISTENER_MAGIC 0x6c697374u

/* The state of a listener's channel on the connection. */
enum heard { HEARD_NOT, HEARD_ASKED, HEARD_YES, HEARD_NEVER };

struct mews_listener {
	uint32_t magic;
	struct mews_pool *pool; /* NULL: it was closed */
	mews_notify_fn *fn;
	void *arg;
	enum heard heard;
	bool told;  /* LISTENING */
	bool ended; /* by mews_unlisten(); UNLISTEN is due */
	TAILQ_ENTRY(mews_listener) link;
	char channel[MEWS_CHANNEL_MAX + 1];
};

TAILQ_HEAD(listener_list, mews_listener);

/* All that is to be said to the server, behind @setup, in one string; "" if
 * nothing is. @one: a single LISTEN of it. To be freed; NULL: out of memory. */
char *listener_commands(struct listener_list *list, const char *setup,
    bool one);

/* The server refused it. @one: that channel is refused for good, and its
 * listener told. False: no LISTEN was in it. */
bool listener_refused(struct listener_list *list, bool one,
    const char *endpoint);

/* The server did so: tell those it was about. Returns how many. */
uint32_t listener_heard(struct listener_list *list, const char *endpoint);

/* A message, to those it is for. */
void listener_message(struct listener_list *list, const PGnotify *message,
    const char *endpoint);

/* The connection is gone: tell those who heard. */
void listener_lost(struct listener_list *list, const char *endpoint);

/* Free those that ended. */
void listener_sweep(struct listener_list *list);

/* The pool goes: what is left is a shell. */
void listener_orphan(struct listener_list *list);

#endif
