/*
 * files.h - how many descriptors a worker needs, and how many it may have.
 */
#ifndef WORKER_FILES_H
#define WORKER_FILES_H

#include <mews/settings.h>
#include <stdbool.h>
#include <stdint.h>

/** Descriptors that a worker needs beside one for each client: its own, those
 * by which processes of all @slots wake each other, connections to servers. */
uint64_t files_besides_clients(const struct mews_config *fleet,
    unsigned slots);

/** Descriptors that a process like this one may have, once it raised its limit
 * as far as it is allowed and useful. UINT64_MAX: nobody knows.
 *
 * @raise  do raise it. */
uint64_t files_allowed(bool raise);

#endif
