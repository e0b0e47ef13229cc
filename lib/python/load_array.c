/*
 * load_array.c - types that contain values of another type: arrays and ranges,
 * in the text form of array_out() and range_out().
 */
#include "binding.h"

/* The text that is being read; quoted parts are put together in scratch. */
struct reader {
	const struct loader *loader;
	const char *text;
	Py_ssize_t length; /* the whole text, for messages */
	const char *at;
	char *scratch;
};

static PyObject *
broken(const struct reader *reader, const char *kind)
{
	return error_decode(kind, reader->text, reader->length,
	    "is not one that PostgreSQL writes");
}

static PyObject *
load_item(const struct reader *reader, Py_ssize_t length)
{
	const struct loader	*element = reader->loader->element;

	return element == NULL ?
	    PyUnicode_DecodeUTF8(reader->scratch, length, NULL) :
	    element->load(element, reader->scratch, length);
}

/* Read up to one of the @ends, quoted or not: the length, -1: no end. */
static Py_ssize_t
take(struct reader *reader, const char *ends, bool *quoted)
{
	char	*to = reader->scratch;

	*quoted = *reader->at == '"';
	if (*quoted)
		reader->at++;
	for (;; reader->at++) {
		if (*reader->at == '\0')
			return -1;
		if (*quoted && *reader->at == '"') {
			/* In ranges, a quote is doubled. */
			if (*++reader->at != '"')
				break;
		} else if (*reader->at == '\\') {
			if (*++reader->at == '\0')
				return -1;
		} else if (!*quoted && strchr(ends, *reader->at) != NULL) {
			break;
		}
		*to++ = *reader->at;
	}
	*to = '\0';
	return to - reader->scratch;
}

static PyObject *load_list(struct reader *reader);

static PyObject *
load_member(struct reader *reader)
{
	Py_ssize_t	length;
	bool		quoted;

	if (*reader->at == '{') {
		PyObject *list = NULL;

		if (Py_EnterRecursiveCall(" in an array") == 0) {
			list = load_list(reader);
			Py_LeaveRecursiveCall();
		}
		return list;
	}
	if ((length = take(reader, ",}", &quoted)) == -1)
		return broken(reader, "array");
	if (!quoted && strcmp(reader->scratch, "NULL") == 0)
		return Py_NewRef(Py_None);
	return load_item(reader, length);
}

static PyObject *
load_list(struct reader *reader)
{
	PyObject	*list = PyList_New(0);

	if (list == NULL || *reader->at++ != '{')
		goto failed;
	if (*reader->at == '}') {
		reader->at++;
		return list;
	}
	for (;;) {
		PyObject *member = load_member(reader);

		if (member == NULL || PyList_Append(list, member) == -1) {
			Py_XDECREF(member);
			Py_DECREF(list);
			return NULL;
		}
		Py_DECREF(member);
		if (*reader->at == '}') {
			reader->at++;
			return list;
		}
		if (*reader->at++ != ',')
			break;
	}
failed:
	Py_XDECREF(list);
	return list == NULL ? NULL : broken(reader, "array");
}

PyObject *
load_array(const struct loader *loader, const char *text, Py_ssize_t length)
{
	struct reader	 reader = {
		.loader = loader, .text = text, .length = length, .at = text,
	};
	PyObject	*list;

	/* "[2:4]={1,2,3}": bounds stand in front if the first index is not
	 * 1. */
	if (*text == '[' && (reader.at = strchr(text, '=')) == NULL)
		return broken(&reader, "array");
	if (*text == '[')
		reader.at++;
	if ((reader.scratch = PyMem_Malloc((size_t)length + 1)) == NULL)
		return PyErr_NoMemory();
	list = load_list(&reader);
	PyMem_Free(reader.scratch);
	return list;
}

/* Read a bound: None if there is none. */
static PyObject *
load_bound(struct reader *reader, const char *ends)
{
	Py_ssize_t	length;
	bool		quoted;

	if (strchr(ends, *reader->at) != NULL)
		return Py_NewRef(Py_None);
	if ((length = take(reader, ends, &quoted)) == -1)
		return broken(reader, "range");
	return load_item(reader, length);
}

PyObject *
load_range(const struct loader *loader, const char *text, Py_ssize_t length)
{
	struct reader	 reader = {
		.loader = loader, .text = text, .length = length, .at = text,
	};
	PyObject	*make = load_import("mews.types", "Range");
	PyObject	*lower, *upper = NULL, *range = NULL;
	char		 bounds[3] = "";

	if (make == NULL)
		return NULL;
	if (strcmp(text, "empty") == 0)
		return PyObject_CallFunction(make, "OOsO", Py_None, Py_None,
		    "[)", Py_True);
	if ((reader.scratch = PyMem_Malloc((size_t)length + 1)) == NULL)
		return PyErr_NoMemory();
	bounds[0] = *reader.at++;
	if ((lower = load_bound(&reader, ",")) != NULL &&
	    *reader.at++ != ',')
		(void)broken(&reader, "range");
	else if (lower != NULL &&
	    (upper = load_bound(&reader, ")]")) != NULL) {
		bounds[1] = *reader.at;
		range = PyObject_CallFunction(make, "OOs", lower, upper,
		    bounds);
	}
	Py_XDECREF(lower);
	Py_XDECREF(upper);
	PyMem_Free(reader.scratch);
	return range;
}
