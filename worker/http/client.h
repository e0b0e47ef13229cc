/*
 * client.h - a client's connection, inside: who may write which field.
 *
 * input.c reads, output.c writes, run.c lets each do its steps, server.c keeps
 * all clients. server.h is for their owner.
 */
#ifndef WORKER_HTTP_CLIENT_H
#define WORKER_HTTP_CLIENT_H

#include "server.h"

#include <sys/uio.h>

enum client_phase {
	CLIENT_IDLE,  /* not a byte of a request */
	CLIENT_HEAD,  /* a part of a head */
	CLIENT_BODY,  /* a head, and an exchange; a body may follow */
	CLIENT_ASKED, /* the request is whole; an answer is due */
	CLIENT_LINGER /* answered for the last time: an early close would take
			 the answer from a client that still sends */
};

enum client_stay {
	STAY_NOT, /* it will not ask again */
	STAY_YOUNG, /* it is in the server's list of them */
	STAY_SETTLED
};

/* The fields that each request and answer touches come first: thousands of
 * clients do not fit into the processor's cache. */
struct http_client {
	ev_io	io;
	struct http_server *server;
	void	*exchange; /* NULL: none, or its answer was copied */
	enum client_phase phase;

	bool	is_again; /* in the server's list */
	bool	running;  /* run() will send what is written */
	bool	eof;	  /* no more input */
	bool	broken;	  /* no more output either */
	bool	closes;	  /* after what was written */
	bool	resets;	  /* its close drops what the kernel still holds */
	bool	wants_body;
	bool	wants_room;
	/* Of the request. */
	bool	expects; /* to hear that it may send its body */
	bool	keeps;
	bool	is_old; /* HTTP/1.0 */
	bool	is_head;
	/* Of an answer in pieces. */
	bool	chunked;

	bool	asked_before; /* a head was read */
	enum client_stay stay;
	int64_t	since; /* the phase, or the last piece of a body */
	struct http_body body;
	char	*in, *out;	   /* blocks, or NULL */
	size_t	in_at, in_end;	   /* bytes not read */
	size_t	in_seen;	   /* of a head that is not whole */
	size_t	out_at, out_end;   /* bytes not sent */
	uint64_t sent;		   /* bytes that the kernel took */
	TAILQ_ENTRY(http_client) again;
	unsigned tail_count;
	struct iovec tail[2];	   /* to be sent behind the block */
	char	*long_head;	   /* in the tail, to be freed */

	uint64_t left; /* of an answer in pieces: bytes to come, or
			  HTTP_LENGTH_UNKNOWN */
	/* Of its body. */
	int64_t	asked;	  /* the wait for a piece is counted since */
	int64_t	asked_ms; /* counted so far, in the span of body_rate */
	uint64_t heard;	  /* bytes that came in it */

	int64_t	window;	       /* send_rate is measured since; 0: not now */
	uint64_t window_taken; /* bytes that the client had then */
	size_t	linger_bytes;  /* bytes after the last answer */

	LIST_ENTRY(http_client) entry;
	TAILQ_ENTRY(http_client) young;
	int64_t	came_us; /* CLOCK_MONOTONIC */
	void	*tag;	 /* its owner's */
};

/** Milliseconds of CLOCK_MONOTONIC; asks the clock once per turn. */
int64_t http_now(struct http_server *server);
void client_enter(struct http_client *client, enum client_phase phase);
/** The client is done with its exchange. */
void exchange_over(struct http_client *client);
/** Run the client in the next turn, which comes at once. */
void client_run_again(struct http_client *client);
/** Was something written that is not sent yet? */
bool client_is_sending(const struct http_client *client);

#endif
