/*
 * error.c - how a query ended, as an exception of mews.errors.
 *
 * The classes are Python's; mews/errors.py chooses the class, by the status'
 * name and the SQLSTATE.
 */
#include "binding.h"

/* "" if the server gave none. */
static const char *
field(const PGresult *pg, int code)
{
	const char *text = pg == NULL ? NULL : PQresultErrorField(pg, code);

	return text == NULL ? "" : text;
}

PyObject *
error_new(enum mews_status status, const char *sqlstate, const char *message,
    const char *endpoint, const PGresult *pg)
{
	PyObject	*make = load_import("mews.errors", "make");
	Py_ssize_t	 length = (Py_ssize_t)strlen(message);

	if (make == NULL)
		return NULL;
	while (length > 0 && message[length - 1] == '\n')
		length--;
	return PyObject_CallFunction(make, "sss#Nssss",
	    mews_status_name(status), sqlstate, message, length,
	    PyBool_FromLong(mews_status_undone(status)), endpoint,
	    field(pg, PG_DIAG_MESSAGE_DETAIL),
	    field(pg, PG_DIAG_MESSAGE_HINT),
	    field(pg, PG_DIAG_CONSTRAINT_NAME));
}

/* Raise @error, which may be NULL, and drop the reference. */
static PyObject *
raise_error(PyObject *error)
{
	if (error != NULL) {
		PyErr_SetObject((PyObject *)Py_TYPE(error), error);
		Py_DECREF(error);
	}
	return NULL;
}

PyObject *
error_raise(enum mews_status status, const char *message)
{
	return raise_error(error_new(status, "", message, "", NULL));
}

PyObject *
error_of_result(const struct mews_result *result)
{
	const char	*message = mews_result_message(result);
	const PGresult	*pg = mews_result_pg(result);

	if (pg != NULL &&
	    PQresultErrorField(pg, PG_DIAG_MESSAGE_PRIMARY) != NULL)
		message = PQresultErrorField(pg, PG_DIAG_MESSAGE_PRIMARY);
	return error_new(mews_result_status(result),
	    mews_result_sqlstate(result), message,
	    mews_result_endpoint(result), pg);
}

PyObject *
error_of_end(const struct mews_result *result)
{
	/* 25P01, no_active_sql_transaction: SQL ended the transaction before
	 * its block. */
	if (strcmp(mews_result_sqlstate(result), "25P01") != 0)
		return error_of_result(result);
	return error_new(MEWS_PARTLY, "25P01", "SQL ended the transaction "
	    "within its block already: all before a COMMIT there is stored, "
	    "and all behind it was outside of the transaction. Leave the block "
	    "to commit, or call its rollback()",
	    mews_result_endpoint(result), NULL);
}

PyObject *
error_of_group(enum mews_status status, const struct mews_group *group)
{
	return error_new(status, "", mews_group_message(group), "", NULL);
}

PyObject *
error_decode(const char *type, const char *text, Py_ssize_t length,
    const char *why)
{
	PyObject	*make = load_import("mews.errors", "DecodeError");
	PyObject	*error, *shown;

	if (make == NULL || PyErr_Occurred())
		return NULL;
	shown = PyUnicode_DecodeUTF8(text, length > 80 ? 80 : length,
	    "replace");
	if (shown == NULL)
		return NULL;
	error = PyObject_CallFunction(make, "N",
	    PyUnicode_FromFormat("%s %R: %s", type, shown, why));
	Py_DECREF(shown);
	return raise_error(error);
}
