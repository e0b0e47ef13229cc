/*
 * view.c - a fleet's segment as Python's dicts, and the slots of processes that
 * are gone, which the fleet's creator gives back.
 */
#include "binding.h"

#include <errno.h>
#include <signal.h>

static struct mews_view *
open_view(struct fleet *fleet)
{
	struct mews_view	*view;
	struct mews_error	 error;
	enum mews_status	 status;

	if (fleet->handle == NULL) {
		error_raise(MEWS_INVALID, "the fleet is closed");
		return NULL;
	}
	status = mews_view_open_fleet(&view, fleet->handle, &error);
	if (status != MEWS_OK)
		error_raise(status, error.message);
	return view;
}

/* Convert milliseconds to seconds; None: not known. */
static PyObject *
seconds(int64_t ms)
{
	if (ms < 0)
		return Py_NewRef(Py_None);
	return PyFloat_FromDouble((double)ms / 1000);
}

static PyObject *
endpoint_dict(const struct mews_view_endpoint *e)
{
	return Py_BuildValue("{ss ss ss ss sN sN sI sI sI sI sN sN sI sI sK "
	    "sN sK}",
	    "name", e->name, "state", e->state, "role", e->role,
	    "reason", e->reason,
	    "drained", PyBool_FromLong(e->drained),
	    "outdated", PyBool_FromLong(e->outdated),
	    "failures", e->failures, "connections", e->connections,
	    "max_connections", e->max_connections, "cap", e->cap,
	    "changed", seconds(e->changed_ms),
	    "retry_in", seconds(e->retry_in_ms),
	    "rtt_us", e->rtt_us, "timeline", e->timeline,
	    "lsn", (unsigned long long)e->lsn, "lag", seconds(e->lag_ms),
	    "lag_bytes", (unsigned long long)e->lag_bytes);
}

static PyObject *
worker_dict(const struct mews_view_worker *w)
{
	return Py_BuildValue("{si ss sN sN sI sI sK sK sK}",
	    "pid", (int)w->pid, "state", mews_worker_state_name(w->state),
	    "uptime", seconds(w->uptime_ms),
	    "heartbeat_age", seconds(w->heartbeat_age_ms),
	    "waiting", w->waiting, "in_flight", w->in_flight,
	    "requests", (unsigned long long)w->requests,
	    "queries", (unsigned long long)w->queries,
	    "errors", (unsigned long long)w->errors);
}

/* Append @item, which is taken; false: an exception is set. */
static bool
append(PyObject *list, PyObject *item)
{
	bool	done = item != NULL && PyList_Append(list, item) == 0;

	Py_XDECREF(item);
	return done;
}

static bool
list_endpoints(PyObject *list, const struct mews_view *view, uint32_t count)
{
	struct mews_view_endpoint endpoint;

	for (uint32_t i = 0; i < count; i++)
		if (mews_view_endpoint(view, i, &endpoint,
			sizeof(endpoint)) &&
		    !append(list, endpoint_dict(&endpoint)))
			return false;
	return true;
}

static bool
list_workers(PyObject *list, const struct mews_view *view, uint32_t count)
{
	struct mews_view_worker worker;

	for (uint32_t i = 0; i < count; i++)
		if (mews_view_worker(view, i, &worker, sizeof(worker)) &&
		    !append(list, worker_dict(&worker)))
			return false;
	return true;
}

PyObject *
view_status(PyObject *self, PyObject *unused)
{
	struct mews_view       *view = open_view((struct fleet *)self);
	struct mews_view_fleet	fleet;
	PyObject	       *endpoints, *workers, *status = NULL;

	(void)unused;
	if (view == NULL)
		return NULL;
	mews_view_fleet(view, &fleet, sizeof(fleet));
	endpoints = PyList_New(0);
	workers = PyList_New(0);
	if (endpoints != NULL && workers != NULL &&
	    list_endpoints(endpoints, view, fleet.endpoint_count) &&
	    list_workers(workers, view, fleet.slot_count))
		status = Py_BuildValue("{ss sN sI si sO sO}",
		    "instance", fleet.instance,
		    "uptime", seconds(fleet.uptime_ms),
		    "slots", fleet.slot_count,
		    "monitor", (int)fleet.monitor_pid,
		    "endpoints", endpoints, "workers", workers);
	Py_XDECREF(endpoints);
	Py_XDECREF(workers);
	mews_view_close(&view);
	return status;
}

PyObject *
view_drain(PyObject *self, PyObject *args)
{
	struct fleet		*fleet = (struct fleet *)self;
	const char		*endpoint;
	int			 drained = 1;
	struct mews_error	 error;
	enum mews_status	 status;

	if (!PyArg_ParseTuple(args, "s|p", &endpoint, &drained))
		return NULL;
	if (fleet->handle == NULL)
		return error_raise(MEWS_INVALID, "the fleet is closed");
	status = mews_fleet_drain(fleet->handle, endpoint, drained != 0,
	    &error);
	if (status != MEWS_OK)
		return error_raise(status, error.message);
	Py_RETURN_NONE;
}

long
view_reap(struct fleet *fleet)
{
	struct mews_view       *view;
	struct mews_view_fleet	all;
	struct mews_view_worker worker;
	long			count = 0;

	if (fleet->handle == NULL || fleet->creator != getpid() ||
	    mews_view_open_fleet(&view, fleet->handle, NULL) != MEWS_OK)
		return 0;
	mews_view_fleet(view, &all, sizeof(all));
	for (uint32_t i = 0; i < all.slot_count; i++)
		if (mews_view_worker(view, i, &worker, sizeof(worker)) &&
		    worker.pid > 0 && kill(worker.pid, 0) == -1 &&
		    errno == ESRCH)
			count += mews_fleet_reap(fleet->handle, worker.pid);
	mews_view_close(&view);
	return count;
}
