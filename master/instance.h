/*
 * instance.h - finding a fleet from outside.
 */
#ifndef MASTER_INSTANCE_H
#define MASTER_INSTANCE_H

#include <mews/view.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * Open the segment of a fleet, and read its head.
 *
 * @instance  its name, or "": the only one of @runtime_dir, whose name is
 *            filled in. MEWS_NAME_MAX + 1 bytes.
 *
 * Returns false, and one sentence in @error, if there is no such fleet; then
 * nothing is open.
 */
bool instance_open(struct mews_view **view, struct mews_view_fleet *fleet,
    const char *runtime_dir, char *instance, struct mews_error *error);

/** Find an endpoint by its name. False: one sentence in @error, with the names
 * that there are. */
bool instance_endpoint(const struct mews_view *view, const char *name,
    uint32_t *index, struct mews_error *error);

/** Does the fleet's master live? False: one sentence in @error. */
bool instance_lives(const struct mews_view_fleet *fleet,
    const char *runtime_dir, struct mews_error *error);

#endif
