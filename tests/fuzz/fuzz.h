/*
 * fuzz.h - a target: one function that must survive any bytes.
 *
 * The function has libFuzzer's name and arguments, so libFuzzer can call it as
 * well; main.c here mutates seeds a fixed number of times, the same way each
 * time.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Returns 0 always. A broken promise aborts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Words and form for the mutations of main.c. */
extern const char *const fuzz_words[]; /* words to insert; the last one is
					  NULL */
extern const bool fuzz_lines;	       /* is a seed a line instead of a file? */

#endif
