/*
 * statement.h - SQL registered once with a pool.
 */
#ifndef STATEMENT_H
#define STATEMENT_H

#include "sql.h"

#include <mews/query.h>
#include <sys/queue.h>

struct mews_statement {
	struct mews_pool *pool;
	uint32_t number; /* index into each connection's prepared[] */
	char name[16];	 /* on the server: "mews_7" */
	enum sql_effect effect;
	int format; /* of the columns: 0 text, 1 binary */
	int type_count;	  /* declared types; 0: none are */
	const Oid *types; /* behind sql, or NULL */
	float mean_us; /* moving average of its time on the server */
	SLIST_ENTRY(mews_statement) link;
	char sql[];
};

#define STATEMENT_SLOW_US    5000.0F /* slow: its mean is above this ... */
#define STATEMENT_SLOW_TIMES 8.0F /* ... and so many times the usual */

/* Is it expected to run long? */
bool statement_is_slow(const struct mews_statement *statement);

/* It took @us on the server. */
void statement_learn(const struct mews_statement *statement, int64_t us);

#endif
