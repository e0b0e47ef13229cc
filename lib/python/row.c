/*
 * row.c - rows: tuples whose items have names.
 *
 * A Row is a tuple with one hidden item behind its last: the Columns that it
 * shares with the other rows of its result.
 */
#include "binding.h"

#include <stddef.h>

static bool
columns_fill(struct columns *columns)
{
	Py_ssize_t	count = PyTuple_GET_SIZE(columns->names);

	if ((columns->index = PyDict_New()) == NULL)
		return false;
	/* Of two columns with one name, the first is meant. */
	for (Py_ssize_t i = count - 1; i >= 0; i--) {
		PyObject *number = PyLong_FromSsize_t(i);

		if (number == NULL || PyDict_SetItem(columns->index,
			PyTuple_GET_ITEM(columns->names, i), number) == -1) {
			Py_XDECREF(number);
			return false;
		}
		Py_DECREF(number);
	}
	return true;
}

/* Make the Columns of @names, which is taken. */
static struct columns *
columns_of(PyObject *names)
{
	struct columns	*columns = NULL;

	if (names != NULL)
		columns = PyObject_New(struct columns, &Columns_Type);
	if (columns == NULL) {
		Py_XDECREF(names);
		return NULL;
	}
	columns->names = names;
	columns->types = NULL;
	columns->index = NULL;
	if (!columns_fill(columns))
		Py_CLEAR(columns);
	return columns;
}

struct columns *
columns_new(const PGresult *pg)
{
	int		 count = PQnfields(pg);
	PyObject	*names = PyTuple_New(count);
	struct columns	*columns;

	for (int i = 0; names != NULL && i < count; i++) {
		PyObject *name = PyUnicode_FromString(PQfname(pg, i));

		if (name == NULL) {
			Py_CLEAR(names);
			break;
		}
		PyUnicode_InternInPlace(&name);
		PyTuple_SET_ITEM(names, i, name);
	}
	if ((columns = columns_of(names)) == NULL)
		return NULL;
	columns->types = PyTuple_New(count);
	for (int i = 0; columns->types != NULL && i < count; i++) {
		PyObject *type = PyLong_FromUnsignedLong(PQftype(pg, i));

		if (type == NULL)
			Py_CLEAR(columns->types);
		else
			PyTuple_SET_ITEM(columns->types, i, type);
	}
	if (columns->types == NULL)
		Py_CLEAR(columns);
	return columns;
}

bool
columns_match(const struct columns *columns, const PGresult *pg)
{
	Py_ssize_t	count = PyTuple_GET_SIZE(columns->names);

	for (Py_ssize_t i = 0; i < count; i++) {
		const char *name = PyUnicode_AsUTF8(
		    PyTuple_GET_ITEM(columns->names, i));

		if (name == NULL || strcmp(name, PQfname(pg, (int)i)) != 0)
			return false;
	}
	return true;
}

static void
columns_dealloc(PyObject *self)
{
	Py_CLEAR(((struct columns *)self)->names);
	Py_CLEAR(((struct columns *)self)->types);
	Py_CLEAR(((struct columns *)self)->index);
	PyObject_Free(self);
}

PyTypeObject Columns_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "mews._mews._Columns",
	.tp_basicsize = sizeof(struct columns),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.tp_dealloc = columns_dealloc,
};

PyObject *
row_new(struct columns *columns)
{
	Py_ssize_t	 count = PyTuple_GET_SIZE(columns->names);
	PyTupleObject	*row;

	row = PyObject_GC_NewVar(PyTupleObject, &Row_Type, count + 1);
	if (row == NULL)
		return NULL;
	for (Py_ssize_t i = 0; i < count; i++)
		row->ob_item[i] = NULL;
	row->ob_item[count] = Py_NewRef((PyObject *)columns);
	Py_SET_SIZE(row, count);
#if PY_VERSION_HEX >= 0x030e0000
	row->ob_hash = -1; /* not known yet */
#endif
	return (PyObject *)row;
}

/* Only values that hold other objects can be part of a cycle. */
void
row_set(PyObject *row, Py_ssize_t at, PyObject *value)
{
	((PyTupleObject *)row)->ob_item[at] = value;
	if (PyObject_IS_GC(value) && !PyObject_GC_IsTracked(row))
		PyObject_GC_Track(row);
}

static struct columns *
row_columns(PyObject *row)
{
	return (struct columns *)((PyTupleObject *)row)->ob_item[
	    Py_SIZE(row)];
}

/* Row(names, values) */
static PyObject *
row_make(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	PyObject	*names, *values, *row;
	struct columns	*columns;

	(void)type;
	(void)kwargs;
	if (!PyArg_ParseTuple(args, "O!O!", &PyTuple_Type, &names,
	    &PyTuple_Type, &values))
		return NULL;
	if (PyTuple_GET_SIZE(names) != PyTuple_GET_SIZE(values)) {
		PyErr_SetString(PyExc_ValueError, "a name for each value");
		return NULL;
	}
	if ((columns = columns_of(Py_NewRef(names))) == NULL)
		return NULL;
	if ((row = row_new(columns)) != NULL)
		for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(values); i++)
			row_set(row, i,
			    Py_NewRef(PyTuple_GET_ITEM(values, i)));
	Py_DECREF(columns);
	return row;
}

