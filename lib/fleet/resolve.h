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
 * A hash of host, hostaddr and port as the conninfo has them; asks no DNS.
 */
uint64_t resolve_place(const char *conninfo);

/*
 * Write which server and database a conninfo and the environment mean:
 * "host=10.0.0.1 port=5432 dbname=shop". Without secrets; cut.
 */
void resolve_server(const char *conninfo, char server[SEGMENT_SERVER_MAX + 1]);

/*
 * Look up and publish the address; blocks. The published address stays as long
 * as the name has it, in any order, and if the look-up fails. @dead: no server
 * answers there, so publish the name's next address.
 *
 * Sets endpoint->named: is there a name to look up? Not for a numeric address,
 * a hostaddr in the conninfo, or a unix socket.
 */
void resolve_endpoint(struct segment_endpoint *endpoint, const char *conninfo,
    bool dead);

#endif
