/*
 * load.c - PostgreSQL's values, in their text form, as Python's: numbers, texts
 * and identifiers, and which type is read by which loader. Dates: load_time.c;
 * arrays and ranges: load_array.c.
 */
#include "binding.h"

#include <stdlib.h>

static PyObject *registered; /* dict: OID to callable */
static unsigned version = 1;

unsigned
load_version(void)
{
	return version;
}

PyObject *
load_text(const struct loader *loader, const char *text, Py_ssize_t length)
{
	(void)loader;
	return PyUnicode_DecodeUTF8(text, length, NULL);
}

static PyObject *
load_bool(const struct loader *loader, const char *text, Py_ssize_t length)
{
	(void)loader;
	(void)length;
	return PyBool_FromLong(text[0] == 't');
}

static PyObject *
load_int(const struct loader *loader, const char *text, Py_ssize_t length)
{
	const char	*at = text;
	unsigned long	 number = 0;
	bool		 negative = *at == '-';

	(void)loader;
	/* A number of more than 18 digits may not fit. */
	if (length > 18)
		return PyLong_FromString(text, NULL, 10);
	for (at += negative; *at >= '0' && *at <= '9'; at++)
		number = number * 10 + (unsigned long)(*at - '0');
	if (at != text + length || length == negative)
		return error_decode("int", text, length, "no number");
	return PyLong_FromLong(negative ? -(long)number : (long)number);
}

static PyObject *
load_float(const struct loader *loader, const char *text, Py_ssize_t length)
{
	double	number = PyOS_string_to_double(text, NULL, NULL);

	(void)loader;
	(void)length;
	if (number == -1.0 && PyErr_Occurred())
		return NULL;
	return PyFloat_FromDouble(number);
}

/* Call a Python function with the text. */
static PyObject *
call_text(PyObject *function, const char *text, Py_ssize_t length)
{
	PyObject	*argument, *value;

	if (function == NULL ||
	    (argument = PyUnicode_DecodeUTF8(text, length, NULL)) == NULL)
		return NULL;
	value = PyObject_CallOneArg(function, argument);
	Py_DECREF(argument);
	return value;
}

static PyObject *
load_numeric(const struct loader *loader, const char *text,
    Py_ssize_t length)
{
	static PyObject	*function;

	(void)loader;
	if (function == NULL)
		function = load_import("decimal", "Decimal");
	return call_text(function, text, length);
}

static PyObject *
load_json(const struct loader *loader, const char *text, Py_ssize_t length)
{
	static PyObject	*function;

	(void)loader;
	if (function == NULL)
		function = load_import("json", "loads");
	return call_text(function, text, length);
}

static PyObject *
load_inet(const struct loader *loader, const char *text, Py_ssize_t length)
{
	(void)loader;
	return call_text(load_import("ipaddress", strchr(text, '/') == NULL ?
	    "ip_address" : "ip_interface"), text, length);
}