static void
row_dealloc(PyObject *self)
{
	PyTupleObject	*row = (PyTupleObject *)self;

	PyObject_GC_UnTrack(self);
	for (Py_ssize_t i = Py_SIZE(row); i >= 0; i--)
		Py_XDECREF(row->ob_item[i]);
	PyObject_GC_Del(self);
}

/* The index of the column of that name, or -1: no such column, or an error. */
static Py_ssize_t
row_find(PyObject *row, PyObject *name)
{
	PyObject *number = PyDict_GetItemWithError(row_columns(row)->index,
		       name);

	return number == NULL ? -1 : PyLong_AsSsize_t(number);
}

static PyObject *
row_getattro(PyObject *self, PyObject *name)
{
	Py_ssize_t	at = row_find(self, name);

	if (at >= 0)
		return Py_NewRef(PyTuple_GET_ITEM(self, at));
	if (PyErr_Occurred())
		return NULL;
	return PyObject_GenericGetAttr(self, name);
}

static PyObject *
row_subscript(PyObject *self, PyObject *key)
{
	Py_ssize_t	at;

	if (!PyUnicode_Check(key))
		return PyTuple_Type.tp_as_mapping->mp_subscript(self, key);
	if ((at = row_find(self, key)) >= 0)
		return Py_NewRef(PyTuple_GET_ITEM(self, at));
	if (!PyErr_Occurred())
		PyErr_SetObject(PyExc_KeyError, key);
	return NULL;
}

static PyObject *
row_repr(PyObject *self)
{
	PyObject	*names = row_columns(self)->names;
	PyObject	*text = PyUnicode_FromString("Row("), *more;

	for (Py_ssize_t i = 0; text != NULL && i < Py_SIZE(self); i++) {
		more = PyUnicode_FromFormat("%U%s%U=%R", text,
		    i > 0 ? ", " : "", PyTuple_GET_ITEM(names, i),
		    PyTuple_GET_ITEM(self, i));
		Py_SETREF(text, more);
	}
	if (text == NULL)
		return NULL;
	more = PyUnicode_FromFormat("%U)", text);
	Py_DECREF(text);
	return more;
}

static PyObject *
row_fields(PyObject *self, void *unused)
{
	(void)unused;
	return Py_NewRef(row_columns(self)->names);
}

static PyObject *
row_asdict(PyObject *self, PyObject *unused)
{
	PyObject	*dict = PyDict_New();
	PyObject	*names = row_columns(self)->names;

	(void)unused;
	for (Py_ssize_t i = Py_SIZE(self) - 1; dict != NULL && i >= 0; i--)
		if (PyDict_SetItem(dict, PyTuple_GET_ITEM(names,
			Py_SIZE(self) - 1 - i), PyTuple_GET_ITEM(self,
			Py_SIZE(self) - 1 - i)) == -1)
			Py_CLEAR(dict);
	return dict;
}

/* The tuple (mews._mews._row, (names, values)). */
static PyObject *
row_reduce(PyObject *self, PyObject *unused)
{
	PyObject	*make = load_import("mews._mews", "_row");
	PyObject	*values = PySequence_GetSlice(self, 0, Py_SIZE(self));

	(void)unused;
	if (make == NULL || values == NULL) {
		Py_XDECREF(values);
		return NULL;
	}
	return Py_BuildValue("O(ON)", make, row_columns(self)->names, values);
}

static PyMethodDef row_methods[] = {
	{ "_asdict", row_asdict, METH_NOARGS,
	  "_asdict()\n--\n\nThe row as a dict, by names of columns." },
	{ "__reduce__", row_reduce, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static PyGetSetDef row_getset[] = {
	{ "_fields", row_fields, NULL, "The names of the columns.", NULL },
	{ NULL, NULL, NULL, NULL, NULL }
};

static PyMappingMethods row_mapping = { .mp_subscript = row_subscript };

PyTypeObject Row_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "mews.Row",
	.tp_doc = "One row: a tuple. row.name and row[\"name\"] are its "
	    "columns, too.",
	.tp_basicsize = offsetof(PyTupleObject, ob_item),
	.tp_itemsize = sizeof(PyObject *),
	.tp_flags = Py_TPFLAGS_DEFAULT, /* GC is inherited from tuple */
	.tp_new = row_make,
	.tp_dealloc = row_dealloc,
	.tp_getattro = row_getattro,
	.tp_as_mapping = &row_mapping,
	.tp_repr = row_repr,
	.tp_methods = row_methods,
	.tp_getset = row_getset,
};
