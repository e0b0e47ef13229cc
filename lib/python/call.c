/*
 * call.c - one query, from Python's arguments to Rows or an exception.
 *
 * A call that blocks is freed by call_result(); one with a future by
 * call_finish(); one whose wait was left by an exception when libmews ends it.
 */
#include "binding.h"

#include <math.h>

struct call *
call_new(struct pool *pool, enum call_want want)
{
	static PyObject	*keyword;	/* the tuple ("loop",) */
	struct call	*call = PyMem_Calloc(1, sizeof(*call));

	if (call == NULL) {
		PyErr_NoMemory();
		return NULL;
	}
	call->pool = (struct pool *)Py_NewRef((PyObject *)pool);
	call->want = want;
	if (!pool->asynchronous)
		return call;
	if (keyword == NULL)
		keyword = Py_BuildValue("(s)", "loop");
	if (keyword != NULL)
		call->future = PyObject_Vectorcall(pool->future_class,
		    &pool->loop, 0, keyword);
	if (call->future == NULL) {
		call_free(call);
		return NULL;
	}
	return call;
}

void
call_free(struct call *call)
{
	struct pool	*pool = call->pool;

	if (call->lease != NULL) {
		LIST_REMOVE(call, link);
		call->lease->canceled -= call->canceled;
		Py_CLEAR(call->lease);
	}
	Py_CLEAR(call->plan);
	Py_CLEAR(call->future);
	Py_CLEAR(call->value);
	Py_CLEAR(call->error);
	PyMem_Free(call);
	Py_DECREF(pool);
}

void
call_on_lease(struct call *call, struct lease *lease)
{
	call->lease = (struct lease *)Py_NewRef((PyObject *)lease);
	LIST_INSERT_HEAD(&call->pool->lease_calls, call, link);
}

static struct call *
find_lease_call(const struct pool *pool, mews_query_id id)
{
	struct call	*call;

	LIST_FOREACH (call, &pool->lease_calls, link)
		if (call->id == id)
			return call;
	return NULL;
}

/* Is there a later call of the same lease? The latest one is first. */
static bool
is_followed(const struct call *mine)
{
	const struct call	*call;

	LIST_FOREACH (call, &mine->pool->lease_calls, link) {
		if (call == mine)
			return false;
		if (call->lease == mine->lease)
			return true;
	}
	return false;
}

bool
call_cancel(struct pool *pool, mews_query_id id)
{
	struct call	*mine = find_lease_call(pool, id);
	bool		 asked;

	/* Only the answer is given up if the server might run the lease's next
	 * call by the time it is asked to cancel. */
	asked = (mine == NULL || !is_followed(mine)) &&
	    mews_query_interrupt(pool->handle, id) == MEWS_OK;
	if (asked && mine != NULL && !mine->canceled) {
		mine->canceled = true;
		mine->lease->canceled++;
	}
	return mews_query_cancel(pool->handle, id) == MEWS_OK || asked;
}

bool
call_abandoned(struct call *call)
{
	PyObject	*over = PyObject_CallMethod(call->future, "done",
			    NULL);
	bool		 abandoned = over == Py_True;

	if (over == NULL)
		PyErr_Clear();
	Py_XDECREF(over);
	return abandoned;
}

static PyObject *
set_future(PyObject *future, const char *method, PyObject *value)
{
	PyObject	*name = PyUnicode_InternFromString(method), *done;

	done = name == NULL ? NULL :
	    PyObject_CallMethodOneArg(future, name, value);
	Py_XDECREF(name);
	return done;
}

/* Give the outcome to the future, unless that was cancelled. */
static void
tell(struct call *call, PyObject *value, PyObject *error)
{
	PyObject	*done, *type, *refused, *trace;

	if (call_abandoned(call))
		return;
	done = set_future(call->future,
	    error == NULL ? "set_result" : "set_exception",
	    error == NULL ? value : error);
	/* A future refuses StopIteration, with a TypeError that says so. */
	if (done == NULL && error != NULL && !call->pool->closing &&
	    PyErr_ExceptionMatches(PyExc_TypeError)) {
		PyErr_Fetch(&type, &refused, &trace);
		PyErr_NormalizeException(&type, &refused, &trace);
		done = set_future(call->future, "set_exception", refused);
		Py_XDECREF(type);
		Py_XDECREF(refused);
		Py_XDECREF(trace);
	}
	/* The loop may have been closed before its pool. */
	if (done == NULL && call->pool->closing)
		PyErr_Clear();
	else if (done == NULL)
		PyErr_WriteUnraisable(call->future);
	Py_XDECREF(done);
}

