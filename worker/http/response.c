/*
 * response.c - an answer as bytes: its head, and the frames of its chunks.
 */
#include "response.h"

#include <stdio.h>
#include <string.h>

#define FIXED_MAX 320 /* all of a head but the type and the headers added */

static const char *const reasons[600] = {
	[200] = "OK",
	[201] = "Created",
	[202] = "Accepted",
	[203] = "Non-Authoritative Information",
	[204] = "No Content",
	[205] = "Reset Content",
	[206] = "Partial Content",
	[300] = "Multiple Choices",
	[301] = "Moved Permanently",
	[302] = "Found",
	[303] = "See Other",
	[304] = "Not Modified",
	[307] = "Temporary Redirect",
	[308] = "Permanent Redirect",
	[400] = "Bad Request",
	[401] = "Unauthorized",
	[402] = "Payment Required",
	[403] = "Forbidden",
	[404] = "Not Found",
	[405] = "Method Not Allowed",
	[406] = "Not Acceptable",
	[407] = "Proxy Authentication Required",
	[408] = "Request Timeout",
	[409] = "Conflict",
	[410] = "Gone",
	[411] = "Length Required",
	[412] = "Precondition Failed",
	[413] = "Content Too Large",
	[414] = "URI Too Long",
	[415] = "Unsupported Media Type",
	[416] = "Range Not Satisfiable",
	[417] = "Expectation Failed",
	[421] = "Misdirected Request",
	[422] = "Unprocessable Content",
	[423] = "Locked",
	[424] = "Failed Dependency",
	[425] = "Too Early",
	[426] = "Upgrade Required",
	[428] = "Precondition Required",
	[429] = "Too Many Requests",
	[431] = "Request Header Fields Too Large",
	[451] = "Unavailable For Legal Reasons",
	[500] = "Internal Server Error",
	[501] = "Not Implemented",
	[502] = "Bad Gateway",
	[503] = "Service Unavailable",
	[504] = "Gateway Timeout",
	[505] = "HTTP Version Not Supported",
	[507] = "Insufficient Storage",
	[511] = "Network Authentication Required",
};

const char *
http_reason(unsigned status)
{
	if (status >= sizeof(reasons) / sizeof(reasons[0]) ||
	    reasons[status] == NULL)
		return "";
	return reasons[status];
}

bool
http_has_body(unsigned status)
{
	return status >= 200 && status != 204 && status != 304;
}

void
http_writer_init(struct http_writer *writer, const char *worker)
{
	memset(writer, 0, sizeof(*writer));
	snprintf(writer->common, sizeof(writer->common),
	    "Server: mews\r\nMews-Worker: %.16s\r\n", worker);
	writer->common_length = strlen(writer->common);
}

/* Not by strftime(3), whose names are those of the locale. */
static void
set_date(struct http_writer *writer, time_t second)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm;

	writer->second = second;
	writer->date_length = 0;
	if (gmtime_r(&second, &tm) == NULL)
		return;
	writer->date_length = (size_t)snprintf(writer->date,
	    sizeof(writer->date), "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d "
	    "GMT\r\n", days + 3 * tm.tm_wday, tm.tm_mday,
	    months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
	    tm.tm_sec);
	if (writer->date_length >= sizeof(writer->date))
		writer->date_length = 0;
}

static char *
put(char *at, const char *text, size_t length)
{
	memcpy(at, text, length);
	return at + length;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *
put_text(char *at, const char *text)
{
	return put(at, text, strlen(text));
}

static char *
put_number(char *at, uint64_t number)
{
	char	 digits[20], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + number % 10);
	while ((number /= 10) != 0);
	return put(at, p, (size_t)(digits + sizeof(digits) - p));
}

static char *
put_header(char *at, const char *name, const char *value)
{
	at = put_text(at, name);
	at = PUT(at, ": ");
	at = put_text(at, value);
	return PUT(at, "\r\n");
}

size_t
http_response_bound(const struct http_response *response)
{
	size_t bound = FIXED_MAX;
	const struct http_header *header;

	if (response->type != NULL)
		bound += strlen(response->type);
	if (response->headers != NULL)
		STAILQ_FOREACH(header, response->headers, entry)
			bound += strlen(header->name) +
			    strlen(header->value) + sizeof(": \r\n") - 1;
	return bound;
}

static char *
put_length(char *at, const struct http_response *response)
{
	if (!http_has_body(response->status))
		return at;
	if (response->length != HTTP_LENGTH_UNKNOWN) {
		at = PUT(at, "Content-Length: ");
		at = put_number(at, response->length);
		return PUT(at, "\r\n");
	}
	if (response->chunked)
		return PUT(at, "Transfer-Encoding: chunked\r\n");
	return at;
}

char *
http_response_write(const struct http_response *response,
    struct http_writer *writer, char *at)
{
	const struct http_header *header;
	time_t	now = time(NULL);

	if (now != writer->second)
		set_date(writer, now);
	if (response->status == 200)
		at = PUT(at, "HTTP/1.1 200 OK\r\n");
	else {
		at = PUT(at, "HTTP/1.1 ");
		at = put_number(at, response->status);
		at = PUT(at, " ");
		at = put_text(at, http_reason(response->status));
		at = PUT(at, "\r\n");
	}
	at = put(at, writer->common, writer->common_length);
	at = put(at, writer->date, writer->date_length);
	if (response->closes)
		at = PUT(at, "Connection: close\r\n");
	else if (response->keeps)
		at = PUT(at, "Connection: keep-alive\r\n");
	at = put_length(at, response);
	if (response->type != NULL)
		at = put_header(at, "Content-Type", response->type);
	if (response->headers != NULL)
		STAILQ_FOREACH(header, response->headers, entry)
			at = put_header(at, header->name, header->value);
	return PUT(at, "\r\n");
}

char *
http_chunk_write(char *at, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	unsigned shift = 0;

	while (shift < 60 && length >> shift > 15)
		shift += 4;
	for (;; shift -= 4) {
		*at++ = digits[length >> shift & 15];
		if (shift == 0)
			return PUT(at, "\r\n");
	}
}
