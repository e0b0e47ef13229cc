/*
 * reply.h - answers, and what all answers of one worker share.
 *
 * mews_reply() makes a response of libmicrohttpd from what the application
 * gives and queues it. Bodies are not copied: a static one is used as it is
 * (the whole response is kept for a second, and reused), one from a request's
 * memory keeps the request until it was sent.
 */
#ifndef REPLY_H
#define REPLY_H

#include "log.h"
#include "rate.h"
#include "request.h"

#include <microhttpd.h>
#include <mews/app.h>
#include <time.h>

struct front;

#define REPLY_READY 8 /* static bodies whose responses are kept */

/* A response to a static body, good while its Date is. */
struct reply_ready {
	struct MHD_Response *response; /* NULL: none */
	time_t second;
	unsigned status;
	const void *body;
	size_t length;
	char type[64];
};

/* One per worker, owned by its front. */
struct reply_desk {
	struct front *front;
	const struct log *log;
	struct mews_pool *pool; /* of mews_request_query() */
	struct rate dropped;
	char worker[16];   /* Mews-Worker */
	uint32_t answered; /* not yet counted in the worker's slot */
	uint32_t requests[WAIT_KINDS]; /* of clients, by how they wait */
	bool draining;	   /* each answer is its connection's last */
	struct reply_ready ready[REPLY_READY];
	unsigned ready_next; /* to be replaced */
};

void reply_desk_init(struct reply_desk *desk, struct front *front,
    const struct log *log, struct mews_pool *pool);
void reply_desk_free(struct reply_desk *desk);

/** From now on it waits so. */
void reply_wait(struct mews_request *request, enum request_wait wait);

/** libmicrohttpd asks for the answer to a request that waited. False: it
 * could not be made. */
bool reply_queue(struct mews_request *request);

/** The worker's own answer, of status request->refused. */
void reply_refuse(struct mews_request *request);

#endif
