/*
 * copy.h - COPY, and texts of several statements, on a leased connection.
 *
 * libpq can do neither in pipeline mode: the connection leaves it when
 * everything before the COPY was answered, and enters it again at the COPY's
 * end. Meanwhile the COPY is the ring's only entry.
 */
#ifndef LIB_WIRE_COPY_H
#define LIB_WIRE_COPY_H

#include "wire/conn.h"

#include <mews/stream.h>

struct copy;

/* Put @query, a COPY, onto @conn, after a BEGIN if @begin; one of @on_data and
 * @on_room is NULL. MEWS_UNAVAILABLE: @conn broke. */
enum mews_status copy_begin(struct conn *conn, struct query *query, bool begin,
    mews_copy_data_fn *on_data, mews_copy_room_fn *on_room);

/* Put @query, a text of several statements; else as copy_begin(). */
enum mews_status copy_script(struct conn *conn, struct query *query,
    bool begin, mews_query_fn *on_result);

/* Does @copy, which may be NULL, still take data? */
bool copy_is_open(const struct copy *copy);
bool copy_has_room(const struct copy *copy);

/* Put a piece of data. MEWS_NOMEM: on_room will run; MEWS_UNAVAILABLE: @conn
 * broke. */
enum mews_status copy_put(struct conn *conn, const void *data, size_t length);

/* End the data; @abort: a reason to store none of it, or NULL. */
void copy_end(struct conn *conn, const char *abort);

/* Go on with the COPY at the head of the ring. True: it ended, and the
 * connection is in pipeline mode again. */
bool copy_turn(struct conn *conn);

/* Bytes came from the server. */
void copy_heard(struct conn *conn);

/* Does a stream or COPY on @conn wait for the host, and not for the server? */
bool copy_waits_for_host(const struct conn *conn);

/* Is on_room owed, once the socket takes more? */
bool copy_is_full(const struct copy *copy);

/* Act on time that passed. Sets loop_due(). */
void copy_scan(struct conn *conn, int64_t now_us);

/* End a COPY that was given up, without storing anything. */
void copy_give_up(struct conn *conn);

/* Free @copy; NULL is a no-op. */
void copy_free(struct copy *copy);

#endif
