/*
 * stream.c - results and data that are too large for memory: rows, and COPY
 * both ways.
 *
 * libmews' callbacks put what arrives into a queue, and pause the stream when
 * the queue is long; Python takes the queue and waits for more.
 *
 * The callbacks hold a reference of their own, until on_end() ran.
 */
#include "binding.h"

#define QUEUE_ITEMS 256
#define QUEUE_BYTES (1024 * 1024)

struct stream {
	PyObject_HEAD
	struct lease *lease; /* strong */
	struct plan *plan;   /* the plan of the rows */
	struct columns *columns; /* the plan's columns when the stream began */
	PyObject *queue;	 /* the queue, a list */
	size_t bytes;		 /* bytes in the queue */
	PyObject *error;	 /* the error that it ended with, or NULL */
	struct waiter waiter;
	enum stream_kind kind;
	int64_t affected;
	bool room;   /* COPY IN: the server is ready for data */
	bool paused;
	bool hurry;  /* a call waits behind the stream, so it does not pause */
	bool stop;   /* the rest is discarded */
	bool ended;
};

/*
 * --- callbacks ---
 */

/* Calls no longer wait for the end of the stream. */
static void
over(struct stream *stream)
{
	if (stream->lease->stream == stream)
		stream->lease->stream = NULL;
}

/* Queue @item, which is taken; NULL: an exception is set. */
static enum mews_flow
queue(struct stream *stream, PyObject *item, size_t bytes)
{
	if (item == NULL || PyList_Append(stream->queue, item) == -1) {
		PyObject *type, *trace;

		PyErr_Fetch(&type, &stream->error, &trace);
		PyErr_NormalizeException(&type, &stream->error, &trace);
		Py_XDECREF(type);
		Py_XDECREF(trace);
		stream->stop = true;
	}
	Py_XDECREF(item);
	stream->bytes += bytes;
	waiter_wake(&stream->waiter);
	if (stream->stop)
		return MEWS_FLOW_STOP;
	stream->paused = !stream->hurry && (stream->bytes >= QUEUE_BYTES ||
	    PyList_GET_SIZE(stream->queue) >= QUEUE_ITEMS);
	return stream->paused ? MEWS_FLOW_PAUSE : MEWS_FLOW_GO;
}

static PyObject *
make_row(struct stream *stream, const PGresult *pg)
{
	struct plan	*plan = stream->plan;

	/* Names are compared once, not for each row. */
	if (stream->columns == NULL || stream->columns != plan->columns ||
	    plan->flavour != load_version()) {
		if (!plan_describe(plan, pg))
			return NULL;
		Py_XSETREF(stream->columns, (struct columns *)Py_NewRef(
		    (PyObject *)plan->columns));
	}
	return plan_row(plan, pg, 0);
}

static enum mews_flow
on_row(void *arg, const struct mews_result *result)
{
	struct stream	*stream = arg;
	const PGresult	*pg = mews_result_pg(result);
	size_t		 bytes = 0;
	enum mews_flow	 flow;

	if (stream->stop)
		return MEWS_FLOW_STOP;
	for (int i = 0; i < PQnfields(pg); i++)
		bytes += (size_t)PQgetlength(pg, 0, i);
	flow = queue(stream, make_row(stream, pg), bytes);
	pool_left(stream->lease->pool);
	return flow;
}

static enum mews_flow
on_data(void *arg, const void *data, size_t length)
{
	struct stream	*stream = arg;

	if (stream->stop)
		return MEWS_FLOW_STOP;
	return queue(stream, PyBytes_FromStringAndSize(data,
	    (Py_ssize_t)length), length);
}

static void
on_room(void *arg)
{
	struct stream	*stream = arg;

	stream->room = true;
	waiter_wake(&stream->waiter);
}

static void
on_end(void *arg, const struct mews_result *result)
{
	struct stream	*stream = arg;

	over(stream);
	stream->ended = true;
	stream->room = stream->paused = false;
	if (mews_result_status(result) == MEWS_OK)
		stream->affected = rows_affected(mews_result_pg(result));
	else if (stream->error == NULL)
		stream->error = error_of_result(result);
	if (PyErr_Occurred())
		PyErr_WriteUnraisable(NULL);
	waiter_wake(&stream->waiter);
	Py_DECREF(stream);
}

