/*
 * status.c - the names of the ways a call can end.
 */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const status_names[] = {
	[MEWS_OK] = "OK",
	[MEWS_SQL] = "SQL",
	[MEWS_UNAVAILABLE] = "UNAVAILABLE",
	[MEWS_OVERLOAD] = "OVERLOAD",
	[MEWS_WAITED] = "WAITED",
	[MEWS_TIMEOUT] = "TIMEOUT",
	[MEWS_LOST] = "LOST",
	[MEWS_CANCELED] = "CANCELED",
	[MEWS_INVALID] = "INVALID",
	[MEWS_NOMEM] = "NOMEM",
	[MEWS_SYSTEM] = "SYSTEM",
};

const char *
mews_status_name(enum mews_status status)
{
	size_t i = (size_t)status;

	if (i >= sizeof(status_names) / sizeof(status_names[0]))
		return "?";
	return status_names[i];
}

bool
mews_status_unsent(enum mews_status status)
{
	switch (status) {
	case MEWS_UNAVAILABLE:
	case MEWS_OVERLOAD:
	case MEWS_WAITED:
	case MEWS_INVALID:
	case MEWS_NOMEM:
		return true;
	default:
		return false;
	}
}

enum mews_status
status_set(struct mews_error *error, enum mews_status status,
    const char *format, ...)
{
	va_list	ap;

	if (error == NULL)
		return status;
	error->status = status;
	va_start(ap, format);
	vsnprintf(error->message, sizeof(error->message), format, ap);
	va_end(ap);
	return status;
}