void
call_finish(struct call *call, PyObject *value, PyObject *error)
{
	call->done = true;
	if (value == NULL && error == NULL) {
		/* The result may be an exception that Python code raised. */
		PyObject *type, *trace;

		PyErr_Fetch(&type, &error, &trace);
		PyErr_NormalizeException(&type, &error, &trace);
		Py_XDECREF(type);
		Py_XDECREF(trace);
	}
	if (call->future != NULL)
		tell(call, value, error);
	if (call->future != NULL || call->orphan) {
		Py_XDECREF(value);
		Py_XDECREF(error);
		call_free(call);
	} else {
		call->value = value;
		call->error = error;
	}
}

static PyObject *
value_of(struct call *call, const struct mews_result *result)
{
	uint64_t	position = mews_result_position(result);

	if (position > call->pool->position)
		call->pool->position = position;
	switch (call->want) {
	case CALL_ROWS:
		return rows_new(call->pool, call->plan, result);
	case CALL_COUNT:
		return PyLong_FromLongLong(
		    rows_affected(mews_result_pg(result)));
	case CALL_DESCRIPTION:
		return description_new(mews_result_pg(result));
	case CALL_NONE:
	case CALL_LEASE:
	case CALL_END:
		break;
	}
	return Py_NewRef(Py_None);
}

void
call_done(void *arg, const struct mews_result *result)
{
	struct call	*call = arg;
	struct pool	*pool = call->pool;
	PyObject	*value = NULL, *error = NULL;

	if (mews_result_status(result) != MEWS_OK)
		error = call->want == CALL_END ? error_of_end(result) :
		    error_of_result(result);
	else if (!call->orphan)
		value = value_of(call, result);
	else
		value = Py_NewRef(Py_None);
	call_finish(call, value, error);
	pool_left(pool);
}

/* An exception left the wait: the query is not wanted any more. */
static void
give_up(struct call *call)
{
	struct pool	*pool = call->pool;
	PyObject	*type, *value, *trace;

	PyErr_Fetch(&type, &value, &trace);
	if (!call->done && pool->handle != NULL && call->id != 0) {
		call_cancel(pool, call->id);
		pool_attend(pool);
	}
	if (call->done) {
		/* If the lease came at the last moment, it ends with the
		 * call. */
		call_free(call);
	} else {
		call->orphan = true;
	}
	PyErr_Clear();
	PyErr_Restore(type, value, trace);
}

PyObject *
call_result(struct call *call)
{
	PyObject	*value;

	if (call->future != NULL) {
		value = Py_NewRef(call->future);
		if (call->id != 0) {
			PyObject *id = PyLong_FromUnsignedLongLong(call->id);

			if (id == NULL ||
			    PyObject_SetAttrString(value, "_query", id) ==
			    -1 || PyObject_SetAttrString(value, "_pool",
			    (PyObject *)call->pool) == -1)
				PyErr_WriteUnraisable(value);
			Py_XDECREF(id);
		}
		if (!pool_schedule(call->pool))
			Py_CLEAR(value);
		return value;
	}
	if (!pool_wait(call->pool, &call->done, -1)) {
		give_up(call);
		return NULL;
	}
	value = call->value;
	call->value = NULL;
	if (value == NULL && call->error != NULL)
		PyErr_SetObject((PyObject *)Py_TYPE(call->error),
		    call->error);
	call_free(call);
	return value;
}

PyObject *
call_refuse(struct call *call, PyObject *error)
{
	PyObject	*future = Py_XNewRef(call->future);

	call_finish(call, NULL, error);
	return future != NULL ? future : call_result(call);
}

PyObject *
call_give(struct call *call, PyObject *value)
{
	PyObject	*future = Py_NewRef(call->future);

	call_finish(call, value, NULL);
	return future;
}

