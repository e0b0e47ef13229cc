/*
 * ask.h - mews reload and upgrade: ask a running fleet, and wait for what comes
 * of it.
 */
#ifndef MASTER_ASK_H
#define MASTER_ASK_H

#include "config.h"

#include <mews/status.h>

enum ask_outcome {
	ASK_READY,   /* the new configuration serves */
	ASK_REFUSED, /* what is wrong was reported; nothing changed */
	ASK_NOTHING, /* no outcome in time; @error says how long */
};

/**
 * Make the master of @config's instance read its configuration anew, or let
 * another binary take over.
 *
 * @signal  HUP or USR2.
 * @report  gets a line for each mistake.
 * @error   one sentence, unless ASK_READY is returned.
 */
enum ask_outcome ask_master(const struct config *config, int signal,
    config_report_fn *report, void *arg, struct mews_error *error);

#endif
