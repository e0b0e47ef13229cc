/*
 * server.h - all clients of a worker, and the calls between them and their
 * owner.
 *
 * A client is a connection. It reads requests and writes answers, one exchange
 * after the other; requests that were sent ahead wait in its buffer. An
 * exchange belongs to the owner, whom the client calls by struct http_calls.
 *
 * The owner's functions run inside http_server_turn() and inside the loop's
 * events, never inside the functions below, except over(). No function below
 * frees a client: a broken one is freed in the next turn.
 */
#ifndef WORKER_HTTP_SERVER_H
#define WORKER_HTTP_SERVER_H

#include "body.h"
#include "keep.h"
#include "response.h"

#include <ev.h>
#include <sys/socket.h>

struct http_client;

/* Calls to the owner of the exchanges. */
struct http_calls {
	/* A head was read. Return its exchange; NULL: out of memory. Both
	 * @head and the @bytes that it tells of live until this returns. */
	void *(*begin)(void *arg, struct http_client *client,
	    const struct http_head *head, const char *bytes);
	/* Ask for the body, or answer, now or later. */
	void (*start)(void *exchange);
	/* A piece of the body. Return whether the next is wanted, in the same
	 * time; http_client_want() gives it a time of its own. */
	bool (*piece)(void *exchange, const char *bytes, size_t length);
	/* All of the body was read, or there is none. */
	void (*whole)(void *exchange);
	/* The rest of the body is bad, late or cut off. @status: for the
	 * client, if it was not answered yet. */
	void (*cut)(void *exchange, unsigned status);
	/* There is room for more of an answer in pieces. */
	void (*room)(void *exchange);
	/* The exchange was answered and sent, or its client is gone: the last
	 * call for it, and the client must not be used any more. */
	void (*over)(void *exchange);
	/* A client was refused with this status, and will be closed. */
	void (*refused)(void *arg, unsigned status);
	/* A client's connection was closed. */
	void (*closed)(void *arg, void *tag);
};

struct http_limits {
	int64_t header_ms;  /* from the first byte of a head to its last */
	int64_t idle_ms;    /* between two requests */
	int64_t request_ms; /* from the head to the end of the body, or for a
			       piece; the time to average both rates over */
	uint64_t body_rate; /* bytes per second that a client must send */
	uint64_t send_rate; /* bytes per second that a client must take */
	size_t header;	    /* bytes of a head */
};

/* Clients that may ask again: the settled, and the young; and of the young that
 * left their number, and their time connected, in all. */
struct http_stay {
	uint32_t settled, young;
	uint64_t passed, passed_us;
};

/* A server. The owner sets the first members; the rest may be read. */
struct http_server {
	struct ev_loop *ev;
	struct http_limits limits;
	const struct http_calls *calls;
	void *arg; /* of begin(), refused() and closed() */
	struct http_writer writer;
	bool draining; /* each answer is its connection's last */

	unsigned count; /* of clients */
	struct http_stay stay;
	LIST_HEAD(http_clients, http_client) clients;
	TAILQ_HEAD(http_young, http_client) young; /* as they came */
	ev_timer settle; /* active while there are some */
	TAILQ_HEAD(http_again, http_client) again; /* to run next turn */
	ev_idle busy; /* active while there are some */
	int64_t now;  /* ms of CLOCK_MONOTONIC; 0: ask the clock */
	size_t block_size;
	void **blocks; /* buffers in no use, each points to the next */
	unsigned block_count;
	struct keep block_keep;
	struct http_head head; /* the one that is being read */
};

void http_server_init(struct http_server *server);
/** Take over a connection. @tag is for closed(). False: no memory, it was
 * closed. */
bool http_server_accept(struct http_server *server, int fd, void *tag);
/** Once per turn of the loop, before it waits: go on with clients that had no
 * time or no room in the turn before. */
void http_server_turn(struct http_server *server);
/** At the end of a turn: send the answers that came in it. */
void http_server_send(struct http_server *server);
/** About once a second: close slow clients. @crowded: also idle ones, and those
 * that do not close after the last answer. */
void http_server_sweep(struct http_server *server, bool crowded);
/** Answer the requests that have come, and close each connection after that.
 * @patient: an idle one may ask once more; a later call without @patient ends
 * that. */
void http_server_drain(struct http_server *server, bool patient);
/** Close those whose exchange waits for the client. */
void http_server_cut(struct http_server *server);
/** Send what was answered, as far as it goes at once, and close all. */
void http_server_close(struct http_server *server);

/** Ask for the next piece of the body, or for its end. */
void http_client_want(struct http_client *client);
/** Is there a part of the body that was not read? */
bool http_client_is_reading(const struct http_client *client);
/** Has the client closed its side? Asks the kernel. */
bool http_client_is_gone(struct http_client *client);
/** The client's address, as getpeername(2) tells it. False: it is gone. */
bool http_client_peer(const struct http_client *client,
    struct sockaddr *address, socklen_t *length);

/**
 * Answer. What a connection needs is added to @response.
 *
 * @body  response->length bytes that live until over(), or NULL.
 */
void http_client_answer(struct http_client *client,
    struct http_response *response, const void *body);
/** Answer with a status and its name, and close: the exchange is over. */
void http_client_refuse(struct http_client *client, unsigned status);

/** Answer in pieces: begin, write, end. The length may be unknown. */
void http_client_begin(struct http_client *client,
    struct http_response *response);
/** Write a piece, as far as there is room: returns how many of @length bytes
 * were copied. */
size_t http_client_write(struct http_client *client, const void *bytes,
    size_t length);
/** Let room() be called as soon as all was sent. */
void http_client_wait(struct http_client *client);
/** @complete  false: let the client see that something is missing. */
void http_client_end(struct http_client *client, bool complete);

#endif
