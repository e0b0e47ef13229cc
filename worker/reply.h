/*
 * reply.h - answers, and what all requests of one worker share.
 */
#ifndef WORKER_REPLY_H
#define WORKER_REPLY_H

#include "log.h"
#include "rate.h"
#include "request.h"

#include <mews/app.h>

struct front;

/* One per worker, owned by its front. */
struct share;

struct reply_desk {
	struct front *front;
	struct mews_fleet *fleet;
	const struct log *log;
	struct mews_pool *pool; /* of mews_request_query() */
	/* Of lines in the log. */
	struct rate dropped, failed, failures, invalid;
	bool expose_errors;
	const struct share *blocks; /* the application does; NULL: not so */
	struct ev_loop *ev;
	TAILQ_HEAD(reply_due, mews_request) due; /* see await.h */
	ev_idle busy; /* active while there are some */
	uint32_t answered; /* not yet counted in the worker's slot */
};

void reply_desk_init(struct reply_desk *desk, struct front *front,
    const struct log *log, struct mews_pool *pool);

/** Complete what an answer at once and one in pieces have in common. */
void reply_complete(struct mews_request *request,
    struct http_response *response);

/** The client has its answer, or is gone. */
void reply_over(struct mews_request *request);

#endif
