/*
 * attach.h - joining a fleet that forked none of this process' parents.
 */
#ifndef LIB_FLEET_ATTACH_H
#define LIB_FLEET_ATTACH_H

#include "fleet/fleet.h"

/* Look, on each beat of an attached process, whether the runtime file is still
 * its fleet's; set @fleet->ended and replaced. */
void attach_look(struct mews_fleet *fleet);

#endif
