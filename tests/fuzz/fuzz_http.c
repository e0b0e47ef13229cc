/*
 * fuzz_http.c - requests mean the same wherever they are cut, and answers that
 * are written can be read again.
 */
#include "fuzz.h"

#include "http/body.h"
#include "http/response.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_LIMIT 4096

const bool fuzz_lines = false;
const char *const fuzz_words[] = { "\r\n", "\r", "\n", "\r\n\r\n", "\t", " ",
	":", ",", ";", "%", "?", "#", "GET / HTTP/1.1\r\nHost: a\r\n",
	"HEAD ", "OPTIONS * ", "http://a", "[::1]", "HTTP/1.0", "HTTP/2.0",
	"Host: ", "Content-Length: ", "Transfer-Encoding: ", "chunked", "gzip",
	"Connection: ", "close", "keep-alive", "Expect: 100-continue", "X: ",
	"0\r\n\r\n", "5\r\nabcde\r\n", ";a=\"b\"", "ffffffffffffffff", "\x7f",
	"\x01", "\xc3\xa4", NULL };

/* How far a reader is, and a digest of all that it read. */
struct reading {
	struct http_head head;
	struct http_body body;
	bool in_body, over;
	size_t at, seen;
	uint64_t digest;
	uint64_t data; /* bytes of bodies so far */
};

