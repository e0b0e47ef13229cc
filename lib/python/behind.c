/*
 * behind.c - calls that wait until their lease is free.
 *
 * libmews refuses what is asked while a COPY or a script runs. One that was
 * cancelled, or left, goes on for a moment: until the server said how it ended.
 * And while the server is being asked to cancel a query, it might cancel the
 * next one in its place.
 */
#include "binding.h"

/* Somebody who waits for a lease to be free. */
struct behind {
	LIST_ENTRY(behind) link; /* of its pool's; not where it is free */
	struct lease *lease;
	struct call *call; /* whose future is told; NULL: a call blocks */
	bool free;
};

bool
lease_is_free(struct lease *lease)
{
	/* An ended lease, or one that was lost, is for its user to be told. */
	if (lease->handle == NULL || lease->pool->handle == NULL ||
	    lease->generation != lease->pool->generation)
		return true;
	if (lease->heavy &&
	    (mews_lease_state(lease->handle) != MEWS_TRANSACTION_UNKNOWN ||
	    mews_copy_put(lease->handle, NULL, 0) == MEWS_UNAVAILABLE))
		lease->heavy = false;
	return !lease->heavy && lease->canceled == 0;
}

void
behind_look(struct pool *pool)
{
	struct behind	*each, *next;
	struct call	*call;

	for (each = LIST_FIRST(&pool->behind); each != NULL; each = next) {
		next = LIST_NEXT(each, link);
		if (!lease_is_free(each->lease))
			continue;
		LIST_REMOVE(each, link);
		each->free = true;
		if ((call = each->call) == NULL)
			continue;
		Py_DECREF(each->lease);
		PyMem_Free(each);
		call_finish(call, Py_NewRef(Py_None), NULL);
	}
}

bool
lease_wait_free(struct lease *lease)
{
	struct behind	mine = { .lease = lease };
	bool		ended;

	if (lease_is_free(lease))
		return true;
	LIST_INSERT_HEAD(&lease->pool->behind, &mine, link);
	ended = pool_wait(lease->pool, &mine.free, -1);
	if (!mine.free)
		LIST_REMOVE(&mine, link);
	return ended;
}

bool
lease_is_late(struct lease *lease)
{
	return (lease->heavy || lease->canceled > 0) &&
	    lease->pool->asynchronous &&
	    !lease_is_free(lease);
}

PyObject *
lease_later(struct lease *lease, const char *method, PyObject *const *args,
    Py_ssize_t count, PyObject *names)
{
	PyObject	*later = load_import("mews.aio", "later");
	PyObject	*call[3 + 255];
	PyObject	*name, *task = NULL;
	Py_ssize_t	 options = names == NULL ? 0 : PyTuple_GET_SIZE(names);
	PyObject	**all = call;

	if (later == NULL || (name = PyUnicode_FromString(method)) == NULL)
		return NULL;
	if (count + options > 255)
		all = PyMem_Calloc((size_t)(count + options) + 2,
		    sizeof(*all));
	if (all == NULL) {
		Py_DECREF(name);
		return PyErr_NoMemory();
	}
	all[0] = (PyObject *)lease;
	all[1] = name;
	for (Py_ssize_t i = 0; i < count + options; i++)
		all[2 + i] = args[i];
	task = PyObject_Vectorcall(later, all, (size_t)count + 2, names);
	if (all != call)
		PyMem_Free(all);
	Py_DECREF(name);
	return task;
}

PyObject *
lease_busy(PyObject *self, void *unused)
{
	struct lease	*lease = (struct lease *)self;

	(void)unused;
	if (lease_ask(lease) == NULL)
		return NULL;
	return PyBool_FromLong(!lease_is_free(lease));
}

PyObject *
lease_free(PyObject *self, PyObject *unused)
{
	struct lease	*lease = (struct lease *)self;
	struct behind	*behind;
	struct call	*call;

	(void)unused;
	if ((call = call_new(lease->pool, CALL_NONE)) == NULL)
		return NULL;
	if (lease_is_free(lease))
		return call_give(call, Py_NewRef(Py_None));
	if ((behind = PyMem_Calloc(1, sizeof(*behind))) == NULL) {
		call_free(call);
		return PyErr_NoMemory();
	}
	behind->lease = (struct lease *)Py_NewRef(self);
	behind->call = call;
	LIST_INSERT_HEAD(&lease->pool->behind, behind, link);
	return call_result(call);
}
