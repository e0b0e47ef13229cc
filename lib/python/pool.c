/*
 * pool.c - mews.Pool: the connections of one thread of one process. use.c opens
 * and closes it, wait.c turns its loop.
 */
#include "binding.h"

#include <stddef.h>

static PyObject *
run(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names,
    enum call_want want)
{
	if (count < 2) {
		PyErr_SetString(PyExc_TypeError, "the arguments are a "
		    "group, SQL, and its parameters");
		return NULL;
	}
	return call_query((struct pool *)self, args[0], NULL, want, args + 1,
	    count - 1, names);
}

static PyObject *
pool_query(PyObject *self, PyObject *const *args, Py_ssize_t count,
    PyObject *names)
{
	return run(self, args, count, names, CALL_ROWS);
}

static PyObject *
pool_execute(PyObject *self, PyObject *const *args, Py_ssize_t count,
    PyObject *names)
{
	return run(self, args, count, names, CALL_COUNT);
}

static PyObject *
pool_lease(PyObject *self, PyObject *const *args, Py_ssize_t count,
    PyObject *names)
{
	struct pool		*pool = (struct pool *)self;
	struct query_options	 options = { 0 };
	struct mews_group	*group;

	if (count != 1) {
		PyErr_SetString(PyExc_TypeError, "lease(group, *, wait=None, "
		    "after=0)");
		return NULL;
	}
	if (!call_options(args + count, names, &options) || !pool_use(pool) ||
	    (group = pool_group(pool, args[0])) == NULL)
		return NULL;
	return lease_borrow(pool, group, options.wait_ms, options.after);
}

static PyObject *
pool_listen(PyObject *self, PyObject *channel)
{
	struct pool	*pool = (struct pool *)self;
	const char	*name;

	if (!PyUnicode_Check(channel)) {
		PyErr_SetString(PyExc_TypeError, "the channel is a str");
		return NULL;
	}
	if ((name = PyUnicode_AsUTF8(channel)) == NULL || !pool_use(pool))
		return NULL;
	return listen_new(pool, name);
}

