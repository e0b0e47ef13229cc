/*
 * trial.h - try what a configuration asks for before a fleet is made of it.
 */
#ifndef MASTER_TRIAL_H
#define MASTER_TRIAL_H

#include "config.h"

/**
 * Load the application of @config in a child that has dropped its privileges
 * and ends right away: it is code of somebody else, which may do anything
 * while it is loaded, and root loads none of it.
 *
 * @all     try the runtime directory and the addresses as well, unless the
 *          instance runs, and so has them.
 * @report  gets a line for each thing that cannot be done.
 */
bool trial_run(const struct config *config, bool all,
    config_report_fn *report, void *arg);

/** As trial_run(), of the application alone; lines are written to @answer. */
bool trial_report(const struct config *config, int answer);

#endif
