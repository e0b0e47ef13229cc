/*
 * args.h - whether what a host hands over can be a query, and its copy.
 */
#ifndef LIB_QUERY_ARGS_H
#define LIB_QUERY_ARGS_H

#include "query/query.h"

/* A mistake that args_copy() returns, known by its address: no memory. */
extern const char args_no_memory[];

/* A mistake in @args, apart from the parameters; NULL: none. @statements: of
 * the pool that is to run them. */
const char *args_mistake(const struct statements *statements,
    const struct mews_query_args *args);

/* Copy SQL and parameters into @query. A mistake in the parameters, or
 * args_no_memory; NULL: neither. */
const char *args_copy(struct query *query, const struct mews_query_args *args);

#endif
