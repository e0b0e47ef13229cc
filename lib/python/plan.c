/*
 * plan.c - what a pool remembers of a text of SQL: its statement, registered at
 * the second use, and how the columns of its rows are read.
 *
 * Servers keep prepared statements in memory, so their number is limited:
 * beyond the limit the statement that was registered first is dropped.
 */
#include "binding.h"

#define PLANS_MAX	2000 /* how many texts are remembered */
#define STATEMENTS_MAX	1000 /* how many of them are registered */

static struct plan *
plan_new(PyObject *sql)
{
	struct plan	*plan = PyObject_New(struct plan, &Plan_Type);
	Py_ssize_t	 length;

	if (plan == NULL)
		return NULL;
	plan->sql = Py_NewRef(sql);
	plan->statement = NULL;
	plan->uses = plan->flavour = 0;
	plan->columns = NULL;
	plan->count = 0;
	plan->types = NULL;
	plan->loaders = NULL;
	plan->text = PyUnicode_AsUTF8AndSize(sql, &length);
	if (plan->text != NULL && (size_t)length != strlen(plan->text)) {
		PyErr_SetString(PyExc_ValueError, "the SQL has a NUL");
		plan->text = NULL;
	}
	if (plan->text == NULL)
		Py_CLEAR(plan);
	return plan;
}

/* Forget the texts that were used once. */
static bool
forget(struct pool *pool)
{
	PyObject	*kept = PyDict_New(), *key, *value;
	Py_ssize_t	 at = 0;

	if (kept == NULL)
		return false;
	while (PyDict_Next(pool->plans, &at, &key, &value))
		if (((struct plan *)value)->statement != NULL &&
		    PyDict_SetItem(kept, key, value) == -1) {
			Py_DECREF(kept);
			return false;
		}
	Py_SETREF(pool->plans, kept);
	return true;
}

struct plan *
plan_of(struct pool *pool, PyObject *sql)
{
	PyObject	*found;

	if (!PyUnicode_Check(sql)) {
		PyErr_Format(PyExc_TypeError, "SQL is a str, not %.100s",
		    Py_TYPE(sql)->tp_name);
		return NULL;
	}
	if ((found = PyDict_GetItemWithError(pool->plans, sql)) != NULL)
		return (struct plan *)Py_NewRef(found);
	if (PyErr_Occurred() || (PyDict_GET_SIZE(pool->plans) >= PLANS_MAX &&
	    !forget(pool)) || (found = (PyObject *)plan_new(sql)) == NULL)
		return NULL;
	if (PyDict_GET_SIZE(pool->plans) < PLANS_MAX &&
	    PyDict_SetItem(pool->plans, sql, found) == -1)
		Py_CLEAR(found);
	return (struct plan *)found;
}

/* Drop the statement that was registered first, and forget its plan. */
static bool
drop_oldest(struct pool *pool)
{
	PyObject	*key, *value;
	Py_ssize_t	 at = 0;
	int		 done;

	while (PyDict_Next(pool->plans, &at, &key, &value))
		if (((struct plan *)value)->statement != NULL) {
			mews_statement_drop(&((struct plan *)value)->statement);
			((struct plan *)value)->uses = 0;
			pool->plan_count--;
			Py_INCREF(key);
			done = PyDict_DelItem(pool->plans, key);
			Py_DECREF(key);
			return done == 0;
		}
	return true;
}

bool
plan_prepare(struct plan *plan, struct pool *pool)
{
	enum mews_status	status;

	if (plan->statement != NULL || ++plan->uses < 2)
		return true;
	if (pool->plan_count >= STATEMENTS_MAX && !drop_oldest(pool))
		return false;
	status = mews_statement_register(&plan->statement, pool->handle, NULL,
	    plan->text, 0, NULL);
	if (status == MEWS_NOMEM) {
		PyErr_NoMemory();
		return false;
	}
	/* A statement that was not accepted is refused, with the reason, when
	 * it is run. */
	if (status == MEWS_OK)
		pool->plan_count++;
	return true;
}

static void
plan_strip(struct plan *plan)
{
	Py_CLEAR(plan->columns);
	PyMem_Free(plan->types);
	PyMem_Free(plan->loaders);
	plan->types = NULL;
	plan->loaders = NULL;
	plan->count = 0;
}

static bool
plan_known(const struct plan *plan, const PGresult *pg)
{
	if (plan->columns == NULL || plan->flavour != load_version() ||
	    plan->count != PQnfields(pg))
		return false;
	for (int i = 0; i < plan->count; i++)
		if (plan->types[i] != PQftype(pg, i))
			return false;
	return columns_match(plan->columns, pg);
}

bool
plan_describe(struct plan *plan, const PGresult *pg)
{
	size_t	count = (size_t)PQnfields(pg);

	if (plan_known(plan, pg))
		return true;
	plan_strip(plan);
	plan->types = PyMem_Calloc(count + 1, sizeof(*plan->types));
	plan->loaders = PyMem_Calloc(2 * count + 1, sizeof(*plan->loaders));
	if (plan->types == NULL || plan->loaders == NULL) {
		plan_strip(plan);
		PyErr_NoMemory();
		return false;
	}
	if ((plan->columns = columns_new(pg)) == NULL)
		return false;
	plan->count = (int)count;
	plan->flavour = load_version();
	for (size_t i = 0; i < count; i++) {
		plan->types[i] = PQftype(pg, (int)i);
		plan->loaders[i] = load_for(plan->types[i],
		    &plan->loaders[count + i]);
	}
	return true;
}

PyObject *
plan_row(struct plan *plan, const PGresult *pg, int row)
{
	/* A decoder of the user's may run the same SQL meanwhile. */
	const struct loader	*loaders = plan->loaders;
	int			 count = plan->count;
	PyObject		*values = row_new(plan->columns), *value;

	for (int i = 0; values != NULL && i < count; i++) {
		if (PQgetisnull(pg, row, i)) {
			value = Py_NewRef(Py_None);
		} else {
			value = loaders[i].load(&loaders[i],
			    PQgetvalue(pg, row, i), PQgetlength(pg, row, i));
			if (value == NULL)
				Py_CLEAR(values);
		}
		if (values != NULL)
			row_set(values, i, value);
	}
	return values;
}

static void
plan_dealloc(PyObject *self)
{
	struct plan	*plan = (struct plan *)self;

	plan_strip(plan);
	Py_CLEAR(plan->sql);
	PyObject_Free(self);
}

PyTypeObject Plan_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "mews._mews._Plan",
	.tp_basicsize = sizeof(struct plan),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.tp_dealloc = plan_dealloc,
};
