/*
 * param.c - parameters from values of C.
 */
#include <inttypes.h>
#include <math.h>
#include <mews/type.h>
#include <stdio.h>
#include <stdlib.h>

/* Two digits at a time halve the divisions. */
static const char pairs[] =
    "00010203040506070809101112131415161718192021222324"
    "25262728293031323334353637383940414243444546474849"
    "50515253545556575859606162636465666768697071727374"
    "75767778798081828384858687888990919293949596979899";

/* Write the digits of @rest, the last of them right before @end. */
static inline void
put_digits(char *end, uint32_t rest)
{
	for (; rest >= 100; rest /= 100)
		memcpy(end -= 2, pairs + rest % 100 * 2, 2);
	if (rest >= 10)
		memcpy(end -= 2, pairs + rest * 2, 2);
	else
		*--end = (char)('0' + rest);
}

static inline int
count_digits(uint32_t rest)
{
	return rest < 100 ? 1 + (rest >= 10) :
	    rest < 10000 ? 3 + (rest >= 1000) :
	    rest < 1000000 ? 5 + (rest >= 100000) :
	    rest < 100000000 ? 7 + (rest >= 10000000) :
	    9 + (rest >= 1000000000);
}

struct mews_param
mews_param_int_text(int64_t value)
{
	struct mews_param	param = { 0 };

	if (value < 0 || value > UINT32_MAX) {
		param.length = snprintf(param.inside, sizeof(param.inside),
		    "%" PRId64, value);
	} else {
		param.length = count_digits((uint32_t)value);
		put_digits(param.inside + param.length, (uint32_t)value);
	}
	return param;
}

/* Copy a number of printf(3), whose decimal point may be a comma or several
 * bytes in the host's locale: SQL knows the point only. */
static int
copy_number(char *to, const char *from)
{
	char	*at = to;

	while (*from != '\0') {
		size_t	foreign = strcspn(from, "+-0123456789e");

		if (foreign > 0)
			*at++ = '.';
		else
			*at++ = *from++;
		from += foreign;
	}
	*at = '\0';
	return (int)(at - to);
}

struct mews_param
mews_param_double_text(double value)
{
	struct mews_param	param = { 0 };

	if (isnan(value))
		return mews_param_text("NaN");
	if (isinf(value))
		return mews_param_text(value < 0 ? "-Infinity" : "Infinity");
	for (int digits = 15; digits <= 17; digits++) {
		/* Room for -1.7976931348623157e+308 with a long decimal
		 * point. */
		char	text[48];

		snprintf(text, sizeof(text), "%.*g", digits, value);
		param.length = copy_number(param.inside, text);
		if (strtod(text, NULL) == value)
			break;
	}
	return param;
}

struct mews_param
mews_param_bool(bool value)
{
	return mews_param_text(value ? "t" : "f");
}

struct mews_param
mews_param_text(const char *value)
{
	struct mews_param	param = { 0 };
	size_t			length = value == NULL ? 0 : strlen(value);

	param.value = value;
	if (value == NULL)
		param.length = -1;
	else if (length > INT32_MAX)
		param.length = -2; /* refused, rather than cut */
	else
		param.length = (int32_t)length;
	return param;
}

struct mews_param
mews_param_bytes(const void *value, int32_t length)
{
	struct mews_param	param = { 0 };

	param.value = value;
	param.length = value == NULL ? -1 : length;
	param.format = 1;
	return param;
}

struct mews_param
mews_param_null(void)
{
	struct mews_param	param = { 0 };

	param.length = -1;
	return param;
}

/* Write the @size low bytes of @bits, big-endian. */
static char *
put_bytes(char *p, uint64_t bits, int size)
{
	for (int i = size; i-- > 0; bits >>= 8)
		p[i] = (char)(bits & 0xff);
	return p + size;
}

static struct mews_param
number_param(enum mews_type type, uint64_t bits, int size)
{
	struct mews_param	param = { 0 };

	param.type = (Oid)type;
	param.format = 1;
	param.length = size;
	put_bytes(param.inside, bits, size);
	return param;
}

struct mews_param
mews_param_int2(int16_t value)
{
	return number_param(MEWS_TYPE_INT2, (uint64_t)value, 2);
}

struct mews_param
mews_param_int4(int32_t value)
{
	return number_param(MEWS_TYPE_INT4, (uint64_t)value, 4);
}

struct mews_param
mews_param_int8(int64_t value)
{
	return number_param(MEWS_TYPE_INT8, (uint64_t)value, 8);
}

struct mews_param
mews_param_float4(float value)
{
	uint32_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	return number_param(MEWS_TYPE_FLOAT4, bits, 4);
}

struct mews_param
mews_param_float8(double value)
{
	uint64_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	return number_param(MEWS_TYPE_FLOAT8, bits, 8);
}

struct mews_param
mews_param_time(int64_t us)
{
	const int64_t	epoch = INT64_C(946684800000000); /* 2000-01-01 */

	/* Do not wrap: a time before PostgreSQL's first one stays before it,
	 * and the server refuses it. INT64_MIN itself would be -infinity. */
	return number_param(MEWS_TYPE_TIMESTAMPTZ, us <= INT64_MIN + epoch ?
	    (uint64_t)INT64_MIN + 1 : (uint64_t)(us - epoch), 8);
}

/* Write the head of an array of one dimension, counted from 1; array_send() in
 * the server's src/backend/utils/adt/arrayfuncs.c. */
static char *
put_array(char *p, enum mews_type element, int32_t count)
{
	p = put_bytes(p, count == 0 ? 0 : 1, 4); /* dimensions */
	p = put_bytes(p, 0, 4);		   /* no NULLs */
	p = put_bytes(p, (uint64_t)element, 4);
	if (count == 0)
		return p;
	p = put_bytes(p, (uint64_t)count, 4);
	return put_bytes(p, 1, 4);
}

struct mews_param
mews_param_int4_array(void *buffer, const int32_t *values, int32_t count)
{
	char	*p = put_array(buffer, MEWS_TYPE_INT4, count);

	for (int32_t i = 0; i < count; i++)
		p = put_bytes(put_bytes(p, 4, 4), (uint64_t)values[i], 4);
	return mews_param_binary(MEWS_TYPE_INT4_ARRAY, buffer,
	    (int32_t)(p - (char *)buffer));
}

struct mews_param
mews_param_int8_array(void *buffer, const int64_t *values, int32_t count)
{
	char	*p = put_array(buffer, MEWS_TYPE_INT8, count);

	for (int32_t i = 0; i < count; i++)
		p = put_bytes(put_bytes(p, 8, 4), (uint64_t)values[i], 8);
	return mews_param_binary(MEWS_TYPE_INT8_ARRAY, buffer,
	    (int32_t)(p - (char *)buffer));
}

struct mews_param
mews_param_as(Oid type, const char *value)
{
	struct mews_param	param = mews_param_text(value);

	param.type = type;
	return param;
}

struct mews_param
mews_param_binary(Oid type, const void *value, int32_t length)
{
	struct mews_param	param = mews_param_bytes(value, length);

	param.type = type;
	return param;
}
