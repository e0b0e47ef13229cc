/*
 * listener.c - channels and their callbacks. notify.c has the connection.
 */
#include "notify/listener.h"

#include <stdlib.h>
#include <string.h>

static void
tell_listener(const struct mews_listener *listener,
    enum mews_notify_event event, const PGnotify *message, const char *endpoint)
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

/* Does a listener on that channel remain? */
static bool
is_channel_wanted(const struct listener_list *list, const char *channel)
{
	const struct mews_listener *listener;

	TAILQ_FOREACH (listener, list, link)
		if (!listener->ended && strcmp(listener->channel, channel) == 0)
			return true;
	return false;
}

/* Write @verb and the quoted channel; returns the place behind. */
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
listener_commands(struct listener_list *list, const char *setup, bool one)
{
	struct mews_listener   *listener;
	size_t			count = 0;
	bool			asked = false;
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
			    !is_channel_wanted(list, listener->channel))
				p = put_command(p, "UNLISTEN",
				    listener->channel);
			listener->heard = HEARD_NOT;
		} else if (listener->heard == HEARD_NOT && (!one || !asked)) {
			asked = true;
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
		tell_listener(listener, event, NULL, endpoint);
	}
	return count;
}

bool
listener_refused(struct listener_list *list, bool one, const char *endpoint)
{
	struct mews_listener	*listener;
	bool			 any = false;

	TAILQ_FOREACH (listener, list, link) {
		if (listener->heard != HEARD_ASKED)
			continue;
		any = true;
		listener->heard = one ? HEARD_NEVER : HEARD_NOT;
		if (one && !listener->ended)
			tell_listener(listener, MEWS_NOTIFY_REFUSED, NULL,
			    endpoint);
	}
	return any;
}

void
listener_message(struct listener_list *list, const PGnotify *message,
    const char *endpoint)
{
	const struct mews_listener	*listener;

	TAILQ_FOREACH (listener, list, link)
		if (listener->heard == HEARD_YES && !listener->ended &&
		    strcmp(listener->channel, message->relname) == 0)
			tell_listener(listener, MEWS_NOTIFY_MESSAGE, message,
			    endpoint);
}

void
listener_lost(struct listener_list *list, const char *endpoint)
{
	struct mews_listener	*listener;

	TAILQ_FOREACH (listener, list, link) {
		bool	heard = listener->heard == HEARD_YES;

		if (listener->heard != HEARD_NEVER || listener->ended)
			listener->heard = HEARD_NOT;
		if (heard && !listener->ended)
			tell_listener(listener, MEWS_NOTIFY_LOST, NULL,
			    endpoint);
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
