/*
 * harness [--strict] [--full] [FAULT...] - break things under load, and compare
 * what happens with what is promised.
 *
 * Speaks TAP: a test for each fault. Every figure is a line of its own,
 *
 *	# fault=NAME figure=NAME value=N promise=<=N ok=yes|no
 *
 * and ok tells whether the promise itself holds. A machine that has something
 * else to do makes times longer, so a test fails only if a promise of logic is
 * broken, or a time is missed three times over. --strict: a test fails as soon
 * as a promise is broken. --full: each fault lasts as long as the promise says.
 */
#include "faults.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
usage(void)
{
	fprintf(stderr, "usage: harness [--strict] [--full] [FAULT...]\n"
	    "faults:\n");
	for (unsigned i = 0; i < fault_count; i++)
		fprintf(stderr, "  %-22s %s\n", faults[i].name,
		    faults[i].promise);
	exit(2);
}

static bool
is_wanted(const struct fault *fault, char *const names[])
{
	if (*names == NULL)
		return true;
	for (; *names != NULL; names++)
		if (strcmp(*names, fault->name) == 0)
			return true;
	return false;
}

int
main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "strict", no_argument, NULL, 's' },
		{ "full", no_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	bool		strict = false, full = false;
	unsigned	number = 0, failed = 0;
	int		option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 's':
			strict = true;
			break;
		case 'f':
			full = true;
			break;
		default:
			usage();
		}
	for (unsigned i = 0; i < fault_count; i++) {
		struct judge judge = { .fault = faults[i].name,
			.strict = strict };

		if (!is_wanted(&faults[i], argv + optind))
			continue;
		faults[i].run(&judge, full);
		printf("%sok %u - %s%s%s\n", judge.broken > 0 ? "not " : "",
		    ++number, faults[i].name,
		    judge.skipped != NULL ? " # SKIP " : "",
		    judge.skipped != NULL ? judge.skipped : "");
		fflush(stdout);
		failed += judge.broken > 0;
	}
	printf("1..%u\n", number);
	if (number == 0)
		usage();
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
