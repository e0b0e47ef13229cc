/*
 * register.c - the doors of statements.
 */
#include "base/status.h"
#include "pool/pool.h"

#include <assert.h>
#include <mews/type.h>

enum mews_status
mews_statement_register_typed(struct mews_statement **out,
    struct mews_pool *pool, const char *name, const char *sql, unsigned flags,
    const Oid *types, int type_count, struct mews_error *error)
{
	STATUS_NEED_OUT(out);
	*out = NULL;
	if (!pool_admit_given(pool))
		return status_set(error, MEWS_INVALID, "the pool belongs to "
		    "another process or thread, or is closing");
	return statement_new(out, &pool->statements, name, sql, flags, types,
	    type_count, error);
}

enum mews_status
mews_statement_register(struct mews_statement **out, struct mews_pool *pool,
    const char *name, const char *sql, unsigned flags,
    struct mews_error *error)
{
	return mews_statement_register_typed(out, pool, name, sql, flags,
	    NULL, 0, error);
}

void
mews_statement_drop(struct mews_statement **out)
{
	struct mews_statement	*statement;

	STATUS_NEED_OUT(out);
	statement = *out;
	*out = NULL;
	if (statement == NULL || !pool_admit(statement->statements->pool))
		return;
	statement_drop(statement->statements, statement);
}

const char *
mews_statement_name(const struct mews_statement *statement)
{
	assert(statement != NULL &&
	    "mews: a statement is there after mews_statement_register()");
	return statement->name;
}

void
mews_statement_stats(const struct mews_statement *statement,
    struct mews_statement_stats *stats, size_t size)
{
	struct mews_statement_stats	own;

	assert(statement != NULL &&
	    "mews: a statement is there after mews_statement_register()");
	(void)pool_admit_given(statement->statements->pool);
	own = (struct mews_statement_stats) {
		.answers = statement->answers,
		.mean_us = (uint32_t)statement->mean_us,
	};
	status_fill(stats, size, &own, sizeof(own));
}
