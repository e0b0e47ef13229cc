/*
 * words.c - what others wrote, in a form that is safe to show to people.
 */
#include "words.h"

#include <mews/character.h>

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *
words_clean(char *copy, size_t size, const char *text)
{
	strlcpy(copy, text, size);
	for (char *c = copy; *c != '\0'; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	return copy;
}

void
words_printable(char *text)
{
	size_t length;

	while (*text != '\0') {
		length = character_length(text);
		if (length == 0)
			*text = '?';
		text += length > 0 ? length : 1;
	}
}

const char *
words_span(char *buffer, size_t size, int64_t ms)
{
	int64_t s = ms / 1000;

	if (ms < 0)
		strlcpy(buffer, "-", size);
	else if (ms < 1000)
		snprintf(buffer, size, "%" PRId64 "ms", ms);
	else if (s < 60)
		snprintf(buffer, size, "%" PRId64 ".%" PRId64 "s", s,
		    ms / 100 % 10);
	else if (s < 3600)
		snprintf(buffer, size, "%" PRId64 "m%02" PRId64 "s", s / 60,
		    s % 60);
	else if (s < 86400)
		snprintf(buffer, size, "%" PRId64 "h%02" PRId64 "m", s / 3600,
		    s / 60 % 60);
	else
		snprintf(buffer, size, "%" PRId64 "d%02" PRId64 "h",
		    s / 86400, s / 3600 % 24);
	return buffer;
}
