/*
 * refusal.c - keeping the sentence by which a call was refused.
 */
#include "base/refusal.h"

#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

enum mews_status
refuse(struct refusal *why, enum mews_status status, const char *format, ...)
{
	va_list	ap;

	va_start(ap, format);
	vsnprintf(why->text, sizeof(why->text), format, ap);
	va_end(ap);
	status_fold(why->text);
	return status;
}

enum mews_status
refuse_foreign(struct refusal *why)
{
	return refuse(why, MEWS_INVALID, "the pool belongs to another "
	    "process or thread, or is closing");
}
