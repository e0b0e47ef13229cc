/*
 * lease.c - mews.Lease: one connection, held exclusively.
 *
 * A Lease without references ends its lease, and all that was open on it is
 * rolled back. In another thread than the pool's it cannot: the pool takes such
 * a lease away after the group's query_timeout, as forgotten.
 */
#include "binding.h"

#include <mews/sql.h>
#include <strings.h>

static PyObject *
lease_new(struct pool *pool, struct mews_group *group,
    struct mews_lease *handle)
{
	struct lease	*lease = PyObject_New(struct lease, &Lease_Type);

	if (lease == NULL) {
		mews_lease_end(&handle);
		return NULL;
	}
	lease->pool = (struct pool *)Py_NewRef((PyObject *)pool);
	lease->handle = handle;
	lease->group = group;
	lease->on_notice = NULL;
	lease->stream = NULL;
	lease->block = lease->heavy = false;
	lease->canceled = 0;
	lease->generation = pool->generation;
	return (PyObject *)lease;
}

/* The callback of a wait for a lease, as call_done() is of queries. */
struct borrow {
	struct call *call;
	struct mews_group *group;
};

static void
on_lease(void *arg, struct mews_lease *handle,
    const struct mews_result *result)
{
	struct borrow	*borrow = arg;
	struct call	*call = borrow->call;
	PyObject	*value = NULL, *error = NULL;

	if (handle == NULL)
		error = error_of_result(result);
	else
		value = lease_new(call->pool, borrow->group, handle);
	PyMem_Free(borrow);
	/* If no caller waits any more, the Lease ends at this DECREF. */
	call_finish(call, value, error);
}

PyObject *
lease_borrow(struct pool *pool, struct mews_group *group, uint32_t wait_ms,
    uint64_t after)
{
	struct mews_lease	*handle = after != 0 ? NULL :
				    mews_lease_try(group);
	struct borrow		*borrow;
	struct call		*call;
	enum mews_status	 status;

	if (handle != NULL && !pool->asynchronous)
		return lease_new(pool, group, handle);
	if ((call = call_new(pool, CALL_LEASE)) == NULL) {
		mews_lease_end(&handle);
		return NULL;
	}
	if (handle != NULL) {
		PyObject *future = Py_NewRef(call->future);

		call_finish(call, lease_new(pool, group, handle), NULL);
		return future;
	}
	if ((borrow = PyMem_Malloc(sizeof(*borrow))) == NULL) {
		call_free(call);
		return PyErr_NoMemory();
	}
	*borrow = (struct borrow) { call, group };
	status = mews_lease_begin_after(group, after, wait_ms, on_lease,
	    borrow, &call->id);
	if (status != MEWS_OK) {
		PyMem_Free(borrow);
		return call_refuse(call, error_of_group(status, group));
	}
	return call_result(call);
}

/* Are the arguments SQL, and parameters, that may be run? */
static bool
may_run(const struct lease *lease, PyObject *const *args, Py_ssize_t count)
{
	const char	*text;

	if (count < 1) {
		PyErr_SetString(PyExc_TypeError, "SQL, then its parameters");
		return false;
	}
	if (!lease->block || !PyUnicode_Check(args[0]))
		return true;
	if ((text = PyUnicode_AsUTF8(args[0])) == NULL)
		return false;
	if (!sql_ends(text))
		return true;
	error_raise(MEWS_INVALID, "this SQL would end the transaction within "
	    "its block: leave the block to commit it, or call its "
	    "rollback()");
	return false;
}

static PyObject *
run(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names,
    enum call_want want)
{
	struct lease	*lease = (struct lease *)self;
	struct pool	*pool = lease_ask(lease);

	if (pool == NULL || !may_run(lease, args, count))
		return NULL;
	if (lease_is_late(lease))
		return lease_later(lease, want == CALL_COUNT ? "execute" :
		    "query", args, count, names);
	return call_query(pool, NULL, lease, want, args, count, names);
}

static PyObject *
lease_query(PyObject *self, PyObject *const *args, Py_ssize_t count,
    PyObject *names)
{
	return run(self, args, count, names, CALL_ROWS);
}

