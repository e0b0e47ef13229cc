/*
 * fuzz_python.c - from any text that a server sends as a value of a type,
 * Python gets an object or an exception.
 *
 * An input is the index of a type, and the text. Run by libFuzzer only.
 */
#include "python/binding.h"

#include "fuzz.h"

#include <assert.h>
#include <string.h>

static const Oid types[] = { 16, 17, 20, 23, 25, 26, 114, 199, 650, 651, 700,
	701, 869, 1000, 1001, 1005, 1007, 1009, 1016, 1022, 1041, 1082, 1083,
	1114, 1115, 1182, 1184, 1185, 1186, 1187, 1231, 1266, 1700, 2950, 2951,
	3802, 3904, 3905, 3906, 3907, 3908, 3910, 3912, 3913, 3926, 3927, 99 };

static void
begin(void)
{
	bool	well;

	Py_InitializeEx(0);
	well = load_init() && load_time_init();
	assert(well);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct loader loader, element;
	PyObject *value;
	char	*text;

	if (!Py_IsInitialized())
		begin();
	if (size == 0)
		return 0;
	/* A copy as libpq has it: allocated, with a NUL behind. */
	text = malloc(size);
	assert(text != NULL);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	loader = load_for(types[data[0] % (sizeof(types) / sizeof(types[0]))],
	    &element);
	value = loader.load(&loader, text, (Py_ssize_t)size - 1);
	assert((value == NULL) == (PyErr_Occurred() != NULL));
	PyErr_Clear();
	Py_XDECREF(value);
	free(text);
	return 0;
}
