/*
 * parent.c - the request that a query belongs to, by its traceparent.
 */
#include "query/parent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
parent_is_valid(const char *text)
{
	static const char form[PARENT_LENGTH + 1] =
	    "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < PARENT_LENGTH; i++)
		if (text[i] == '\0' || (form[i] == 'x' ?
		    strchr(digits, text[i]) == NULL : text[i] != form[i]))
			return false;
	/* A trace id, or a span id, of zeros is invalid. */
	return text[PARENT_LENGTH] == '\0' &&
	    strspn(text + 3, "0") < 32 && strspn(text + 36, "0") < 16;
}

char *
parent_comment(const char *sql, const char *parent)
{
	static const char form[] = "%s /*traceparent='%.*s'*/";
	size_t	size = strlen(sql) + sizeof(form) + PARENT_LENGTH;
	char   *text = malloc(size);

	if (text != NULL)
		snprintf(text, size, form, sql, PARENT_LENGTH, parent);
	return text;
}
