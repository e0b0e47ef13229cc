/*
 * result.h - how a query ended, as its callback sees it.
 *
 * A callback's result is in the record of its query, lives as long as the
 * callback and owns only its text; a result from result_keep() is the host's
 * and owns its PGresult, too.
 */
#ifndef LIB_QUERY_RESULT_H
#define LIB_QUERY_RESULT_H

#include <mews/query.h>
#include <stdlib.h>

#define RESULT_MAGIC	  0x72657375u
#define RESULT_MAGIC_KEPT 0x7265736bu

struct mews_result {
	uint32_t magic;
	enum mews_status status;
	PGresult *pg;
	const char *endpoint;
	uint64_t position;
	const char *message;
	char *text; /* owned, or NULL: the message; or the message of @pg in one
		       line, once it was asked for */
};

/* End a callback's result: an assertion fails if it is used later. */
static inline void
result_close(struct mews_result *result)
{
	if (result->text != NULL) {
		free(result->text);
		result->text = NULL;
	}
	result->magic = 0;
}

/* Make @kept a copy of @result, and move the PGresult there. Without memory for
 * the message a shorter one stands in. */
void result_keep(struct mews_result *kept, struct mews_result *result);

#endif
