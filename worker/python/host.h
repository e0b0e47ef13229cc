/*
 * host.h - one Python interpreter in one worker, and what it serves.
 *
 * The worker's thread holds the GIL all the time, except while the worker waits
 * for descriptors (host.c). Functions that return a PyObject * or a bool follow
 * Python's convention: NULL or false means that an exception is set.
 */
#ifndef WORKER_PYTHON_HOST_H
#define WORKER_PYTHON_HOST_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <mews/app.h>

struct host {
	struct mews_worker *worker;
	uint64_t body_limit;	/* bytes of a request's body */
	PyObject *module;	/* the module mews.worker */
	PyObject *application;	/* wsgi: a callable; webapp: the method
				   invoke */
	PyObject *environ;	/* wsgi: the part of environ that all requests
				   share */
	PyThreadState *thread;	/* not NULL while the worker waits */
	bool traced;		/* the pool has the traceparent of a request */
	/* Serve a request whose body is in @input, a file of bytes, with a
	 * length of @length. Takes @input. */
	void (*serve)(struct host *host, struct mews_request *request,
	    PyObject *input, Py_ssize_t length);
};

/* trace.c */

/** Python runs for @request from now on: its queries belong to the request. */
bool trace_begin(struct host *host, const struct mews_request *request);

/* exception.c */

/** Log the exception that is set, with its traceback, and clear it. */
void exception_report(struct host *host);
/** Log the exception that is set, and answer with status 500. */
void exception_answer(struct host *host, struct mews_request *request);

/* interpreter.c */

/**
 * Start the interpreter, import the module, find the application.
 *
 * @worker NULL: only try whether that works; the pool cannot be used then.
 * False: @error says why, and the traceback was logged. Call interpreter_stop()
 * in any case.
 */
bool interpreter_start(struct host *host, struct mews_worker *worker,
    const struct mews_options *options, struct mews_error *error);
void interpreter_stop(struct host *host);

/* environ.c */

/** A dict of the keys that every request has in common. */
PyObject *environ_base(PyObject *errors);
/** The environ of PEP 3333. Takes @input. */
PyObject *environ_new(const struct host *host,
    const struct mews_request *request, PyObject *input, Py_ssize_t length);

/* wsgi.c */

extern PyTypeObject Answer_Type;

void wsgi_serve(struct host *host, struct mews_request *request,
    PyObject *input, Py_ssize_t length);

/* webapp.c */

void webapp_serve(struct host *host, struct mews_request *request,
    PyObject *input, Py_ssize_t length);

/* spool.c */

/** Must the body of @request be kept in a file until the client has sent all of
 * it? */
bool spool_wants(const struct host *host, const struct mews_request *request);
/** Keep the body in a file, then serve the request. */
void spool_begin(struct host *host, struct mews_request *request);

#endif
