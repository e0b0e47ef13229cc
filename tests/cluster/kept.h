/*
 * kept.h - groups for leases, and a table that tells what was committed.
 *
 * Groups "manual" and "auto" are without and with autocommit; "two" has two
 * connections, leases of "brief" count as forgotten soon, connections of
 * "aging" as old soon; "read" reads on standbys.
 */
#ifndef TESTS_CLUSTER_KEPT_H
#define TESTS_CLUSTER_KEPT_H

#include "cluster.h"

/* Fixtures: make the table kept (at, id) on a, empty, and call
 * cluster_prepare(); kept_open() opens the pool as well. */
void kept_prepare(void);
void kept_open(void);

/* Run @sql on the lease, which must go well; its value is valid until the next
 * call. */
const char *kept_do(struct mews_lease *lease, const char *sql);

#endif
