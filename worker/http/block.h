/*
 * block.h - buffers of one size: a server lends them to its clients.
 */
#ifndef WORKER_HTTP_BLOCK_H
#define WORKER_HTTP_BLOCK_H

#include "server.h"

/** Say how large they are, from the limits of @server. */
void blocks_init(struct http_server *server);
/** A block of server->block_size bytes; NULL: out of memory. */
char *block_take(struct http_server *server);
/** Give it back and set *block to NULL; NULL *block is a no-op. */
void block_give(struct http_server *server, char **block);
/** Free those in no use. */
void blocks_free(struct http_server *server);

#endif