/*
 * --- begin ---
 */

static struct stream *
stream_new(struct lease *lease, enum stream_kind kind)
{
	struct stream	*stream = PyObject_New(struct stream, &Stream_Type);

	if (stream == NULL)
		return NULL;
	memset((char *)stream + sizeof(PyObject), 0,
	    sizeof(*stream) - sizeof(PyObject));
	stream->kind = kind;
	stream->lease = (struct lease *)Py_NewRef((PyObject *)lease);
	if ((stream->queue = PyList_New(0)) == NULL)
		Py_CLEAR(stream);
	return stream;
}

/* Resume the stream, if it is paused because of the queue. */
static void
resume(struct stream *stream)
{
	if (!stream->paused || lease_use(stream->lease) == NULL) {
		PyErr_Clear();
		return;
	}
	stream->paused = false;
	mews_lease_resume(stream->lease->handle);
	if (!pool_schedule(stream->lease->pool))
		PyErr_WriteUnraisable((PyObject *)stream);
}

static bool
hurry(struct stream *stream)
{
	if (stream->kind == STREAM_COPY_IN)
		return false;
	stream->hurry = true;
	resume(stream);
	return true;
}

/* Return @stream, or raise the error of the call that began it. */
static PyObject *
begun(struct stream *stream, enum mews_status status)
{
	struct lease	*lease = stream->lease;

	if (status == MEWS_OK) {
		Py_INCREF(stream); /* the reference of on_end() */
		lease->stream = stream;
		lease->hurry = hurry;
		lease->heavy = lease->heavy || stream->kind != STREAM_ROWS;
		if (pool_schedule(lease->pool))
			return (PyObject *)stream;
	} else {
		error_raise(status, mews_group_message(lease->group));
	}
	Py_DECREF(stream);
	return NULL;
}

PyObject *
stream_rows(struct lease *lease, PyObject *const *args, Py_ssize_t count,
    PyObject *names)
{
	struct stream		*stream = stream_new(lease, STREAM_ROWS);
	struct query		 query;
	enum mews_status	 status;

	if (stream == NULL)
		return NULL;
	if (!query_fill(&query, args, count, names)) {
		Py_DECREF(stream);
		return NULL;
	}
	if (lease_ask(lease) == NULL ||
	    !query_plan(&query, lease->pool, args[0])) {
		query_clear(&query);
		Py_DECREF(stream);
		return NULL;
	}
	stream->plan = (struct plan *)Py_NewRef((PyObject *)query.plan);
	status = mews_lease_rows(lease->handle, &query.args, on_row, on_end,
	    stream, NULL);
	query_clear(&query);
	return begun(stream, status);
}

PyObject *
stream_copy(struct lease *lease, enum stream_kind kind, PyObject *sql)
{
	struct stream		*stream;
	const char		*text;

	if (!PyUnicode_Check(sql)) {
		PyErr_SetString(PyExc_TypeError, "SQL is a str");
		return NULL;
	}
	if (lease_ask(lease) == NULL ||
	    (text = PyUnicode_AsUTF8(sql)) == NULL ||
	    (stream = stream_new(lease, kind)) == NULL)
		return NULL;
	return begun(stream, kind == STREAM_COPY_OUT ?
	    mews_copy_out(lease->handle, text, on_data, on_end, stream,
		NULL) :
	    mews_copy_in(lease->handle, text, on_room, on_end, stream,
		NULL));
}

/* --- methods that Python calls --- */

/* take(): a list of what arrived; None: the end. */
static PyObject *
stream_take(PyObject *self, PyObject *unused)
{
	struct stream	*stream = (struct stream *)self;
	PyObject	*taken, *fresh;

	(void)unused;
	if (PyList_GET_SIZE(stream->queue) == 0 && stream->ended) {
		if (stream->error == NULL)
			Py_RETURN_NONE;
		PyErr_SetObject((PyObject *)Py_TYPE(stream->error),
		    stream->error);
		return NULL;
	}
	if ((fresh = PyList_New(0)) == NULL)
		return NULL;
	taken = stream->queue;
	stream->queue = fresh;
	stream->bytes = 0;
	resume(stream);
	return taken;
}

