/*
 * feed.c - those who have the page open, and what each is sent.
 *
 * A reader that did not take the last second's news yet misses the next: its
 * page draws a gap. The HTTP server closes one that takes nothing for long.
 */
#include "feed.h"

#include <stdlib.h>
#include <string.h>

void
feed_init(struct feed *feed, const struct mews_view *view,
    const struct mews_config *config, struct history *history)
{
	memset(feed, 0, sizeof(*feed));
	feed->live.view = view;
	feed->live.config = config;
	feed->live.history = history;
	LIST_INIT(&feed->readers);
}

/* News as bytes, to be freed; NULL: out of memory. */
static char *
print_news(const struct feed *feed, bool whole, size_t *length)
{
	char	*bytes;
	FILE	*out = open_memstream(&bytes, length);

	if (out == NULL)
		return NULL;
	live_print(&feed->live, whole, out);
	if (fclose(out) == 0)
		return bytes;
	free(bytes);
	return NULL;
}

/* Write as much as there is room for. */
static void
write_on(struct feed_reader *reader)
{
	reader->at += http_client_write(reader->client,
	    reader->bytes + reader->at, reader->length - reader->at);
	if (reader->at < reader->length) {
		http_client_wait(reader->client);
		return;
	}
	free(reader->bytes);
	reader->bytes = NULL;
}

void
feed_beat(struct feed *feed)
{
	struct feed_reader	*reader;
	char			*news;
	size_t			 length;

	if (!live_look(&feed->live) || LIST_EMPTY(&feed->readers) ||
	    (news = print_news(feed, false, &length)) == NULL)
		return;
	LIST_FOREACH(reader, &feed->readers, entry) {
		if (reader->bytes != NULL ||
		    (reader->bytes = malloc(length)) == NULL)
			continue;
		memcpy(reader->bytes, news, length);
		reader->length = length;
		reader->at = 0;
		write_on(reader);
	}
	free(news);
}

bool
feed_join(struct feed *feed, struct feed_reader *reader,
    struct http_client *client, const struct http_headers *headers)
{
	struct http_response response = {
		.status = 200, .type = "text/event-stream",
		.length = HTTP_LENGTH_UNKNOWN, .headers = headers,
	};

	if (feed->count >= FEED_MOST ||
	    (reader->bytes = print_news(feed, true, &reader->length)) == NULL)
		return false;
	reader->client = client;
	reader->at = 0;
	feed->count++;
	LIST_INSERT_HEAD(&feed->readers, reader, entry);
	http_client_begin(client, &response);
	write_on(reader);
	return true;
}

void
feed_room(struct feed_reader *reader)
{
	if (reader->bytes != NULL)
		write_on(reader);
}

void
feed_leave(struct feed *feed, struct feed_reader *reader)
{
	if (reader->client == NULL)
		return;
	LIST_REMOVE(reader, entry);
	feed->count--;
	free(reader->bytes);
	reader->client = NULL;
}
