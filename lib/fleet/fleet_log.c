/*
 * fleet_log.c - lines for the log function that a host gave its fleet.
 */
#include "fleet/fleet_log.h"

#include "fleet/fleet.h"
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

void
fleet_log(const struct mews_fleet *fleet, enum mews_log_level level,
    const char *event, const char *format, ...)
{
	char	text[1024];
	va_list	ap;
	bool	told = fleet->log != NULL && level >= fleet->log_least;

	if (!told && level < MEWS_LOG_INFO)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	status_fold(text);
	if (level >= MEWS_LOG_INFO && fleet->segment.events != NULL)
		event_add(fleet->segment.events, (uint32_t)level, event, text);
	if (told)
		fleet->log(fleet->log_arg, level, event, text);
}

void
fleet_say(const struct mews_fleet *fleet, enum mews_log_level level,
    const char *event, const char *format, ...)
{
	char	text[1024];
	va_list	ap;

	if (fleet->log == NULL || level < fleet->log_least)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	status_fold(text);
	fleet->log(fleet->log_arg, level, event, text);
}
