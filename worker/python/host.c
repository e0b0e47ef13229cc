/*
 * host.c - the application of mews run that serves Python: mews-python.so.
 */
#include "host.h"

#include <stdlib.h>

static enum mews_status
host_check(const struct mews_options *options, struct mews_error *error)
{
	struct host	host = { 0 };
	bool		done = interpreter_start(&host, NULL, options, error);

	interpreter_stop(&host);
	return done ? MEWS_OK : error->status;
}

static enum mews_status
host_start(struct mews_worker *worker, void **state, struct mews_error *error)
{
	struct host	*host = calloc(1, sizeof(*host));

	if (host == NULL)
		return MEWS_NOMEM;
	if (!interpreter_start(host, worker, mews_worker_options(worker),
	    error)) {
		interpreter_stop(host);
		free(host);
		return error->status;
	}
	*state = host;
	return MEWS_OK;
}

static void
host_stop(void *state)
{
	struct host	*host = state;

	interpreter_stop(host);
	free(host);
}

static void
host_waiting(void *state, bool waits)
{
	struct host	*host = state;

	if (waits)
		host->thread = PyEval_SaveThread();
	else
		PyEval_RestoreThread(host->thread);
}

static void
host_request(void *state, struct mews_request *request)
{
	struct host	*host = state;
	size_t		 length;
	const char	*body;
	PyObject	*input;

	if (spool_wants(host, request)) {
		spool_begin(host, request);
		return;
	}
	body = mews_request_body(request, &length);
	input = PyObject_CallMethod(host->module, "BytesIO", "y#", body,
	    (Py_ssize_t)length);
	if (input == NULL)
		exception_answer(host, request);
	else
		host->serve(host, request, input, (Py_ssize_t)length);
}

static bool
host_streams(void *state, const struct mews_request *request)
{
	return spool_wants(state, request);
}

const struct mews_app mews_app = {
	.abi = MEWS_APP_ABI,
	.name = "python",
	.start = host_start,
	.request = host_request,
	.stop = host_stop,
	.streams = host_streams,
	.check = host_check,
	.waiting = host_waiting,
};
