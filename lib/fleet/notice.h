/*
 * notice.h - what a process last acted upon, of all that endpoints say of
 * themselves in the segment, and whether that changed.
 *
 * The counter of changes tells at once. But whoever changes a word may die
 * before it raises the counter, so the words themselves are compared on each
 * beat: a change never depends on its announcement.
 */
#ifndef LIB_FLEET_NOTICE_H
#define LIB_FLEET_NOTICE_H

#include "fleet/route.h"

struct notice {
	struct route_candidate candidates[MEWS_ENDPOINTS_MAX];
	int64_t up_ms[MEWS_ENDPOINTS_MAX]; /* see struct segment_endpoint */
	int64_t compared_us;		    /* by the pool, on its beat */
};

/* Read it all, as of now. An endpoint that this process does not know is one
 * that gets no work. */
void notice_read(struct notice *notice, const struct segment *segment);

/* Does @now ask for other routes, or other connections, than @then? */
bool notice_differs(const struct notice *then, const struct notice *now,
    const struct segment *segment, const struct mews_config *config);

/* Does some group treat a standby that lags by this and by that differently? */
bool notice_crosses_limit(const struct mews_config *config,
    uint32_t then_ms, uint32_t now_ms, uint64_t then_bytes,
    uint64_t now_bytes);

#endif
