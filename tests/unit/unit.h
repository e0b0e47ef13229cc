/*
 * unit.h - what every unit test program shares.
 *
 * One program is one suite. It speaks TAP on stdout, so meson counts each test
 * by itself. Check forks for every test: a crash or a timeout fails one test
 * only, and what a test allocates or opens ends with it. CK_FORK=no runs all in
 * one process, for a debugger or valgrind.
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <check.h>
#include <stdlib.h>

/* Run a suite; the exit status of the program. */
static inline int
unit_run(Suite *suite)
{
	SRunner	*runner = srunner_create(suite);
	int	 failed;

	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Add a test case of that name to the suite. Its time limit, in seconds for
 * each test, is for a busy machine and a build with sanitizers. */
static inline TCase *
unit_case(Suite *suite, const char *name)
{
	TCase	*tcase = tcase_create(name);

	tcase_set_timeout(tcase, 180);
	suite_add_tcase(suite, tcase);
	return tcase;
}

/* The program's main(): UNIT_MAIN(config_suite), a function that returns a
 * Suite *. */
#define UNIT_MAIN(suite)						\
	int								\
	main(void)							\
	{								\
		return unit_run(suite());				\
	}

#endif
