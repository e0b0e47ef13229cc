/*
 * siblings.h - the connections of all groups to one endpoint: the loss or the
 * stall of one tells about the others.
 */
#ifndef LIB_WIRE_SIBLINGS_H
#define LIB_WIRE_SIBLINGS_H

#include "wire/conn.h"

/* After @lost was lost, read its siblings too, so that nothing is sent on a
 * dead one. */
void siblings_hear(const struct conn *lost);

/* Report a stall of @endpoint if all connections that wait for it wait too
 * long: once for each query that hangs. Sets loop_due(). */
void siblings_scan_stall(struct wire *wire, uint32_t endpoint,
    int64_t now_us);

#endif
