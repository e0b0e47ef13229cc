/*
 * resolve.h - the addresses behind endpoints' host names.
 *
 * Looked up before the first fork and then by the monitor's helpers, so that
 * no worker ever waits for DNS: workers connect by the published hostaddr.
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "segment.h"

/*
 * Look up and publish the address; blocks. What was published stays while it
 * is one of the name's addresses, in whatever order they come, and where the
 * look-up fails. @dead: nobody answers there; then the next one's turn comes.
 *
 * Returns true if there is a name to look up: false for a numeric address, a
 * hostaddr in the conninfo, or a unix socket.
 */
bool resolve_endpoint(struct segment_endpoint *endpoint, const char *conninfo,
    bool dead);

#endif
