/*
 * words.h - what others wrote, in a form that is safe to show to people.
 */
#ifndef MASTER_WORDS_H
#define MASTER_WORDS_H

#include <stddef.h>
#include <stdint.h>

/** Copy a text that anything may have been written to: what cannot be
 * printed becomes "?". Returns @copy. */
const char *words_clean(char *copy, size_t size, const char *text);

/** Put a ? in place of control characters, and of bytes that are not UTF-8. */
void words_printable(char *text);

/** "950ms", "12.3s", "5m10s", "7h05m", "3d04h"; "-" for what is negative.
 * Returns @buffer. */
const char *words_span(char *buffer, size_t size, int64_t ms);

#endif