static void
digest(struct reading *reading, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		reading->digest = (reading->digest ^
		    (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
}

static void
digest_number(struct reading *reading, uint64_t number)
{
	digest(reading, (const char *)&number, sizeof(number));
}

static void
digest_span(struct reading *reading, const char *bytes,
    struct http_span span)
{
	assert((uint64_t)span.at + span.length <= reading->head.length);
	digest_number(reading, span.length);
	digest(reading, bytes + span.at, span.length);
}

static void
digest_head(struct reading *reading, const char *bytes)
{
	const struct http_head *head = &reading->head;

	assert(head->length <= HEAD_LIMIT &&
	    head->field_count <= HTTP_FIELDS_MAX);
	assert(!head->chunked || head->content_length == 0);
	digest_span(reading, bytes, head->method);
	digest_span(reading, bytes, head->path);
	digest_span(reading, bytes, head->query);
	digest_span(reading, bytes, head->host);
	for (unsigned i = 0; i < head->field_count; i++) {
		digest_span(reading, bytes, head->fields[i].name);
		digest_span(reading, bytes, head->fields[i].value);
		/* A value holds no byte that ends a line or a text. */
		assert(http_text_length(bytes + head->fields[i].value.at,
		    head->fields[i].value.length) ==
		    head->fields[i].value.length);
	}
	digest_number(reading, head->content_length);
	digest_number(reading, head->keep_alive);
}

static bool
read_head(struct reading *reading, const char *bytes, size_t length)
{
	int	result = HTTP_MORE;

	if (length == 0)
		return false;
	if (reading->seen == 0 || length >= HEAD_LIMIT ||
	    http_head_is_new(bytes + reading->seen, length - reading->seen))
		result = http_head_read(&reading->head, bytes, length,
		    HEAD_LIMIT);
	if (result == HTTP_MORE) {
		reading->seen = length - (bytes[length - 1] == '\r');
		return false;
	}
	reading->seen = 0;
	digest_number(reading, (uint64_t)result);
	if ((reading->over = result != HTTP_DONE))
		return false;
	digest_head(reading, bytes);
	reading->at += reading->head.length;
	http_body_begin(&reading->body, &reading->head);
	reading->in_body = true;
	return true;
}

static bool
read_body(struct reading *reading, const char *bytes, size_t length)
{
	struct http_piece piece;
	size_t	used;
	int	result = http_body_read(&reading->body, bytes, length, &used,
	    &piece);

	assert(used <= length && piece.length <= used);
	reading->at += used;
	reading->data += piece.length;
	digest(reading, piece.bytes, piece.length);
	if (result == HTTP_MORE)
		return used > 0;
	assert((result == HTTP_DONE) == http_body_is_over(&reading->body));
	digest_number(reading, (uint64_t)result);
	digest_number(reading, reading->data);
	reading->in_body = false;
	reading->over = result != HTTP_DONE;
	return !reading->over;
}

static void
read_to(struct reading *reading, const char *bytes, size_t end)
{
	bool	more = !reading->over;

	while (more) {
		if (reading->in_body)
			more = read_body(reading, bytes + reading->at,
			    end - reading->at);
		else
			more = read_head(reading, bytes + reading->at,
			    end - reading->at);
	}
}

static void
check_reader(const char *bytes, size_t size)
{
	static struct reading whole, halves, single;
	size_t	cut = size == 0 ? 0 : (unsigned char)bytes[size / 2] % size;

	memset(&whole, 0, sizeof(whole));
	memset(&halves, 0, sizeof(halves));
	memset(&single, 0, sizeof(single));
	read_to(&whole, bytes, size);
	read_to(&halves, bytes, cut);
	read_to(&halves, bytes, size);
	for (size_t end = 0; end <= size; end++)
		read_to(&single, bytes, end);
	assert(halves.digest == whole.digest && halves.over == whole.over);
	assert(single.digest == whole.digest && single.over == whole.over);
}

/* A body that is written in chunks is read as it was. */
static void
check_chunks(const char *bytes, size_t size)
{
	struct http_head head = { .chunked = true };
	struct http_body body;
	struct http_piece piece;
	char	*text = malloc(size + HTTP_CHUNK_MAX + sizeof("0\r\n\r\n")),
	    *at;
	size_t	used, read = 0, total = 0;
	int	result = HTTP_MORE;

	assert(text != NULL);
	at = text;
	if (size > 0) {
		at = http_chunk_write(text, size);
		memcpy(at, bytes, size);
		at = stpcpy(at + size, "\r\n");
	}
	at = stpcpy(at, "0\r\n\r\n");
	http_body_begin(&body, &head);
	while (read < (size_t)(at - text) && result == HTTP_MORE) {
		result = http_body_read(&body, text + read,
		    (size_t)(at - text) - read, &used, &piece);
		assert(piece.length == 0 ||
		    memcmp(piece.bytes, bytes + total, piece.length) == 0);
		read += used;
		total += piece.length;
	}
	assert(result == HTTP_DONE && read == (size_t)(at - text) &&
	    total == size);
	free(text);
}

/* The text up to the first byte that may not stand in it, at most so long. */
static char *
text_of(const char *bytes, size_t size, size_t most)
{
	size_t	length = http_text_length(bytes, size);

	return strndup(bytes, length < most ? length : most);
}

/* A head has one end, and that is its last bytes. */
static void
check_response(const char *bytes, size_t size)
{
	struct http_headers headers = STAILQ_HEAD_INITIALIZER(headers);
	struct http_header header = { .name = "X" };
	struct http_response response = { .headers = &headers };
	struct http_writer writer;
	char	*value = text_of(bytes, size, 3000), *text, *end;
	unsigned char first = size > 0 ? (unsigned char)bytes[0] : 0;

	assert(value != NULL);
	http_writer_init(&writer, "1234567890123456789");
	header.value = value;
	response.status = 200 + (first * 7 + (unsigned)size) % 400;
	response.length = first % 3 == 0 ? HTTP_LENGTH_UNKNOWN : size;
	response.chunked = first % 2;
	response.closes = first % 5 == 0;
	response.keeps = first % 7 == 0;
	response.type = first % 4 == 0 ? NULL : value;
	if (first % 8 < 4)
		STAILQ_INSERT_TAIL(&headers, &header, entry);
	text = malloc(http_response_bound(&response) + 1);
	assert(text != NULL);
	end = http_response_write(&response, &writer, text);
	assert((size_t)(end - text) <= http_response_bound(&response));
	*end = '\0';
	assert(memcmp(text, "HTTP/1.1 ", 9) == 0);
	assert(strstr(text, "\r\n\r\n") == end - 4);
	free(text);
	free(value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;

	check_reader(bytes, size);
	check_chunks(bytes, size);
	check_response(bytes, size);
	return 0;
}
