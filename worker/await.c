/*
 * await.c - calling applications that wait for a piece of a body, or for room.
 */
#include "await.h"

#include "reply.h"

void
await_piece(struct mews_request *request, enum mews_status status,
    const char *bytes, size_t length)
{
	mews_body_fn *fn = request->on_body;

	request->on_body = NULL;
	if (fn != NULL)
		fn(request->on_body_arg, request, status, bytes, length);
}

void
await_room(struct mews_request *request)
{
	mews_reply_fn *fn = request->on_room;

	request->on_room = NULL;
	if (fn != NULL)
		fn(request->on_room_arg, request);
}

void
await_due(struct mews_request *request)
{
	struct reply_desk *desk = request->desk;

	if (request->is_due ||
	    (request->on_body == NULL && request->on_room == NULL))
		return;
	request->is_due = true;
	TAILQ_INSERT_TAIL(&desk->due, request, due);
	ev_idle_start(desk->ev, &desk->busy);
}

void
await_forget(struct mews_request *request)
{
	request->on_body = NULL;
	request->on_room = NULL;
	if (!request->is_due)
		return;
	TAILQ_REMOVE(&request->desk->due, request, due);
	request->is_due = false;
}

/* Hand out a body that was kept: as one piece, then its end. */
static void
hand_out(struct mews_request *request)
{
	size_t	length = request->handed_out ? 0 : request->body_length;

	request->handed_out = true;
	await_piece(request, MEWS_OK, length == 0 ? "" : request->body,
	    length);
}

/* Call the application for @request, once: afterwards it may be due again, or
 * be over. */
static void
tell(struct mews_request *request)
{
	struct reply_desk *desk = request->desk;

	TAILQ_REMOVE(&desk->due, request, due);
	request->is_due = false;
	if (request->client != NULL) {
		hand_out(request);
		return;
	}
	if (request->on_body == NULL) {
		await_room(request);
		return;
	}
	if (request->on_room != NULL)
		await_due(request);
	await_piece(request, MEWS_LOST, "", 0);
}

void
await_tell(struct reply_desk *desk)
{
	struct mews_request *request;
	size_t	count = 0;

	TAILQ_FOREACH(request, &desk->due, due)
		count++;
	/* Requests that become due meanwhile have their turn in the next. */
	while (count-- > 0 && (request = TAILQ_FIRST(&desk->due)) != NULL)
		tell(request);
	if (TAILQ_EMPTY(&desk->due))
		ev_idle_stop(desk->ev, &desk->busy);
}
