/*
 * meaning.c - what an SQLSTATE means for a query and for the server.
 * wire/answer.c acts on it.
 */
#include "query/meaning.h"

#include <string.h>

const char *
meaning_state(const PGresult *answer)
{
	const char *state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);

	return state == NULL ? "" : state;
}

enum health_evidence
meaning_evidence(const char *state)
{
	if (strcmp(state, "57P01") == 0 || strcmp(state, "57P02") == 0)
		return HEALTH_SHUTDOWN;
	/* 57P05, 25P03, 25P04: the server's own time limits tell nothing of its
	 * health. */
	if (strcmp(state, "57P05") == 0 || strncmp(state, "25P", 3) == 0)
		return HEALTH_NOTHING;
	return HEALTH_LOST;
}

bool
meaning_is_libpqs(const PGresult *answer)
{
	return PQresultErrorField(answer, PG_DIAG_SEVERITY_NONLOCALIZED) ==
	    NULL;
}

/* 25P02: refused, since the transaction had failed before. SQL that raises that
 * code has another source function: src/backend/tcop/postgres.c. */
static bool
was_refused(const PGresult *answer)
{
	const char *function;

	function = PQresultErrorField(answer, PG_DIAG_SOURCE_FUNCTION);
	return strcmp(meaning_state(answer), "25P02") == 0 &&
	    function != NULL && (strcmp(function, "exec_parse_message") == 0 ||
	    strcmp(function, "exec_bind_message") == 0 ||
	    strcmp(function, "exec_execute_message") == 0);
}

enum mews_status
meaning_status(const struct query *query, const PGresult *answer)
{
	const char *function;

	if (meaning_is_libpqs(answer))
		return MEWS_TOO_LARGE;
	if (query->partly || (!query->inside && !query->describes &&
	    sql_commits(query_sql(query)) && !was_refused(answer)))
		return MEWS_PARTLY;
	if (strcmp(meaning_state(answer), "57014") != 0)
		return MEWS_SQL;
	/* 57014 is also the code of a COPY that failed by request, and of any
	 * SQL that raises it. */
	if (query->kind == QUERY_COPY && query->stopped)
		return MEWS_CANCELED;
	function = PQresultErrorField(answer, PG_DIAG_SOURCE_FUNCTION);
	return function != NULL &&
	    strcmp(function, "ProcessInterrupts") == 0 ? MEWS_TIMEOUT :
	    MEWS_SQL;
}
