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

/* A comma, or what else the host's locale writes for the decimal point, which
 * may be several bytes: SQL knows the point only. */
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
mews_param_double(double value)
{
	struct mews_param	param = { 0 };

	if (isnan(value))
		return mews_param_text("NaN");
	if (isinf(value))
		return mews_param_text(value < 0 ? "-Infinity" : "Infinity");
	for (int digits = 15; digits <= 17; digits++) {
		/* -1.7976931348623157e+308, and a long decimal point. */
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
