/*
 * notice.c - servers' notices, given to a handler.
 *
 * libmews gives notices in the middle of reading, when the pool must not be
 * used. So notices are kept, and the handlers are called after that.
 */
#include "binding.h"

static const char *
field(const PGresult *pg, int code)
{
	const char *text = PQresultErrorField(pg, code);

	return text == NULL ? "" : text;
}

/* Keep the notice for @handler. */
static void
keep(struct pool *pool, PyObject *handler, const char *endpoint,
    const PGresult *pg)
{
	PyObject	*make = load_import("mews.notice", "Notice");
	PyObject	*notice = NULL, *item = NULL;

	if (make != NULL)
		notice = PyObject_CallFunction(make, "sssssss",
		    field(pg, PG_DIAG_SEVERITY_NONLOCALIZED),
		    field(pg, PG_DIAG_SQLSTATE),
		    field(pg, PG_DIAG_MESSAGE_PRIMARY),
		    field(pg, PG_DIAG_MESSAGE_DETAIL),
		    field(pg, PG_DIAG_MESSAGE_HINT),
		    field(pg, PG_DIAG_CONTEXT), endpoint);
	if (notice != NULL)
		item = PyTuple_Pack(2, handler, notice);
	if (pool->notices == NULL && item != NULL)
		pool->notices = PyList_New(0);
	if (item == NULL || pool->notices == NULL ||
	    PyList_Append(pool->notices, item) == -1)
		PyErr_WriteUnraisable(handler);
	Py_XDECREF(notice);
	Py_XDECREF(item);
}

static void
on_pool_notice(void *arg, struct mews_lease *lease, const char *endpoint,
    const PGresult *pg)
{
	struct pool	*pool = arg;

	(void)lease;
	/* The host of an adopted pool may turn it while no Python code runs. */
	if (PyGILState_Check())
		keep(pool, pool->on_notice, endpoint, pg);
}

static void
on_lease_notice(void *arg, struct mews_lease *handle, const char *endpoint,
    const PGresult *pg)
{
	PyObject	*mine = arg;

	(void)handle;
	if (PyGILState_Check())
		keep((struct pool *)PyTuple_GET_ITEM(mine, 0),
		    PyTuple_GET_ITEM(mine, 1), endpoint, pg);
}

void
notice_tell(struct pool *pool)
{
	PyObject	*notices = pool->notices, *done;
	Py_ssize_t	 count;

	if (pool->depth > 0)
		return;
	pool->notices = NULL;
	count = PyList_GET_SIZE(notices);
	for (Py_ssize_t i = 0; i < count; i++) {
		PyObject *item = PyList_GET_ITEM(notices, i);
		PyObject *handler = PyTuple_GET_ITEM(item, 0);

		done = PyObject_CallOneArg(handler,
		    PyTuple_GET_ITEM(item, 1));
		/* Ctrl-C in a handler ends the wait around it, or the next
		 * one. */
		if (done == NULL &&
		    PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
			PyErr_Clear();
			PyErr_SetInterrupt();
		} else if (done == NULL) {
			PyErr_WriteUnraisable(handler);
		}
		Py_XDECREF(done);
	}
	Py_DECREF(notices);
}

static bool
is_handler(PyObject *value)
{
	if (value == Py_None || PyCallable_Check(value))
		return true;
	PyErr_Format(PyExc_TypeError, "a handler of notices is a callable or "
	    "None, not %.100s", Py_TYPE(value)->tp_name);
	return false;
}

void
notice_begin(struct pool *pool)
{
	if (pool->handle != NULL)
		mews_pool_set_notice(pool->handle, pool->on_notice == NULL ?
		    NULL : on_pool_notice, pool);
}

bool
notice_set(struct pool *pool, PyObject *handler)
{
	if (!is_handler(handler))
		return false;
	Py_XSETREF(pool->on_notice, handler == Py_None ? NULL :
	    Py_NewRef(handler));
	notice_begin(pool);
	return true;
}

bool
notice_set_lease(struct lease *lease, PyObject *handler)
{
	PyObject	*mine = NULL;

	if (!is_handler(handler) || (handler != Py_None &&
	    (mine = PyTuple_Pack(2, lease->pool, handler)) == NULL))
		return false;
	mews_lease_set_notice(lease->handle, mine == NULL ? NULL :
	    on_lease_notice, mine);
	Py_XSETREF(lease->on_notice, mine);
	return true;
}
