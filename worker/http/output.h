/*
 * output.h - writing to a client; its owner uses server.h.
 */
#ifndef WORKER_HTTP_OUTPUT_H
#define WORKER_HTTP_OUTPUT_H

#include "client.h"

/** Send what can be sent at once. */
void client_flush(struct http_client *client);
/** Room for @size bytes in the client's block, or NULL. */
char *client_room(struct http_client *client, size_t size);
/** Bytes were written to client_room(), up to @end. */
void client_wrote(struct http_client *client, const char *end);
/** Nothing more can be sent. */
void client_break(struct http_client *client);

#endif
