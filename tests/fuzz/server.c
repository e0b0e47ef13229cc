/*
 * server.c - a scripted server in the target's process; see server.h.
 */
#include "server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS	   32
#define NAMES	   8
#define INPUT_MAX  65536
#define ANSWER_MAX 4096
#define CANCEL	   80877102

/* The purpose of a text of SQL, as far as its answer depends on that. */
enum purpose {
	PLAIN,
	PROBE,
	ROWS,
	COPY_IN,
	COPY_OUT,
	POSITION,
	BEGIN,
	END
};

struct prepared {
	char name[16];
	enum purpose purpose;
};

struct client {
	int fd; /* -1: this place is free */
	bool begun;
	bool open;	/* is a transaction open? */
	bool copying;
	enum purpose bound; /* the purpose of what is executed next */
	struct prepared prepared[NAMES];
	unsigned count; /* how many clients there were so far */
	char input[INPUT_MAX];
	size_t used;
	char answer[ANSWER_MAX];
	size_t length;
};

static struct client clients[CLIENTS];
static const uint8_t *script, *script_end;
static int listener;

static uint8_t
next(void)
{
	return script < script_end ? *script++ : 0;
}

/* Take up to @most bytes of the script. */
static size_t
next_bytes(char *to, size_t most)
{
	size_t	left = (size_t)(script_end - script);

	if (most > left)
		most = left;
	if (most > 0)
		memcpy(to, script, most);
	script += most;
	return most;
}

static void
put(struct client *client, const void *bytes, size_t length)
{
	assert(length <= sizeof(client->answer) - client->length);
	if (length > 0)
		memcpy(client->answer + client->length, bytes, length);
	client->length += length;
}

static void
say(struct client *client, char type, const char *body, size_t length)
{
	uint32_t size = htonl((uint32_t)length + 4);

	put(client, &type, 1);
	put(client, &size, 4);
	put(client, body, length);
}

static void
say_text(struct client *client, char type, const char *text)
{
	say(client, type, text, strlen(text) + 1);
}

static void
report(struct client *client, const char *name, const char *value)
{
	char	body[100];
	int	length = snprintf(body, sizeof(body), "%s%c%s", name, 0, value);

	say(client, 'S', body, (size_t)length + 1);
}

static void
hang_up(struct client *client)
{
	close(client->fd);
	client->fd = -1;
}

