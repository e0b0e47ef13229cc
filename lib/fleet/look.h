/*
 * look.h - a fleet as a view has it.
 */
#ifndef LOOK_H
#define LOOK_H

#include "fleet/segment.h"

#include <mews/view.h>

struct mews_view {
	struct segment segment;
	bool borrowed; /* the fleet's, which unmaps it */
};

#endif
