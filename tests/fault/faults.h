/*
 * faults.h - one function per row of the table of promises.
 */
#ifndef TESTS_FAULT_FAULTS_H
#define TESTS_FAULT_FAULTS_H

#include "judge.h"

#include <stdbool.h>

struct fault {
	const char *name;
	const char *promise; /* a description for the table */
	void (*run)(struct judge *judge, bool full);
};

extern const struct fault faults[];
extern const unsigned fault_count;

#endif
