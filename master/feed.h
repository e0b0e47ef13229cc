/*
 * feed.h - those who have the page open, and what each is sent.
 */
#ifndef MASTER_FEED_H
#define MASTER_FEED_H

#include "http/server.h"
#include "live.h"

#define FEED_MOST 32 /* pages that are open at once */

/* An open page: a part of its request. */
struct feed_reader {
	LIST_ENTRY(feed_reader) entry;
	struct http_client *client;
	char *bytes; /* to be sent; NULL: all was */
	size_t length, at;
};

struct feed {
	struct live live;
	unsigned count;
	LIST_HEAD(feed_readers, feed_reader) readers;
};

void feed_init(struct feed *feed, const struct mews_view *view,
    const struct mews_config *config, struct history *history);
/** Once a second: look, and tell all readers. */
void feed_beat(struct feed *feed);
/** Begin to answer with all that is remembered, and go on once a second; until
 * feed_leave(). False: there are too many, or no memory. */
bool feed_join(struct feed *feed, struct feed_reader *reader,
    struct http_client *client, const struct http_headers *headers);
/** A reader's client took all that was written. */
void feed_room(struct feed_reader *reader);
/** A reader's client is gone. One that never joined is a no-op. */
void feed_leave(struct feed *feed, struct feed_reader *reader);

#endif