static PyObject *
lease_execute(PyObject *self, PyObject *const *args, Py_ssize_t count,
    PyObject *names)
{
	return run(self, args, count, names, CALL_COUNT);
}

static enum mews_switch
switch_of(PyObject *value)
{
	return value == Py_None ? MEWS_SWITCH_DEFAULT :
	    PyObject_IsTrue(value) > 0 ? MEWS_SWITCH_ON : MEWS_SWITCH_OFF;
}

static bool
isolation_of(const char *name, enum mews_isolation *out)
{
	static const char *const names[] = {
		"", "read committed", "repeatable read", "serializable"
	};

	for (int i = 0; i < 4; i++)
		if (strcasecmp(name, names[i]) == 0) {
			*out = (enum mews_isolation)i;
			return true;
		}
	PyErr_Format(PyExc_ValueError, "isolation '%s' is neither 'read "
	    "committed', 'repeatable read' nor 'serializable'", name);
	return false;
}

/* begin(isolation="", read_only=None, deferrable=None) */
static PyObject *
lease_begin(PyObject *self, PyObject *args)
{
	struct lease		*lease = (struct lease *)self;
	const char		*isolation = NULL;
	PyObject		*read_only = Py_None, *deferrable = Py_None;
	struct mews_transaction	 options = { 0 };
	enum mews_status	 status;

	if (!PyArg_ParseTuple(args, "|zOO", &isolation, &read_only,
	    &deferrable) || lease_ask(lease) == NULL ||
	    (isolation != NULL &&
	    !isolation_of(isolation, &options.isolation)))
		return NULL;
	options.read_only = switch_of(read_only);
	options.deferrable = switch_of(deferrable);
	status = mews_lease_transaction(lease->handle, &options);
	if (status != MEWS_OK)
		return error_raise(status,
		    mews_group_message(lease->group));
	lease->block = true;
	Py_RETURN_NONE;
}

/* Calls that take only the lease, and calls that take a savepoint's name. */
typedef enum mews_status plain_fn(struct mews_lease *, mews_query_fn *,
    void *);
typedef enum mews_status named_fn(struct mews_lease *, const char *,
    mews_query_fn *, void *);

static PyObject *
finish(PyObject *self, const char *method, plain_fn *plain, named_fn *named,
    PyObject *name)
{
	struct lease		*lease = (struct lease *)self;
	struct pool		*pool = lease_ask(lease);
	const char		*text = NULL;
	struct call		*call;
	enum mews_status	 status;

	if (pool == NULL || (name != NULL &&
	    (text = PyUnicode_AsUTF8(name)) == NULL))
		return NULL;
	if (lease_is_late(lease))
		return lease_later(lease, method, &name, name != NULL, NULL);
	call = call_new(pool, named != NULL ? CALL_NONE : CALL_END);
	if (call == NULL)
		return NULL;
	if (named == NULL)
		lease->block = false;
	status = named != NULL ?
	    named(lease->handle, text, call_done, call) :
	    plain(lease->handle, call_done, call);
	if (status != MEWS_OK)
		return call_refuse(call, error_of_group(status,
		    lease->group));
	return call_result(call);
}

static PyObject *
lease_commit(PyObject *self, PyObject *unused)
{
	(void)unused;
	return finish(self, "commit", mews_lease_commit, NULL, NULL);
}

static PyObject *
lease_rollback(PyObject *self, PyObject *unused)
{
	(void)unused;
	return finish(self, "rollback", mews_lease_rollback, NULL, NULL);
}

static PyObject *
lease_savepoint(PyObject *self, PyObject *name)
{
	return finish(self, "savepoint", NULL, mews_lease_savepoint, name);
}

static PyObject *
lease_rollback_to(PyObject *self, PyObject *name)
{
	return finish(self, "rollback_to", NULL, mews_lease_rollback_to,
	    name);
}

static PyObject *
lease_release(PyObject *self, PyObject *name)
{
	return finish(self, "release", NULL, mews_lease_release_savepoint,
	    name);
}

static PyObject *
lease_rows(PyObject *self, PyObject *const *args, Py_ssize_t count,
    PyObject *names)
{
	struct lease	*lease = (struct lease *)self;

	if (lease_ask(lease) == NULL || !may_run(lease, args, count))
		return NULL;
	return stream_rows(lease, args, count, names);
}

