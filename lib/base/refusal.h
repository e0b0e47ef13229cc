/*
 * refusal.h - why a call was refused, in a sentence that its owner keeps.
 */
#ifndef LIB_BASE_REFUSAL_H
#define LIB_BASE_REFUSAL_H

#include <mews/status.h>

struct refusal {
	char text[500]; /* of the last call that was refused, or "" */
};

/* Keep the sentence in @why, and return @status. */
enum mews_status refuse(struct refusal *why, enum mews_status status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Refuse a call on a pool to which pool_admit() does not admit this thread. */
enum mews_status refuse_foreign(struct refusal *why);

#endif
