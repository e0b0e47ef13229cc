/*
 * siblings.h - the connections to one endpoint, of all groups: what one of them
 * suffers tells of the others.
 */
#ifndef LIB_WIRE_SIBLINGS_H
#define LIB_WIRE_SIBLINGS_H

#include "wire/conn.h"

/* After @lost was lost, read its siblings too, so that nothing is sent on one
 * that is dead as well. */
void siblings_hear(const struct conn *lost);

/* Report @endpoint if all connections that wait for it do so too long: once
 * for each query that hangs. Sets loop_due(). */
void siblings_scan_stall(struct wire *wire, uint32_t endpoint,
    int64_t now_us);

#endif
