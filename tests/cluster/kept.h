/*
 * kept.h - groups for leases, and a table that tells what was committed.
 *
 * Groups "manual" and "auto" are without and with autocommit, "two" has two
 * connections, leases of "brief" are soon forgotten, connections of "aging"
 * soon old; "read" reads on standbys.
 */
#ifndef TESTS_CLUSTER_KEPT_H
#define TESTS_CLUSTER_KEPT_H

#include "cluster.h"

/* Make the table kept (at, id) on a, empty, and cluster_prepare(); a fixture,
 * which opens the pool as well. */
void kept_prepare(void);
void kept_open(void);

/* Run @sql on the lease, which must go well, and give its value: valid until
 * the next. */
const char *kept_do(struct mews_lease *lease, const char *sql);

#endif
