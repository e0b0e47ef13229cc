/*
 * resolve.h - the addresses behind endpoints' host names.
 *
 * Looked up before the first fork and then by the monitor's helper, so that
 * no worker ever waits for DNS: workers connect by the published hostaddr.
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "segment.h"

/*
 * Look up and publish the address; blocks. An address that was known stays
 * where the look-up fails.
 *
 * Returns true if there is a name to look up: false for a numeric address, a
 * hostaddr in the conninfo, or a unix socket.
 */
bool resolve_endpoint(struct segment_endpoint *endpoint, const char *conninfo);

#endif
