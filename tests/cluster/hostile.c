/*
 * hostile.c - a server that answers nonsense; see hostile.h. Each connection
 * has a process of its own.
 */
#include "hostile.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM 65536

struct session {
	int fd;
	const struct hostile_answer *answer;
	_Atomic int *attacks;
	char out[ROOM];
	size_t used;
	bool is_query; /* the statement that was parsed is not just a SET */
};

static void
say(struct session *s, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t	sent = send(s->fd, bytes, size, MSG_NOSIGNAL);

		if (sent <= 0)
			_exit(0);
		bytes += sent;
		size -= (size_t)sent;
	}
}

static void
flush(struct session *s)
{
	say(s, s->out, s->used);
	s->used = 0;
}

/* Send a message of type @type. */
static void
put(struct session *s, char type, const void *body, size_t size)
{
	uint32_t	length = htonl((uint32_t)size + 4);

	s->out[s->used++] = type;
	memcpy(s->out + s->used, &length, 4);
	memcpy(s->out + s->used + 4, body, size);
	s->used += size + 4;
}

static void
put_parameter(struct session *s, const char *name, const char *value)
{
	char	body[200];
	size_t	n = strlen(name) + 1, v = strlen(value) + 1;

	memcpy(body, name, n);
	memcpy(body + n, value, v);
	put(s, 'S', body, n + v);
}

/* Send the wrong answer, and do not return; ENDLESS sends it again and
 * again. */
static void
attack(struct session *s)
{
	const struct hostile_answer *a = s->answer;

	(*s->attacks)++;
	flush(s);
	say(s, a->bytes, a->size);
	while (a->then == HOSTILE_ENDLESS)
		say(s, a->bytes, a->size);
	while (a->then == HOSTILE_SILENCE && read(s->fd, s->out, ROOM) > 0)
		;
	_exit(0);
}

static void
hear(struct session *s, void *to, size_t size)
{
	char   *at = to;

	while (size > 0) {
		ssize_t	n = read(s->fd, at, size);

		if (n <= 0)
			_exit(0);
		at += n;
		size -= (size_t)n;
	}
}

static void
log_in(struct session *s)
{
	uint32_t	head[2];
	char		body[ROOM];

	for (;;) {
		hear(s, head, 8);
		if (ntohl(head[1]) != 80877103 && ntohl(head[1]) != 80877104)
			break;
		if (s->answer->phase == HOSTILE_SSL)
			attack(s);
		say(s, "N", 1);
	}
	hear(s, body, ntohl(head[0]) - 8);
	if (s->answer->phase == HOSTILE_LOGIN)
		attack(s);
	put(s, 'R', "\0\0\0", 4);
	put_parameter(s, "server_version", "15.0");
	put_parameter(s, "client_encoding", "UTF8");
	put_parameter(s, "standard_conforming_strings", "on");
	put_parameter(s, "default_transaction_read_only", "off");
	put_parameter(s, "in_hot_standby", s->answer->primary ? "off" : "on");
	put(s, 'K', "\0\0\0\1\0\0\0\2", 8);
	put(s, 'Z', "I", 1);
	flush(s);
}

/* Answer a probe honestly. */
static void
answer_probe(struct session *s)
{
	/* Each field: name, table, column, type, size, modifier, format. */
	static const char fields[] = "\0\3"
	    "r\0" "\0\0\0\0" "\0\0" "\0\0\0\x10" "\0\1"
	    "\xff\xff\xff\xff" "\0\0"
	    "l\0" "\0\0\0\0" "\0\0" "\0\0\0\x14" "\0\10"
	    "\xff\xff\xff\xff" "\0\0"
	    "t\0" "\0\0\0\0" "\0\0" "\0\0\0\x17" "\0\4"
	    "\xff\xff\xff\xff" "\0\0";
	char	row[] = "\0\3\0\0\0\1t\0\0\0\1" "7\0\0\0\1" "1";

	if (s->answer->primary)
		row[6] = 'f';
	put(s, 'T', fields, sizeof(fields) - 1);
	put(s, 'D', row, sizeof(row) - 1);
	put(s, 'C', "SELECT 1", 9);
	put(s, 'Z', "I", 1);
}

static void
answer_simple(struct session *s, const char *sql)
{
	if (strstr(sql, "pg_is_in_recovery") != NULL) {
		if (s->answer->phase == HOSTILE_PROBE)
			attack(s);
		answer_probe(s);
	} else {
		if (s->answer->phase == HOSTILE_LISTEN &&
		    strstr(sql, "LISTEN") != NULL)
			attack(s);
		put(s, 'C', "SET", 4);
		put(s, 'Z', "I", 1);
	}
	flush(s);
}

static void
answer_extended(struct session *s, char type, const char *body)
{
	const char *sql = body + strlen(body) + 1;

	switch (type) {
	case 'P':
		s->is_query = s->is_query || strstr(sql, "attack") != NULL;
		put(s, '1', "", 0);
		break;
	case 'B':
		put(s, '2', "", 0);
		break;
	case 'D':
		put(s, 'n', "", 0);
		break;
	case 'E':
		if (s->is_query && s->answer->phase == HOSTILE_QUERY)
			attack(s);
		put(s, 'C', "SET", 4);
		break;
	case 'S':
		put(s, 'Z', "I", 1);
		flush(s);
		break;
	default:
		_exit(0);
	}
}

static void
talk(struct session *s)
{
	char		type, body[ROOM];
	uint32_t	length;

	log_in(s);
	for (;;) {
		hear(s, &type, 1);
		hear(s, &length, 4);
		length = ntohl(length) - 4;
		if (length >= ROOM)
			_exit(0);
		hear(s, body, length);
		body[length] = '\0';
		if (type == 'Q')
			answer_simple(s, body);
		else
			answer_extended(s, type, body);
	}
}

void
hostile_serve(int fd, const struct hostile_answer *answer,
    _Atomic int *attacks)
{
	static struct session	s;

	signal(SIGCHLD, SIG_IGN);
	s.answer = answer;
	s.attacks = attacks;
	for (;;) {
		s.fd = accept(fd, NULL, NULL);
		if (s.fd != -1 && fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(fd);
			talk(&s);
		}
		close(s.fd);
	}
}
