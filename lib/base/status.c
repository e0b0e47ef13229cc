/*
 * status.c - the names of the ways a call can end.
 */
#include "base/status.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
	[MEWS_UNDONE] = "UNDONE",
	[MEWS_PARTLY] = "PARTLY",
	[MEWS_TOO_LARGE] = "TOO_LARGE",
};

const char *
mews_version(void)
{
	return MEWS_VERSION;
}

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

bool
mews_status_undone(enum mews_status status)
{
	return mews_status_unsent(status) || status == MEWS_SQL ||
	    status == MEWS_TIMEOUT || status == MEWS_UNDONE;
}

void
status_fold(char *text)
{
	const char     *from = text;
	char	       *to = text;
	bool		cut = false; /* a control character was left out after
					the last byte at @to */

	for (; *from != '\0'; from++) {
		if ((unsigned char)*from < ' ' || *from == 0x7f) {
			cut = true;
			continue;
		}
		if (cut && *from == ' ')
			continue;
		if (cut && to > text && to[-1] != ' ')
			*to++ = ' ';
		cut = false;
		*to++ = *from;
	}
	while (to > text && to[-1] == ' ')
		to--;
	*to = '\0';
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
	status_fold(error->message);
	return status;
}

void
status_fill(void *out, size_t size, const void *from, size_t ours)
{
	assert(out != NULL && size != 0 &&
	    "mews: a structure to fill comes with its sizeof");
	memcpy(out, from, size < ours ? size : ours);
	if (size > ours)
		memset((char *)out + ours, 0, size - ours);
}
