/*
 * metrics.h - a fleet's figures as Prometheus reads them.
 */
#ifndef MASTER_METRICS_H
#define MASTER_METRICS_H

#include <mews/view.h>
#include <stdbool.h>
#include <stdio.h>

/**
 * Write all metrics to @out.
 *
 * @open  as OpenMetrics 1.0, else in the text format 0.0.4.
 *
 * Returns false: out of memory; then the text is not whole.
 */
bool metrics_print(const struct mews_view *view, bool open, FILE *out);

#endif
