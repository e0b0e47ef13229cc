/*
 * fuzz_types.c - whatever type a server says that a column has, and whatever it
 * sends as the value: a reader gives a value or says why not, and readers of
 * the same value agree.
 *
 * An input is the index of a type, a format, and the bytes of a field.
 */
#include "fuzz.h"

#include "query/result.h"

#include <mews/type.h>

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const bool fuzz_lines = true;
const char *const fuzz_words[] = { "t", "f", "0", "-", "+", ".", ".000", "e",
	"1e400", "NaN", "Infinity", "-Infinity", "9223372036854775807",
	"-9223372036854775808", "2147483648", "\x7f\xff\xff\xff", "\xff", " ",
	"0x1p3", "\x80", NULL };

static const Oid types[] = { MEWS_TYPE_BOOL, MEWS_TYPE_BYTEA, MEWS_TYPE_NAME,
	MEWS_TYPE_INT8, MEWS_TYPE_INT2, MEWS_TYPE_INT4, MEWS_TYPE_TEXT,
	MEWS_TYPE_OID, MEWS_TYPE_JSON, MEWS_TYPE_FLOAT4, MEWS_TYPE_FLOAT8,
	MEWS_TYPE_INT4_ARRAY, MEWS_TYPE_INT8_ARRAY, MEWS_TYPE_BPCHAR,
	MEWS_TYPE_VARCHAR, MEWS_TYPE_DATE, MEWS_TYPE_TIMESTAMP,
	MEWS_TYPE_TIMESTAMPTZ, MEWS_TYPE_NUMERIC, MEWS_TYPE_UUID,
	MEWS_TYPE_JSONB, 0 };

/* Make a result of one row and one column. */
static PGresult *
make_row(Oid type, int format, const char *bytes, int size)
{
	static char name[] = "x";
	PGresAttDesc column = { .name = name, .typid = type,
		.format = format };
	PGresult *pg = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	char	*copy = malloc((size_t)size + 1);
	int	 set;

	assert(pg != NULL && copy != NULL);
	memcpy(copy, bytes, (size_t)size);
	set = PQsetResultAttrs(pg, 1, &column) &&
	    PQsetvalue(pg, 0, 0, copy, size);
	assert(set);
	free(copy);
	return pg;
}

static void
check_numbers(const struct mews_result *row)
{
	int64_t	 wide = 1;
	int32_t	 narrow = 1;
	double	 real = 1;
	enum mews_value is_wide = mews_result_int64(row, 0, 0, &wide),
	    is_narrow = mews_result_int32(row, 0, 0, &narrow),
	    is_real = mews_result_double(row, 0, 0, &real);

	assert(is_wide == MEWS_VALUE_OK || wide == 0);
	assert(is_narrow == MEWS_VALUE_OK || narrow == 0);
	assert(is_real == MEWS_VALUE_OK || !(real < 0 || real > 0));
	if (is_wide == MEWS_VALUE_OK) {
		assert((is_narrow == MEWS_VALUE_OK) ==
		    (wide >= INT32_MIN && wide <= INT32_MAX));
		assert(is_real == MEWS_VALUE_OK &&
		    fabs(real - (double)wide) <= 0);
	} else {
		assert(is_narrow == is_wide);
	}
	if (is_narrow == MEWS_VALUE_OK)
		assert(narrow == wide);
}

static void
check_rest(const struct mews_result *row, const char *bytes, size_t size)
{
	const char *text = "";
	const void *raw = "";
	size_t	 length = 1;
	int64_t	 us = 1;
	bool	 truth = true;
	enum mews_value is_text, is_raw;

	is_text = mews_result_text(row, 0, 0, &text, &length);
	if (is_text == MEWS_VALUE_OK)
		assert(length == size && memcmp(text, bytes, size) == 0 &&
		    text[size] == '\0');
	else
		assert(text == NULL && length == 0);
	is_raw = mews_result_bytes(row, 0, 0, &raw, &length);
	if (is_raw == MEWS_VALUE_OK)
		assert(length == size && memcmp(raw, bytes, size) == 0);
	else
		assert(raw == NULL && length == 0);
	assert(is_text == MEWS_VALUE_OK || is_raw == MEWS_VALUE_OK);
	if (mews_result_bool(row, 0, 0, &truth) == MEWS_VALUE_OK)
		assert(size == 1 && strchr(is_raw == MEWS_VALUE_OK ? "\1" :
		    "tf", bytes[0]) != NULL);
	else
		assert(!truth);
	if (mews_result_time(row, 0, 0, &us) != MEWS_VALUE_OK)
		assert(us == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mews_result row = { .magic = RESULT_MAGIC, .status = MEWS_OK,
		.endpoint = "a", .message = "" };
	int64_t	 ignored;

	if (size < 2 || size > 100000)
		return 0;
	row.pg = make_row(types[data[0] % (sizeof(types) / sizeof(*types))],
	    data[1] % 2, (const char *)data + 2, (int)size - 2);
	check_numbers(&row);
	check_rest(&row, (const char *)data + 2, size - 2);
	assert(mews_result_int64(&row, 1, 0, &ignored) == MEWS_VALUE_ABSENT);
	assert(mews_result_int64(&row, 0, 1, &ignored) == MEWS_VALUE_ABSENT);
	PQclear(row.pg);
	result_close(&row);
	return 0;
}
