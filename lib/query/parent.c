/*
 * parent.c - the request that a query belongs to, by its traceparent.
 */
#include "query/parent.h"

#include <stdlib.h>
#include <string.h>

static bool
is_hex_digit(char c)
{
	return (unsigned)(c - '0') < 10 || (unsigned)(c - 'a') < 6;
}

bool
parent_is_valid(const char *text)
{
	static const char form[PARENT_LENGTH + 1] =
	    "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";

	for (int i = 0; i < PARENT_LENGTH; i++)
		if (form[i] == 'x' ? !is_hex_digit(text[i]) :
		    text[i] != form[i])
			return false;
	/* A trace id, or a span id, of zeros is invalid. */
	return text[PARENT_LENGTH] == '\0' &&
	    strspn(text + 3, "0") < 32 && strspn(text + 36, "0") < 16;
}

char *
parent_comment(const char *sql, const char *parent)
{
	static const char before[] = " /*traceparent='", behind[] = "'*/";
	size_t	length = strlen(sql);
	char   *text = malloc(length + sizeof(before) + PARENT_LENGTH +
	    sizeof(behind)), *end = text;

	if (text == NULL)
		return NULL;
	end = mempcpy(end, sql, length);
	end = mempcpy(end, before, sizeof(before) - 1);
	end = mempcpy(end, parent, PARENT_LENGTH);
	memcpy(end, behind, sizeof(behind));
	return text;
}
