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
	statement->mean_us = 0;
	statement->format = (flags & MEWS_RESULT_BINARY) != 0;
	memcpy(statement->sql, sql, size);
	SLIST_INSERT_HEAD(&pool->statements, statement, link);
	*out = statement;
	return MEWS_OK;
}

bool
statement_is_slow(const struct mews_statement *statement)
{
	return statement->mean_us > STATEMENT_SLOW_US &&
	    statement->mean_us >
	    statement->pool->usual_us * STATEMENT_SLOW_TIMES;
}

void
statement_learn(const struct mews_statement *statement, int64_t us)
{
	/* The host may not change it; the pool, whose it is, may. */
	struct mews_statement *own =
	    (struct mews_statement *)(uintptr_t)statement;
	float *usual = &own->pool->usual_us;
	float  sample = (float)us, step = 1 + *usual / 20;

	own->mean_us += (sample - own->mean_us) / 8;
	/* Rests where a quarter of all is quicker: when everything is slow,
	 * nothing is. */
	*usual += sample > *usual ? step * 0.25F : step * -0.75F;
}