/* Do to the answer what the script says, and send it. */
static void
send_answer(struct client *client)
{
	char	 body[256];
	uint8_t	 type;
	bool	 ends = false;
	unsigned what = next() & 7;

	switch (what) {
	case 3:
		type = next();
		if (client->length > 0)
			client->answer[type % client->length] = (char)next();
		break;
	case 4:
		client->length = 0;
		type = next();
		say(client, (char)type, body, next_bytes(body, next()));
		break;
	case 5:
		client->length = 0;
		put(client, body, next_bytes(body, next()));
		break;
	case 6:
		type = next();
		if (client->length > type)
			client->length = type;
		ends = true;
		break;
	case 7:
		type = next();
		say(client, (char)type, body, next_bytes(body, next()));
		break;
	}
	/* A client that does not read loses the bytes that have no room. */
	if (client->length > 0)
		(void)!send(client->fd, client->answer, client->length,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	client->length = 0;
	if (ends)
		hang_up(client);
}

static void
login(struct client *client)
{
	say(client, 'R', "\0\0\0\0", 4);
	report(client, "server_version", "15.0");
	report(client, "client_encoding", "UTF8");
	report(client, "in_hot_standby", "off");
	report(client, "default_transaction_read_only", "off");
	report(client, "standard_conforming_strings", "on");
	say(client, 'K', "\0\0\0\1\0\0\0\1", 8);
	say(client, 'Z', "I", 1);
	client->begun = true;
}

static void
say_columns(struct client *client, uint16_t count, const char *types,
    char format)
{
	char	body[100] = { (char)(count >> 8), (char)count };
	size_t	used = 2;

	for (uint16_t i = 0; i < count; i++, used += 20) {
		memset(body + used, 0, 20);
		body[used] = (char)('a' + i);
		body[used + 11] = types[i];
		memset(body + used + 12, 0xff, 6);
		body[used + 19] = format;
	}
	say(client, 'T', body, used);
}

static void
describe(struct client *client)
{
	switch (client->bound) {
	case PROBE:
		say_columns(client, 3, "\20\24\27", 0);
		break;
	case ROWS:
		say_columns(client, 2, "\27\31", 0);
		break;
	case POSITION:
		say_columns(client, 1, "\24", 0);
		break;
	default:
		say(client, 'n', NULL, 0);
	}
}

static void
execute(struct client *client)
{
	switch (client->bound) {
	case PROBE:
		say(client, 'D', "\0\3\0\0\0\1f\0\0\0\0011\0\0\0\0011", 17);
		say_text(client, 'C', "SELECT 1");
		break;
	case ROWS:
		say(client, 'D', "\0\2\0\0\0\0011\0\0\0\1x", 12);
		say(client, 'D', "\0\2\0\0\0\0012\377\377\377\377", 11);
		say_text(client, 'C', "SELECT 2");
		break;
	case POSITION:
		say(client, 'D', "\0\1\0\0\0\0015", 7);
		say_text(client, 'C', "SELECT 1");
		break;
	case COPY_IN:
		say(client, 'G', "\0\0\1\0\0", 5);
		client->copying = true;
		break;
	case COPY_OUT:
		say(client, 'H', "\0\0\1\0\0", 5);
		say(client, 'd', "1\n", 2);
		say(client, 'd', "2\n", 2);
		say(client, 'c', NULL, 0);
		say_text(client, 'C', "COPY 2");
		break;
	case BEGIN:
		client->open = true;
		say_text(client, 'C', "BEGIN");
		break;
	case END:
		client->open = false;
		say_text(client, 'C', "COMMIT");
		break;
	case PLAIN:
		say_text(client, 'C', "SET");
	}
}

static bool
has(const char *body, size_t length, const char *word)
{
	return memmem(body, length, word, strlen(word)) != NULL;
}

static enum purpose
purpose_of(const char *sql, size_t length)
{
	if (has(sql, length, "pg_is_in_recovery"))
		return PROBE;
	if (has(sql, length, "FROM STDIN"))
		return COPY_IN;
	if (has(sql, length, "TO STDOUT"))
		return COPY_OUT;
	if (has(sql, length, "select"))
		return ROWS;
	if (has(sql, length, "SELECT"))
		return POSITION;
	if (has(sql, length, "BEGIN"))
		return BEGIN;
	if (has(sql, length, "COMMIT") || has(sql, length, "ROLLBACK"))
		return END;
	return PLAIN;
}

/* Bind: remember for the portal what the statement was prepared for. */
static void
bind_to(struct client *client, const char *body, size_t length)
{
	size_t	portal = strnlen(body, length);
	const char *name = body + portal + 1;

	if (portal + 1 >= length || strnlen(name, length - portal - 1) ==
	    length - portal - 1)
		return;
	for (unsigned i = 0; i < NAMES; i++)
		if (strcmp(client->prepared[i].name, name) == 0)
			client->bound = client->prepared[i].purpose;
}

static void
prepare(struct client *client, const char *body, size_t length)
{
	struct prepared *prepared = &client->prepared[0];

	if (*body != '\0')
		prepared = &client->prepared[1 +
		    client->count++ % (NAMES - 1)];
	snprintf(prepared->name, sizeof(prepared->name), "%.*s", (int)length,
	    body);
	prepared->purpose = purpose_of(body, length);
}

static void
run_simple(struct client *client, const char *body, size_t length)
{
	client->bound = purpose_of(body, length);
	if (client->bound == PROBE || client->bound == ROWS ||
	    client->bound == POSITION)
		describe(client);
	execute(client);
	if (!client->copying)
		say(client, 'Z', client->open ? "T" : "I", 1);
	if (has(body, length, "LISTEN \""))
		say(client, 'A', "\0\0\0\1news\0hello", 15);
}

static void
answer(struct client *client, char type, const char *body, size_t length)
{
	switch (type) {
	case 'P':
		prepare(client, body, length);
		say(client, '1', NULL, 0);
		break;
	case 'B':
		bind_to(client, body, length);
		say(client, '2', NULL, 0);
		break;
	case 'C':
		say(client, '3', NULL, 0);
		break;
	case 'D':
		describe(client);
		break;
	case 'E':
		execute(client);
		break;
	case 'Q':
		run_simple(client, body, length);
		break;
	case 'S':
		say(client, 'Z', client->open ? "T" : "I", 1);
		break;
	case 'c':
	case 'f':
		if (client->copying && type == 'c')
			say_text(client, 'C', "COPY 1");
		else if (client->copying)
			say(client, 'E', "SERROR\0C57014\0Mno\0", 19);
		client->copying = false;
		break;
	}
}

/* Handle a complete message at @at; its size, or 0: it is not complete. */
static size_t
take_message(struct client *client, const char *at, size_t left)
{
	size_t	 head = client->begun ? 5 : 4, size;
	uint32_t length, code = 0;

	if (left < head)
		return 0;
	memcpy(&length, at + head - 4, 4);
	size = ntohl(length) + head - 4;
	assert(size <= INPUT_MAX);
	if (left < size)
		return 0;
	if (client->begun) {
		if (*at == 'X') {
			hang_up(client);
			return size;
		}
		answer(client, *at, at + head, size - head);
	} else {
		memcpy(&code, at + 4, 4);
		if (ntohl(code) == CANCEL) {
			hang_up(client);
			return size;
		}
		login(client);
	}
	send_answer(client);
	return size;
}

/* Read all that there is; true if there was something. */
static bool
take(struct client *client)
{
	ssize_t	 got = recv(client->fd, client->input + client->used,
	    sizeof(client->input) - client->used, MSG_DONTWAIT);
	size_t	 at = 0, size;

	if (got < 0)
		return false;
	if (got == 0) {
		hang_up(client);
		return true;
	}
	client->used += (size_t)got;
	while (client->fd != -1 && (size = take_message(client,
	    client->input + at, client->used - at)) > 0)
		at += size;
	memmove(client->input, client->input + at, client->used - at);
	client->used -= at;
	return true;
}

void
server_listen(const char *directory)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int	result;

	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	assert(listener != -1);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/.s.PGSQL.5432",
	    directory);
	result = bind(listener, (struct sockaddr *)&at, sizeof(at));
	assert(result == 0);
	result = listen(listener, 128);
	assert(result == 0);
	for (int i = 0; i < CLIENTS; i++)
		clients[i].fd = -1;
}

void
server_begin(const uint8_t *bytes, size_t size)
{
	script = bytes;
	script_end = bytes + size;
}

/* A client for which there is no place is closed. */
static void
let_in(int fd)
{
	struct client *client = clients;

	while (client < clients + CLIENTS && client->fd != -1)
		client++;
	if (client == clients + CLIENTS) {
		close(fd);
		return;
	}
	client->fd = fd;
	client->begun = client->open = client->copying = false;
	client->bound = PLAIN;
	client->count = 0;
	memset(client->prepared, 0, sizeof(client->prepared));
	client->used = client->length = 0;
}

bool
server_turn(void)
{
	bool	any = false;
	int	fd;

	while ((fd = accept(listener, NULL, NULL)) != -1) {
		let_in(fd);
		any = true;
	}
	for (int i = 0; i < CLIENTS; i++)
		if (clients[i].fd != -1)
			any |= take(&clients[i]);
	return any;
}

/* Close clients that connected and were not accepted, too. */
void
server_end(void)
{
	int	fd;

	for (int i = 0; i < CLIENTS; i++)
		if (clients[i].fd != -1)
			hang_up(&clients[i]);
	while ((fd = accept(listener, NULL, NULL)) != -1)
		close(fd);
}
