/*
 * value.c - reading a column as a value of C.
 *
 * Binary formats are those of each type's send function in the server's
 * src/backend/utils/adt; all integers are big-endian.
 */
#include <mews/type.h>

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH_DAYS 10957 /* from 1970-01-01 to PostgreSQL's 2000-01-01 */
#define DAY_US	   INT64_C(86400000000)

static const char *const value_names[] = {
	[MEWS_VALUE_OK] = "ok",
	[MEWS_VALUE_NULL] = "null",
	[MEWS_VALUE_TYPE] = "type",
	[MEWS_VALUE_RANGE] = "range",
	[MEWS_VALUE_ABSENT] = "absent",
};

const char *
mews_value_name(enum mews_value value)
{
	return (size_t)value < sizeof(value_names) / sizeof(value_names[0]) ?
	    value_names[value] : "?";
}

/* One field. */
struct field {
	Oid type;
	bool binary;
	int length;
	const char *bytes; /* NUL-terminated */
};

static enum mews_value
find_field(const struct mews_result *result, int row, int column,
    struct field *field)
{
	const PGresult *pg = mews_result_pg(result);

	if (pg == NULL || row < 0 || row >= PQntuples(pg) || column < 0 ||
	    column >= PQnfields(pg))
		return MEWS_VALUE_ABSENT;
	if (PQgetisnull(pg, row, column))
		return MEWS_VALUE_NULL;
	field->type = PQftype(pg, column);
	field->binary = PQfformat(pg, column) != 0;
	field->length = PQgetlength(pg, row, column);
	field->bytes = PQgetvalue(pg, row, column);
	return MEWS_VALUE_OK;
}

/* Read a big-endian number; false: it has not @size bytes. */
static bool
big_endian(const struct field *field, int size, uint64_t *out)
{
	if (field->length != size)
		return false;
	*out = 0;
	for (int i = 0; i < size; i++)
		*out = *out << 8 | (uint8_t)field->bytes[i];
	return true;
}

static enum mews_value
binary_integer(const struct field *field, int64_t *out)
{
	uint64_t	bits;

	switch (field->type) {
	case MEWS_TYPE_INT2:
		if (!big_endian(field, 2, &bits))
			return MEWS_VALUE_RANGE;
		*out = (int16_t)bits;
		return MEWS_VALUE_OK;
	case MEWS_TYPE_INT4:
		if (!big_endian(field, 4, &bits))
			return MEWS_VALUE_RANGE;
		*out = (int32_t)bits;
		return MEWS_VALUE_OK;
	case MEWS_TYPE_OID:
		if (!big_endian(field, 4, &bits))
			return MEWS_VALUE_RANGE;
		*out = (int64_t)bits;
		return MEWS_VALUE_OK;
	case MEWS_TYPE_INT8:
		if (!big_endian(field, 8, &bits))
			return MEWS_VALUE_RANGE;
		*out = (int64_t)bits;
		return MEWS_VALUE_OK;
	default:
		return MEWS_VALUE_TYPE;
	}
}

static bool
is_numeric_type(Oid type)
{
	switch (type) {
	case MEWS_TYPE_INT2:
	case MEWS_TYPE_INT4:
	case MEWS_TYPE_INT8:
	case MEWS_TYPE_OID:
	case MEWS_TYPE_NUMERIC:
		return true;
	default:
		return false;
	}
}

enum mews_value
mews_result_int64(const struct mews_result *result, int row, int column,
    int64_t *out)
{
	struct field	field;
	enum mews_value found = find_field(result, row, column, &field);
	char	       *end;
	long long	number;

	*out = 0;
	if (found != MEWS_VALUE_OK)
		return found;
	if (field.binary)
		return binary_integer(&field, out);
	if (!is_numeric_type(field.type))
		return MEWS_VALUE_TYPE;
	errno = 0;
	number = strtoll(field.bytes, &end, 10);
	/* A numeric has as many zeros as its scale says. */
	if (field.type == MEWS_TYPE_NUMERIC && end != field.bytes &&
	    *end == '.')
		end += 1 + strspn(end + 1, "0");
	if (errno != 0 || end == field.bytes || *end != '\0')
		return MEWS_VALUE_RANGE;
	*out = number;
	return MEWS_VALUE_OK;
}

enum mews_value
mews_result_int32(const struct mews_result *result, int row, int column,
    int32_t *out)
{
	int64_t		wide;
	enum mews_value found = mews_result_int64(result, row, column, &wide);

	*out = 0;
	if (found != MEWS_VALUE_OK)
		return found;
	if (wide < INT32_MIN || wide > INT32_MAX)
		return MEWS_VALUE_RANGE;
	*out = (int32_t)wide;
	return MEWS_VALUE_OK;
}

static enum mews_value
binary_double(const struct field *field, double *out)
{
	enum mews_value found;
	uint64_t	bits;
	uint32_t	few;
	float		narrow;
	int64_t		integer;

	switch (field->type) {
	case MEWS_TYPE_FLOAT4:
		if (!big_endian(field, 4, &bits))
			return MEWS_VALUE_RANGE;
		few = (uint32_t)bits;
		memcpy(&narrow, &few, sizeof(narrow));
		*out = (double)narrow;
		return MEWS_VALUE_OK;
	case MEWS_TYPE_FLOAT8:
		if (!big_endian(field, 8, &bits))
			return MEWS_VALUE_RANGE;
		memcpy(out, &bits, sizeof(*out));
		return MEWS_VALUE_OK;
	default:
		found = binary_integer(field, &integer);
		if (found == MEWS_VALUE_OK)
			*out = (double)integer;
		return found;
	}
}

