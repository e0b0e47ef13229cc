/*
 * peers.c - how many connections each address has.
 */
#include "peers.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct peer {
	LIST_ENTRY(peer) entry;
	uint64_t key;
	uint32_t count; /* of connections; 0: about to be freed */
};

void
peers_init(struct peers *peers)
{
	peers->seed = (uint64_t)arc4random() << 32 | arc4random();
	for (unsigned i = 0; i < PEERS_BUCKETS; i++)
		LIST_INIT(&peers->buckets[i]);
}

/* The address in 64 bits: IPv4 gets a prefix that no client's network of IPv6
 * has. */
static bool
key_of(const struct sockaddr *address, uint64_t *key)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (address->sa_family == AF_INET) {
		memcpy(&in, address, sizeof(in));
		*key = UINT64_C(0xffff) << 32 | in.sin_addr.s_addr;
		return true;
	}
	if (address->sa_family != AF_INET6)
		return false;
	memcpy(&in6, address, sizeof(in6));
	if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
		memcpy(&in.sin_addr, in6.sin6_addr.s6_addr + 12, 4);
		*key = UINT64_C(0xffff) << 32 | in.sin_addr.s_addr;
	} else
		memcpy(key, &in6.sin6_addr, sizeof(*key));
	return true;
}

bool
peers_join(struct peers *peers, const struct sockaddr *address,
    uint32_t limit, struct peer **out)
{
	uint64_t key;
	unsigned bucket;
	struct peer *peer;

	*out = NULL;
	if (!key_of(address, &key))
		return true;
	bucket = (unsigned)((key ^ peers->seed) *
	    UINT64_C(0x9e3779b97f4a7c15) >> 54) % PEERS_BUCKETS;
	LIST_FOREACH(peer, &peers->buckets[bucket], entry)
		if (peer->key == key)
			break;
	if (peer == NULL) {
		if ((peer = calloc(1, sizeof(*peer))) == NULL)
			return false;
		peer->key = key;
		LIST_INSERT_HEAD(&peers->buckets[bucket], peer, entry);
	} else if (peer->count >= limit)
		return false;
	peer->count++;
	*out = peer;
	return true;
}

void
peer_leave(struct peer *peer)
{
	if (peer == NULL || --peer->count > 0)
		return;
	LIST_REMOVE(peer, entry);
	free(peer);
}
