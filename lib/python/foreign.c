/*
 * foreign.c - a server for another driver, and that driver's reports on it.
 */
#include "binding.h"

/* The keywords of a conninfo, as a dict. */
static PyObject *
parameters(const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	PyObject	 *dict = PyDict_New(), *value;

	for (const PQconninfoOption *o = options; options != NULL &&
	    dict != NULL && o->keyword != NULL; o++) {
		if (o->val == NULL)
			continue;
		value = PyUnicode_DecodeLocale(o->val, "surrogateescape");
		if (value == NULL ||
		    PyDict_SetItemString(dict, o->keyword, value) == -1)
			Py_CLEAR(dict);
		Py_XDECREF(value);
	}
	if (options == NULL) {
		Py_CLEAR(dict);
		PyErr_NoMemory();
	}
	PQconninfoFree(options);
	return dict;
}

PyObject *
foreign_choose(PyObject *self, PyObject *args)
{
	struct fleet		*fleet = (struct fleet *)self;
	struct mews_wanted	 wanted = { 0 };
	struct mews_choice	 choice;
	struct mews_error	 error;
	enum mews_status	 status;
	unsigned long long	 bytes;
	PyObject		*dict;

	if (!PyArg_ParseTuple(args, "sIK", &wanted.role, &wanted.max_lag,
	    &bytes))
		return NULL;
	wanted.max_lag_bytes = bytes;
	if (fleet->handle == NULL)
		return error_raise(MEWS_INVALID, "the fleet is closed");
	status = mews_fleet_choose(fleet->handle, &wanted, &choice,
	    sizeof(choice), &error);
	if (status != MEWS_OK)
		return error_raise(status, error.message);
	if ((dict = parameters(choice.conninfo)) == NULL)
		return NULL;
	return Py_BuildValue("(ssNsN)", choice.endpoint, choice.role,
	    choice.lag_ms < 0 ? Py_NewRef(Py_None) :
	    PyFloat_FromDouble((double)choice.lag_ms / 1000),
	    choice.conninfo, dict);
}

PyObject *
foreign_report(PyObject *self, PyObject *args)
{
	struct fleet		*fleet = (struct fleet *)self;
	const char		*endpoint, *message;
	struct mews_error	 error;
	enum mews_status	 status;

	if (!PyArg_ParseTuple(args, "sz", &endpoint, &message))
		return NULL;
	if (fleet->handle == NULL)
		return error_raise(MEWS_INVALID, "the fleet is closed");
	status = mews_fleet_report(fleet->handle, endpoint, message != NULL ?
	    MEWS_REPORT_FAILED : MEWS_REPORT_WORKED, message, &error);
	if (status != MEWS_OK)
		return error_raise(status, error.message);
	Py_RETURN_NONE;
}
