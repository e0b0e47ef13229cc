/*
 * mixed.h - an endpoint that is no single server: logins lead to a primary and
 * to a standby by turns, as behind a balancer that asks for no role.
 *
 * A server becomes a primary in a moment, but a standby only by a restart, so
 * several changes in a short time are those of different servers. One word per
 * endpoint in the segment keeps them, changed by compare-and-swap. While an
 * endpoint is mixed its role is pinned to HEALTH_ROLE_READONLY: it begins no
 * epoch at each login, and gets no write.
 */
#ifndef LIB_FLEET_MIXED_H
#define LIB_FLEET_MIXED_H

#include "fleet/health.h"

#define MIXED_CHANGES 4	    /* of the role, and the endpoint is mixed */
#define MIXED_SOON_MS 10000 /* each so soon after the one before */
#define MIXED_OVER_MS 60000 /* one role for so long, and it is not */

typedef _Atomic uint64_t mixed_word;

enum mixed {
	MIXED_NOT,
	MIXED_BEGAN, /* with this sight */
	MIXED_STILL,
	MIXED_ENDED /* with this sight */
};

/* A login, or a session of the endpoint's epoch, showed @role, a known one. */
enum mixed mixed_see(mixed_word *word, enum health_role role, int64_t now_ms);

bool mixed_is(const mixed_word *word);

#endif
