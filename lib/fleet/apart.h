/*
 * apart.h - a fleet that follows one whose segment it cannot read.
 *
 * The successor makes a segment of its own, with a directory of its own, beside
 * the runtime file, and puts both in its place to serve (place.h). From then on
 * the segment of the fleet before stands beside it, and that one's process
 * removes it at its end. Where the successor dies in between, that process puts
 * its own back.
 *
 * Caps: each segment counts what the processes of the other one have, or may
 * have, beside its own (budget.h). The fleet before lends: it raises the number
 * that its own processes leave to its successor, then sums up what they hold,
 * and tells the successor the rest. That number never grows again, so that a
 * message which is late or lost means less for the successor, and never more
 * than the cap for both.
 *
 * What is told is text, as the layouts differ; told.c has the words.
 */
#ifndef LIB_FLEET_APART_H
#define LIB_FLEET_APART_H

#include "fleet/fleet.h"

/* Make segment, generation and line of a fleet that follows the one of
 * @config's runtime file. */
enum mews_status apart_make(struct mews_fleet *fleet,
    const struct mews_config *config, struct mews_error *error);

#endif
