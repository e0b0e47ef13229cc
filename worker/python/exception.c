/*
 * exception.c - log an exception of the application, and answer its request.
 */
#include "host.h"

void
exception_report(struct host *host)
{
	PyObject	*type, *value, *trace, *done = NULL;

	PyErr_Fetch(&type, &value, &trace);
	PyErr_NormalizeException(&type, &value, &trace);
	if (trace != NULL)
		PyException_SetTraceback(value, trace);
	if (host->module != NULL)
		done = PyObject_CallMethod(host->module, "_report", "O",
		    value);
	if (done == NULL) {
		PyErr_Clear();
		PyErr_Restore(type, value, trace);
		PyErr_Print();
		return;
	}
	Py_DECREF(done);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(trace);
}

void
exception_answer(struct host *host, struct mews_request *request)
{
	static const char	text[] = "Internal Server Error\n";

	exception_report(host);
	mews_reply(request, 500, "text/plain", text, sizeof(text) - 1,
	    MEWS_BODY_STATIC);
}
