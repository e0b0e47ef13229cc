/*
 * parent.h - the request that a query belongs to, by its traceparent.
 */
#ifndef LIB_QUERY_PARENT_H
#define LIB_QUERY_PARENT_H

#include <stdbool.h>
#include <string.h>

#define PARENT_LENGTH 55 /* bytes of a traceparent of version 00 */

/* Is @text a traceparent of W3C Trace Context? Digits and hyphens only, so that
 * it can stand in a log and in a comment. */
bool parent_is_valid(const char *text);

/* Keep @text, if it is as long as a traceparent; else "". Each query of a
 * request does so, and few are asked for it: the text is checked then. */
static inline void
parent_keep(char kept[PARENT_LENGTH + 1], const char *text)
{
	if (strlen(text) == PARENT_LENGTH)
		memcpy(kept, text, PARENT_LENGTH + 1);
	else
		kept[0] = '\0';
}

/* @sql followed by @parent in a comment as sqlcommenter writes it; free(3) it.
 * NULL: out of memory. */
char *parent_comment(const char *sql, const char *parent);

#endif
