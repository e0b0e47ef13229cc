/*
 * fleet.c - mews.Fleet: the segment, made before the fork, and this process'
 * slot in it. Attaching: attach.c; dicts of it: view.c.
 *
 * Every fleet of a process is in one list, for the hooks that run at a fork:
 * the parent gives back the slots of children that are gone; the child ends its
 * copies of the parent's pools, without sending anything to servers, and joins
 * at its first use. If Python was not told of the fork, see fork.c.
 */
#include "binding.h"

#include "config.h"

#include <string.h>

static LIST_HEAD(, fleet) fleets = LIST_HEAD_INITIALIZER(fleets);

/* Join the reports of mistakes to one text of lines. */
static void
on_mistake(void *arg, const char *line)
{
	PyObject **text = arg;
	PyObject  *more;

	if (*text == NULL)
		return;
	more = PyUnicode_FromFormat("%U%s%s", *text,
	    PyUnicode_GET_LENGTH(*text) > 0 ? "\n" : "", line);
	Py_SETREF(*text, more);
}

/* Fleet(path, runtime_file, log, attach) */
static int
fleet_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct fleet	*fleet = (struct fleet *)self;
	const char	*path, *runtime_file;
	PyObject	*log, *mistakes;
	struct config	*config;
	struct mews_error error = { .message = "out of memory" };
	enum mews_status status;
	int		 attach;

	(void)kwargs;
	if (!PyArg_ParseTuple(args, "szOp", &path, &runtime_file, &log,
		&attach))
		return -1;
	if (fleet->handle != NULL) {
		error_raise(MEWS_INVALID, "this Fleet was made already");
		return -1;
	}
	if ((mistakes = PyUnicode_FromString("")) == NULL)
		return -1;
	if (!config_load_fleet(&config, path, on_mistake, &mistakes)) {
		if (mistakes != NULL)
			error_raise(MEWS_INVALID, PyUnicode_AsUTF8(mistakes));
		Py_XDECREF(mistakes);
		return -1;
	}
	Py_XDECREF(mistakes);
	status = attach_make(&fleet->handle, config, runtime_file, attach,
	    &error);
	if (status != MEWS_OK) {
		config_free(&config);
		error_raise(status, error.message);
		return -1;
	}
	LIST_INSERT_HEAD(&fleets, fleet, link);
	if (attach) {
		fleet->config = config;
		if (runtime_file != NULL)
			fleet->runtime_file = strdup(runtime_file);
	} else {
		fleet->creator = getpid();
		config_free(&config);
	}
	if (log != Py_None)
		fleet->log = Py_NewRef(log);
	fleet_listen(fleet);
	return 0;
}

/* The child of a fork inside of a loop shares the loop's descriptor with the
 * parent: watching in either wakes both. */
static bool
loop_runs(PyObject *loop)
{
	PyObject	*answer = PyObject_CallMethod(loop, "is_running", NULL);
	bool		 runs = answer == Py_True;

	if (answer == NULL)
		PyErr_WriteUnraisable(loop);
	Py_XDECREF(answer);
	return runs;
}

PyObject *
fleet_forked(PyObject *module, PyObject *unused)
{
	struct fleet	*fleet;
	struct pool	*pool;

	(void)module;
	(void)unused;
	LIST_FOREACH (fleet, &fleets, link) {
		fleet->joined = 0;
		LIST_FOREACH (pool, &fleet->pools, link) {
			pool_shut(pool);
			if (pool->loop != NULL && loop_runs(pool->loop))
				pool->astray = true;
		}
	}
	Py_RETURN_NONE;
}

/* End the fleet, if this thread can close every pool of it. */
static bool
fleet_shut(struct fleet *fleet)
{
	struct pool	*pool;

	if (fleet->handle == NULL)
		return true;
	LIST_FOREACH (pool, &fleet->pools, link)
		if (pool->handle != NULL && pool->depth > 0) {
			error_raise(MEWS_INVALID, "the fleet cannot be closed "
			    "from inside a callback of its pool");
			return false;
		} else if (pool->handle != NULL &&
		    pool->thread != PyThread_get_thread_ident()) {
			error_raise(MEWS_INVALID, "another thread has a pool "
			    "of this fleet open: close that there first");
			return false;
		}
	LIST_FOREACH (pool, &fleet->pools, link)
		pool_shut(pool);
	mews_fleet_set_log(fleet->handle, NULL, NULL);
	LIST_REMOVE(fleet, link);
	mews_fleet_destroy(&fleet->handle);
	attach_end(fleet);
	fleet->joined = 0;
	return true;
}

