/*
 * meaning.h - what an answer of libpq means for a query and for a server.
 *
 * Looks at answers only, and changes nothing.
 */
#ifndef LIB_QUERY_MEANING_H
#define LIB_QUERY_MEANING_H

#include "fleet/health.h"
#include "query/query.h"

#define MEANING_TOO_LARGE						\
	"the answer is larger than max_result_size, or than the "	\
	"memory there is; read it row by row, with mews_lease_rows()"

static inline bool
meaning_is_well(ExecStatusType status)
{
	return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ||
	    status == PGRES_EMPTY_QUERY;
}

/* The SQLSTATE of @answer, or "". */
const char *meaning_state(const PGresult *answer);

/* The evidence about a server in a session that it ended with @state. */
enum health_evidence meaning_evidence(const char *state);

/* Is @answer an error of libpq's own? If the connection lives, libpq threw the
 * rows away for want of memory, and went on. */
bool meaning_is_libpqs(const PGresult *answer);

/* The status of @query, whose answer is an error. */
enum mews_status meaning_status(const struct query *query,
    const PGresult *answer);

#endif
