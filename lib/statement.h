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
	SLIST_ENTRY(mews_statement) link;
	char sql[];
};

#endif
