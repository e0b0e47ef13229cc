/*
 * peers.h - how many connections each address has.
 *
 * An address of IPv4, or a /64 network of IPv6, which is what one subscriber
 * has. Clients of a unix socket have no address and are not counted.
 */
#ifndef WORKER_PEERS_H
#define WORKER_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define PEERS_BUCKETS 1024

struct peer;

/* One per front. */
struct peers {
	uint64_t seed; /* secret: nobody can choose buckets */
	LIST_HEAD(, peer) buckets[PEERS_BUCKETS];
};

void peers_init(struct peers *peers);

/**
 * Count a connection of this address, if there are fewer than @limit.
 *
 * @out  to be given to peer_leave(); NULL: there is no address.
 * False: there are as many as that, or no memory.
 */
bool peers_join(struct peers *peers, const struct sockaddr *address,
    uint32_t limit, struct peer **out);
/** The connection was closed. NULL is a no-op. */
void peer_leave(struct peer *peer);

#endif
