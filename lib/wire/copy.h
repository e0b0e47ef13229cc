/*
 * copy.h - COPY, and texts of several statements, on a leased connection.
 *
 * libpq has neither in pipeline mode, so the connection leaves it when all
 * before the COPY was answered, and comes back to it at its end. Meanwhile
 * the COPY is the ring's only entry.
 */
#ifndef LIB_WIRE_COPY_H
#define LIB_WIRE_COPY_H

#include "wire/conn.h"

#include <mews/stream.h>

struct copy;

/* Put @query, a COPY, onto @conn, behind a BEGIN if @begin; one of @on_data
 * and @on_room is NULL. UNAVAILABLE: @conn broke; NOMEM. */
enum mews_status copy_begin(struct conn *conn, struct query *query, bool begin,
    mews_copy_data_fn *on_data, mews_copy_room_fn *on_room);

/* Put @query, a text of several statements; else as copy_begin(). */
enum mews_status copy_script(struct conn *conn, struct query *query,
    bool begin, mews_query_fn *on_result);

/* Does @copy, which may be NULL, take data still; does it now? */
bool copy_is_open(const struct copy *copy);
bool copy_has_room(const struct copy *copy);

/* A piece of data. NOMEM: room is told of; UNAVAILABLE: @conn broke. */
enum mews_status copy_put(struct conn *conn, const void *data, size_t length);

/* No more data; @abort: and store none of it, for that reason. */
void copy_end(struct conn *conn, const char *abort);

/* The head of the ring is a COPY: go on with it as far as it goes. True: it
 * ended, and the connection is in pipeline mode again. */
bool copy_turn(struct conn *conn);

/* Bytes came from the server. */
void copy_heard(struct conn *conn);

/* Is it the host's turn? */
bool copy_waits(const struct copy *copy);

/* Is room to be told of, when the socket takes more? */
bool copy_is_full(const struct copy *copy);

/* Time passed. Sets pool_due(). */
void copy_scan(struct conn *conn, int64_t now_us);

/* The asker gave the COPY up: end it without storing anything. */
void copy_give_up(struct conn *conn);

/* NULL is a no-op. */
void copy_free(struct copy *copy);

#endif
