/*
 * wsgi.c - call a WSGI application, and send its answer (PEP 3333).
 *
 * A body of one piece is sent at once. Of a longer body, one piece is sent in
 * each turn of the worker's loop, and the next piece is asked for when the
 * client has room, so that other requests are served in between.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One request's start_response(), and how far its answer is. */
struct answer {
	PyObject_HEAD
	struct host *host;
	struct mews_request *request;
	unsigned status; /* 0: start_response() was not called yet */
	PyObject *headers; /* list of (name, value) */
	PyObject *written; /* list of the bytes that write() was given; or
			      NULL */
	PyObject *body;	   /* the object that the application returned */
	PyObject *pieces;  /* the iterator over body */
	PyObject *piece;   /* the piece that is being sent, bytes; or NULL */
	Py_ssize_t sent;   /* how many bytes of it were sent */
	bool begun;	   /* was the head sent? */
};

static PyObject *
refuse(PyObject *kind, const char *why)
{
	PyErr_SetString(kind, why);
	return NULL;
}

/* "200 OK" */
static bool
set_status(struct answer *answer, PyObject *text)
{
	const char	*status = PyUnicode_Check(text) ?
			    PyUnicode_AsUTF8(text) : NULL;
	unsigned long	 code;

	if (status == NULL)
		return PyErr_Occurred() != NULL ? false : refuse(
		    PyExc_TypeError, "the status is a str") != NULL;
	code = strtoul(status, NULL, 10);
	if (code < 200 || code > 599)
		return refuse(PyExc_ValueError, "the status begins with 200 "
		    "to 599") != NULL;
	answer->status = (unsigned)code;
	return true;
}

static PyObject *
answer_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct answer	*answer = (struct answer *)self;
	PyObject	*status, *headers, *exception = Py_None, *value;

	(void)kwargs; /* PEP 3333: all arguments are positional */
	if (!PyArg_ParseTuple(args, "OO!|O", &status, &PyList_Type, &headers,
	    &exception))
		return NULL;
	if (exception == Py_None && answer->status != 0)
		return refuse(PyExc_AssertionError,
		    "start_response() is called once, without exc_info");
	if (exception != Py_None && answer->begun) {
		if (PyTuple_Check(exception) &&
		    PyTuple_GET_SIZE(exception) == 3) {
			value = PyTuple_GET_ITEM(exception, 1);
			PyErr_SetObject((PyObject *)Py_TYPE(value), value);
			return NULL;
		}
		return refuse(PyExc_AssertionError, "the answer has begun");
	}
	if (!set_status(answer, status))
		return NULL;
	Py_XSETREF(answer->headers, Py_NewRef(headers));
	return PyObject_GetAttrString(self, "write");
}

static PyObject *
answer_write(PyObject *self, PyObject *bytes)
{
	struct answer	*answer = (struct answer *)self;

	if (!PyBytes_Check(bytes))
		return refuse(PyExc_TypeError, "write() takes bytes");
	if (answer->written == NULL &&
	    (answer->written = PyList_New(0)) == NULL)
		return NULL;
	if (PyList_Append(answer->written, bytes) == -1)
		return NULL;
	Py_RETURN_NONE;
}

/* Call close() of the body, as PEP 3333 asks. */
static void
close_body(struct answer *answer)
{
	PyObject	*done;

	if (answer->body != NULL &&
	    PyObject_HasAttrString(answer->body, "close")) {
		done = PyObject_CallMethod(answer->body, "close", NULL);
		if (done == NULL)
			exception_report(answer->host);
		Py_XDECREF(done);
	}
	Py_CLEAR(answer->body);
	Py_CLEAR(answer->pieces);
	Py_CLEAR(answer->piece);
	Py_CLEAR(answer->written);
	Py_CLEAR(answer->headers);
}

/* Is the header one that the worker sets, or a hop-by-hop header, which PEP
 * 3333 forbids? */
