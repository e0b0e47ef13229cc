/*
 * rows.c - mews.Rows: the rows of a result, its columns, and its endpoint.
 */
#include "binding.h"

#include <stdlib.h>

struct rows {
	PyListObject list;
	struct columns *columns;
	PyObject *endpoint;
	long long affected;
	uint64_t position;
};

int64_t
rows_affected(const PGresult *pg)
{
	const char	*text = pg == NULL ? "" : PQcmdTuples((PGresult *)
			    (uintptr_t)pg);

	return strtoll(text, NULL, 10);
}

/* @name as a str, which most results share. */
static PyObject *
endpoint_name(struct pool *pool, const char *name)
{
	if (pool->endpoint_name != name || pool->endpoint == NULL) {
		PyObject *text = PyUnicode_InternFromString(name);

		if (text == NULL)
			return NULL;
		Py_XSETREF(pool->endpoint, text);
		pool->endpoint_name = name;
	}
	return Py_NewRef(pool->endpoint);
}

PyObject *
rows_new(struct pool *pool, struct plan *plan,
    const struct mews_result *result)
{
	const PGresult	*pg = mews_result_pg(result);
	struct rows	*rows;
	int		 count = pg == NULL ? 0 : PQntuples(pg);

	rows = (struct rows *)Rows_Type.tp_alloc(&Rows_Type, 0);
	if (rows == NULL)
		return NULL;
	rows->position = mews_result_position(result);
	rows->affected = rows_affected(pg);
	rows->endpoint = endpoint_name(pool,
	    mews_result_endpoint(result));
	if (rows->endpoint == NULL || (pg != NULL &&
	    !plan_describe(plan, pg))) {
		Py_DECREF(rows);
		return NULL;
	}
	if (plan->columns != NULL)
		rows->columns = (struct columns *)Py_NewRef(
		    (PyObject *)plan->columns);
	for (int i = 0; i < count; i++) {
		PyObject *row = plan_row(plan, pg, i);

		if (row == NULL ||
		    PyList_Append((PyObject *)rows, row) == -1) {
			Py_XDECREF(row);
			Py_DECREF(rows);
			return NULL;
		}
		Py_DECREF(row);
	}
	return (PyObject *)rows;
}

static void
rows_dealloc(PyObject *self)
{
	struct rows	*rows = (struct rows *)self;

	Py_CLEAR(rows->columns);
	Py_CLEAR(rows->endpoint);
	PyList_Type.tp_dealloc(self);
}

static PyObject *
rows_columns(PyObject *self, void *unused)
{
	struct rows	*rows = (struct rows *)self;

	(void)unused;
	return rows->columns == NULL ? PyTuple_New(0) :
	    Py_NewRef(rows->columns->names);
}

static PyObject *
rows_types(PyObject *self, void *unused)
{
	struct rows	*rows = (struct rows *)self;

	(void)unused;
	return rows->columns == NULL ? PyTuple_New(0) :
	    Py_NewRef(rows->columns->types);
}

static PyObject *
rows_endpoint(PyObject *self, void *unused)
{
	struct rows	*rows = (struct rows *)self;

	(void)unused;
	return rows->endpoint == NULL ? PyUnicode_FromString("") :
	    Py_NewRef(rows->endpoint);
}

static PyObject *
rows_rowcount(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromLongLong(((struct rows *)self)->affected);
}

static PyObject *
rows_position(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(((struct rows *)self)->position);
}

static PyGetSetDef rows_getset[] = {
	{ "columns", rows_columns, NULL, "Names of the columns.", NULL },
	{ "types", rows_types, NULL, "OIDs of their types.", NULL },
	{ "endpoint", rows_endpoint, NULL,
	  "The name of the endpoint that answered.", NULL },
	{ "rowcount", rows_rowcount, NULL,
	  "Rows affected, or returned.", NULL },
	{ "position", rows_position, NULL,
	  "With position=True: where the WAL was after this write.", NULL },
	{ NULL, NULL, NULL, NULL, NULL }
};

PyTypeObject Rows_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "mews.Rows",
	.tp_doc = "The rows of a result: a list of Row.",
	.tp_basicsize = sizeof(struct rows),
	.tp_flags = Py_TPFLAGS_DEFAULT, /* GC is inherited from list */
	.tp_dealloc = rows_dealloc,
	.tp_getset = rows_getset,
};
