/*
 * trace.c - the traceparent of the request that is served: the pools of Python
 * name it in slow-query lines.
 */
#include "host.h"

bool
trace_begin(struct host *host, const struct mews_request *request)
{
	const char	*parent = mews_request_header(request, "traceparent");
	PyObject	*done;

	if (parent == NULL && !host->traced)
		return true;
	done = PyObject_CallMethod(host->module, "_trace", "y", parent);
	host->traced = parent != NULL;
	Py_XDECREF(done);
	return done != NULL;
}
