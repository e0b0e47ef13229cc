/*
 * jump.h - a clock that a test can put forward, for the whole program.
 *
 * jump.c defines clock_gettime(), which everything in the program gets in the
 * place of the C library's.
 */
#ifndef TESTS_CLUSTER_JUMP_H
#define TESTS_CLUSTER_JUMP_H

#include <stdint.h>

/* CLOCK_MONOTONIC is so much later from now on. */
void clock_shift(int64_t ms);

#endif
