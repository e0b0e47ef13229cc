/*
 * leftover.h - workers and monitor of a master that was killed.
 *
 * They end by themselves. One that cannot, because it was stopped or spins,
 * would keep the listening sockets, or do its work beside the next monitor: the
 * next master ends it.
 */
#ifndef MASTER_LEFTOVER_H
#define MASTER_LEFTOVER_H

#include "log.h"
#include "runtime.h"

/**
 * Wait for the workers that the segment of a killed master names to have closed
 * their listening sockets, and for its monitor to have ended; kill who has not
 * after @patience_ms.
 *
 * Trusts the segment with nothing: only processes of @who are killed that had
 * the pid already when the segment says so, and that call themselves workers
 * or monitor of this instance.
 */
void leftovers_end(const struct runtime *runtime, const struct privileges *who,
    uint32_t patience_ms, const struct log *log);

#endif
