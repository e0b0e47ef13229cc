/*
 * segment.c - the segment of a version of mews that does not exist: its number
 * is another one, so neither version reads the other's segment.
 */
#include "fleet/segment.h"

#undef SEGMENT_ABI
#define SEGMENT_ABI 1001

#include "../../../lib/fleet/segment.c"
