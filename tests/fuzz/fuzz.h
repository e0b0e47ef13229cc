/*
 * fuzz.h - a target: one function that survives whatever it is given.
 *
 * The function is that of libFuzzer, so it can be run by that as well; our
 * own main() mutates seeds a fixed number of times, the same each time.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Always 0. A promise that is broken aborts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Words and form for our own mutations. */
extern const char *const fuzz_words[]; /* to insert; the last is NULL */
extern const bool fuzz_lines;	       /* a seed is a line, not a file */

#endif
