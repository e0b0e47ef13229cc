/*
 * import.c - classes and functions of Python modules that the extension uses.
 */
#include "binding.h"

PyObject *
load_import(const char *module, const char *name)
{
	static PyObject	*kept;	/* dict: "module.name" to the object */
	PyObject	*key, *found, *from;

	if (kept == NULL && (kept = PyDict_New()) == NULL)
		return NULL;
	if ((key = PyUnicode_FromFormat("%s.%s", module, name)) == NULL)
		return NULL;
	if ((found = PyDict_GetItemWithError(kept, key)) == NULL &&
	    !PyErr_Occurred() &&
	    (from = PyImport_ImportModule(module)) != NULL) {
		found = PyObject_GetAttrString(from, name);
		Py_DECREF(from);
		if (found != NULL && PyDict_SetItem(kept, key, found) == -1)
			Py_CLEAR(found);
		Py_XDECREF(found); /* the dict holds a reference */
	}
	Py_DECREF(key);
	return found;
}
