/*
 * statement.c - registering SQL; connections prepare it when they need it.
 */
#include "statement.h"

#include "pool.h"

#include <stdio.h>
#include <stdlib.h>

enum mews_status
mews_statement_register(struct mews_statement **out, struct mews_pool *pool,
    const char *sql, unsigned flags)
{
	struct mews_statement	*statement;
	size_t			 size;

	*out = NULL;
	if (!pool_ours(pool) || sql == NULL ||
	    (flags & ~(unsigned)MEWS_RESULT_BINARY) != 0)
		return MEWS_INVALID;
	size = strlen(sql) + 1;
	if ((statement = malloc(sizeof(*statement) + size)) == NULL)
		return MEWS_NOMEM;
	statement->pool = pool;
	statement->number = pool->statement_count++;
	snprintf(statement->name, sizeof(statement->name), "mews_%u",
	    statement->number);
	statement->effect = sql_effect(sql);
	statement->format = (flags & MEWS_RESULT_BINARY) != 0;
	memcpy(statement->sql, sql, size);
	SLIST_INSERT_HEAD(&pool->statements, statement, link);
	*out = statement;
	return MEWS_OK;
}
