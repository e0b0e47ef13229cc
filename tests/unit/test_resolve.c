/*
 * test_resolve.c - which conninfo names a host, whose address has to be found,
 * and which is an address or a socket by itself.
 */
#include "inside.h"

#include "fleet/resolve.h"

static const struct {
	const char *conninfo;
	bool named;
} cases[] = {
	{ "host=localhost port=1", true },
	{ "host=localhost hostaddr=127.0.0.1 port=1", false },
	{ "host=127.0.0.1 port=1", false },
	{ "host=::1 port=1", false },
	{ "postgresql://[::1]:1/shop", false },
	{ "host=fe80::1%lo port=1", false },
	{ "postgresql://[fe80::1%25lo]:1/shop", false },
	{ "host='/nowhere/with a space' port=1", false },
	{ "host=@mews-nobody port=1", false },
	{ "port=1", false },
};

START_TEST(only_a_name_is_resolved)
{
	static struct segment_endpoint endpoint;
	char	address[SEGMENT_HOSTADDR_MAX + 1];

	resolve_endpoint(&endpoint, cases[_i].conninfo, false);
	segment_get_address(&endpoint, address);
	ck_assert_msg(atomic_load(&endpoint.named) == cases[_i].named &&
	    (address[0] != '\0') == cases[_i].named, "%s: \"%s\"",
	    cases[_i].conninfo, address);
}
END_TEST

static Suite *
resolve_suite(void)
{
	Suite	*suite = suite_create("resolve");
	TCase	*tcase = unit_case(suite, "resolve");

	tcase_add_loop_test(tcase, only_a_name_is_resolved, 0,
	    sizeof(cases) / sizeof(cases[0]));
	return suite;
}

UNIT_MAIN(resolve_suite)
