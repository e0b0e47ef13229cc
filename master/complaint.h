/*
 * complaint.h - writing to standard error without waiting for long.
 *
 * No process waits for ever for a reader of its standard error: `mews run` does
 * not wait at all, other commands give a pager a moment.
 */
#ifndef MASTER_COMPLAINT_H
#define MASTER_COMPLAINT_H

#include "output.h"

#include <stdint.h>

struct complaints {
	struct output output;
	uint32_t patience_ms; /* 0: do not wait for a reader */
};

/**
 * Take over standard error. Other writers there, such as a failed assertion, do
 * not wait for room any more either.
 *
 * @patience_ms  how long, in all, to wait for a reader that reads nothing.
 */
void complaints_open(struct complaints *complaints, uint32_t patience_ms);

/** Write one line, given without its newline. A line without room is dropped,
 * and counted in front of the next one that finds room. */
void complaints_add(struct complaints *complaints, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** A config_report_fn; @complaints is the struct complaints. */
void complaints_line(void *complaints, const char *line);

#endif
