/*
 * logfmt.c - values of logfmt: in quotes, with all that is not printable
 * escaped.
 */
#include <mews/logfmt.h>

#include <mews/character.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool
is_plain(const char *text)
{
	if (text[0] == '\0')
		return false;
	for (size_t length; *text != '\0'; text += length) {
		length = character_length(text);
		if (length == 0 || strchr(" \"=\\", *text) != NULL)
			return false;
	}
	return true;
}

/* Write the first character of @text as it stands in a quoted value. Returns
 * its length there; sets how many bytes of @text it took. */
static size_t
escape(char out[8], const char *text, size_t *taken)
{
	const size_t length = character_length(text);
	const char   c = *text;

	*taken = length > 0 ? length : 1;
	switch (c) {
	case '"':
	case '\\':
		return (size_t)snprintf(out, 8, "\\%c", c);
	case '\n':
		return (size_t)snprintf(out, 8, "\\n");
	case '\r':
		return (size_t)snprintf(out, 8, "\\r");
	case '\t':
		return (size_t)snprintf(out, 8, "\\t");
	default:
		if (length == 0)
			return (size_t)snprintf(out, 8, "\\u%04x",
			    (unsigned char)c);
		memcpy(out, text, length);
		return length;
	}
}

const char *
logfmt_text(char *buffer, size_t size, const char *text)
{
	size_t	used = 0, length, taken;
	char	one[8];

	if (size < sizeof("\"\""))
		return "";
	buffer[used++] = '"';
	for (; *text != '\0'; text += taken) {
		length = escape(one, text, &taken);
		if (used + length + sizeof("\"") > size) {
			used = character_whole(buffer, used);
			break;
		}
		memcpy(buffer + used, one, length);
		used += length;
	}
	buffer[used++] = '"';
	buffer[used] = '\0';
	return buffer;
}

const char *
logfmt_value(char *buffer, size_t size, const char *text)
{
	return is_plain(text) && strlen(text) < size ? strcpy(buffer, text) :
	    logfmt_text(buffer, size, text);
}
