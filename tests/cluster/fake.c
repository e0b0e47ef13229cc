/*
 * fake.c - a server that misbehaves where it is told; see fake.h.
 */
#include "fake.h"

#include "cluster.h"
#include "unit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS 16

struct client {
	int fd; /* -1: this place is free */
	bool begun;
	bool silent;
	bool probed; /* was the last SQL a probe's? */
	const char *script; /* the answer to the next Execute; NULL: a good
			       one */
	unsigned char bytes[65536];
	size_t used;
};

static struct client clients[CLIENTS];

static void
say(struct client *client, char type, const char *body, size_t length)
{
	unsigned char	head[5] = { (unsigned char)type };
	uint32_t	size = htonl((uint32_t)length + 4);

	memcpy(head + 1, &size, 4);
	if (send(client->fd, head, 5, MSG_NOSIGNAL) == 5 && length > 0)
		send(client->fd, body, length, MSG_NOSIGNAL);
}

static void
report(struct client *client, const char *name, const char *value)
{
	char	body[200];
	size_t	length = strlen(name) + 1;

	memcpy(body, name, length);
	memcpy(body + length, value, strlen(value) + 1);
	say(client, 'S', body, length + strlen(value) + 1);
}

static void
hang_up(struct client *client)
{
	close(client->fd);
	client->fd = -1;
}

static void
say_error(struct client *client, bool fatal)
{
	static const char error[] = "SERROR\0VERROR\0C22012\0Mno\0";
	static const char last[] = "SFATAL\0VFATAL\0C57P01\0Mno\0";

	say(client, 'E', fatal ? last : error, sizeof(error));
}

/* Send what one letter of a script stands for. */
static void
misbehave(struct client *client, char letter)
{
	static const char row[] = "\0\1\0\0\0\1x";
	static const char column[] =
	    "\0\1x\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0";

	switch (letter) {
	case 'Z':
		say(client, 'Z', "I", 1);
		break;
	case 'C':
		say(client, 'C', "SELECT 0", 9);
		break;
	case 'D':
		say(client, 'D', row, 7);
		break;
	case 'T':
		say(client, 'T', column, 22);
		break;
	case 'G':
	case 'H':
	case 'W':
		say(client, letter, "\0\0\0", 3);
		break;
	case 'A':
		say(client, 'A', "\0\0\0\1x\0y", 8);
		break;
	case 'E':
	case 'F':
		say_error(client, letter == 'F');
		break;
	case '!':
		send(client->fd, "C\0\0\0\77SEL", 8, MSG_NOSIGNAL);
		break;
	case '?':
		say(client, '%', "x", 2);
		break;
	case '-':
		client->silent = true;
		break;
	case '.':
		hang_up(client);
		break;
	default:
		say(client, letter, NULL, 0);
	}
}

static void
play(struct client *client)
{
	const char *script = client->script;

	client->script = NULL;
	for (; *script != '\0' && *script != '/' && client->fd != -1; script++)
		misbehave(client, *script);
}

/* The part of @script for a message of this type. */
static const char *
part(const char *script, char type)
{
	const char *simple = strchr(script, '/');

	return type == 'Q' && simple != NULL ? simple + 1 : script;
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

/* Answer a probe: no standby, at position 1, on timeline 1. */
static void
say_health(struct client *client)
{
	static const char row[] = "\0\3\0\0\0\1f\0\0\0\0011\0\0\0\0011";
	static const char columns[] = "\0\3"
	    "a\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0"
	    "b\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0"
	    "c\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0";

	say(client, 'T', columns, 62);
	say(client, 'D', row, 17);
	say(client, 'C', "SELECT 1", 9);
}

static void
answer(struct client *client, char type, const char *body, size_t length,
    const char *victim, const char *script)
{
	if (client->silent)
		return;
	if ((type == 'P' || type == 'Q') &&
	    memmem(body, length, victim, strlen(victim)) != NULL)
		client->script = part(script, type);
	if (type == 'P' || type == 'Q')
		client->probed = memmem(body, length, "pg_is_in_recovery",
		    17) != NULL;
	if (type == 'Q') {
		if (client->script != NULL)
			play(client);
		else if (client->probed)
			say_health(client);
		else
			say(client, 'C', "SELECT 0", 9);
		if (client->fd != -1 && !client->silent)
			say(client, 'Z', "I", 1);
	}
	/* Answers about a victim are sent with its Execute. */
	if (client->script == NULL && type == 'P')
		say(client, '1', NULL, 0);
	if (client->script == NULL && type == 'B')
		say(client, '2', NULL, 0);
	if (client->script == NULL && !client->probed && type == 'D')
		say(client, 'n', NULL, 0);
	if (type == 'E' && client->script != NULL)
		play(client);
	else if (type == 'E' && client->probed)
		say_health(client);
	else if (type == 'E')
		say(client, 'C', "SELECT 0", 9);
	if (type == 'S' && client->fd != -1 && !client->silent)
		say(client, 'Z', "I", 1);
}

static uint32_t
length_at(const unsigned char *bytes)
{
	uint32_t	size;

	memcpy(&size, bytes, 4);
	return ntohl(size);
}

static void
take(struct client *client, const char *victim, const char *script)
{
	ssize_t	got = recv(client->fd, client->bytes + client->used,
	    sizeof(client->bytes) - client->used, 0);
	size_t	at = 0, size;

	if (got <= 0) {
		hang_up(client);
		return;
	}
	client->used += (size_t)got;
	while (client->fd != -1) {
		bool	begun = client->begun;
		size_t	head = begun ? 5 : 4;

		if (client->used - at < head)
			break;
		size = length_at(client->bytes + at + head - 4) + head - 4;
		if (client->used - at < size)
			break;
		if (begun)
			answer(client, (char)client->bytes[at],
			    (char *)client->bytes + at + 5, size - 5, victim,
			    script);
		else if (size == 8)
			send(client->fd, "N", 1, MSG_NOSIGNAL);
		else
			login(client);
		at += size;
	}
	memmove(client->bytes, client->bytes + at, client->used - at);
	client->used -= at;
}

static void __attribute__((noreturn))
serve(int listener, const char *victim, const char *script)
{
	struct pollfd	polls[CLIENTS + 1];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < CLIENTS; i++)
		clients[i].fd = -1;
	for (;;) {
		polls[CLIENTS] = (struct pollfd) { listener, POLLIN, 0 };
		for (int i = 0; i < CLIENTS; i++)
			polls[i] = (struct pollfd) { clients[i].fd, POLLIN, 0 };
		poll(polls, CLIENTS + 1, -1);
		for (int i = 0; i < CLIENTS; i++)
			if (polls[i].revents != 0 && clients[i].fd != -1)
				take(&clients[i], victim, script);
		if (polls[CLIENTS].revents == 0)
			continue;
		for (int i = 0; i < CLIENTS; i++)
			if (clients[i].fd == -1) {
				memset(&clients[i], 0, sizeof(clients[i]));
				clients[i].fd = accept(listener, NULL, NULL);
				break;
			}
	}
}

pid_t
fake_start(in_port_t *port, const char *victim, const char *script)
{
	int	listener = cluster_listen(port);
	pid_t	pid = fork();

	if (pid == 0)
		serve(listener, victim, script);
	ck_assert_int_gt(pid, 0);
	close(listener);
	return pid;
}

void
fake_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
