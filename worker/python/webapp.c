/*
 * webapp.c - FalconAS's contract: a class WebApp whose method invoke(payload)
 * returns the result.
 *
 * The payload is the body: decoded from JSON if that is its Content-Type, else
 * a str, or bytes if it is not UTF-8. A result of str or bytes is sent as it
 * is, any other as JSON.
 */
#include "host.h"

#include <string.h>
#include <strings.h>

static PyObject *
invoke(struct host *host, const struct mews_request *request,
    PyObject *input)
{
	const char	*type = mews_request_header(request, "Content-Type");
	bool		 is_json = type != NULL &&
			    strncasecmp(type, "application/json", 16) == 0;

	return PyObject_CallMethod(host->module, "_invoke", "OOO",
	    host->application, input, is_json ? Py_True : Py_False);
}

void
webapp_serve(struct host *host, struct mews_request *request, PyObject *input,
    Py_ssize_t length)
{
	PyObject	*done = trace_begin(host, request) ?
			    invoke(host, request, input) : NULL;
	const char	*type;
	char		*body;
	Py_ssize_t	 size;

	(void)length;
	Py_DECREF(input);
	if (done == NULL || !PyArg_ParseTuple(done, "sy#", &type, &body,
	    &size)) {
		Py_XDECREF(done);
		exception_answer(host, request);
		return;
	}
	mews_reply(request, 200, type, body, (size_t)size, MEWS_BODY_COPY);
	Py_DECREF(done);
}
