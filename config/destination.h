/*
 * destination.h - parsing where the log goes.
 */
#ifndef CONFIG_DESTINATION_H
#define CONFIG_DESTINATION_H

#include "option.h"

/* Fill in config->log and config->log_path from config->log_text. False: @why
 * says what is wrong and what is allowed. */
bool destination_parse(struct config *config,
    const struct option_context *context, char *why, size_t why_size);

#endif