/* Convert seconds, as Python counts, to milliseconds. */
static bool
wait_option(PyObject *value, uint32_t *ms)
{
	double	seconds;

	if (value == Py_None)
		return true;
	seconds = PyFloat_AsDouble(value);
	if (seconds == -1.0 && PyErr_Occurred())
		return false;
	if (!(seconds > 0 && seconds <= 86400)) {
		PyErr_SetString(PyExc_ValueError, "wait is more than 0 "
		    "seconds, and at most a day");
		return false;
	}
	*ms = (uint32_t)ceil(seconds * 1000);
	return true;
}

static bool
flag_option(PyObject *value, unsigned flag, unsigned *flags)
{
	int	on = PyObject_IsTrue(value);

	if (on > 0)
		*flags |= flag;
	return on >= 0;
}

static bool
option(PyObject *name, PyObject *value, struct query_options *options)
{
	if (PyUnicode_CompareWithASCIIString(name, "wait") == 0)
		return wait_option(value, &options->wait_ms);
	if (PyUnicode_CompareWithASCIIString(name, "after") == 0) {
		options->after = PyLong_AsUnsignedLongLong(value);
		return PyErr_Occurred() == NULL;
	}
	if (PyUnicode_CompareWithASCIIString(name, "alone") == 0)
		return flag_option(value, MEWS_QUERY_ALONE, &options->flags);
	if (PyUnicode_CompareWithASCIIString(name, "position") == 0)
		return flag_option(value, MEWS_QUERY_POSITION,
		    &options->flags);
	PyErr_Format(PyExc_TypeError, "there is no option %R", name);
	return false;
}

bool
call_options(PyObject *const *values, PyObject *names,
    struct query_options *options)
{
	Py_ssize_t	count = names == NULL ? 0 : PyTuple_GET_SIZE(names);

	for (Py_ssize_t i = 0; i < count; i++)
		if (!option(PyTuple_GET_ITEM(names, i), values[i], options))
			return false;
	return true;
}

bool
query_fill(struct query *query, PyObject *const *args, Py_ssize_t count,
    PyObject *names)
{
	struct query_options	options = { 0 };

	query->plan = NULL;
	query->params.count = query->params.kept = 0;
	query->params.list = query->params.list_inside;
	query->params.keep = query->params.keep_inside;
	if (!call_options(args + count, names, &options) ||
	    !params_fill(&query->params, args + 1, count - 1)) {
		query_clear(query);
		return false;
	}
	query->args = (struct mews_query_args) {
		.params = query->params.list,
		.param_count = query->params.count,
		.flags = options.flags,
		.after = options.after,
		.wait_ms = options.wait_ms,
	};
	return true;
}

bool
query_plan(struct query *query, struct pool *pool, PyObject *sql)
{
	if ((query->plan = plan_of(pool, sql)) == NULL ||
	    !plan_prepare(query->plan, pool))
		return false;
	query->args.statement = query->plan->statement;
	if (query->plan->statement == NULL)
		query->args.sql = query->plan->text;
	if (pool->parent != NULL)
		query->args.traceparent = PyBytes_AS_STRING(pool->parent);
	return true;
}

void
query_clear(struct query *query)
{
	params_free(&query->params);
	Py_CLEAR(query->plan);
}

PyObject *
call_query(struct pool *pool, PyObject *name, struct lease *lease,
    enum call_want want, PyObject *const *args, Py_ssize_t count,
    PyObject *names)
{
	struct mews_group	*group = lease != NULL ? lease->group : NULL;
	struct query		 query;
	struct call		*call;
	enum mews_status	 status;

	if (!query_fill(&query, args, count, names))
		return NULL;
	if ((call = call_new(pool, want)) == NULL) {
		query_clear(&query);
		return NULL;
	}
	if ((lease != NULL ? lease_ask(lease) == NULL : !pool_use(pool) ||
	    (group = pool_group(pool, name)) == NULL) ||
	    !query_plan(&query, pool, args[0])) {
		query_clear(&query);
		call_free(call);
		return NULL;
	}
	call->plan = (struct plan *)Py_NewRef((PyObject *)query.plan);
	if (lease != NULL)
		call_on_lease(call, lease);
	status = lease != NULL ?
	    mews_lease_query(lease->handle, &query.args, call_done, call,
		&call->id) :
	    mews_query_send(group, &query.args, call_done, call, &call->id);
	query_clear(&query);
	if (status != MEWS_OK)
		return call_refuse(call, error_of_group(status, group));
	return call_result(call);
}
