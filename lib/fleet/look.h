/*
 * look.h - a fleet as a view has it.
 */
#ifndef LIB_FLEET_LOOK_H
#define LIB_FLEET_LOOK_H

#include "fleet/segment.h"

#include <mews/view.h>

struct mews_view {
	struct segment segment;
	bool borrowed; /* the fleet's, which unmaps it */
};

#endif