enum mews_value
mews_result_double(const struct mews_result *result, int row, int column,
    double *out)
{
	struct field	field;
	enum mews_value found = find_field(result, row, column, &field);
	locale_t	c;
	char	       *end;
	double		number;

	*out = 0;
	if (found != MEWS_VALUE_OK)
		return found;
	if (field.binary)
		return binary_double(&field, out);
	if (!is_numeric_type(field.type) && field.type != MEWS_TYPE_FLOAT4 &&
	    field.type != MEWS_TYPE_FLOAT8)
		return MEWS_VALUE_TYPE;
	/* The host's locale may have a decimal comma; the server has not. */
	if ((c = newlocale(LC_ALL_MASK, "C", (locale_t)0)) == (locale_t)0)
		return MEWS_VALUE_RANGE;
	/* Round a float4 as its binary format does. */
	number = field.type == MEWS_TYPE_FLOAT4 ?
	    (double)strtof_l(field.bytes, &end, c) :
	    strtod_l(field.bytes, &end, c);
	freelocale(c);
	if (end == field.bytes || *end != '\0' ||
	    (isinf(number) && strchr(field.bytes, 'I') == NULL))
		return MEWS_VALUE_RANGE;
	*out = number;
	return MEWS_VALUE_OK;
}

enum mews_value
mews_result_bool(const struct mews_result *result, int row, int column,
    bool *out)
{
	struct field	field;
	enum mews_value found = find_field(result, row, column, &field);
	char		truth, lie;

	*out = false;
	if (found != MEWS_VALUE_OK)
		return found;
	if (field.type != MEWS_TYPE_BOOL)
		return MEWS_VALUE_TYPE;
	truth = field.binary ? 1 : 't';
	lie = field.binary ? 0 : 'f';
	if (field.length != 1 ||
	    (field.bytes[0] != truth && field.bytes[0] != lie))
		return MEWS_VALUE_RANGE;
	*out = field.bytes[0] == truth;
	return MEWS_VALUE_OK;
}

enum mews_value
mews_result_text(const struct mews_result *result, int row, int column,
    const char **out, size_t *length)
{
	struct field	field;
	enum mews_value found = find_field(result, row, column, &field);

	*out = NULL;
	if (length != NULL)
		*length = 0;
	if (found != MEWS_VALUE_OK)
		return found;
	if (field.binary)
		switch (field.type) {
		case MEWS_TYPE_TEXT:
		case MEWS_TYPE_VARCHAR:
		case MEWS_TYPE_BPCHAR:
		case MEWS_TYPE_NAME:
		case MEWS_TYPE_JSON:
			break;
		default:
			return MEWS_VALUE_TYPE;
		}
	*out = field.bytes;
	if (length != NULL)
		*length = (size_t)field.length;
	return MEWS_VALUE_OK;
}

enum mews_value
mews_result_bytes(const struct mews_result *result, int row, int column,
    const void **out, size_t *length)
{
	struct field	field;
	enum mews_value found = find_field(result, row, column, &field);

	*out = NULL;
	*length = 0;
	if (found != MEWS_VALUE_OK)
		return found;
	if (!field.binary)
		return MEWS_VALUE_TYPE;
	*out = field.bytes;
	*length = (size_t)field.length;
	return MEWS_VALUE_OK;
}

enum mews_value
mews_result_time(const struct mews_result *result, int row, int column,
    int64_t *us)
{
	struct field	field;
	enum mews_value found = find_field(result, row, column, &field);
	uint64_t	bits;
	int64_t		since;

	*us = 0;
	if (found != MEWS_VALUE_OK)
		return found;
	if (!field.binary)
		return MEWS_VALUE_TYPE;
	switch (field.type) {
	case MEWS_TYPE_DATE:
		/* The two ends of an int32 are the infinities. */
		if (!big_endian(&field, 4, &bits) ||
		    (int32_t)bits == INT32_MIN || (int32_t)bits == INT32_MAX)
			return MEWS_VALUE_RANGE;
		since = (int64_t)(int32_t)bits + EPOCH_DAYS;
		if (since > INT64_MAX / DAY_US || since < INT64_MIN / DAY_US)
			return MEWS_VALUE_RANGE;
		*us = since * DAY_US;
		return MEWS_VALUE_OK;
	case MEWS_TYPE_TIMESTAMP:
	case MEWS_TYPE_TIMESTAMPTZ:
		if (!big_endian(&field, 8, &bits) ||
		    (int64_t)bits == INT64_MIN || (int64_t)bits >
		    INT64_MAX - EPOCH_DAYS * DAY_US)
			return MEWS_VALUE_RANGE;
		*us = (int64_t)bits + EPOCH_DAYS * DAY_US;
		return MEWS_VALUE_OK;
	default:
		return MEWS_VALUE_TYPE;
	}
}
