/*
 * destination.c - parsing where the log goes.
 */
#include "destination.h"

#include <stdio.h>
#include <string.h>

static const char prefix[] = "file:";

bool
destination_parse(struct config *config, const struct option_context *context,
    char *why, size_t why_size)
{
	const char *text = config->log_text;

	if (strcmp(text, "stderr") == 0) {
		config->log = CONFIG_LOG_STDERR;
		return true;
	}
	if (strcmp(text, "syslog") == 0) {
		config->log = CONFIG_LOG_SYSLOG;
		return true;
	}
	if (strncmp(text, prefix, strlen(prefix)) != 0 ||
	    text[strlen(prefix)] == '\0') {
		snprintf(why, why_size, "log = '%.200s' is none of stderr, "
		    "syslog, file:PATH", text);
		return false;
	}
	config->log = CONFIG_LOG_FILE;
	config->log_path = option_path(context, text + strlen(prefix));
	if (config->log_path == NULL)
		snprintf(why, why_size, "out of memory");
	return config->log_path != NULL;
}
