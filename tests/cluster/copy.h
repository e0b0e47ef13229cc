/*
 * copy.h - a COPY, and what its callbacks saw of it.
 *
 * Tables are those of open_pool(): copied (id, note), empty.
 */
#ifndef TESTS_CLUSTER_COPY_H
#define TESTS_CLUSTER_COPY_H

#include "cluster.h"
#include "unit.h"

/* A COPY, as its callbacks see it. */
struct stream {
	struct mews_lease *lease;
	struct asked end;
	char rows[20]; /* the number of rows that the end tells */
	long pieces, rooms;
	size_t bytes;
	bool ordered;		/* do pieces begin with 1, 2, 3 and so on? */
	long pause_at, stop_at; /* after so many pieces; 0: never */
	bool end_lease;		/* end the lease instead of pausing */
	long most;		/* the most memory used, in kilobytes */

	/* How many rows to put in on_room; -1: none. */
	long to_put, was_put;
	const char *note;
};

/* The number of rows of a hundred megabytes. */
#define ROWS 200000
#define MUCH "copy (select generate_series(1, 200000), repeat('x', 500)) " \
    "to stdout"

void open_pool(void);
const char *stored(void);
void on_end(void *arg, const struct mews_result *result);
enum mews_flow on_data(void *arg, const void *data, size_t length);
void begin_out(struct stream *stream, const char *group, const char *sql);
void on_room(void *arg);
void begin_in(struct stream *stream, const char *group);
enum mews_status put(struct stream *stream, const char *text);
const char *backend(struct mews_lease *lease);
bool server_waits(const char *pid, const char *event);
long resident(void);

#endif
