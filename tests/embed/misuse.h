/*
 * misuse.h - the fleet that is misused: one process, one pool, on the servers
 * that tests/with-servers started. A test is a process (see unit.h), so there
 * is one fleet and one pool for each test.
 */
#ifndef TESTS_EMBED_MISUSE_H
#define TESTS_EMBED_MISUSE_H

#include <mews.h>

/* The timeout of a probe, and stall_after: on a busy machine a server may need
 * a fifth of it. */
#define PATIENCE_MS 500
#define PATIENCE    "500ms"

extern struct mews_fleet *fleet;
extern struct mews_pool	 *pool;
extern struct mews_group *group, *transactions; /* without autocommit */
extern struct mews_query_args one;		/* SELECT 1 */

extern char log_text[16384]; /* all lines that the fleet logged */

void create_fleet(void);
void open_pool(void);

/* Make both, and end both. */
void setup(void);
void teardown(void);

#endif
