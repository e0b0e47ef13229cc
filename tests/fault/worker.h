/*
 * worker.h - a worker of the harness: a steady load by the clock.
 */
#ifndef TESTS_FAULT_WORKER_H
#define TESTS_FAULT_WORKER_H

#include "ledger.h"

#define WORKER_READS  50 /* requests per second */
#define WORKER_WRITES 5

/** Serve until the ledger says stop; the exit status of the process. */
int worker_run(struct mews_fleet *fleet, struct ledger *ledger,
    unsigned worker, uint32_t life);

#endif
