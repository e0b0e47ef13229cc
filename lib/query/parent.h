/*
 * parent.h - the request that a query belongs to, by its traceparent.
 */
#ifndef LIB_QUERY_PARENT_H
#define LIB_QUERY_PARENT_H

#include <stdbool.h>

#define PARENT_LENGTH 55 /* bytes of a traceparent of version 00 */

/* Is @text one, of W3C Trace Context? Digits and hyphens, so that it can stand
 * in a log and in a comment. */
bool parent_is_valid(const char *text);

/* @sql with @parent as a comment of sqlcommenter behind it, to be freed; NULL:
 * out of memory. */
char *parent_comment(const char *sql, const char *parent);

#endif
