/*
 * segment.c - the segment of a version of mews that there is not: its number is
 * another one, so that neither version reads the other's.
 */
#include "fleet/segment.h"

#undef SEGMENT_ABI
#define SEGMENT_ABI 1001

#include "../../../lib/fleet/segment.c"
