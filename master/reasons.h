/*
 * reasons.h - why an endpoint is in its state, in sentences.
 */
#ifndef MASTER_REASONS_H
#define MASTER_REASONS_H

#include <mews/settings.h>
#include <mews/view.h>
#include <stdio.h>

/**
 * Say how an endpoint is, since when, by whose evidence, and what is next.
 * Nothing is printed if @index is out of range.
 *
 * @health  the rules of the fleet, 0 for a default; NULL: not known, and what
 *          depends on them is left out.
 */
void reasons_print(const struct mews_view *view, uint32_t index,
    const struct mews_health_config *health, FILE *out);

/** A sentence for a kind of evidence, "it answered a probe"; that kind itself,
 * where it has none. */
const char *reasons_sight(const char *evidence);

#endif
