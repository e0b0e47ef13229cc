/*
 * args.h - checking and copying the arguments of a query.
 */
#ifndef LIB_QUERY_ARGS_H
#define LIB_QUERY_ARGS_H

#include "query/query.h"

/* Returned by args_copy() if there is no memory; compare its address. */
extern const char args_no_memory[];

/* A mistake in @args, apart from the parameters; NULL: none. @statements: of
 * the pool that is to run them. */
const char *args_mistake(const struct statements *statements,
    const struct mews_query_args *args);

/* Copy SQL and parameters into @query. Returns NULL, a mistake in the
 * parameters, or args_no_memory. */
const char *args_copy(struct query *query, const struct mews_query_args *args);

#endif
