/*
 * listen.c - mews.Listener: notifications of one channel.
 *
 * libmews' callback puts (event, channel, payload, sender, endpoint) into a
 * queue, and Python takes the queue.
 */
#include "binding.h"

struct listener {
	PyObject_HEAD
	struct pool *pool; /* strong */
	struct mews_listener *handle;
	unsigned generation;
	PyObject *queue; /* the queue, a list */
	struct waiter waiter;
};

static void
on_notify(void *arg, const struct mews_notification *notification)
{
	static const char *const events[] = {
		"message", "listening", "lost", "missed"
	};
	struct listener	*listener = arg;
	PyObject	*item;

	item = Py_BuildValue("(ssziz)",
	    (unsigned)notification->event < 4 ?
	    events[notification->event] : "?", notification->channel,
	    notification->payload, notification->sender,
	    notification->endpoint);
	if (item == NULL || PyList_Append(listener->queue, item) == -1)
		PyErr_WriteUnraisable((PyObject *)listener);
	Py_XDECREF(item);
	waiter_wake(&listener->waiter);
}

PyObject *
listen_new(struct pool *pool, const char *channel)
{
	struct listener		*listener;
	struct mews_error	 error;
	enum mews_status	 status;

	listener = PyObject_New(struct listener, &Listener_Type);
	if (listener == NULL)
		return NULL;
	listener->pool = (struct pool *)Py_NewRef((PyObject *)pool);
	listener->handle = NULL;
	listener->generation = pool->generation;
	listener->waiter = (struct waiter) { 0 };
	if ((listener->queue = PyList_New(0)) == NULL) {
		Py_DECREF(listener);
		return NULL;
	}
	status = mews_listen(&listener->handle, pool->handle, channel,
	    on_notify, listener, &error);
	pool->listeners += status == MEWS_OK;
	if (status != MEWS_OK || !pool_schedule(pool)) {
		if (status != MEWS_OK)
			error_raise(status, error.message);
		Py_DECREF(listener);
		return NULL;
	}
	return (PyObject *)listener;
}

/* The listener's pool, if it is still as it was when the listener began. */
static struct pool *
use(struct listener *listener)
{
	if (listener->handle == NULL ||
	    listener->generation != listener->pool->generation)
		error_raise(MEWS_CANCELED, "the listener, or its pool, was "
		    "closed");
	else if (pool_use(listener->pool))
		return listener->pool;
	return NULL;
}

/* take(): all that was heard so far, a list of tuples. */
static PyObject *
listener_take(PyObject *self, PyObject *unused)
{
	struct listener	*listener = (struct listener *)self;
	PyObject	*taken = listener->queue, *fresh;

	(void)unused;
	if (PyList_GET_SIZE(taken) == 0 && use(listener) == NULL)
		return NULL;
	if ((fresh = PyList_New(0)) == NULL)
		return NULL;
	listener->queue = fresh;
	return taken;
}

/* wait(ms): until something was heard, or the time has passed; -1: for ever. */
static PyObject *
listener_wait(PyObject *self, PyObject *timeout)
{
	struct listener	*listener = (struct listener *)self;
	struct pool	*pool = use(listener);
	long		 ms = PyLong_AsLong(timeout);
	struct call	*call;

	if (pool == NULL || PyErr_Occurred())
		return NULL;
	if (PyList_GET_SIZE(listener->queue) == 0)
		return waiter_wait(&listener->waiter, pool,
		    ms < 0 ? -1 : ms > INT32_MAX ? INT32_MAX : (int)ms);
	if (!pool->asynchronous)
		Py_RETURN_NONE;
	if ((call = call_new(pool, CALL_NONE)) == NULL)
		return NULL;
	return call_give(call, Py_NewRef(Py_None));
}

/* Stop listening; in another thread than the pool's, nothing is done. */
static void
give_up(struct listener *listener)
{
	struct pool	*pool = listener->pool;

	if (listener->handle == NULL)
		return;
	if (listener->generation == pool->generation && pool->handle != NULL &&
	    pool->thread != PyThread_get_thread_ident()) {
		Py_INCREF(listener); /* the callback may still run */
		return;
	}
	if (listener->generation == pool->generation)
		pool->listeners--;
	mews_unlisten(&listener->handle);
	waiter_wake(&listener->waiter);
}

static PyObject *
listener_close(PyObject *self, PyObject *unused)
{
	struct listener	*listener = (struct listener *)self;

	(void)unused;
	if (listener->handle == NULL)
		Py_RETURN_NONE;
	if (listener->generation == listener->pool->generation &&
	    use(listener) == NULL)
		return NULL;
	give_up(listener);
	if (!pool_schedule(listener->pool))
		return NULL;
	Py_RETURN_NONE;
}

static void
listener_dealloc(PyObject *self)
{
	struct listener	*listener = (struct listener *)self;

	give_up(listener);
	if (Py_REFCNT(self) > 0)
		return;
	Py_CLEAR(listener->queue);
	Py_CLEAR(listener->pool);
	PyObject_Free(self);
}

static PyMethodDef methods[] = {
	{ "take", listener_take, METH_NOARGS, NULL },
	{ "wait", listener_wait, METH_O, NULL },
	{ "close", listener_close, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

PyTypeObject Listener_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "mews._mews.Listener",
	.tp_basicsize = sizeof(struct listener),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.tp_dealloc = listener_dealloc,
	.tp_methods = methods,
};
