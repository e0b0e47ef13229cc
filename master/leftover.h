/*
 * leftover.h - workers of a master that was killed.
 *
 * They drain and end by themselves. One that cannot, because it was stopped
 * or spins, would keep the listening sockets: the next master ends it.
 */
#ifndef LEFTOVER_H
#define LEFTOVER_H

#include "log.h"
#include "runtime.h"

/**
 * Wait for those that the segment of a killed master names to have closed
 * their listening sockets; kill who has not after @patience_ms.
 *
 * Trusts the segment with nothing: only processes of @who are killed that had
 * the pid already when the segment says so, and that call themselves workers
 * of this instance.
 */
void leftovers_end(const struct runtime *runtime, const struct privileges *who,
    uint32_t patience_ms, const struct log *log);

#endif
