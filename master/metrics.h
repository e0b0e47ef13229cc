/*
 * metrics.h - a fleet's figures as Prometheus reads them.
 */
#ifndef MASTER_METRICS_H
#define MASTER_METRICS_H

#include <mews/settings.h>
#include <mews/figures.h>
#include <mews/view.h>
#include <stdbool.h>
#include <stdio.h>

/** Is it a group of @config, which may be NULL, or of a process that lives?
 * Counters outlive the groups that a reload took away. */
bool metrics_is_current(const struct mews_config *config,
    const struct mews_figures_group *group);

/**
 * Write all metrics to @out.
 *
 * @config  whose groups are to have endpoints; NULL: those that processes have
 * @open  as OpenMetrics 1.0, else in the text format 0.0.4.
 *
 * Returns false: out of memory; then the text is not whole.
 */
bool metrics_print(const struct mews_view *view,
    const struct mews_config *config, bool open, FILE *out);

#endif
