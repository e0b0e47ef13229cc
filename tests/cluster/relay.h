/*
 * relay.h - a balancer that asks for no role: each connection goes to the next
 * server.
 */
#ifndef TESTS_CLUSTER_RELAY_H
#define TESTS_CLUSTER_RELAY_H

#include <netinet/in.h>
#include <sys/types.h>

/*
 * Start a balancer on the free port *@port, in a child, in front of two servers
 * of 127.0.0.1. *@taken, in shared memory, counts its connections.
 */
pid_t relay_start(in_port_t *port, const in_port_t servers[2],
    _Atomic int *taken);

void relay_end(pid_t pid);

#endif
