/*
 * head.c - the head of a request: request line, fields, empty line.
 *
 * Line by line. A line is read when its end has come, so the result does not
 * depend on how the bytes were cut; a byte that is allowed nowhere is refused
 * at once. The first mistake decides.
 */
#include "head.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

struct reader {
	const char *begin;
	const char *at;
	const char *end;
	struct http_head *head;
	unsigned hosts, lengths, codings;
	bool closes, keeps; /* Connection said so */
};

/* A part of a line. */
struct part {
	const char *at;
	const char *end;
};

static const bool token_char[256] = {
	['0' ... '9'] = true,
	['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
	['!'] = true,
	['#' ... '\''] = true,
	['*'] = true,
	['+'] = true,
	['-'] = true,
	['.'] = true,
	['^' ... '`'] = true,
	['|'] = true,
	['~'] = true,
};

/* Characters of a host, besides the brackets of an address and the port. No
 * comma, which would make it a list. */
static const bool host_char[256] = {
	['0' ... '9'] = true,
	['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
	['!'] = true,
	['$' ... '+'] = true,
	['-' ... '.'] = true,
	[';'] = true,
	['='] = true,
	['_'] = true,
	['~'] = true,
};

bool
http_is_token(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!token_char[(unsigned char)bytes[i]])
			return false;
	return length != 0;
}

int
http_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool
is_text(char c)
{
	return ((unsigned char)c >= ' ' && c != 0x7f) || c == '\t';
}

/* Has one of these eight bytes a value below a blank, or that of DEL? */
static bool
has_control(const char *bytes)
{
	uint64_t word, del;

	memcpy(&word, bytes, sizeof(word));
	del = word ^ UINT64_C(0x7f7f7f7f7f7f7f7f);
	return (((word - UINT64_C(0x2020202020202020)) & ~word) |
	    ((del - UINT64_C(0x0101010101010101)) & ~del)) &
	    UINT64_C(0x8080808080808080);
}

size_t
http_text_length(const char *bytes, size_t length)
{
	size_t i = 0;

	for (;;) {
		while (length - i >= 8 && !has_control(bytes + i))
			i += 8;
		for (size_t n = 0; n < 8; n++, i++)
			if (i == length || !is_text(bytes[i]))
				return i;
	}
}

bool
http_head_is_new(const char *bytes, size_t length)
{
	size_t text = http_text_length(bytes, length);

	/* A CR at the very end may be half of a line's. */
	return text < length && !(text + 1 == length && bytes[text] == '\r');
}

static struct http_span
span_of(const struct reader *in, struct part part)
{
	return (struct http_span){ .at = (uint32_t)(part.at - in->begin),
		.length = (uint32_t)(part.end - part.at) };
}

static size_t
length_of(struct part part)
{
	return (size_t)(part.end - part.at);
}

static bool
part_is(struct part part, const char *word)
{
	return length_of(part) == strlen(word) &&
	    strncasecmp(part.at, word, length_of(part)) == 0;
}

static struct part
trim(struct part part)
{
	while (part.at < part.end && (*part.at == ' ' || *part.at == '\t'))
		part.at++;
	while (part.at < part.end &&
	    (part.end[-1] == ' ' || part.end[-1] == '\t'))
		part.end--;
	return part;
}

/* Take the first element off a list. False: the list was empty. */
static bool
next_element(struct part *list, struct part *element)
{
	const char *comma;

	if (list->at == NULL)
		return false;
	comma = memchr(list->at, ',', length_of(*list));
	*element = trim((struct part){ list->at,
	    comma == NULL ? list->end : comma });
	list->at = comma == NULL ? NULL : comma + 1;
	return true;
}

/* The next line, without its CRLF. */
static int
next_line(struct reader *in, struct part *line)
{
	line->at = in->at;
	line->end = in->at +
	    http_text_length(in->at, (size_t)(in->end - in->at));
	if (line->end == in->end)
		return HTTP_MORE;
	if (*line->end != '\r')
		return 400;
	if (line->end + 1 == in->end)
		return HTTP_MORE;
	if (line->end[1] != '\n')
		return 400;
	in->at = line->end + 2;
	return HTTP_DONE;
}

/* "host", "host:port", "[address]:port". */
static bool
host_is_sound(struct part host)
{
	const char *p = host.at;

	if (p < host.end && *p == '[') {
		for (p++; p < host.end && (http_hex(*p) != -1 || *p == ':' ||
		    *p == '.'); p++)
			;
		if (p == host.end || *p++ != ']' || p - host.at < 4)
			return false;
	} else {
		while (p < host.end && host_char[(unsigned char)*p])
			p++;
		if (p == host.at)
			return false;
	}
	if (p < host.end && *p == ':')
		for (p++; p < host.end && *p >= '0' && *p <= '9'; p++)
			;
	return p == host.end;
}

/* Is @target visible ASCII without a '#'? An escaped NUL would end a text
 * early; an invalid escape in a path could be read in two ways. */
static bool
target_is_sound(struct part target)
{
	bool in_query = false;

	for (const char *p = target.at; p < target.end; p++) {
		if ((unsigned char)*p <= ' ' || (unsigned char)*p > '~' ||
		    *p == '#')
			return false;
		if (*p == '?')
			in_query = true;
		if (*p != '%')
			continue;
		if (target.end - p < 3 || http_hex(p[1]) == -1 ||
		    http_hex(p[2]) == -1) {
			if (!in_query)
				return false;
		} else if (p[1] == '0' && p[2] == '0')
			return false;
	}
	return true;
}

/* "http://" or "https://" and a host, which is taken off the target. */
static int
read_authority(struct reader *in, struct part *target)
{
	struct part host;

	if (length_of(*target) > 7 &&
	    strncasecmp(target->at, "http://", 7) == 0)
		target->at += 7;
	else if (length_of(*target) > 8 &&
	    strncasecmp(target->at, "https://", 8) == 0)
		target->at += 8;
	else
		return 400;
	host = *target;
	for (host.end = host.at; host.end < target->end &&
	    *host.end != '/' && *host.end != '?'; host.end++)
		;
	if (!host_is_sound(host))
		return 400;
	in->head->host = span_of(in, host);
	in->head->absolute = true;
	target->at = host.end;
	return HTTP_DONE;
}

static int
read_target(struct reader *in, struct part target, struct part method)
{
	const char *mark;
	int	result;

	if (target.at == target.end || !target_is_sound(target))
		return 400;
	if (*target.at != '/' && (result = read_authority(in, &target)) != 0) {
		if (!part_is(target, "*") || length_of(method) != 7 ||
		    memcmp(method.at, "OPTIONS", 7) != 0)
			return result;
	}
	mark = memchr(target.at, '?', length_of(target));
	if (mark != NULL) {
		in->head->query = span_of(in,
		    (struct part){ mark + 1, target.end });
		target.end = mark;
	}
	in->head->path = span_of(in, target);
	return HTTP_DONE;
}

/* "HTTP/1.1" and its kin. */
static int
read_version(struct reader *in, const char *version)
{
	if (memcmp(version, "HTTP/", 5) != 0 || version[6] != '.' ||
	    version[5] < '0' || version[5] > '9' ||
	    version[7] < '0' || version[7] > '9')
		return 400;
	if (version[5] != '1')
		return 505;
	in->head->minor = version[7] == '0' ? 0 : 1;
	return HTTP_DONE;
}

static int
read_request_line(struct reader *in)
{
	struct part line, method, target;
	int	result;

	/* Skip empty lines, which old clients send (RFC 9112, 2.2). */
	do {
		if ((result = next_line(in, &line)) != HTTP_DONE)
			return result;
	} while (line.at == line.end);
	method = target = line;
	for (method.end = line.at; method.end < line.end &&
	    token_char[(unsigned char)*method.end]; method.end++)
		;
	target.at = method.end + 1;
	target.end = line.end - sizeof(" HTTP/1.1") + 1;
	if (method.at == method.end || method.end == line.end ||
	    *method.end != ' ' || target.end < target.at || *target.end != ' ')
		return 400;
	if ((result = read_version(in, target.end + 1)) != HTTP_DONE)
		return result;
	in->head->method = span_of(in, method);
	in->head->is_head = length_of(method) == 4 &&
	    memcmp(method.at, "HEAD", 4) == 0;
	if ((length_of(method) == 7 && memcmp(method.at, "CONNECT", 7) == 0) ||
	    (length_of(method) == 5 && memcmp(method.at, "TRACE", 5) == 0))
		return 405;
	return read_target(in, target, method);
}

static int
read_host(struct reader *in, struct part value)
{
	if (++in->hosts > 1 || !host_is_sound(value))
		return 400;
	if (!in->head->absolute)
		in->head->host = span_of(in, value);
	return HTTP_DONE;
}

static int
read_content_length(struct reader *in, struct part value)
{
	uint64_t length = 0;
	bool	huge = false;

	if (++in->lengths > 1 || value.at == value.end)
		return 400;
	for (; value.at < value.end; value.at++) {
		if (*value.at < '0' || *value.at > '9')
			return 400;
		if (__builtin_mul_overflow(length, 10, &length) ||
		    __builtin_add_overflow(length, *value.at - '0', &length))
			huge = true;
	}
	if (huge)
		return 413;
	in->head->content_length = length;
	return HTTP_DONE;
}

/* Only the last coding may be chunked, and has to be: else the body has no
 * known end. */
static int
read_transfer_encoding(struct reader *in, struct part value)
{
	struct part coding;
	unsigned count = 0, chunked = 0;
	bool	last = false;

	if (++in->codings > 1 || in->head->minor == 0)
		return 400;
	while (next_element(&value, &coding)) {
		count++;
		last = part_is(coding, "chunked");
		chunked += last;
		if (coding.at == coding.end)
			return 400;
	}
	if (!last || chunked != 1)
		return 400;
	if (count > 1)
		return 501;
	in->head->chunked = true;
	return HTTP_DONE;
}

static void
read_connection(struct reader *in, struct part value)
{
	struct part word;

	while (next_element(&value, &word)) {
		in->closes |= part_is(word, "close");
		in->keeps |= part_is(word, "keep-alive");
	}
}

static int
read_expect(struct reader *in, struct part value)
{
	if (in->head->minor == 0)
		return HTTP_DONE;
	if (!part_is(value, "100-continue"))
		return 417;
	in->head->expects_continue = true;
	return HTTP_DONE;
}

/* Act on a field that matters here. */
static int
obey(struct reader *in, struct part name, struct part value)
{
	switch (length_of(name)) {
	case sizeof("Host") - 1:
		if (part_is(name, "Host"))
			return read_host(in, value);
		break;
	case sizeof("Expect") - 1:
		if (part_is(name, "Expect"))
			return read_expect(in, value);
		break;
	case sizeof("Connection") - 1:
		if (part_is(name, "Connection"))
			read_connection(in, value);
		break;
	case sizeof("Content-Length") - 1:
		if (part_is(name, "Content-Length"))
			return read_content_length(in, value);
		break;
	case sizeof("Transfer-Encoding") - 1:
		if (part_is(name, "Transfer-Encoding"))
			return read_transfer_encoding(in, value);
		break;
	}
	return HTTP_DONE;
}

/* Refuse a line that begins with a blank: some programs read it as the
 * continuation of the line before. */
static int
read_field(struct reader *in, struct part line)
{
	struct part name = line, value = line;
	struct http_field *field;

	for (name.end = name.at; name.end < line.end &&
	    token_char[(unsigned char)*name.end]; name.end++)
		;
	if (name.at == name.end || name.end == line.end || *name.end != ':')
		return 400;
	if (in->head->field_count == HTTP_FIELDS_MAX)
		return 431;
	value.at = name.end + 1;
	value = trim(value);
	field = &in->head->fields[in->head->field_count++];
	field->name = span_of(in, name);
	field->value = span_of(in, value);
	return obey(in, name, value);
}

/* Checks that need all fields together. */
static int
judge(const struct reader *in)
{
	struct http_head *head = in->head;

	if ((in->hosts == 0 && head->minor > 0) ||
	    (in->lengths > 0 && in->codings > 0))
		return 400;
	head->keep_alive = !in->closes && (head->minor > 0 || in->keeps);
	return HTTP_DONE;
}

static int
read_all(struct reader *in)
{
	struct part line;
	int	result = read_request_line(in);

	while (result == HTTP_DONE) {
		if ((result = next_line(in, &line)) != HTTP_DONE)
			return result;
		if (line.at == line.end)
			return judge(in);
		result = read_field(in, line);
	}
	return result;
}

int
http_head_read(struct http_head *head, const char *bytes, size_t length,
    size_t limit)
{
	struct reader in = { .begin = bytes, .at = bytes, .head = head };
	int	result;

	assert(limit <= UINT32_MAX && "a span can tell where it is");
	in.end = bytes + (length < limit ? length : limit);
	memset(head, 0, offsetof(struct http_head, fields));
	result = read_all(&in);
	head->length = (uint32_t)(in.at - bytes);
	if (result == HTTP_MORE && length >= limit)
		return head->method.length == 0 ? 414 : 431;
	return result;
}
