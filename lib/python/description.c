/*
 * description.c - mews.Description: types of a statement's parameters and
 * columns.
 */
#include "binding.h"

PyObject *
description_new(const PGresult *pg)
{
	PyObject	*make = load_import("mews.description", "make");
	int		 params = PQnparams(pg), fields = PQnfields(pg);
	PyObject	*takes = PyTuple_New(params);
	PyObject	*gives = PyTuple_New(fields), *value = NULL;

	for (int i = 0; takes != NULL && i < params; i++) {
		PyObject *type = PyLong_FromUnsignedLong(
		    PQparamtype(pg, i));

		if (type == NULL)
			Py_CLEAR(takes);
		else
			PyTuple_SET_ITEM(takes, i, type);
	}
	for (int i = 0; gives != NULL && i < fields; i++) {
		PyObject *column = Py_BuildValue("sIi", PQfname(pg, i),
		    PQftype(pg, i), PQfmod(pg, i));

		if (column == NULL)
			Py_CLEAR(gives);
		else
			PyTuple_SET_ITEM(gives, i, column);
	}
	if (make != NULL && takes != NULL && gives != NULL)
		value = PyObject_CallFunctionObjArgs(make, takes, gives,
		    NULL);
	Py_XDECREF(takes);
	Py_XDECREF(gives);
	return value;
}
