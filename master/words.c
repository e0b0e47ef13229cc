/*
 * words.c - what others wrote, in a form that is safe to show to people.
 */
#include "words.h"

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

/* Bytes of the character at @text, if it is UTF-8 and no control character;
 * else 0. A table of what is well formed: Unicode 15, 3-7. */
static size_t
printable_length(const unsigned char *text)
{
	static const struct {
		unsigned char first, last, low, high; /* of the second byte */
		size_t length;
	} forms[] = {
		{ 0xc2, 0xc2, 0xa0, 0xbf, 2 }, /* 80 to 9f are controls */
		{ 0xc3, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	size_t i = 0, n = 2;

	if (text[0] < 0x80)
		return text[0] >= ' ' && text[0] != 0x7f;
	while (i < sizeof(forms) / sizeof(forms[0]) &&
	    (text[0] < forms[i].first || text[0] > forms[i].last))
		i++;
	if (i == sizeof(forms) / sizeof(forms[0]) ||
	    text[1] < forms[i].low || text[1] > forms[i].high)
		return 0;
	while (n < forms[i].length && (text[n] & 0xc0) == 0x80)
		n++;
	return n == forms[i].length ? n : 0;
}

void
words_printable(char *text)
{
	size_t length;

	while (*text != '\0') {
		length = printable_length((const unsigned char *)text);
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
