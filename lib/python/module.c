/*
 * module.c - the extension module mews._mews, on which mews/__init__.py builds.
 */
#include "binding.h"

/* _row(names, values): makes a row again when it is unpickled. */
static PyObject *
make_row(PyObject *module, PyObject *args)
{
	(void)module;
	return PyObject_CallObject((PyObject *)&Row_Type, args);
}

static PyMethodDef methods[] = {
	{ "_forking", fleet_forking, METH_NOARGS, NULL },
	{ "_forked", fleet_forked, METH_NOARGS, NULL },
	{ "_adopt", pool_adopt, METH_VARARGS, NULL },
	{ "_row", make_row, METH_VARARGS, NULL },
	{ "_dump", param_dump, METH_O, NULL },
	{ "_register", load_register, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static struct PyModuleDef module = {
	PyModuleDef_HEAD_INIT,
	.m_name = "mews._mews",
	.m_doc = "The part of mews that is written in C; see help(mews).",
	/* Not -1, as PyInit__mews() runs in other interpreters, too. */
	.m_size = 0,
	.m_methods = methods,
};

/* Have every child of this process begin with connections of its own. */
static bool
register_fork(PyObject *self)
{
	PyObject	*hook = load_import("os", "register_at_fork");
	PyObject	*none = PyTuple_New(0), *done = NULL;
	PyObject	*before, *after, *kwargs;

	before = PyObject_GetAttrString(self, "_forking");
	after = PyObject_GetAttrString(self, "_forked");
	kwargs = before == NULL || after == NULL ? NULL :
	    Py_BuildValue("{sOsO}", "before", before, "after_in_child",
		after);
	if (hook != NULL && kwargs != NULL && none != NULL)
		done = PyObject_Call(hook, none, kwargs);
	Py_XDECREF(before);
	Py_XDECREF(after);
	Py_XDECREF(kwargs);
	Py_XDECREF(none);
	Py_XDECREF(done);
	return done != NULL;
}

/* Classes and caches in C exist once, and belong to one interpreter. */
static bool
is_main_interpreter(void)
{
	if (PyInterpreterState_Get() == PyInterpreterState_Main())
		return true;
	PyErr_SetString(PyExc_ImportError, "mews serves the main interpreter "
	    "of a process only: uWSGI has single-interpreter = true for that, "
	    "and mod_wsgi WSGIApplicationGroup %{GLOBAL}");
	return false;
}

PyMODINIT_FUNC PyInit__mews(void);

PyMODINIT_FUNC
PyInit__mews(void)
{
	static const struct {
		const char *name;
		PyTypeObject *type;
	} types[] = {
		{ "Fleet", &Fleet_Type }, { "Pool", &Pool_Type },
		{ "Lease", &Lease_Type }, { "Row", &Row_Type },
		{ "Rows", &Rows_Type }, { "Stream", &Stream_Type },
		{ "Listener", &Listener_Type },
		{ "_Plan", &Plan_Type }, { "_Columns", &Columns_Type },
	};
	static bool	 registered;
	PyObject	*self;

	if (!is_main_interpreter())
		return NULL;
	Row_Type.tp_base = &PyTuple_Type;
	Rows_Type.tp_base = &PyList_Type;
	if ((self = PyModule_Create(&module)) == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (PyType_Ready(types[i].type) == -1 ||
		    PyModule_AddObjectRef(self, types[i].name,
			(PyObject *)types[i].type) == -1)
			goto failed;
	if (!load_init() || !load_time_init())
		goto failed;
	/* The module is the same if it was taken out of sys.modules and is
	 * imported again. */
	registered = registered ||
	    (register_fork(self) && fork_catch());
	if (registered)
		return self;
failed:
	Py_DECREF(self);
	return NULL;
}
