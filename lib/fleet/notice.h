/*
 * notice.h - the segment's words about endpoints that a process last acted
 * upon, and whether they have changed.
 *
 * The counter of changes tells at once. A process that changes a word may die
 * before it raises the counter, so the words themselves are also compared on
 * each beat.
 */
#ifndef LIB_FLEET_NOTICE_H
#define LIB_FLEET_NOTICE_H

#include "fleet/route.h"

struct notice {
	struct route_candidate candidates[MEWS_ENDPOINTS_MAX];
	int64_t up_ms[MEWS_ENDPOINTS_MAX]; /* see struct segment_endpoint */
	int64_t compared_us;		    /* by the pool, on its beat */
};

/* Read all words as of now. An endpoint that this process does not know counts
 * as drained. */
void notice_read(struct notice *notice, const struct segment *segment);

/* Does @now ask for other routes, or other connections, than @then? */
bool notice_differs(const struct notice *then, const struct notice *now,
    const struct segment *segment, const struct mews_config *config);

/* Does some group treat a standby with these two lags differently? */
bool notice_crosses_limit(const struct mews_config *config,
    uint32_t then_ms, uint32_t now_ms, uint64_t then_bytes,
    uint64_t now_bytes);

#endif
