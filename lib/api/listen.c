/*
 * listen.c - the doors of LISTEN and NOTIFY; listener.c tells who hears what.
 */
#include "notify/listener.h"
#include "notify/notify.h"
#include "pool/news.h"
#include "base/status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The connection exists from the first mews_listen() on. */
static bool
open_notify(struct mews_pool *pool)
{
	if (pool->notify != NULL)
		return true;
	pool->notify = notify_open(&pool->loop, pool->fleet);
	/* Make its first route, of what is known already. */
	if (pool->notify != NULL)
		news_act(pool);
	return pool->notify != NULL;
}

enum mews_status
mews_listen(struct mews_listener **out, struct mews_pool *pool,
    const char *channel, mews_notify_fn *fn, void *arg,
    struct mews_error *error)
{
	struct mews_listener	*listener;
	size_t			 length;

	STATUS_NEED_OUT(out);
	*out = NULL;
	if (!pool_admit_given(pool))
		return status_set(error, MEWS_INVALID,
		    "the pool belongs to another process or thread, or is "
		    "closing");
	length = channel == NULL ? 0 : strnlen(channel, MEWS_CHANNEL_MAX + 1);
	if (length == 0 || length > MEWS_CHANNEL_MAX)
		return status_set(error, MEWS_INVALID,
		    "a channel's name has 1 to %d bytes", MEWS_CHANNEL_MAX);
	if (fn == NULL)
		return status_set(error, MEWS_INVALID,
		    "a listener needs a callback");
	if ((listener = calloc(1, sizeof(*listener))) == NULL ||
	    !open_notify(pool)) {
		free(listener);
		return status_set(error, MEWS_NOMEM, "out of memory");
	}
	listener->magic = LISTENER_MAGIC;
	listener->pool = pool;
	listener->fn = fn;
	listener->arg = arg;
	memcpy(listener->channel, channel, length + 1);
	notify_add(pool->notify, listener);
	*out = listener;
	return MEWS_OK;
}

void
mews_unlisten(struct mews_listener **out)
{
	struct mews_listener	*listener;

	STATUS_NEED_OUT(out);
	listener = *out;
	*out = NULL;
	if (listener == NULL)
		return;
	assert(listener->magic == LISTENER_MAGIC && !listener->ended &&
	    "mews: a listener is good until mews_unlisten()");
	if (listener->pool == NULL) {
		free(listener);
		return;
	}
	/* The callback that runs may be this listener's own. */
	listener->ended = true;
	if (pool_admit_given(listener->pool))
		pool_due(listener->pool, pool_now(listener->pool));
}
