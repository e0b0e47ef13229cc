/*
 * status.h - filling a caller's struct mews_error.
 */
#ifndef LIB_BASE_STATUS_H
#define LIB_BASE_STATUS_H

#include <mews/status.h>
#include <stddef.h>

/* Fill @error, which may be NULL, and return @status. */
enum mews_status status_set(struct mews_error *error, enum mews_status status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Make @text one line: each run of control characters becomes one blank, and
 * none stays at the ends. */
void status_fold(char *text);

/* Fill a host's structure of @size bytes from ours of @ours bytes: members that
 * the host's headers do not know are left out, those that only they know are
 * zero. */
void status_fill(void *out, size_t size, const void *from, size_t ours);

/* Assert that the host gave a place for what a call makes. */
#define STATUS_NEED_OUT(out)						\
	assert((out) != NULL &&						\
	    "mews: the pointer that this call sets is NULL")

#endif
