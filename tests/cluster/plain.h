/*
 * plain.h - groups for ordinary queries.
 *
 * "read" and "write" have long queues; "one" has one connection, "single" has
 * one without a pipeline, "narrow" has two without.
 */
#ifndef TESTS_CLUSTER_PLAIN_H
#define TESTS_CLUSTER_PLAIN_H

#include "cluster.h"

/* cluster_prepare() and cluster_open() with these groups. */
void plain_prepare(void);
void plain_open(void);

#endif
