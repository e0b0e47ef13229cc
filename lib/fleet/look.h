/*
 * look.h - the struct behind a view.
 */
#ifndef LIB_FLEET_LOOK_H
#define LIB_FLEET_LOOK_H

#include "fleet/segment.h"

#include <mews/view.h>

struct mews_view {
	struct segment segment;
	bool borrowed; /* the mapping belongs to a fleet, which unmaps it */
};

#endif