static bool
is_ours(const char *name)
{
	static const char *const ours[] = { "Connection", "Date",
		"Keep-Alive", "Server", "Transfer-Encoding" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	return false;
}

static bool
is_number(const char *text)
{
	return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

/* Give the headers to the reply; *type and *length are the values of
 * Content-Type and Content-Length, in the request's memory. */
static bool
give_headers(struct answer *answer, const char **type, uint64_t *length)
{
	PyObject	*name, *value, *bytes;
	const char	*text, *key;
	char		*copy;

	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(answer->headers); i++) {
		if (!PyArg_ParseTuple(PyList_GET_ITEM(answer->headers, i),
		    "UU:header", &name, &value) ||
		    (key = PyUnicode_AsUTF8(name)) == NULL ||
		    (bytes = PyUnicode_AsLatin1String(value)) == NULL)
			return false;
		text = PyBytes_AS_STRING(bytes);
		if (strcasecmp(key, "Content-Length") == 0) {
			if (!is_number(text)) {
				Py_DECREF(bytes);
				return refuse(PyExc_ValueError,
				    "Content-Length is a number") != NULL;
			}
			*length = strtoull(text, NULL, 10);
		} else if (strcasecmp(key, "Content-Type") == 0) {
			copy = mews_request_alloc(answer->request,
			    (size_t)PyBytes_GET_SIZE(bytes) + 1);
			if (copy != NULL)
				strcpy(copy, text);
			*type = copy;
		} else if (!is_ours(key))
			mews_reply_header(answer->request, key, text);
		Py_DECREF(bytes);
	}
	return true;
}

static bool
begin(struct answer *answer)
{
	uint64_t	 length = MEWS_LENGTH_UNKNOWN;
	const char	*type = NULL;

	if (answer->status == 0)
		return refuse(PyExc_AssertionError,
		    "start_response() was not called") != NULL;
	if (!give_headers(answer, &type, &length))
		return false;
	answer->begun = true;
	mews_reply_begin(answer->request, answer->status, type, length);
	return true;
}

/* End the answer because of the exception that is set. */
static void
fail(struct answer *answer)
{
	if (!answer->begun)
		exception_answer(answer->host, answer->request);
	else {
		exception_report(answer->host);
		mews_reply_end(answer->request, false);
	}
	close_body(answer);
}

/* The next piece that has any bytes: first of write(), then of the body. NULL:
 * the end, or an exception. */
static PyObject *
next_piece(struct answer *answer)
{
	PyObject	*piece;

	while (answer->written != NULL &&
	    PyList_GET_SIZE(answer->written) > 0) {
		piece = Py_NewRef(PyList_GET_ITEM(answer->written, 0));
		if (PyList_SetSlice(answer->written, 0, 1, NULL) == -1)
			Py_CLEAR(piece);
		if (piece == NULL || PyBytes_GET_SIZE(piece) > 0)
			return piece;
		Py_DECREF(piece);
	}
	while ((piece = PyIter_Next(answer->pieces)) != NULL) {
		if (!PyBytes_Check(piece)) {
			Py_DECREF(piece);
			return refuse(PyExc_TypeError, "a body is bytes");
		}
		if (PyBytes_GET_SIZE(piece) > 0)
			break;
		Py_DECREF(piece);
	}
	return piece;
}

static void on_room(void *arg, struct mews_request *request);

/* Send as much as the client has room for. False: the client must read first,
 * or other requests have their turn. */
static bool
send_piece(struct answer *answer)
{
	char	*bytes = PyBytes_AS_STRING(answer->piece) + answer->sent;
	size_t	 left = (size_t)(PyBytes_GET_SIZE(answer->piece) -
		    answer->sent);

	answer->sent += (Py_ssize_t)mews_reply_write(answer->request, bytes,
	    left);
	return answer->sent == PyBytes_GET_SIZE(answer->piece);
}

static void
end(struct answer *answer, bool complete)
{
	mews_reply_end(answer->request, complete);
	close_body(answer);
}

/* One step of the body; the answer is held while it waits for the next. */
static void
step(struct answer *answer)
{
	if (answer->begun && mews_request_gone(answer->request)) {
		end(answer, false);
		return;
	}
	if (answer->piece == NULL) {
		if (trace_begin(answer->host, answer->request))
			answer->piece = next_piece(answer);
		answer->sent = 0;
	}
	if (PyErr_Occurred() || (!answer->begun && !begin(answer))) {
		fail(answer);
		return;
	}
	if (answer->piece == NULL) {
		end(answer, true);
		return;
	}
	if (send_piece(answer))
		Py_CLEAR(answer->piece);
	mews_reply_wait(answer->request, on_room, Py_NewRef(answer));
}

/* A mews_reply_fn: continue the body. */
static void
on_room(void *arg, struct mews_request *request)
{
	struct answer	*answer = arg;

	(void)request;
	step(answer);
	Py_DECREF(answer);
}

/* The whole body as one object of bytes, if it has one piece; NULL: it comes in
 * several. */
static PyObject *
whole_body(const struct answer *answer)
{
	PyObject	*only = NULL;

	if (answer->written != NULL || answer->status == 0)
		return NULL;
	if (PyList_CheckExact(answer->body) &&
	    PyList_GET_SIZE(answer->body) == 1)
		only = PyList_GET_ITEM(answer->body, 0);
	else if (PyTuple_CheckExact(answer->body) &&
	    PyTuple_GET_SIZE(answer->body) == 1)
		only = PyTuple_GET_ITEM(answer->body, 0);
	/* An empty body may answer HEAD, with a Content-Length of its own. */
	return only != NULL && PyBytes_Check(only) &&
	    PyBytes_GET_SIZE(only) > 0 ? only : NULL;
}

static void
answer_whole(struct answer *answer, PyObject *body)
{
	uint64_t	 length;
	const char	*type = NULL;

	if (!give_headers(answer, &type, &length)) {
		fail(answer);
		return;
	}
	mews_reply(answer->request, answer->status, type,
	    PyBytes_AS_STRING(body), (size_t)PyBytes_GET_SIZE(body),
	    MEWS_BODY_COPY);
	close_body(answer);
}

/* Make the body that the application returned the answer. */
static void
answer_body(struct answer *answer)
{
	PyObject	*whole = whole_body(answer);

	if (whole != NULL)
		answer_whole(answer, whole);
	else if ((answer->pieces = PyObject_GetIter(answer->body)) == NULL)
		fail(answer);
	else
		step(answer);
}

static struct answer *
answer_new(struct host *host, struct mews_request *request)
{
	struct answer	*answer = PyObject_New(struct answer, &Answer_Type);
	size_t		 head = offsetof(struct answer, host);

	if (answer == NULL)
		return NULL;
	memset((char *)answer + head, 0, sizeof(*answer) - head);
	answer->host = host;
	answer->request = request;
	return answer;
}

void
wsgi_serve(struct host *host, struct mews_request *request, PyObject *input,
    Py_ssize_t length)
{
	PyObject	*dict = environ_new(host, request, input, length);
	PyObject	*args[2];
	struct answer	*answer = answer_new(host, request);

	if (dict == NULL || answer == NULL || !trace_begin(host, request)) {
		Py_XDECREF(dict);
		Py_XDECREF(answer);
		exception_answer(host, request);
		return;
	}
	args[0] = dict;
	args[1] = (PyObject *)answer;
	answer->body = PyObject_Vectorcall(host->application, args, 2, NULL);
	Py_DECREF(dict);
	if (answer->body == NULL)
		fail(answer);
	else
		answer_body(answer);
	Py_DECREF(answer);
}

static void
answer_dealloc(PyObject *self)
{
	struct answer	*answer = (struct answer *)self;

	Py_CLEAR(answer->headers);
	Py_CLEAR(answer->written);
	Py_CLEAR(answer->body);
	Py_CLEAR(answer->pieces);
	Py_CLEAR(answer->piece);
	PyObject_Free(self);
}

static PyMethodDef methods[] = {
	{ "write", answer_write, METH_O,
	  "write(bytes)\n--\n\nSend bytes before the body that is returned." },
	{ NULL, NULL, 0, NULL }
};

PyTypeObject Answer_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "mews.worker.start_response",
	.tp_basicsize = sizeof(struct answer),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_dealloc = answer_dealloc,
	.tp_call = answer_call,
	.tp_methods = methods,
};
