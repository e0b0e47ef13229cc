/*
 * leftover.h - workers and monitor of a master that was killed.
 *
 * Leftovers end by themselves. One that was stopped, or spins, would keep the
 * listening sockets, or work beside the next monitor: the next master kills it.
 */
#ifndef MASTER_LEFTOVER_H
#define MASTER_LEFTOVER_H

#include "log.h"
#include "runtime.h"

/**
 * Wait until the workers that a killed master's segment names have closed their
 * listening sockets, and its monitor has ended; after @patience_ms kill the
 * rest.
 *
 * The segment is not trusted: a process is killed only if it runs as @who, had
 * its pid when the segment says so, and has the title of a worker or monitor of
 * this instance.
 */
void leftovers_end(const struct runtime *runtime, const struct privileges *who,
    uint32_t patience_ms, const struct log *log);

#endif
