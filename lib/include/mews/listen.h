/*
 * mews/listen.h - notifications (LISTEN, NOTIFY), over a connection that finds
 * its way to the next primary.
 *
 * All channels of a pool share one connection, which belongs to no group. It
 * counts in its endpoint's max_connections, and waits while that is reached.
 * LISTEN works on a primary only: when the primary dies, or another server is
 * promoted, the connection is made to the new one, and listens again.
 *
 * PostgreSQL keeps no notification for a listener that is away. The events
 * below tell when messages can be relied on; a host that keeps something in
 * step with the database reads it anew at LISTENING and at MISSED:
 *
 *	LISTENING -> MESSAGE* -> LOST -> MISSED -> MESSAGE*
 */
#ifndef MEWS_LISTEN_H
#define MEWS_LISTEN_H

#include <mews/pool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define MEWS_CHANNEL_MAX 63 /* bytes in a name; NAMEDATALEN - 1 */

struct mews_listener;

/* Append only, never renumber. */
enum mews_notify_event {
	MEWS_NOTIFY_MESSAGE = 0,
	MEWS_NOTIFY_LISTENING = 1, /* LISTEN took effect, for the first time */
	MEWS_NOTIFY_LOST = 2,	   /* the connection was lost: nothing is heard
				      now */
	MEWS_NOTIFY_MISSED = 3,	   /* LISTEN took effect again; what was sent
				      meanwhile, and just before LOST, is
				      lost */
	MEWS_NOTIFY_REFUSED = 4	   /* the server does not take the channel's
				      name: it will never be heard */
};

/* A notification and its strings end with the callback. */
struct mews_notification {
	enum mews_notify_event event;
	const char *channel;
	const char *payload; /* MESSAGE: NUL-terminated, below 8000 bytes */
	int sender;	     /* MESSAGE: process id of the sending backend */
	const char *endpoint; /* where the channel is heard, or was until
				 LOST */
};

/**
 * Runs on the loop, never inside mews_listen(). May call the pool and
 * mews_unlisten(), for itself too, but no blocking call and not
 * mews_pool_close().
 */
typedef void mews_notify_fn(void *arg,
    const struct mews_notification *notification);

/**
 * Listen on a channel. Returns without waiting for any server; LISTENING says
 * when it took effect. The same channel may have several listeners.
 *
 * @channel  NUL-terminated, 1 to MEWS_CHANNEL_MAX bytes, copied. The library
 *           quotes it: case matters, and SQL that says NOTIFY without quotes
 *           folds the name to lower case.
 * @out      set on MEWS_OK; end it with mews_unlisten(). After
 *           mews_pool_close() it hears nothing, and is still to be ended.
 *
 * Returns MEWS_OK, MEWS_INVALID (@error says why) or MEWS_NOMEM.
 */
enum mews_status mews_listen(struct mews_listener **out,
    struct mews_pool *pool, const char *channel, mews_notify_fn *fn,
    void *arg, struct mews_error *error);

/**
 * End a listener and set *listener to NULL; NULL *listener is a no-op. The
 * callback does not run any more, not even for what has arrived.
 */
void mews_unlisten(struct mews_listener **listener);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
