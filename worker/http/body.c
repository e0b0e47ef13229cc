/*
 * body.c - finding the data and the end of a request's body.
 *
 * A state machine reads the framing of chunks (RFC 9112, 7.1) byte by byte.
 * Lines end with CRLF and nothing else. Extensions and trailers are checked,
 * counted and dropped.
 */
#include "body.h"

#include <assert.h>
#include <string.h>

enum {
	BODY_OVER,	 /* nothing is to come */
	BODY_LENGTH,	 /* data of a known length */
	BODY_SIZE,	 /* a digit of a chunk's size */
	BODY_BLANK,	 /* blanks behind it, before a ';' */
	BODY_EXTENSION,
	BODY_SIZE_LF,	 /* the LF behind the size */
	BODY_DATA,	 /* data of a chunk */
	BODY_DATA_CR,	 /* the CR behind them */
	BODY_DATA_LF,
	BODY_LINE,	 /* the begin of a trailer, or of the last line */
	BODY_NAME,	 /* the rest of a trailer's name */
	BODY_VALUE,
	BODY_VALUE_LF,
	BODY_LAST_LF
};

#define SIZE_DIGITS_MAX 16 /* leading zeros are digits too */

void
http_body_begin(struct http_body *body, const struct http_head *head)
{
	memset(body, 0, sizeof(*body));
	body->left = head->content_length;
	if (head->chunked)
		body->state = BODY_SIZE;
	else
		body->state = body->left == 0 ? BODY_OVER : BODY_LENGTH;
}

bool
http_body_is_over(const struct http_body *body)
{
	return body->state == BODY_OVER;
}

/* A digit of a size, or what ends them. */
static int
read_size(struct http_body *body, char c)
{
	int digit = http_hex(c);

	if (digit >= 0) {
		if (++body->digits > SIZE_DIGITS_MAX)
			return 413;
		body->left = body->left << 4 | (uint64_t)digit;
		return HTTP_MORE;
	}
	if (body->digits == 0)
		return 400;
	if (c == '\r')
		body->state = BODY_SIZE_LF;
	else if (c == ';')
		body->state = BODY_EXTENSION;
	else if (c == ' ' || c == '\t')
		body->state = BODY_BLANK;
	else
		return 400;
	return HTTP_MORE;
}

/* Text leaves the state as it is; a CR ends it. */
static int
read_text(struct http_body *body, char c, unsigned after)
{
	if (c == '\r')
		body->state = after;
	else if (http_text_length(&c, 1) == 0)
		return 400;
	return HTTP_MORE;
}

static int
read_lf(struct http_body *body, char c, unsigned after)
{
	if (c != '\n')
		return 400;
	body->state = after;
	return after == BODY_OVER ? HTTP_DONE : HTTP_MORE;
}

/* One byte that is no data. */
static int
read_framing(struct http_body *body, char c)
{
	switch (body->state) {
	case BODY_SIZE:
		return read_size(body, c);
	case BODY_BLANK:
		if (c == ';')
			body->state = BODY_EXTENSION;
		else if (c != ' ' && c != '\t')
			return 400;
		return HTTP_MORE;
	case BODY_EXTENSION:
		return read_text(body, c, BODY_SIZE_LF);
	case BODY_SIZE_LF:
		return read_lf(body, c,
		    body->left == 0 ? BODY_LINE : BODY_DATA);
	case BODY_DATA_CR:
		body->state = BODY_DATA_LF;
		return c == '\r' ? HTTP_MORE : 400;
	case BODY_DATA_LF:
		body->digits = 0;
		return read_lf(body, c, BODY_SIZE);
	case BODY_LINE:
		if (c == '\r') {
			body->state = BODY_LAST_LF;
			return HTTP_MORE;
		}
		body->state = BODY_NAME;
		return http_is_token(&c, 1) ? HTTP_MORE : 400;
	case BODY_NAME:
		if (c == ':')
			body->state = BODY_VALUE;
		else if (!http_is_token(&c, 1))
			return 400;
		return HTTP_MORE;
	case BODY_VALUE:
		return read_text(body, c, BODY_VALUE_LF);
	case BODY_VALUE_LF:
		return read_lf(body, c, BODY_LINE);
	case BODY_LAST_LF:
		return read_lf(body, c, BODY_OVER);
	}
	assert(false && "a body is in one of its states");
	return 400;
}

/* Is the next byte overhead, see HTTP_OVERHEAD_MAX? */
static bool
is_overhead(const struct http_body *body)
{
	return body->state == BODY_BLANK || body->state == BODY_EXTENSION ||
	    body->state == BODY_NAME || body->state == BODY_VALUE;
}

int
http_body_read(struct http_body *body, const char *bytes, size_t length,
    size_t *used, struct http_piece *piece)
{
	const char *at = bytes, *end = bytes + length;
	int	result = HTTP_MORE;

	piece->bytes = NULL;
	piece->length = 0;
	if (body->state == BODY_OVER)
		result = HTTP_DONE;
	while (result == HTTP_MORE && at < end && piece->length == 0) {
		if (body->state != BODY_LENGTH && body->state != BODY_DATA) {
			result = read_framing(body, *at++);
			if (is_overhead(body) &&
			    ++body->overhead > HTTP_OVERHEAD_MAX)
				result = 431;
			continue;
		}
		piece->bytes = at;
		piece->length = (size_t)(end - at) < body->left ?
		    (size_t)(end - at) : (size_t)body->left;
		at += piece->length;
		body->left -= piece->length;
		if (body->left > 0)
			break;
		if (body->state == BODY_LENGTH)
			result = HTTP_DONE;
		body->state = body->state == BODY_LENGTH ?
		    BODY_OVER : BODY_DATA_CR;
	}
	*used = (size_t)(at - bytes);
	return result;
}
