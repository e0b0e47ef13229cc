/*
 * input.c - reading from a client: heads, bodies, and those that are cut off.
 */
#include "input.h"

#include "block.h"
#include "output.h"
#include "stay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void
client_receive(struct http_client *client)
{
	size_t	size = client->server->block_size;
	ssize_t	n;

	if (client->in == NULL &&
	    (client->in = block_take(client->server)) == NULL) {
		client_break(client);
		return;
	}
	if (client->in_end == size) {
		client->in_end -= client->in_at;
		memmove(client->in, client->in + client->in_at,
		    client->in_end);
		client->in_at = 0;
		if (client->in_end == size)
			return;
	}
	n = recv(client->io.fd, client->in + client->in_end,
	    size - client->in_end, 0);
	if (n > 0)
		client->in_end += (size_t)n;
	else if (n == 0)
		client->eof = true;
	else if (errno != EAGAIN && errno != EINTR)
		client_break(client);
}

/* Begin the exchange of a head, which lies at @bytes. */
static void
exchange_begin(struct http_client *client, const char *bytes)
{
	struct http_server *server = client->server;
	const struct http_head *head = &server->head;

	client->in_at += head->length;
	client->in_seen = 0;
	client->keeps = head->keep_alive;
	stay_asked(client);
	client->is_old = head->minor == 0;
	client->is_head = head->is_head;
	http_body_begin(&client->body, head);
	client->asked_ms = 0;
	client->heard = 0;
	client->expects = head->expects_continue &&
	    client->in_at == client->in_end;
	client_enter(client, CLIENT_BODY);
	client->exchange = server->calls->begin(server->arg, client, head,
	    bytes);
	if (client->exchange == NULL)
		http_client_refuse(client, 503);
	else
		server->calls->start(client->exchange);
}

/* The rest of the head will not come: answer with @status. */
static void
head_cut(struct http_client *client, unsigned status)
{
	client->is_head = false;
	http_client_refuse(client, status);
}

bool
client_read_head(struct http_client *client)
{
	const struct http_server *server = client->server;
	const char *bytes;
	size_t	length;
	int	result = HTTP_MORE;

	while (client->phase == CLIENT_IDLE &&
	    client->in_end - client->in_at > 1 &&
	    memcmp(client->in + client->in_at, "\r\n", 2) == 0)
		client->in_at += 2;
	if ((length = client->in_end - client->in_at) == 0)
		return false;
	bytes = client->in + client->in_at;
	if (client->phase == CLIENT_IDLE)
		client_enter(client, CLIENT_HEAD);
	if (client->in_seen == 0 || length >= server->limits.header ||
	    http_head_is_new(bytes + client->in_seen,
		length - client->in_seen))
		result = http_head_read(&client->server->head, bytes, length,
		    server->limits.header);
	if (result == HTTP_DONE)
		exchange_begin(client, bytes);
	else if (result != HTTP_MORE)
		head_cut(client, (unsigned)result);
	else if (client->eof)
		head_cut(client, 400);
	else {
		client->in_seen = length - (bytes[length - 1] == '\r');
		return false;
	}
	return true;
}

static void
body_cut(struct http_client *client, unsigned status)
{
	client->wants_body = false;
	client->closes = true;
	client->server->calls->cut(client->exchange, status);
}

/* Count a piece for body_rate: only the time in which the client was asked for
 * it counts. */
static void
count_piece(struct http_client *client, size_t length)
{
	int64_t	now = http_now(client->server);

	client->asked_ms += now - client->asked;
	client->asked = now;
	client->heard += length;
}

static void
allow_body(struct http_client *client)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	char	*at = client_room(client, sizeof(text));

	client->expects = false;
	if (at != NULL)
		client_wrote(client, stpcpy(at, text));
}

bool
client_read_body(struct http_client *client)
{
	const struct http_calls *calls = client->server->calls;
	struct http_piece piece;
	size_t	used;
	int	result;

	if (http_body_is_over(&client->body)) {
		client->wants_body = false;
		client->phase = CLIENT_ASKED;
		calls->whole(client->exchange);
		return true;
	}
	if (client->expects)
		allow_body(client);
	if (client->in_at == client->in_end) {
		if (client->eof)
			body_cut(client, 400);
		return client->eof;
	}
	result = http_body_read(&client->body, client->in + client->in_at,
	    client->in_end - client->in_at, &used, &piece);
	client->in_at += used;
	if (piece.length > 0) {
		count_piece(client, piece.length);
		client->wants_body = false;
		if (calls->piece(client->exchange, piece.bytes, piece.length))
			client->wants_body = true;
	}
	if (result > HTTP_MORE && client->exchange != NULL)
		body_cut(client, (unsigned)result);
	return true;
}

void
client_cut(struct http_client *client, unsigned status)
{
	if (client->exchange != NULL)
		body_cut(client, status);
	else
		head_cut(client, status);
}

void
http_client_want(struct http_client *client)
{
	client->wants_body = true;
	client->since = client->asked = http_now(client->server);
	if (!client->running)
		client_run_again(client);
}

bool
http_client_is_reading(const struct http_client *client)
{
	return !http_body_is_over(&client->body);
}
