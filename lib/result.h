/*
 * result.h - how a query ended, as its callback sees it.
 *
 * A result on the stack lives as long as the callback and owns nothing; one
 * from result_keep() is the host's and owns its PGresult and its text.
 */
#ifndef RESULT_H
#define RESULT_H

#include <mews/query.h>

#define RESULT_MAGIC	  0x72657375u
#define RESULT_MAGIC_KEPT 0x7265736bu

struct mews_result {
	uint32_t magic;
	enum mews_status status;
	PGresult *pg;
	const char *endpoint;
	uint64_t position;
	const char *message;
	char *text; /* owned; what message points to, or NULL */
};

/* For a result on the stack: makes a later use of it an assertion. The
 * compiler must not see that nobody should read it any more. */
static inline void
result_close(struct mews_result *result)
{
	*(volatile uint32_t *)&result->magic = 0;
}

/* A copy that owns @result's PGresult, which is taken from it. NULL: out of
 * memory. */
struct mews_result *result_keep(struct mews_result *result);

#endif
