/*
 * mistake.h - collecting the mistakes of a file, to report them in order.
 *
 * Mistakes are found in several passes over a file, and reported in the order
 * of its lines.
 */
#ifndef CONFIG_MISTAKE_H
#define CONFIG_MISTAKE_H

#include "config.h"
#include "memory.h"

struct mistake;

/* Begins as zeroes. */
struct mistakes {
	struct memory *memory;
	struct mistake *first; /* by line; on one line in the order found */
	size_t count;
};

/* Add a mistake: one sentence, without a full stop, that says what is wrong and
 * what is allowed. @line 0: about the file as a whole. */
void mistake_add(struct mistakes *mistakes, unsigned line,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
void mistake_report(const struct mistakes *mistakes, const char *path,
    config_report_fn *report, void *arg);
/* Forget all mistakes. */
void mistake_clear(struct mistakes *mistakes);

#endif
