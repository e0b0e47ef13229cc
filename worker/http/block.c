/*
 * block.c - buffers of one size, which a server lends to its clients.
 */
#include "block.h"

#include <stdlib.h>
#include <sys/param.h>

#define BLOCK_MIN 16384 /* bytes of a buffer */
#define BLOCKS_LEAST 64	/* that are kept, in use or not */

void
blocks_init(struct http_server *server)
{
	server->block_size = MAX(BLOCK_MIN, server->limits.header);
}

char *
block_take(struct http_server *server)
{
	void	**block = server->blocks;

	if (block != NULL) {
		server->blocks = *block;
		server->block_count--;
	} else if ((block = malloc(server->block_size)) == NULL)
		return NULL;
	keep_lend(&server->block_keep);
	return (char *)block;
}

void
block_give(struct http_server *server, char **blockp)
{
	void	**block = (void **)(void *)*blockp;

	*blockp = NULL;
	if (block == NULL)
		return;
	keep_take_back(&server->block_keep);
	*block = server->blocks;
	server->blocks = block;
	server->block_count++;
}

static void
free_one(struct http_server *server)
{
	void	**block = server->blocks;

	server->blocks = *block;
	server->block_count--;
	free(block);
}

void
blocks_trim(struct http_server *server)
{
	unsigned kept = keep_look(&server->block_keep, BLOCKS_LEAST);

	while (server->block_count > kept)
		free_one(server);
}

void
blocks_free(struct http_server *server)
{
	while (server->block_count > 0)
		free_one(server);
}
