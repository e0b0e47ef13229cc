/*
 * drain.h - mews drain, mews enable.
 */
#ifndef MASTER_DRAIN_H
#define MASTER_DRAIN_H

#include <mews/status.h>

/**
 * Take an endpoint out of a running fleet, or back in.
 *
 * @instance  NULL: the only one of @runtime_dir.
 *
 * Returns false, and one sentence in @error, if there is no such endpoint or
 * fleet, or its master is dead.
 */
bool drain_endpoint(const char *runtime_dir, const char *instance,
    const char *endpoint, bool drained, struct mews_error *error);

#endif
