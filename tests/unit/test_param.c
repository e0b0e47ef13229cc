/*
 * test_param.c - parameters arrive as they were given.
 */
#include "inside.h"

#include <mews/query.h>

#include <inttypes.h>
#include <math.h>

/* The bytes that a query sends for a parameter. */
static const char *
bytes_of(const struct mews_param *param)
{
	return param->value == NULL ? param->inside : param->value;
}

static void
assert_text(struct mews_param param, const char *text)
{
	ck_assert_int_eq(param.format, 0);
	ck_assert_int_eq(param.length, (int)strlen(text));
	ck_assert_mem_eq(bytes_of(&param), text, strlen(text));
}

static const struct {
	int64_t value;
	const char *text;
} integers[] = {
	{ 0, "0" },
	{ 1, "1" },
	{ -1, "-1" },
	{ 9, "9" },
	{ 10, "10" },
	{ -10, "-10" },
	{ INT32_MAX, "2147483647" },
	{ INT32_MIN, "-2147483648" },
	{ UINT32_MAX, "4294967295" },
	{ INT64_MAX, "9223372036854775807" },
	{ INT64_MIN, "-9223372036854775808" },
	{ INT64_MIN + 1, "-9223372036854775807" },
};

START_TEST(integers_are_written_in_full)
{
	assert_text(mews_param_int_text(integers[_i].value), integers[_i].text);
}
END_TEST

START_TEST(random_integers_are_read_back)
{
	uint64_t	seed = 30;
	char		text[32];

	for (int i = 0; i < 30000; i++) {
		int64_t value = (int64_t)(dice(&seed) >> dice(&seed) % 64);
		struct mews_param param =
		    mews_param_int_text(i % 2 == 0 ? value : -value);

		REQUIRE(param.value == NULL && param.format == 0);
		REQUIRE(param.length == snprintf(text, sizeof(text), "%" PRId64,
		    i % 2 == 0 ? value : -value));
		REQUIRE(strcmp(param.inside, text) == 0);
	}
}
END_TEST

static const struct {
	double value;
	const char *text;
} doubles[] = {
	{ 0.0, "0" },
	{ -0.0, "-0" },
	{ 1.0, "1" },
	{ 0.1, "0.1" },
	{ -2.5, "-2.5" },
	{ 1e100, "1e+100" },
	{ 0.1 + 0.2, "0.30000000000000004" },
	{ 1.7976931348623157e308, "1.7976931348623157e+308" },
	{ -2.2250738585072014e-308, "-2.2250738585072014e-308" },
	{ 4.9406564584124654e-324, "4.94065645841247e-324" },
	{ INFINITY, "Infinity" },
	{ -INFINITY, "-Infinity" },
	{ NAN, "NaN" },
	{ -NAN, "NaN" },
};

START_TEST(doubles_are_short_and_exact)
{
	assert_text(mews_param_double_text(doubles[_i].value),
	    doubles[_i].text);
}
END_TEST

static void
assert_random_doubles_are_exact(void)
{
	uint64_t	seed = 31;

	for (int i = 0; i < 30000; i++) {
		uint64_t	  bits = dice(&seed);
		struct mews_param param;
		double		  value, back;

		memcpy(&value, &bits, sizeof(value));
		if (isnan(value) || isinf(value))
			continue;
		param = mews_param_double_text(value);
		REQUIRE(param.value == NULL && param.format == 0);
		REQUIRE(param.length == (int)strlen(param.inside));
		back = strtod(param.inside, NULL);
		REQUIRE(memcmp(&back, &value, sizeof(back)) == 0);
	}
}

START_TEST(random_doubles_are_read_back_exactly)
{
	assert_random_doubles_are_exact();
}
END_TEST

START_TEST(the_locale_changes_no_written_number)
{
	char	text[8];

	if (!use_odd_locale())
		return;
	snprintf(text, sizeof(text), "%.1f", 2.5);
	ck_assert_str_eq(text, "2,5");
	for (int i = 0; i < COUNT(doubles); i++)
		assert_text(mews_param_double_text(doubles[i].value),
		    doubles[i].text);
	for (int i = 0; i < COUNT(integers); i++)
		assert_text(mews_param_int_text(integers[i].value),
		    integers[i].text);
}
END_TEST