/* wait(): until there is more, or room, or the end. */
static PyObject *
stream_wait(PyObject *self, PyObject *unused)
{
	struct stream	*stream = (struct stream *)self;
	struct pool	*pool;

	(void)unused;
	/* Rows that arrived, and the end, need no connection. */
	if ((pool = lease_use(stream->lease)) == NULL) {
		if (!stream->ended)
			return NULL;
		PyErr_Clear();
		pool = stream->lease->pool;
	}
	if (stream->ended || stream->room ||
	    PyList_GET_SIZE(stream->queue) > 0) {
		struct call *call;

		if (!pool->asynchronous)
			Py_RETURN_NONE;
		if ((call = call_new(pool, CALL_NONE)) == NULL)
			return NULL;
		return call_give(call, Py_NewRef(Py_None));
	}
	return waiter_wait(&stream->waiter, pool, -1);
}

/* put(bytes): True: accepted; False: wait() for room, or for the end. */
static PyObject *
stream_put(PyObject *self, PyObject *data)
{
	struct stream		*stream = (struct stream *)self;
	Py_buffer		 view;
	enum mews_status	 status;

	if (stream->ended || !stream->room)
		Py_RETURN_FALSE;
	if (lease_use(stream->lease) == NULL ||
	    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) == -1)
		return NULL;
	status = mews_copy_put(stream->lease->handle, view.buf,
	    (size_t)view.len);
	PyBuffer_Release(&view);
	/* If the connection broke, the end of the COPY will say how. */
	if (status == MEWS_OVERLOAD || status == MEWS_UNAVAILABLE)
		stream->room = false;
	else if (status != MEWS_OK && !stream->ended)
		return error_raise(status, "the COPY is not open any more");
	return PyBool_FromLong(status == MEWS_OK);
}

/* finish(reason=None): end the COPY; or abort it, for a reason. */
static PyObject *
stream_finish(PyObject *self, PyObject *reason)
{
	struct stream	*stream = (struct stream *)self;
	const char	*text = NULL;

	if (stream->ended)
		Py_RETURN_NONE;
	if ((reason != Py_None &&
	    (text = PyUnicode_AsUTF8(reason)) == NULL) ||
	    lease_use(stream->lease) == NULL)
		return NULL;
	over(stream);
	mews_copy_end(stream->lease->handle, text);
	stream->room = false;
	if (!pool_schedule(stream->lease->pool))
		return NULL;
	Py_RETURN_NONE;
}

/* stop(): discard the rest. */
static PyObject *
stream_stop(PyObject *self, PyObject *unused)
{
	struct stream	*stream = (struct stream *)self;

	(void)unused;
	stream->stop = true;
	over(stream);
	resume(stream);
	Py_RETURN_NONE;
}

static PyObject *
stream_ended(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(((struct stream *)self)->ended);
}

static PyObject *
stream_rowcount(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromLongLong(((struct stream *)self)->affected);
}

static void
stream_dealloc(PyObject *self)
{
	struct stream	*stream = (struct stream *)self;

	Py_CLEAR(stream->queue);
	Py_CLEAR(stream->error);
	Py_CLEAR(stream->columns);
	Py_CLEAR(stream->plan);
	over(stream);
	Py_CLEAR(stream->lease);
	PyObject_Free(self);
}

static PyMethodDef methods[] = {
	{ "take", stream_take, METH_NOARGS, NULL },
	{ "wait", stream_wait, METH_NOARGS, NULL },
	{ "put", stream_put, METH_O, NULL },
	{ "finish", stream_finish, METH_O, NULL },
	{ "stop", stream_stop, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static PyGetSetDef getset[] = {
	{ "ended", stream_ended, NULL, NULL, NULL },
	{ "rowcount", stream_rowcount, NULL, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL }
};

PyTypeObject Stream_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "mews._mews.Stream",
	.tp_basicsize = sizeof(struct stream),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.tp_dealloc = stream_dealloc,
	.tp_methods = methods,
	.tp_getset = getset,
};
