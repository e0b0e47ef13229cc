/*
 * output.c - writing to a client.
 *
 * Answers are copied to the client's block, so that many leave with one call; a
 * long body is sent from its place after the block, and its exchange lives
 * until then. What is written while the client runs is sent after that; a later
 * answer is sent at the end of the turn, together with others and after the
 * queries of new requests.
 */
#include "output.h"

#include "block.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>

#define COPIED_MAX 8192 /* a longer body is sent from where it is */

static void
tail_drop(struct http_client *client)
{
	client->tail_count = 0;
	free(client->long_head);
	client->long_head = NULL;
}

void
client_break(struct http_client *client)
{
	client->broken = true;
	client->out_at = client->out_end = 0;
	tail_drop(client);
}

/* The kernel took @n bytes. */
static void
take_sent(struct http_client *client, size_t n)
{
	size_t	part = MIN(n, client->out_end - client->out_at);

	client->sent += n;
	client->out_at += part;
	n -= part;
	for (unsigned i = 0; i < client->tail_count; i++) {
		part = MIN(n, client->tail[i].iov_len);
		client->tail[i].iov_base =
		    (char *)client->tail[i].iov_base + part;
		client->tail[i].iov_len -= part;
		n -= part;
	}
}

void
client_flush(struct http_client *client)
{
	struct iovec iov[3];
	struct msghdr message = { .msg_iov = iov };
	size_t	total = 0;
	ssize_t	n;

	if (client->out_at < client->out_end)
		iov[message.msg_iovlen++] = (struct iovec){
			.iov_base = client->out + client->out_at,
			.iov_len = client->out_end - client->out_at };
	for (unsigned i = 0; i < client->tail_count; i++)
		iov[message.msg_iovlen++] = client->tail[i];
	if (message.msg_iovlen == 0)
		return;
	for (size_t i = 0; i < message.msg_iovlen; i++)
		total += iov[i].iov_len;
	if (message.msg_iovlen == 1)
		n = send(client->io.fd, iov[0].iov_base, total, MSG_NOSIGNAL);
	else
		n = sendmsg(client->io.fd, &message, MSG_NOSIGNAL);
	if (n == -1) {
		if (errno != EAGAIN && errno != EINTR)
			client_break(client);
		return;
	}
	take_sent(client, (size_t)n);
	if ((size_t)n < total)
		return;
	client->out_at = client->out_end = 0;
	client->window = 0;
	if (client->tail_count > 0) {
		tail_drop(client);
		exchange_over(client);
	}
}

char *
client_room(struct http_client *client, size_t size)
{
	size_t	block = client->server->block_size;

	if (client->broken || client->tail_count > 0)
		return NULL;
	if (client->out == NULL &&
	    (client->out = block_take(client->server)) == NULL)
		return NULL;
	if (size > block - client->out_end && size <= block)
		client_flush(client);
	if (client->broken)
		return NULL;
	if (size > block - client->out_end && client->out_at > 0) {
		client->out_end -= client->out_at;
		memmove(client->out, client->out + client->out_at,
		    client->out_end);
		client->out_at = 0;
	}
	if (size > block - client->out_end)
		return NULL;
	return client->out + client->out_end;
}

void
client_wrote(struct http_client *client, const char *end)
{
	client->out_end = (size_t)(end - client->out);
}

/* Something was written: run() sends it, or the end of the turn does. */
static void
client_written(struct http_client *client)
{
	if (!client->running)
		client_run_again(client);
}

/* Set the fields of @response that tell of the connection. */
static void
response_complete(struct http_client *client, struct http_response *response)
{
	/* Answer all requests that came before the end of the input. */
	if ((response->closes && client->in_at == client->in_end) ||
	    !client->keeps || client->server->draining ||
	    (client->eof && client->in_at == client->in_end) ||
	    !http_body_is_over(&client->body))
		client->closes = true;
	response->chunked = !client->is_old;
	if (client->is_old && response->length == HTTP_LENGTH_UNKNOWN)
		client->closes = true;
	response->closes = client->closes;
	response->keeps = client->is_old && !client->closes;
}

/* Write a head. False: it is too long for a block and will be sent from
 * memory of its own, or there is none, and the client is broken. */
static bool
write_head(struct http_client *client, const struct http_response *response)
{
	size_t	bound = http_response_bound(response);
	struct http_writer *writer = &client->server->writer;
	char	*at = client_room(client, bound);

	if (at != NULL) {
		client_wrote(client,
		    http_response_write(response, writer, at));
		return true;
	}
	if (client->broken)
		return false;
	if ((client->long_head = malloc(bound)) == NULL) {
		client_break(client);
		return false;
	}
	at = http_response_write(response, writer, client->long_head);
	client->tail[0].iov_base = client->long_head;
	client->tail[0].iov_len = (size_t)(at - client->long_head);
	client->tail_count = 1;
	return false;
}

