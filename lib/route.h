/*
 * route.h - which endpoints may serve a group, best first.
 *
 * Pure: made from the healths, looked at for each query. Tiers are tried in
 * order; within a tier all are equally welcome.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "health.h"

#include <mews/config.h>

#define ROUTE_TIERS 6

struct route {
	uint8_t count;
	uint8_t tier_end[ROUTE_TIERS]; /* index behind the tier's last */
	uint8_t endpoint[MEWS_ENDPOINTS_MAX]; /* indices, in tiers */
};

void route_make(struct route *route, enum mews_group_role role,
    const struct health *healths, uint32_t count);

#endif
