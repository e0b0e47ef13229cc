/*
 * fail.h - why something could not be done, in one sentence.
 */
#ifndef MASTER_FAIL_H
#define MASTER_FAIL_H

#include <mews/status.h>

/**
 * Fill @error with a sentence, as MEWS_SYSTEM. errno is left as it was.
 *
 * Returns false, so that a function can end with `return fail(...)`.
 */
bool fail(struct mews_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** As fail(), with MEWS_INVALID, for a mistake in the configuration: the
 * sentence begins with the place, FILE:LINE. */
bool fail_at(struct mews_error *error, const char *file, unsigned line,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
