/*
 * complaint.h - what a command says on standard error.
 *
 * No process waits for its standard error. That of `mews run` may be read by
 * nobody at all; a person's pager is given a moment by the other commands.
 */
#ifndef MASTER_COMPLAINT_H
#define MASTER_COMPLAINT_H

#include "output.h"

#include <stdint.h>

struct complaints {
	struct output output;
	uint32_t patience_ms; /* 0: nobody reads, or is waited for */
};

/**
 * Take standard error. Whatever else writes there, like a failed assertion,
 * waits no longer for room either.
 *
 * @patience_ms  how long one is waited for who reads nothing; after that no
 *               more.
 */
void complaints_open(struct complaints *complaints, uint32_t patience_ms);

/** Say one line, given without its newline. One without room is dropped; how
 * many were is told before the next that finds room. */
void complaints_add(struct complaints *complaints, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** A config_report_fn; @complaints is the struct complaints. */
void complaints_line(void *complaints, const char *line);

#endif