static PyObject *
pool_cancel(PyObject *self, PyObject *query)
{
	struct pool		*pool = (struct pool *)self;
	unsigned long long	 id = PyLong_AsUnsignedLongLong(query);

	if (PyErr_Occurred())
		return NULL;
	if (pool->handle != NULL &&
	    pool->thread == PyThread_get_thread_ident() &&
	    call_cancel(pool, id) && !pool_schedule(pool))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
pool_attend_method(PyObject *self, PyObject *unused)
{
	struct pool	*pool = (struct pool *)self;

	(void)unused;
	if (!pool_use(pool) || !pool_attend(pool))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
pool_stats(PyObject *self, PyObject *name)
{
	struct pool		*pool = (struct pool *)self;
	struct mews_group	*group;
	struct mews_group_stats	 stats;

	if (!pool_use(pool) || (group = pool_group(pool, name)) == NULL)
		return NULL;
	mews_group_stats(group, &stats, sizeof(stats));
	return Py_BuildValue("{sI sI sI sI sI sK sK sK sK}",
	    "connections", stats.connections, "idle", stats.idle,
	    "leased", stats.leased, "in_flight", stats.in_flight,
	    "waiting", stats.waiting,
	    "queries", (unsigned long long)stats.queries,
	    "errors", (unsigned long long)stats.errors,
	    "resent", (unsigned long long)stats.resent,
	    "opened", (unsigned long long)stats.opened);
}

static PyObject *
pool_position(PyObject *self, PyObject *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(((struct pool *)self)->position);
}

static PyObject *
pool_on_notice(PyObject *self, PyObject *handler)
{
	struct pool	*pool = (struct pool *)self;

	if ((pool->handle != NULL && !pool_use(pool)) ||
	    !notice_set(pool, handler))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
pool_close(PyObject *self, PyObject *unused)
{
	struct pool	*pool = (struct pool *)self;

	(void)unused;
	if (pool->fleet == NULL)
		return error_raise(MEWS_INVALID, "this pool is the worker's, "
		    "which closes it at its end");
	if (pool->handle != NULL && (!pool_use(pool) || pool->depth > 0))
		return PyErr_Occurred() ? NULL : error_raise(MEWS_INVALID,
		    "the pool cannot be closed from inside its own callback");
	pool_shut(pool);
	Py_RETURN_NONE;
}

/* Pool(fleet), or Pool(fleet, loop, future_class) */
static PyObject *
pool_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	PyObject	*fleet, *loop = Py_None, *future_class = Py_None;
	struct pool	*pool;

	(void)kwargs;
	if (!PyArg_ParseTuple(args, "O!|OO", &Fleet_Type, &fleet, &loop,
	    &future_class))
		return NULL;
	if ((pool = (struct pool *)type->tp_alloc(type, 0)) == NULL)
		return NULL;
	pool->fleet = (struct fleet *)Py_NewRef(fleet);
	pool->forks = fork_count;
	LIST_INSERT_HEAD(&pool->fleet->pools, pool, link);
	if (loop != Py_None) {
		pool->asynchronous = true;
		pool->loop = Py_NewRef(loop);
		pool->future_class = Py_NewRef(future_class);
	}
	TAILQ_INIT(&pool->behind);
	LIST_INIT(&pool->lease_calls);
	if ((pool->plans = PyDict_New()) == NULL)
		Py_CLEAR(pool);
	return (PyObject *)pool;
}

PyObject *
pool_adopt(PyObject *module, PyObject *args)
{
	PyTypeObject		*type;
	PyObject		*capsule;
	struct pool		*pool;
	struct mews_pool	*handle = NULL;

	(void)module;
	if (!PyArg_ParseTuple(args, "O!O", &PyType_Type, &type, &capsule))
		return NULL;
	if (capsule != Py_None &&
	    (handle = PyCapsule_GetPointer(capsule, "mews_pool")) == NULL)
		return NULL;
	if (!PyType_IsSubtype(type, &Pool_Type)) {
		PyErr_SetString(PyExc_TypeError, "a class of pools is wanted");
		return NULL;
	}
	if ((pool = (struct pool *)type->tp_alloc(type, 0)) == NULL)
		return NULL;
	pool->handle = handle;
	pool->forks = fork_count;
	pool->thread = PyThread_get_thread_ident();
	TAILQ_INIT(&pool->behind);
	LIST_INIT(&pool->lease_calls);
	if ((pool->plans = PyDict_New()) == NULL)
		Py_CLEAR(pool);
	return (PyObject *)pool;
}

static PyObject *
pool_release(PyObject *self, PyObject *unused)
{
	struct pool	*pool = (struct pool *)self;

	(void)unused;
	if (pool->fleet != NULL)
		return error_raise(MEWS_INVALID, "this pool is not adopted");
	pool_shut(pool);
	Py_RETURN_NONE;
}

/* Queries from now on belong to the request with that traceparent: bytes, or
 * None. */
static PyObject *
pool_trace(PyObject *self, PyObject *parent)
{
	struct pool	*pool = (struct pool *)self;

	if (parent != Py_None && !PyBytes_Check(parent)) {
		PyErr_SetString(PyExc_TypeError, "a traceparent is bytes");
		return NULL;
	}
	Py_XSETREF(pool->parent, parent == Py_None ? NULL : Py_NewRef(parent));
	Py_RETURN_NONE;
}

/*
 * A pool without references, in a thread that is not its own, is left as it is,
 * and its fleet with it: only its own thread may close it.
 */
static void
pool_dealloc(PyObject *self)
{
	struct pool	*pool = (struct pool *)self;

	PyObject_GC_UnTrack(self);
	if (pool->handle != NULL &&
	    pool->thread != PyThread_get_thread_ident()) {
		if (PyErr_WarnEx(PyExc_ResourceWarning, "mews: a pool was "
		    "left open by its thread", 1) == -1)
			PyErr_WriteUnraisable(NULL);
		Py_XINCREF(pool->fleet);
	} else {
		pool_shut(pool);
	}
	if (pool->fleet != NULL)
		LIST_REMOVE(pool, link);
	PyMem_RawFree(pool->watches);
	Py_CLEAR(pool->plans);
	Py_CLEAR(pool->endpoint);
	Py_CLEAR(pool->loop);
	Py_CLEAR(pool->future_class);
	Py_CLEAR(pool->timer);
	Py_CLEAR(pool->parent);
	Py_CLEAR(pool->on_notice);
	Py_CLEAR(pool->notices);
	Py_CLEAR(pool->fleet);
	Py_TYPE(self)->tp_free(self);
}

static int
pool_traverse(PyObject *self, visitproc visit, void *arg)
{
	struct pool	*pool = (struct pool *)self;

	Py_VISIT(pool->fleet);
	Py_VISIT(pool->loop);
	Py_VISIT(pool->timer);
	Py_VISIT(pool->on_notice);
	Py_VISIT(pool->notices);
	return 0;
}

static int
pool_clear(PyObject *self)
{
	struct pool	*pool = (struct pool *)self;

	Py_CLEAR(pool->timer);
	return 0;
}

static PyMethodDef methods[] = {
	{ "query", METHOD(pool_query), METH_FASTCALL | METH_KEYWORDS,
	  "query(group, sql, *parameters, after=0, wait=None, alone=False, "
	  "position=False)\n"
	  "\n"
	  "Run one query in a group and return its Rows.\n"
	  "\n"
	  "$1, $2, ... in the SQL are the parameters, of the types that the "
	  "server\nexpects there. The query is its own transaction and shares "
	  "a connection with\nothers; SQL that opens a transaction or changes "
	  "the session needs a lease.\n"
	  "\n"
	  "after     a position() that the server must have replayed\n"
	  "wait      seconds to wait for a connection; default: the group's "
	  "acquire_timeout\n"
	  "alone     share no Sync with other reads\n"
	  "position  have position() tell where the WAL is after this write" },
	{ "execute", METHOD(pool_execute), METH_FASTCALL | METH_KEYWORDS,
	  "execute(group, sql, *parameters, after=0, wait=None, alone=False, "
	  "position=False)\n"
	  "\n"
	  "As query(), but return how many rows were affected." },
	{ "_lease", METHOD(pool_lease), METH_FASTCALL | METH_KEYWORDS, NULL },
	{ "_listen", pool_listen, METH_O, NULL },
	{ "attend", pool_attend_method, METH_NOARGS,
	  "attend()\n--\n\n"
	  "Look after idle connections, and learn of servers that failed, "
	  "without waiting.\nA process with other work may call it every "
	  "second or so." },
	{ "stats", pool_stats, METH_O,
	  "stats(group)\n--\n\n"
	  "Counts of this pool's share of a group, as a dict." },
	{ "describe", describe_pool, METH_VARARGS,
	  "describe(group, sql)\n--\n\n"
	  "The types of a statement's parameters and columns, without running "
	  "it: a\nDescription." },
	{ "on_notice", pool_on_notice, METH_O,
	  "on_notice(handler)\n--\n\n"
	  "Call handler(Notice) for each notice of a server, except those of "
	  "leases that\nhave a handler of their own; None: notices are "
	  "ignored. The handler runs inside\nof calls that wait; its "
	  "exceptions are reported on stderr." },
	{ "position", pool_position, METH_NOARGS,
	  "position()\n--\n\n"
	  "The position in the WAL after the last write that was run with "
	  "position=True:\ngive it to query(..., after=...), in any process, "
	  "to read that write. 0 before." },
	{ "close", pool_close, METH_NOARGS,
	  "close()\n--\n\n"
	  "Close every connection. The next use opens the pool again." },
	{ "_release", pool_release, METH_NOARGS, NULL },
	{ "_trace", pool_trace, METH_O, NULL },
	{ "_cancel", pool_cancel, METH_O, NULL },
	{ "_tick", pool_tick, METH_NOARGS, NULL },
	{ "_readable", pool_readable, METH_O, NULL },
	{ "_writable", pool_writable, METH_O, NULL },
	{ NULL, NULL, 0, NULL }
};

PyTypeObject Pool_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "mews._mews.Pool",
	.tp_basicsize = sizeof(struct pool),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE |
	    Py_TPFLAGS_HAVE_GC,
	.tp_new = pool_new,
	.tp_dealloc = pool_dealloc,
	.tp_traverse = pool_traverse,
	.tp_clear = pool_clear,
	.tp_methods = methods,
};