static PyObject *
lease_copy_out(PyObject *self, PyObject *sql)
{
	return stream_copy((struct lease *)self, STREAM_COPY_OUT, sql);
}

static PyObject *
lease_copy_in(PyObject *self, PyObject *sql)
{
	return stream_copy((struct lease *)self, STREAM_COPY_IN, sql);
}

static PyObject *
lease_on_notice(PyObject *self, PyObject *handler)
{
	struct lease	*lease = (struct lease *)self;

	if (lease_use(lease) == NULL || !notice_set_lease(lease, handler))
		return NULL;
	Py_RETURN_NONE;
}

/* Give the lease back; false: only its own thread can. */
static bool
give_back(struct lease *lease)
{
	struct pool	*pool = lease->pool;

	if (lease->handle == NULL)
		return true;
	if (lease->generation == pool->generation && pool->handle != NULL &&
	    pool->thread != PyThread_get_thread_ident())
		return false;
	mews_lease_end(&lease->handle);
	return true;
}

static PyObject *
lease_end(PyObject *self, PyObject *unused)
{
	struct lease	*lease = (struct lease *)self;
	struct pool	*pool = lease->pool;

	(void)unused;
	if (!give_back(lease))
		return error_raise(MEWS_INVALID, "another thread's lease");
	/* Work that was left open ends now, not at the pool's next use. */
	if (pool->asynchronous ? !pool_schedule(pool) :
	    pool->handle != NULL && !pool_attend(pool))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
lease_endpoint(PyObject *self, void *unused)
{
	struct lease	*lease = (struct lease *)self;

	(void)unused;
	if (lease_use(lease) == NULL)
		return NULL;
	return PyUnicode_FromString(mews_lease_endpoint(lease->handle));
}

static void
lease_dealloc(PyObject *self)
{
	struct lease	*lease = (struct lease *)self;

	/* A lease that its own thread must take away may still get notices. */
	if (give_back(lease))
		Py_CLEAR(lease->on_notice);
	Py_CLEAR(lease->pool);
	PyObject_Free(self);
}

static PyMethodDef methods[] = {
	{ "query", METHOD(lease_query), METH_FASTCALL | METH_KEYWORDS, NULL },
	{ "execute", METHOD(lease_execute), METH_FASTCALL | METH_KEYWORDS,
	  NULL },
	{ "begin", lease_begin, METH_VARARGS, NULL },
	{ "commit", lease_commit, METH_NOARGS, NULL },
	{ "rollback", lease_rollback, METH_NOARGS, NULL },
	{ "savepoint", lease_savepoint, METH_O, NULL },
	{ "rollback_to", lease_rollback_to, METH_O, NULL },
	{ "release", lease_release, METH_O, NULL },
	{ "rows", METHOD(lease_rows), METH_FASTCALL | METH_KEYWORDS, NULL },
	{ "copy_out", lease_copy_out, METH_O, NULL },
	{ "copy_in", lease_copy_in, METH_O, NULL },
	{ "script", script_run, METH_O, NULL },
	{ "describe", describe_lease, METH_O, NULL },
	{ "quote_literal", quote_literal, METH_O, NULL },
	{ "quote_identifier", quote_identifier, METH_O, NULL },
	{ "on_notice", lease_on_notice, METH_O, NULL },
	{ "free", lease_free, METH_NOARGS, NULL },
	{ "end", lease_end, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static PyGetSetDef getset[] = {
	{ "endpoint", lease_endpoint, NULL,
	  "The name of the endpoint that the connection leads to.", NULL },
	{ "busy", lease_busy, NULL,
	  "Whether calls wait for the end of a COPY, or of a script.", NULL },
	{ NULL, NULL, NULL, NULL, NULL }
};

PyTypeObject Lease_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "mews._mews.Lease",
	.tp_doc = "One connection, as mews.Lease and mews.AsyncLease use it.",
	.tp_basicsize = sizeof(struct lease),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.tp_dealloc = lease_dealloc,
	.tp_methods = methods,
	.tp_getset = getset,
};