static PyObject *
fleet_close(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (!fleet_shut((struct fleet *)self))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
fleet_reap(PyObject *self, PyObject *args)
{
	struct fleet	*fleet = (struct fleet *)self;
	PyObject	*pid = Py_None;
	long		 number;

	if (!PyArg_ParseTuple(args, "|O", &pid))
		return NULL;
	if (pid == Py_None)
		return PyLong_FromLong(view_reap(fleet));
	number = PyLong_AsLong(pid);
	if (number == -1 && PyErr_Occurred())
		return NULL;
	return PyBool_FromLong(fleet->handle != NULL &&
	    mews_fleet_reap(fleet->handle, (pid_t)number));
}

PyObject *
fleet_forking(PyObject *module, PyObject *unused)
{
	struct fleet	*fleet;

	(void)module;
	(void)unused;
	LIST_FOREACH (fleet, &fleets, link)
		view_reap(fleet);
	Py_RETURN_NONE;
}

static PyObject *
fleet_run_monitor(PyObject *self, PyObject *stop)
{
	struct fleet		*fleet = (struct fleet *)self;
	struct mews_error	 error;
	enum mews_status	 status;
	int			 fd = PyObject_AsFileDescriptor(stop);

	if (fd == -1)
		return NULL;
	if (fleet->handle == NULL)
		return error_raise(MEWS_INVALID, "the fleet is closed");
	Py_BEGIN_ALLOW_THREADS
	status = mews_monitor_run(fleet->handle, fd, &error);
	Py_END_ALLOW_THREADS
	if (status != MEWS_OK)
		return error_raise(status, error.message);
	Py_RETURN_NONE;
}

static PyObject *
fleet_count(PyObject *self, PyObject *number)
{
	struct fleet	*fleet = (struct fleet *)self;
	long		 count = PyLong_AsLong(number);

	if (count == -1 && PyErr_Occurred())
		return NULL;
	if (fleet->handle != NULL && count > 0 && fleet->joined == getpid())
		mews_fleet_count_requests(fleet->handle, (uint32_t)count);
	Py_RETURN_NONE;
}

static PyObject *
fleet_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	PyObject	*self = type->tp_alloc(type, 0);

	(void)args;
	(void)kwargs;
	if (self != NULL)
		LIST_INIT(&((struct fleet *)self)->pools);
	return self;
}

/* There is no pool left, as each one holds its fleet. */
static void
fleet_dealloc(PyObject *self)
{
	struct fleet	*fleet = (struct fleet *)self;

	PyObject_GC_UnTrack(self);
	if (!fleet_shut(fleet))
		PyErr_WriteUnraisable(NULL);
	Py_CLEAR(fleet->log);
	Py_TYPE(self)->tp_free(self);
}

static int
fleet_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(((struct fleet *)self)->log);
	return 0;
}

static int
fleet_clear(PyObject *self)
{
	Py_CLEAR(((struct fleet *)self)->log);
	return 0;
}

static PyMethodDef methods[] = {
	{ "close", fleet_close, METH_NOARGS,
	  "close()\n--\n\n"
	  "Close this thread's pools, give the slot back and unmap the "
	  "segment." },
	{ "reap", fleet_reap, METH_VARARGS,
	  "reap(pid=None)\n--\n\n"
	  "Give back the slot of a child that ended, after os.waitpid() said "
	  "so.\nReturns True if the child had one. Without a pid, in the "
	  "process that made the\nfleet: give back the slots of all processes "
	  "that are gone; returns how many. Each\nfork does that by itself." },
	{ "status", view_status, METH_NOARGS,
	  "status()\n--\n\n"
	  "All that is known of the endpoints and the processes, as a dict: "
	  "what `mews status`\nshows. Times are seconds; None: not known." },
	{ "drain", view_drain, METH_VARARGS,
	  "drain(endpoint, drained=True)\n--\n\n"
	  "Drain an endpoint: it gets no new work, and its connections are "
	  "closed when\nthey are idle. With False: give it work again. All "
	  "processes obey within a second." },
	{ "count_requests", fleet_count, METH_O,
	  "count_requests(number)\n--\n\n"
	  "Count requests that this process answered, for mews status." },
	{ "_choose", foreign_choose, METH_VARARGS, NULL },
	{ "_report", foreign_report, METH_VARARGS, NULL },
	{ "_run_monitor", fleet_run_monitor, METH_O, NULL },
	{ NULL, NULL, 0, NULL }
};

PyTypeObject Fleet_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "mews._mews.Fleet",
	.tp_basicsize = sizeof(struct fleet),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE |
	    Py_TPFLAGS_HAVE_GC,
	.tp_new = fleet_new,
	.tp_init = fleet_init,
	.tp_dealloc = fleet_dealloc,
	.tp_traverse = fleet_traverse,
	.tp_clear = fleet_clear,
	.tp_methods = methods,
};
