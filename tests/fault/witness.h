/*
 * witness.h - what the library does, where its API does not tell.
 *
 * The linker replaces some of the library's functions (--wrap) by those of
 * witness.c, which do the same, and write it into the ledger.
 */
#ifndef TESTS_FAULT_WITNESS_H
#define TESTS_FAULT_WITNESS_H

#include "ledger.h"

#include <mews.h>

/** In a child, before it joins: which process this is. */
void witness_be(struct ledger *ledger, unsigned process);

/** In the parent, once a process died, before the fleet reaps it. */
void witness_bury(struct ledger *ledger, unsigned process);

/** The part of a health that is compared: state, role and epoch. */
uint64_t witness_health(const struct mews_fleet *fleet, uint32_t endpoint);

/** Sums over all processes. */
int witness_open(const struct ledger *ledger, uint32_t endpoint);

/** A mews_log_fn: record transitions, and write each line to the file @arg. */
void witness_log(void *arg, enum mews_log_level level, const char *event,
    const char *text);

#endif
