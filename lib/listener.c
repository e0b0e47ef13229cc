/*
 * listener.c - channels and their callbacks; the connection is listen.c's.
 */
#include "listener.h"

#include "listen.h"
#include "status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LISTENER_MAGIC 0x6c697374u

/* What a listener's channel is on the connection. */
enum heard { HEARD_NOT, HEARD_ASKED, HEARD_YES };

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

static void
tell(const struct mews_listener *listener, enum mews_notify_event event,
    const PGnotify *message, const char *endpoint)
{
	const struct mews_notification	notification = {
		.event = event,
		.channel = listener->channel,
		.payload = message == NULL ? "" : message->extra,
		.sender = message == NULL ? 0 : message->be_pid,
		.endpoint = endpoint,
	};

	listener->fn(listener->arg, &notification);
}

void
listener_sweep(struct listener_list *list)
{
	struct mews_listener	*listener, *next;

	TAILQ_FOREACH_SAFE (listener, list, link, next)
		if (listener->ended && listener->heard == HEARD_NOT) {
			TAILQ_REMOVE(list, listener, link);
			free(listener);
		}
}

/* Does somebody else listen on that channel? */
static bool
is_wanted(const struct listener_list *list, const char *channel)
{
	const struct mews_listener *listener;

	TAILQ_FOREACH (listener, list, link)
		if (!listener->ended && strcmp(listener->channel, channel) == 0)
			return true;
	return false;
}

/* @verb "channel"; behind it. */
static char *
put_command(char *p, const char *verb, const char *channel)
{
	p = stpcpy(stpcpy(p, verb), " \"");
	for (; *channel != '\0'; channel++) {
		if (*channel == '"')
			*p++ = '"';
		*p++ = *channel;
	}
	return stpcpy(p, "\";");
}

#define COMMAND_MAX (sizeof("UNLISTEN \"\";") + 2 * MEWS_CHANNEL_MAX)

char *
listener_commands(struct listener_list *list, const char *setup)
{
	struct mews_listener   *listener;
	size_t			count = 0;
	char		       *sql, *p;

	TAILQ_FOREACH (listener, list, link)
		count += listener->ended || listener->heard == HEARD_NOT;
	sql = malloc(count * COMMAND_MAX + strlen(setup) + 1);
	if (sql == NULL)
		return NULL;
	p = stpcpy(sql, setup);
	TAILQ_FOREACH (listener, list, link) {
		if (listener->ended) {
			if (listener->heard == HEARD_YES &&
			    !is_wanted(list, listener->channel))
				p = put_command(p, "UNLISTEN",
				    listener->channel);
			listener->heard = HEARD_NOT;
		} else if (listener->heard == HEARD_NOT) {
			p = put_command(p, "LISTEN", listener->channel);
			listener->heard = HEARD_ASKED;
		}
	}
	listener_sweep(list);
	return sql;
}

uint32_t
listener_heard(struct listener_list *list, const char *endpoint)
{
	struct mews_listener	*listener;
	uint32_t		 count = 0;

	TAILQ_FOREACH (listener, list, link) {
		enum mews_notify_event event = listener->told ?
		    MEWS_NOTIFY_MISSED : MEWS_NOTIFY_LISTENING;

		if (listener->heard != HEARD_ASKED)
			continue;
		count++;
		listener->heard = HEARD_YES;
		if (listener->ended)
			continue;
		listener->told = true;
		tell(listener, event, NULL, endpoint);
	}
	return count;
}

void
listener_message(struct listener_list *list, const PGnotify *message,
    const char *endpoint)
{
	const struct mews_listener	*listener;

	TAILQ_FOREACH (listener, list, link)
		if (listener->heard == HEARD_YES && !listener->ended &&
		    strcmp(listener->channel, message->relname) == 0)
			tell(listener, MEWS_NOTIFY_MESSAGE, message, endpoint);
}

void
listener_lost(struct listener_list *list, const char *endpoint)
{
	struct mews_listener	*listener;

	TAILQ_FOREACH (listener, list, link) {
		bool	heard = listener->heard == HEARD_YES;

		listener->heard = HEARD_NOT;
		if (heard && !listener->ended)
			tell(listener, MEWS_NOTIFY_LOST, NULL, endpoint);
	}
	listener_sweep(list);
}

void
listener_orphan(struct listener_list *list)
{
	struct mews_listener	*listener, *next;

	TAILQ_FOREACH_SAFE (listener, list, link, next) {
		listener->pool = NULL;
		if (listener->ended)
			free(listener);
	}
}

enum mews_status
mews_listen(struct mews_listener **out, struct mews_pool *pool,
    const char *channel, mews_notify_fn *fn, void *arg,
    struct mews_error *error)
{
	struct listener_list	*list;
	struct mews_listener	*listener;
	size_t			 length;

	*out = NULL;
	if (!pool_ours(pool))
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
	    (list = listen_begin(pool)) == NULL) {
		free(listener);
		return status_set(error, MEWS_NOMEM, "out of memory");
	}
	listener->magic = LISTENER_MAGIC;
	listener->pool = pool;
	listener->fn = fn;
	listener->arg = arg;
	memcpy(listener->channel, channel, length + 1);
	TAILQ_INSERT_TAIL(list, listener, link);
	*out = listener;
	return MEWS_OK;
}

void
mews_unlisten(struct mews_listener **out)
{
	struct mews_listener	*listener = *out;

	*out = NULL;
	if (listener == NULL)
		return;
	assert(listener->magic == LISTENER_MAGIC && !listener->ended &&
	    "mews: a listener is good until mews_unlisten()");
	if (listener->pool == NULL) {
		free(listener);
		return;
	}
	/* It may be its own callback that runs. */
	listener->ended = true;
	if (pool_ours(listener->pool))
		pool_due(listener->pool, pool_now(listener->pool));
}
