/*
 * waiter.c - a call that waits for a stream or a listener to go on.
 */
#include "binding.h"

PyObject *
waiter_wait(struct waiter *waiter, struct pool *pool, int timeout_ms)
{
	waiter->progress = false;
	if (!pool->asynchronous) {
		if (!pool_wait(pool, &waiter->progress, timeout_ms))
			return NULL;
		Py_RETURN_NONE;
	}
	if (waiter->call != NULL && !call_abandoned(waiter->call))
		return error_raise(MEWS_INVALID,
		    "another call waits for this already");
	if (waiter->call != NULL)
		call_finish(waiter->call, Py_NewRef(Py_None), NULL);
	if ((waiter->call = call_new(pool, CALL_NONE)) == NULL)
		return NULL;
	return call_result(waiter->call);
}

void
waiter_wake(struct waiter *waiter)
{
	struct call	*call = waiter->call;

	waiter->progress = true;
	waiter->call = NULL;
	if (call != NULL)
		call_finish(call, Py_NewRef(Py_None), NULL);
}
