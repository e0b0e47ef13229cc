/*
 * json.c - values of JSON.
 */
#include "json.h"

#include <inttypes.h>

void
json_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

void
json_known(FILE *out, const char *name, int64_t value, bool known)
{
	if (known)
		fprintf(out, ",\"%s\":%" PRId64, name, value);
	else
		fprintf(out, ",\"%s\":null", name);
}
