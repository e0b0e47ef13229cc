/*
 * statement.c - registering SQL; connections prepare it when they need it.
 *
 * And what is learned of SQL that was not registered: which of it runs long.
 */
#include "statement.h"

#include "pool.h"

#include <mews/type.h>
#include <stdio.h>
#include <stdlib.h>

enum mews_status
mews_statement_register_typed(struct mews_statement **out,
    struct mews_pool *pool, const char *sql, unsigned flags,
    const Oid *types, int type_count)
{
	struct mews_statement	*statement;
	size_t			 size, room;
	Oid			*copy;

	*out = NULL;
	if (!pool_ours(pool) || sql == NULL ||
	    (flags & ~(unsigned)MEWS_RESULT_BINARY) != 0 || type_count < 0 ||
	    type_count > MEWS_PARAMS_MAX || (type_count > 0 && types == NULL))
		return MEWS_INVALID;
	size = strlen(sql) + 1;
	/* The types begin where an Oid may. */
	room = (sizeof(*statement) + size + sizeof(Oid) - 1) / sizeof(Oid) *
	    sizeof(Oid);
	statement = malloc(room + (size_t)type_count * sizeof(Oid));
	if (statement == NULL)
		return MEWS_NOMEM;
	statement->pool = pool;
	statement->number = pool->statement_count++;
	snprintf(statement->name, sizeof(statement->name), "mews_%u",
	    statement->number);
	statement->effect = sql_effect(sql);
	statement->mean_us = 0;
	statement->usual_us = &pool->usual_us;
	statement->format = (flags & MEWS_RESULT_BINARY) != 0;
	statement->type_count = type_count;
	statement->types = NULL;
	memcpy(statement->sql, sql, size);
	if (type_count > 0) {
		copy = (Oid *)(void *)((char *)statement + room);
		memcpy(copy, types, (size_t)type_count * sizeof(Oid));
		statement->types = copy;
	}
	SLIST_INSERT_HEAD(&pool->statements, statement, link);
	*out = statement;
	return MEWS_OK;
}

enum mews_status
mews_statement_register(struct mews_statement **out, struct mews_pool *pool,
    const char *sql, unsigned flags)
{
	return mews_statement_register_typed(out, pool, sql, flags, NULL, 0);
}

/* FNV-1a, 64 bits, by G. Fowler, L. C. Noll and K.-P. Vo */
uint64_t
text_hash(const char *sql)
{
	uint64_t	hash = 0xcbf29ce484222325;

	for (const char *p = sql; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 0x100000001b3;
	return hash;
}

bool
text_is_slow(const struct mews_pool *pool, uint64_t hash)
{
	const struct slow_text *text =
	    &pool->slow_texts[hash % STATEMENT_TEXTS];

	return text->hash == hash && mean_is_slow(text->mean_us,
	    pool->usual_us);
}

void
text_learn(struct mews_pool *pool, uint64_t hash, float us)
{
	struct slow_text *text = &pool->slow_texts[hash % STATEMENT_TEXTS];
	float		  quick = 0;

	/* Only the slow need a place, however many are quick. */
	if (text->hash != hash && us > STATEMENT_SLOW_US)
		*text = (struct slow_text) { .hash = hash };
	mean_learn(text->hash == hash ? &text->mean_us : &quick,
	    &pool->usual_us, us);
}
