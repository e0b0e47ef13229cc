/*
 * listener.h - who listens to which channel, and the events they are told.
 *
 * A listener belongs to its host until mews_unlisten(), and then to the list
 * until no callback runs and the server was told: listener_sweep() frees it.
 * Callbacks may append to the list and mark its entries as ended.
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
	struct mews_pool *pool; /* NULL: the pool was closed */
	mews_notify_fn *fn;
	void *arg;
	enum heard heard;
	bool told;  /* LISTENING */
	bool ended; /* by mews_unlisten(); UNLISTEN is due */
	TAILQ_ENTRY(mews_listener) link;
	char channel[MEWS_CHANNEL_MAX + 1];
};

TAILQ_HEAD(listener_list, mews_listener);

/* All LISTEN and UNLISTEN commands that are due, after @setup, in one string;
 * "" if none is. @one: a single LISTEN only. free(3) it; NULL: out of
 * memory. */
char *listener_commands(struct listener_list *list, const char *setup,
    bool one);

/* The server refused the commands. @one: the channel is refused for good, and
 * its listeners are told. False: there was no LISTEN among them. */
bool listener_refused(struct listener_list *list, bool one,
    const char *endpoint);

/* The server ran the commands: tell their listeners. Returns how many. */
uint32_t listener_heard(struct listener_list *list, const char *endpoint);

/* Give a message to its listeners. */
void listener_message(struct listener_list *list, const PGnotify *message,
    const char *endpoint);

/* The connection is gone: tell the listeners that heard. */
void listener_lost(struct listener_list *list, const char *endpoint);

/* Free the listeners that ended. */
void listener_sweep(struct listener_list *list);

/* The pool is closed: part the listeners that remain from it. */
void listener_orphan(struct listener_list *list);

#endif