START_TEST(a_boolean_is_one_letter)
{
	assert_text(mews_param_bool(true), "t");
	assert_text(mews_param_bool(false), "f");
}
END_TEST

START_TEST(a_text_parameter_is_borrowed_and_measured)
{
	static const char text[] = "gr\xc3\xbc\xc3\x9f\x65";
	struct mews_param param = mews_param_text(text);

	ck_assert_ptr_eq(param.value, text);
	assert_text(param, text);
	/* An empty text is not NULL. */
	param = mews_param_text("");
	ck_assert_int_eq(param.length, 0);
	ck_assert_ptr_nonnull(param.value);
}
END_TEST

/* Text that is too long to send is not cut: a query with it is refused. */
START_TEST(text_beyond_two_gigabytes_is_not_cut)
{
	const size_t	piece = (size_t)4 << 20, size = (size_t)4 << 30;
	char	       *text;
	int		fd = memfd_create("text", MFD_CLOEXEC);
	struct mews_param param;

	/* One piece of memory, mapped again and again, and five bytes more. */
	text = mmap(NULL, size + piece, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
	    MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(text, MAP_FAILED);
	ck_assert_int_eq(ftruncate(fd, (off_t)piece), 0);
	for (size_t at = 0; at <= size; at += piece)
		ck_assert_ptr_ne(mmap(text + at, piece, PROT_READ | PROT_WRITE,
		    (at == size ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED, fd,
		    0), MAP_FAILED);
	memset(text, 'x', piece);
	text[size + 5] = '\0';
	param = mews_param_text(text);
	ck_assert_int_lt(param.length, -1);
}
END_TEST

START_TEST(a_bytea_parameter_is_borrowed_and_binary)
{
	static const char bytes[] = { 0, 1, (char)0xff, 0 };
	struct mews_param param = mews_param_bytes(bytes, sizeof(bytes));

	ck_assert_ptr_eq(param.value, bytes);
	ck_assert_int_eq(param.length, sizeof(bytes));
	ck_assert_int_eq(param.format, 1);
	param = mews_param_bytes(bytes, 0);
	ck_assert_int_eq(param.length, 0);
	ck_assert_ptr_nonnull(param.value);
}
END_TEST

START_TEST(a_null_parameter_is_null)
{
	const struct mews_param nulls[] = {
		mews_param_null(), mews_param_text(NULL),
		mews_param_bytes(NULL, 0), mews_param_bytes(NULL, 7),
	};

	for (int i = 0; i < COUNT(nulls); i++) {
		ck_assert_int_eq(nulls[i].length, -1);
		ck_assert_ptr_null(nulls[i].value);
	}
}
END_TEST

static Suite *
param_suite(void)
{
	Suite	*suite = suite_create("param");
	TCase	*tcase = unit_case(suite, "values");

	tcase_add_loop_test(tcase, integers_are_written_in_full, 0,
	    COUNT(integers));
	tcase_add_test(tcase, random_integers_are_read_back);
	tcase_add_loop_test(tcase, doubles_are_short_and_exact, 0,
	    COUNT(doubles));
	tcase_add_test(tcase, random_doubles_are_read_back_exactly);
	tcase_add_test(tcase, the_locale_changes_no_written_number);
	tcase_add_test(tcase, a_boolean_is_one_letter);
	tcase_add_test(tcase, a_text_parameter_is_borrowed_and_measured);
	tcase_add_test(tcase, a_bytea_parameter_is_borrowed_and_binary);
	tcase_add_test(tcase, a_null_parameter_is_null);

	tcase = unit_case(suite, "size");
	tcase_add_test(tcase, text_beyond_two_gigabytes_is_not_cut);
	return suite;
}

UNIT_MAIN(param_suite)
