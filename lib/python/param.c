/*
 * param.c - Python's values as parameters of a query.
 *
 * All but bytes are sent as text without a type: the server reads them as the
 * type that it expects there. So an int fits every numeric type, a list every
 * array, and a value that does not fit is the server's error, not a wrong
 * value.
 */
#include "binding.h"

/* The text of a str, which must contain no NUL, as the protocol ends texts with
 * it. */
static bool
param_text(struct mews_param *param, PyObject *text)
{
	Py_ssize_t	 length;
	const char	*value = PyUnicode_AsUTF8AndSize(text, &length);

	if (value == NULL)
		return false;
	if (length > INT32_MAX || (size_t)length != strlen(value)) {
		PyErr_SetString(PyExc_ValueError, length > INT32_MAX ?
		    "a parameter has 2 GB or more" :
		    "a parameter has a NUL character, which PostgreSQL does "
		    "not store");
		return false;
	}
	*param = (struct mews_param) {
		.value = value, .length = (int32_t)length
	};
	return true;
}

static bool
param_bytes(struct mews_param *param, PyObject *bytes)
{
	Py_ssize_t	length = PyBytes_GET_SIZE(bytes);

	if (length > INT32_MAX) {
		PyErr_SetString(PyExc_ValueError,
		    "a parameter has 2 GB or more");
		return false;
	}
	*param = (struct mews_param) {
		.value = PyBytes_AS_STRING(bytes),
		.length = (int32_t)length, .format = 1,
	};
	return true;
}

/* The text of a number. */
static PyObject *
float_text(PyObject *value)
{
	char	 *text = PyOS_double_to_string(PyFloat_AS_DOUBLE(value), 'r',
		     0, 0, NULL);
	PyObject *made;

	if (text == NULL)
		return PyErr_NoMemory();
	made = PyUnicode_FromString(text);
	PyMem_Free(text);
	return made;
}

PyObject *
param_dump(PyObject *module, PyObject *value)
{
	PyObject	*dump;

	(void)module;
	if (PyUnicode_CheckExact(value) || PyBytes_CheckExact(value))
		return Py_NewRef(value);
	if (PyLong_CheckExact(value))
		return PyObject_Str(value);
	if (PyFloat_CheckExact(value))
		return float_text(value);
	if ((dump = load_import("mews.types", "dump")) == NULL)
		return NULL;
	return PyObject_CallOneArg(dump, value);
}

/* Fill in @param; *keep holds the memory of its text, or is NULL. */
static bool
fill(struct mews_param *param, PyObject *value, PyObject **keep)
{
	*keep = NULL;
	if (value == Py_None) {
		*param = mews_param_null();
		return true;
	}
	if (PyUnicode_CheckExact(value)) {
		*keep = Py_NewRef(value);
		return param_text(param, value);
	}
	if (PyBool_Check(value)) {
		*param = mews_param_bool(value == Py_True);
		return true;
	}
	if (PyLong_CheckExact(value)) {
		int		overflow;
		long long	number = PyLong_AsLongLongAndOverflow(value,
				    &overflow);

		if (overflow == 0) {
			*param = mews_param_int_text(number);
			return true;
		}
	}
	if ((*keep = param_dump(NULL, value)) == NULL)
		return false;
	if (PyBytes_Check(*keep))
		return param_bytes(param, *keep);
	if (PyUnicode_Check(*keep))
		return param_text(param, *keep);
	PyErr_Format(PyExc_TypeError, "a parameter of type %.100s was given "
	    "as %.100s: text or bytes are wanted", Py_TYPE(value)->tp_name,
	    Py_TYPE(*keep)->tp_name);
	return false;
}

bool
params_fill(struct params *params, PyObject *const *args, Py_ssize_t count)
{
	if (count > MEWS_PARAMS_MAX) {
		PyErr_Format(PyExc_ValueError, "%zd parameters: %d are "
		    "possible", count, MEWS_PARAMS_MAX);
		return false;
	}
	if (count > PARAMS_INSIDE) {
		params->list = PyMem_Calloc((size_t)count,
		    sizeof(*params->list));
		params->keep = PyMem_Calloc((size_t)count,
		    sizeof(*params->keep));
		if (params->list == NULL || params->keep == NULL) {
			PyErr_NoMemory();
			return false;
		}
	}
	for (Py_ssize_t i = 0; i < count; i++) {
		PyObject *keep;
		bool	  good = fill(&params->list[i], args[i], &keep);

		if (keep != NULL)
			params->keep[params->kept++] = keep;
		if (!good)
			return false;
	}
	params->count = (int)count;
	return true;
}

void
params_free(struct params *params)
{
	while (params->kept > 0)
		Py_DECREF(params->keep[--params->kept]);
	if (params->list != params->list_inside)
		PyMem_Free(params->list);
	if (params->keep != params->keep_inside)
		PyMem_Free(params->keep);
	params->list = params->list_inside;
	params->keep = params->keep_inside;
}
