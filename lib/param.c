/*
 * param.c - parameters, so that nobody writes snprintf for an integer.
 */
#include <mews/query.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct mews_param
mews_param_int(int64_t value)
{
	struct mews_param	param = { 0 };
	uint64_t		rest;
	char			digits[20], *p = param.inside;
	int			count = 0;

	rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
	do
		digits[count++] = (char)('0' + rest % 10);
	while ((rest /= 10) != 0);
	if (value < 0)
		*p++ = '-';
	while (count > 0)
		*p++ = digits[--count];
	param.length = (int32_t)(p - param.inside);
	return param;
}

struct mews_param
mews_param_double(double value)
{
	struct mews_param	param = { 0 };

	if (isnan(value))
		return mews_param_text("NaN");
	if (isinf(value))
		return mews_param_text(value < 0 ? "-Infinity" : "Infinity");
	for (int digits = 15; digits <= 17; digits++) {
		char	text[32];
		int	length = snprintf(text, sizeof(text), "%.*g", digits,
		    value);

		if (length >= (int)sizeof(param.inside))
			break;
		memcpy(param.inside, text, (size_t)length + 1);
		param.length = length;
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

	param.value = value;
	param.length = value == NULL ? -1 : (int32_t)strlen(value);
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
