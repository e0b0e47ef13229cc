/*
 * await.h - who waits for a piece of its client's body, or for room.
 *
 * What the application waits for comes from its client. When that is gone, or
 * when the body was kept and can be handed out, the request is due: the front
 * tells the application so in its next turn.
 */
#ifndef WORKER_AWAIT_H
#define WORKER_AWAIT_H

#include "request.h"

/** The next piece of a body for the one who asked for it. */
void await_piece(struct mews_request *request, enum mews_status status,
    const char *bytes, size_t length);
/** There is room for more of the answer. */
void await_room(struct mews_request *request);
/** Tell its application in the next turn, if that waits for something. */
void await_due(struct mews_request *request);
/** The request is answered, or over: what was waited for does not matter. */
void await_forget(struct mews_request *request);
/** Tell the applications of those that are due. */
void await_tell(struct reply_desk *desk);

#endif
