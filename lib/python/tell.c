/*
 * tell.c - a fleet's events, as calls of the function that Fleet(log=) gave.
 */
#include "binding.h"

/* Call the host's log. The GIL may not be held, as the monitor waits
 * without. */
static void
log_line(void *arg, enum mews_log_level level, const char *event,
    const char *text)
{
	static const char *const names[] = {
		"debug", "info", "warning", "error"
	};
	struct fleet		*fleet = arg;
	PyGILState_STATE	 state = PyGILState_Ensure();
	PyObject		*type, *value, *trace, *done;

	PyErr_Fetch(&type, &value, &trace);
	if (fleet->log != NULL) {
		done = PyObject_CallFunction(fleet->log, "sss",
		    (unsigned)level < 4 ? names[level] : "?", event, text);
		if (done == NULL)
			PyErr_WriteUnraisable(fleet->log);
		Py_XDECREF(done);
	}
	PyErr_Restore(type, value, trace);
	PyGILState_Release(state);
}

void
fleet_tell(struct fleet *fleet, enum mews_log_level level, const char *event,
    const char *text)
{
	log_line(fleet, level, event, text);
}

void
fleet_listen(struct fleet *fleet)
{
	if (fleet->log != NULL)
		mews_fleet_set_log(fleet->handle, log_line, fleet);
}