static PyObject *
load_cidr(const struct loader *loader, const char *text, Py_ssize_t length)
{
	(void)loader;
	return call_text(load_import("ipaddress", "ip_network"), text,
	    length);
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	    c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	    c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static PyObject *
load_bytea(const struct loader *loader, const char *text, Py_ssize_t length)
{
	PyObject	*bytes;
	char		*to;

	(void)loader;
	if (length < 2 || length % 2 != 0 || text[0] != '\\' ||
	    text[1] != 'x')
		return error_decode("bytea", text, length,
		    "bytea_output is not hex here");
	bytes = PyBytes_FromStringAndSize(NULL, length / 2 - 1);
	if (bytes == NULL)
		return NULL;
	to = PyBytes_AS_STRING(bytes);
	for (const char *at = text + 2; at < text + length; at += 2) {
		int	high = hex_digit(at[0]), low = hex_digit(at[1]);

		if (high == -1 || low == -1) {
			Py_DECREF(bytes);
			return error_decode("bytea", text, length,
			    "no hexadecimal digits");
		}
		*to++ = (char)(high << 4 | low);
	}
	return bytes;
}

/* Make a uuid.UUID without its constructor, which takes longer than a query. */
static PyObject *
load_uuid(const struct loader *loader, const char *text, Py_ssize_t length)
{
	static PyObject	*class, *safe, *name_int, *name_safe, *nothing;
	unsigned char	 bytes[16] = { 0 };
	PyObject	*value = NULL, *number;
	int		 count = 0, digit;

	(void)loader;
	if (class == NULL) {
		PyObject *kinds = load_import("uuid", "SafeUUID");

		if (kinds == NULL ||
		    (safe = PyObject_GetAttrString(kinds, "unknown")) ==
		    NULL)
			return NULL;
		name_int = PyUnicode_InternFromString("int");
		name_safe = PyUnicode_InternFromString("is_safe");
		nothing = PyTuple_New(0);
		class = load_import("uuid", "UUID");
		if (class == NULL || name_int == NULL || name_safe == NULL ||
		    nothing == NULL) {
			class = NULL;
			return NULL;
		}
	}
	for (const char *at = text; *at != '\0'; at++)
		if (*at != '-') {
			digit = hex_digit(*at);
			if (digit == -1 || count == 32)
				return error_decode("uuid", text, length,
				    "not 32 hexadecimal digits");
			bytes[count / 2] = (unsigned char)(
			    bytes[count / 2] << 4 | digit);
			count++;
		}
	if (count != 32)
		return error_decode("uuid", text, length,
		    "not 32 hexadecimal digits");
	number = _PyLong_FromByteArray(bytes, sizeof(bytes), 0, 0);
	if (number == NULL)
		return NULL;
	value = ((PyTypeObject *)class)->tp_new((PyTypeObject *)class,
	    nothing, NULL);
	if (value != NULL &&
	    (PyObject_GenericSetAttr(value, name_int, number) == -1 ||
	    PyObject_GenericSetAttr(value, name_safe, safe) == -1))
		Py_CLEAR(value);
	Py_DECREF(number);
	return value;
}

static PyObject *
load_registered(const struct loader *loader, const char *text,
    Py_ssize_t length)
{
	return call_text(loader->callable, text, length);
}

/* From src/include/catalog/pg_type.dat, by OID; element: of an array or
 * range. */
static const struct {
	Oid type, element;
	PyObject *(*load)(const struct loader *, const char *, Py_ssize_t);
} types[] = {
	{ 16, 0, load_bool }, { 17, 0, load_bytea },
	{ 20, 0, load_int }, { 21, 0, load_int }, { 23, 0, load_int },
	{ 25, 0, load_text }, { 26, 0, load_int }, { 114, 0, load_json },
	{ 199, 114, load_array }, { 650, 0, load_cidr },
	{ 651, 650, load_array }, { 700, 0, load_float },
	{ 701, 0, load_float }, { 869, 0, load_inet },
	{ 1000, 16, load_array }, { 1001, 17, load_array },
	{ 1002, 18, load_array }, { 1003, 19, load_array },
	{ 1005, 21, load_array }, { 1007, 23, load_array },
	{ 1009, 25, load_array }, { 1014, 1042, load_array },
	{ 1015, 1043, load_array }, { 1016, 20, load_array },
	{ 1021, 700, load_array }, { 1022, 701, load_array },
	{ 1028, 26, load_array }, { 1041, 869, load_array },
	{ 1082, 0, load_date }, { 1083, 0, load_time },
	{ 1114, 0, load_timestamp }, { 1115, 1114, load_array },
	{ 1182, 1082, load_array }, { 1183, 1083, load_array },
	{ 1184, 0, load_timestamp }, { 1185, 1184, load_array },
	{ 1186, 0, load_interval }, { 1187, 1186, load_array },
	{ 1231, 1700, load_array }, { 1266, 0, load_time },
	{ 1270, 1266, load_array }, { 1700, 0, load_numeric },
	{ 2950, 0, load_uuid }, { 2951, 2950, load_array },
	{ 3802, 0, load_json }, { 3807, 3802, load_array },
	{ 3904, 23, load_range }, { 3905, 3904, load_array },
	{ 3906, 1700, load_range }, { 3907, 3906, load_array },
	{ 3908, 1114, load_range }, { 3909, 3908, load_array },
	{ 3910, 1184, load_range }, { 3911, 3910, load_array },
	{ 3912, 1082, load_range }, { 3913, 3912, load_array },
	{ 3926, 20, load_range }, { 3927, 3926, load_array },
};
#define TYPES (sizeof(types) / sizeof(types[0]))

static size_t
find(Oid type)
{
	size_t	low = 0, high = TYPES;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (types[middle].type < type)
			low = middle + 1;
		else
			high = middle;
	}
	return low < TYPES && types[low].type == type ? low : TYPES;
}

static PyObject *
registered_for(Oid type)
{
	PyObject	*key = PyLong_FromUnsignedLong(type), *found;

	if (key == NULL) {
		PyErr_Clear();
		return NULL;
	}
	found = PyDict_GetItemWithError(registered, key);
	Py_DECREF(key);
	return found;
}

struct loader
load_for(Oid type, struct loader *element)
{
	struct loader	loader = { .load = load_text };
	size_t		at = find(type);

	if (PyDict_GET_SIZE(registered) > 0 &&
	    (loader.callable = registered_for(type)) != NULL) {
		loader.load = load_registered;
		return loader;
	}
	if (at == TYPES)
		return loader;
	loader.load = types[at].load;
	if (types[at].element != 0 && element != NULL) {
		/* Ranges in an array stay text. */
		*element = load_for(types[at].element, NULL);
		if (element->load == load_range)
			element->load = load_text;
		loader.element = element;
	}
	return loader;
}

PyObject *
load_register(PyObject *module, PyObject *args)
{
	PyObject	*callable, *key;
	unsigned int	 type;
	int		 failed;

	(void)module;
	if (!PyArg_ParseTuple(args, "IO", &type, &callable) ||
	    (key = PyLong_FromUnsignedLong(type)) == NULL)
		return NULL;
	/* Loaders borrow it until they see another version. */
	failed = PyDict_SetItem(registered, key, callable);
	Py_DECREF(key);
	if (failed == -1)
		return NULL;
	version++;
	Py_RETURN_NONE;
}

bool
load_init(void)
{
	registered = PyDict_New();
	return registered != NULL;
}
