/*
 * mixed.h - an endpoint that is not a single server: its logins lead to a
 * primary and to a standby by turns, as behind a balancer that ignores roles.
 *
 * A primary becomes a standby only by a restart, so several changes of the role
 * in a short time mean several servers. One word per endpoint in the segment
 * counts them, changed by compare-and-swap. While an endpoint is mixed its role
 * is HEALTH_ROLE_READONLY: no login begins an epoch, and it gets no writes.
 */
#ifndef LIB_FLEET_MIXED_H
#define LIB_FLEET_MIXED_H

#include "fleet/health.h"

#define MIXED_CHANGES 4	    /* changes of the role make an endpoint mixed */
#define MIXED_SOON_MS 10000 /* each at most this long after the one before */
#define MIXED_OVER_MS 60000 /* one role for this long ends it */

typedef _Atomic uint64_t mixed_word;

enum mixed {
	MIXED_NOT,
	MIXED_BEGAN, /* with this sight */
	MIXED_STILL,
	MIXED_ENDED /* with this sight */
};

/* Count that a login, or a session of the current epoch, showed @role, which is
 * known. */
enum mixed mixed_see(mixed_word *word, enum health_role role, int64_t now_ms);

bool mixed_is(const mixed_word *word);
/* An earlier fleet found that it is, and sees a role of it now. */
void mixed_inherit(mixed_word *word, int64_t now_ms);

#endif
