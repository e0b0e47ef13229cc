/*
 * script.c - scripts of several statements, descriptions, and quoting.
 */
#include "binding.h"

/* A script that runs. */
struct script {
	struct call *call;
	PyObject *list; /* list of Rows, one for each statement; NULL: an
			   exception is set */
	PyObject *error;
};

static void
on_result(void *arg, const struct mews_result *result)
{
	struct script	*script = arg;
	struct call	*call = script->call;
	PyObject	*rows, *type, *trace;

	if (script->list == NULL)
		return;
	rows = rows_new(call->pool, call->plan, result);
	/* In a child that was forked by a decoder, the end of the script does
	 * not come. */
	pool_left(call->pool);
	if (rows != NULL && PyList_Append(script->list, rows) == 0) {
		Py_DECREF(rows);
		return;
	}
	Py_XDECREF(rows);
	Py_CLEAR(script->list);
	PyErr_Fetch(&type, &script->error, &trace);
	PyErr_NormalizeException(&type, &script->error, &trace);
	Py_XDECREF(type);
	Py_XDECREF(trace);
}

static void
on_end(void *arg, const struct mews_result *result)
{
	struct script	*script = arg;
	struct call	*call = script->call;
	PyObject	*list = script->list, *error = script->error;

	PyMem_Free(script);
	if (mews_result_status(result) != MEWS_OK) {
		Py_CLEAR(list);
		Py_XSETREF(error, error_of_result(result));
	}
	call_finish(call, list, error);
}

PyObject *
script_run(PyObject *self, PyObject *sql)
{
	struct lease	*lease = (struct lease *)self;
	struct pool	*pool = lease_ask(lease);
	struct script	*script;
	struct call	*call;
	enum mews_status status;

	if (pool == NULL)
		return NULL;
	if (lease_is_late(lease))
		return lease_later(lease, "script", &sql, 1, NULL);
	if ((call = call_new(pool, CALL_NONE)) == NULL)
		return NULL;
	if ((call->plan = plan_of(pool, sql)) == NULL) {
		call_free(call);
		return NULL;
	}
	script = PyMem_Malloc(sizeof(*script));
	if (script == NULL || (script->list = PyList_New(0)) == NULL) {
		PyMem_Free(script);
		call_free(call);
		return PyErr_Occurred() ? NULL : PyErr_NoMemory();
	}
	script->call = call;
	script->error = NULL;
	call_on_lease(call, lease);
	status = mews_lease_script(lease->handle, call->plan->text, on_result,
	    on_end, script, &call->id);
	if (status != MEWS_OK) {
		Py_DECREF(script->list);
		PyMem_Free(script);
		return call_refuse(call, error_of_group(status,
		    lease->group));
	}
	lease->heavy = true;
	return call_result(call);
}

/*
 * --- descriptions ---
 */

static PyObject *
describe(struct pool *pool, struct mews_group *group, struct lease *lease,
    PyObject *sql)
{
	struct mews_query_args	 args = { .flags = MEWS_QUERY_DESCRIBE };
	enum mews_status	 status;
	struct plan		*plan = plan_of(pool, sql);
	struct call		*call;

	if (plan == NULL || (call = call_new(pool, CALL_DESCRIPTION)) == NULL) {
		Py_XDECREF(plan);
		return NULL;
	}
	call->plan = plan;
	args.sql = plan->text;
	if (lease != NULL)
		call_on_lease(call, lease);
	status = lease != NULL ?
	    mews_lease_query(lease->handle, &args, call_done, call,
		&call->id) :
	    mews_query_send(group, &args, call_done, call, &call->id);
	if (status != MEWS_OK)
		return call_refuse(call, error_of_group(status, group));
	return call_result(call);
}

PyObject *
describe_pool(PyObject *self, PyObject *args)
{
	struct pool		*pool = (struct pool *)self;
	struct mews_group	*group;
	PyObject		*name, *sql;

	if (!PyArg_ParseTuple(args, "OO", &name, &sql) || !pool_use(pool) ||
	    (group = pool_group(pool, name)) == NULL)
		return NULL;
	return describe(pool, group, NULL, sql);
}

PyObject *
describe_lease(PyObject *self, PyObject *sql)
{
	struct lease	*lease = (struct lease *)self;
	struct pool	*pool = lease_ask(lease);

	if (pool != NULL && lease_is_late(lease))
		return lease_later(lease, "describe", &sql, 1, NULL);
	return pool == NULL ? NULL :
	    describe(pool, lease->group, lease, sql);
}

/*
 * --- quoting ---
 */

static PyObject *
quote(PyObject *self, PyObject *text, enum mews_status (*escape)(
    struct mews_lease *, const char *, size_t, char **))
{
	struct lease	*lease = (struct lease *)self;
	PyObject	*quoted;
	enum mews_status status;
	const char	*bytes;
	Py_ssize_t	 length;
	char		*out;

	if (!PyUnicode_Check(text)) {
		PyErr_Format(PyExc_TypeError, "a str is quoted, not %.100s",
		    Py_TYPE(text)->tp_name);
		return NULL;
	}
	if (lease_use(lease) == NULL ||
	    (bytes = PyUnicode_AsUTF8AndSize(text, &length)) == NULL)
		return NULL;
	status = escape(lease->handle, bytes, (size_t)length, &out);
	if (status != MEWS_OK)
		return error_raise(status, mews_group_message(lease->group));
	quoted = PyUnicode_FromString(out);
	mews_quote_free(&out);
	return quoted;
}

PyObject *
quote_literal(PyObject *self, PyObject *text)
{
	return quote(self, text, mews_quote_literal);
}

PyObject *
quote_identifier(PyObject *self, PyObject *text)
{
	return quote(self, text, mews_quote_identifier);
}
