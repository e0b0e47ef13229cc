/*
 * character.c - which bytes are printable characters of UTF-8.
 */
#include <mews/character.h>

/* Unicode 15, table 3-7, without the control characters U+0080 to U+009F. */
size_t
character_length(const char *from)
{
	const unsigned char *text = (const unsigned char *)from;
	static const struct {
		unsigned char first, last, low, high; /* of the second byte */
		size_t length;
	} forms[] = {
		{ 0xc2, 0xc2, 0xa0, 0xbf, 2 },
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

size_t
character_whole(const char *text, size_t length)
{
	size_t	back = 1;

	/* The last character's first byte says how long it should be. */
	while (back <= 4 && back <= length) {
		unsigned char first = (unsigned char)text[length - back];
		size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 :
		    first >= 0xc0 ? 2 : 1;

		if (first < 0x80 || first >= 0xc0)
			return size > back ? length - back : length;
		back++;
	}
	return length;
}
