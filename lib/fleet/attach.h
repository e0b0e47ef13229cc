/*
 * attach.h - a process that joins a fleet of which it is nobody's child.
 */
#ifndef LIB_FLEET_ATTACH_H
#define LIB_FLEET_ATTACH_H

#include "fleet/fleet.h"

/* On each beat of an attached process: is its fleet still the one that the
 * runtime file belongs to? */
void attach_look(struct mews_fleet *fleet);

#endif
