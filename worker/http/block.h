/*
 * block.h - buffers of one size, which a server lends to its clients.
 */
#ifndef WORKER_HTTP_BLOCK_H
#define WORKER_HTTP_BLOCK_H

#include "server.h"

/** Set the size of blocks from the limits of @server. */
void blocks_init(struct http_server *server);
/** A block of server->block_size bytes; NULL: out of memory. */
char *block_take(struct http_server *server);
/** Give a block back and set *block to NULL; NULL *block is a no-op. */
void block_give(struct http_server *server, char **block);
/** About once a second: free the blocks that were not needed lately. */
void blocks_trim(struct http_server *server);
/** Free the blocks that are not in use. */
void blocks_free(struct http_server *server);

#endif
