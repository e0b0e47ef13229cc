/*
 * await.h - requests whose application waits for a piece of the body, or for
 * room.
 *
 * The application waits for its client. If the client is gone, or the body was
 * kept and can be handed out, the request is due: the front calls the
 * application in its next turn.
 */
#ifndef WORKER_AWAIT_H
#define WORKER_AWAIT_H

#include "request.h"

/** Give the application the next piece of a body that it asked for. */
void await_piece(struct mews_request *request, enum mews_status status,
    const char *bytes, size_t length);
/** Tell the application that there is room for more of the answer. */
void await_room(struct mews_request *request);
/** Call its application in the next turn, if that waits for something. */
void await_due(struct mews_request *request);
/** The request is answered, or over: forget what was waited for. */
void await_forget(struct mews_request *request);
/** Call the applications of the requests that are due. */
void await_tell(struct reply_desk *desk);

#endif