void
http_client_answer(struct http_client *client,
    struct http_response *response, const void *body)
{
	size_t	length = client->is_head || !http_has_body(response->status) ?
	    0 : (size_t)response->length;
	char	*at;

	assert(client->exchange != NULL && "an answer has a request");
	response_complete(client, response);
	if (write_head(client, response) && length <= COPIED_MAX &&
	    (at = client_room(client, length)) != NULL) {
		if (length > 0)
			memcpy(at, body, length);
		client_wrote(client, at + length);
	} else if (length > 0 && !client->broken) {
		/* Casts const away: iovec is for reading, too. */
		client->tail[client->tail_count++] = (struct iovec){
			.iov_base = (void *)(uintptr_t)body,
			.iov_len = length };
	}
	if (client->tail_count == 0)
		exchange_over(client);
	else {
		client->wants_body = false;
		client_enter(client, CLIENT_ASKED);
	}
	client_written(client);
}

void
http_client_refuse(struct http_client *client, unsigned status)
{
	struct http_headers headers = STAILQ_HEAD_INITIALIZER(headers);
	struct http_header allow = { .name = "Allow",
		.value = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" };
	struct http_response response = { .status = status, .closes = true,
		.type = "text/plain; charset=utf-8", .headers = &headers };
	struct http_server *server = client->server;
	char	text[80], *at;

	server->calls->refused(server->arg, status);
	if (status == 405)
		STAILQ_INSERT_TAIL(&headers, &allow, entry);
	snprintf(text, sizeof(text), "%u %s\n", status, http_reason(status));
	response.length = strlen(text);
	client->closes = true;
	at = client_room(client,
	    http_response_bound(&response) + sizeof(text));
	if (at != NULL) {
		at = http_response_write(&response, &server->writer, at);
		if (!client->is_head)
			at = stpcpy(at, text);
		client_wrote(client, at);
	} else
		client_break(client);
	if (client->exchange != NULL)
		exchange_over(client);
	client_written(client);
}

void
http_client_begin(struct http_client *client, struct http_response *response)
{
	assert(client->exchange != NULL && "an answer has a request");
	response_complete(client, response);
	client->chunked = response->chunked &&
	    response->length == HTTP_LENGTH_UNKNOWN;
	client->left = response->length;
	client->expects = false; /* no more asking for its body */
	if (client->is_head || !http_has_body(response->status))
		client->left = 0;
	/* A head that no block holds, before a body of unknown length. */
	if (!write_head(client, response))
		client_break(client);
	client_written(client);
}

size_t
http_client_write(struct http_client *client, const void *bytes,
    size_t length)
{
	size_t	framing = client->chunked ? HTTP_CHUNK_MAX : 0;
	size_t	block = client->server->block_size, room, taken;
	char	*at;

	/* Drop bytes beyond the announced length. */
	if (client->broken || client->left == 0 || length == 0)
		return length;
	taken = MIN(length, client->left);
	if (taken > block - client->out_end - framing ||
	    block - client->out_end < framing)
		client_flush(client);
	if (client_room(client, framing + 1) == NULL)
		return client->broken ? length : 0;
	room = block - client->out_end - framing;
	taken = MIN(taken, room);
	at = client->out + client->out_end;
	if (client->chunked)
		at = http_chunk_write(at, taken);
	memcpy(at, bytes, taken);
	at += taken;
	if (client->chunked)
		at = stpcpy(at, "\r\n");
	client_wrote(client, at);
	if (client->left != HTTP_LENGTH_UNKNOWN)
		client->left -= taken;
	client_written(client);
	return client->left == 0 ? length : taken;
}

void
http_client_wait(struct http_client *client)
{
	client->wants_room = true;
	if (!client->running)
		client_run_again(client);
}

void
http_client_end(struct http_client *client, bool complete)
{
	char	*at;

	if (!complete ||
	    (client->left > 0 && client->left != HTTP_LENGTH_UNKNOWN)) {
		/* The client gets what was written, but no end. Where the
		 * connection's end is the answer's, it must be improper. */
		client->closes = true;
		if (client->is_old && client->left == HTTP_LENGTH_UNKNOWN) {
			client->resets = true;
			client_flush(client);
			client_break(client);
		}
	} else if (client->chunked && client->left > 0) {
		if ((at = client_room(client, 6)) == NULL)
			client_break(client);
		else
			client_wrote(client, stpcpy(at, "0\r\n\r\n"));
	}
	exchange_over(client);
	client_written(client);
}
