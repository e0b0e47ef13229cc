/*
 * fail.c - why something could not be done, in one sentence.
 */
#include "fail.h"

#include "words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

bool
fail(struct mews_error *error, const char *format, ...)
{
	int	saved = errno;
	va_list ap;

	error->status = MEWS_SYSTEM;
	va_start(ap, format);
	vsnprintf(error->message, sizeof(error->message), format, ap);
	va_end(ap);
	/* The text may quote a file or a segment. */
	words_printable(error->message);
	errno = saved;
	return false;
}

bool
fail_at(struct mews_error *error, const char *file, unsigned line,
    const char *format, ...)
{
	char	text[sizeof(error->message)];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fail(error, "%s:%u: %s", file, line, text);
	error->status = MEWS_INVALID;
	return false;
}
