/*
 * block.c - buffers of one size, which a server lends to its clients.
 */
#include "block.h"

#include <stdlib.h>
#include <sys/param.h>

#define BLOCK_MIN 16384 /* bytes of a buffer */
#define BLOCKS_KEPT 64	/* not in use */

void
blocks_init(struct http_server *server)
{
	server->block_size = MAX(BLOCK_MIN, server->limits.header);
}

char *
block_take(struct http_server *server)
{
	void	**block = server->blocks;

	if (block == NULL)
		return malloc(server->block_size);
	server->blocks = *block;
	server->block_count--;
	return (char *)block;
}

void
block_give(struct http_server *server, char **blockp)
{
	void	**block = (void **)(void *)*blockp;

	*blockp = NULL;
	if (block == NULL)
		return;
	if (server->block_count == BLOCKS_KEPT) {
		free(block);
		return;
	}
	*block = server->blocks;
	server->blocks = block;
	server->block_count++;
}

void
blocks_free(struct http_server *server)
{
	void	*block;

	while ((block = server->blocks) != NULL) {
		server->blocks = *(void **)block;
		free(block);
	}
	server->block_count = 0;
}
