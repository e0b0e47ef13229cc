/*
 * misuse.h - the fleet that is misused: one process, one pool, on the servers
 * that tests/with-servers started. A test is a process (see unit.h), so there
 * is one of each.
 */
#ifndef TESTS_EMBED_MISUSE_H
#define TESTS_EMBED_MISUSE_H

#include <mews.h>

/* Of a probe, and until a connection stalls: on a busy machine a server may
 * well need a fifth of it. */
#define PATIENCE_MS 500
#define PATIENCE    "500ms"

extern struct mews_fleet *fleet;
extern struct mews_pool	 *pool;
extern struct mews_group *group, *transactions; /* without autocommit */
extern struct mews_query_args one;		/* SELECT 1 */

extern char log_text[16384]; /* all that the fleet logged */

void create_fleet(void);
void open_pool(void);

/* Both; and their end. */
void setup(void);
void teardown(void);

#endif
