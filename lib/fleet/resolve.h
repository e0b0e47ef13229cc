/*
 * resolve.h - the addresses behind endpoints' host names.
 *
 * Looked up before the first fork and then by the monitor's helpers, so that
 * no worker ever waits for DNS: workers connect by the published hostaddr.
 */
#ifndef LIB_FLEET_RESOLVE_H
#define LIB_FLEET_RESOLVE_H

#include "fleet/segment.h"

/*
 * Where the server of a conninfo is, as a hash of its host, hostaddr and port
 * as they are written: asks no DNS.
 */
uint64_t resolve_place(const char *conninfo);

/*
 * Which server and database a conninfo means, with what the environment adds:
 * "host=10.0.0.1 port=5432 dbname=shop". It holds no secret; cut.
 */
void resolve_server(const char *conninfo, char server[SEGMENT_SERVER_MAX + 1]);

/*
 * Look up and publish the address; blocks. What was published stays while it
 * is one of the name's addresses, in whatever order they come, and where the
 * look-up fails. @dead: nobody answers there; then the next one's turn comes.
 *
 * endpoint->named tells then whether there is a name to look up: not for a
 * numeric address, a hostaddr in the conninfo, or a unix socket.
 */
void resolve_endpoint(struct segment_endpoint *endpoint, const char *conninfo,
    bool dead);

#endif
