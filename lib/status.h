/*
 * status.h - filling a caller's struct mews_error.
 */
#ifndef STATUS_H
#define STATUS_H

#include <mews/status.h>

/* Fill @error, which may be NULL, and return @status. */
enum mews_status status_set(struct mews_error *error, enum mews_status status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
