/*
 * jump.h - a clock that a test can put forward, for the whole program.
 *
 * jump.c defines clock_gettime(), which replaces the C library's everywhere in
 * the program.
 */
#ifndef TESTS_CLUSTER_JUMP_H
#define TESTS_CLUSTER_JUMP_H

#include <stdint.h>

/* Put CLOCK_MONOTONIC forward by so much, from now on. */
void clock_shift(int64_t ms);

#endif
