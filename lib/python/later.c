/*
 * later.c - calls of an event loop on a lease that is busy: an awaitable that
 * calls again when behind.c says that the lease is free.
 */
#include "binding.h"

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

static void
behind_told(struct behind *behind)
{
	struct call	*call = behind->call;

	Py_DECREF(behind->lease);
	PyMem_Free(behind);
	call_finish(call, Py_NewRef(Py_None), NULL);
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
	behind->told = behind_told;
	TAILQ_INSERT_TAIL(&lease->pool->behind, behind, link);
	return call_result(call);
}
