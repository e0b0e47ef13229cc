/*
 * endpoint.h - what a process knows and says about an endpoint.
 *
 * An endpoint's health changes only by the functions below: each logs the
 * transition and wakes the fleet.
 */
#ifndef LIB_FLEET_ENDPOINT_H
#define LIB_FLEET_ENDPOINT_H

#include "fleet/fleet.h"

/* The record in the segment. */
static inline struct segment_endpoint *
endpoint_record(const struct mews_fleet *fleet, uint32_t endpoint)
{
	return &fleet->segment.endpoints[endpoint];
}

static inline struct health
endpoint_health(const struct mews_fleet *fleet, uint32_t endpoint)
{
	return health_get(&fleet->segment.endpoints[endpoint].health);
}

/* The name ("standby1"), from the configuration: always a valid string. */
static inline const char *
endpoint_name(const struct mews_fleet *fleet, uint32_t endpoint)
{
	return fleet->config->endpoints[endpoint].name;
}

/* Is the address known, or none needed? */
bool endpoint_has_address(const struct mews_fleet *fleet, uint32_t endpoint);

/* Report evidence. @epoch: the endpoint's when the reporter began to look. */
void endpoint_report(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_evidence evidence, unsigned epoch);
/* As endpoint_report(), for a probe's verdict: ends the probe lease. */
void endpoint_verdict(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_evidence evidence, unsigned epoch);
/* Report a role. Returns the epoch that it was seen in: a change of role begins
 * a new one. If something else began another epoch meanwhile, the endpoint's
 * epoch differs. */
unsigned endpoint_see_role(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_role role, unsigned epoch);

/* Take the right to probe @endpoint; see health_lease(). */
bool endpoint_lease(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_prober prober, bool panic, uint32_t probed_ms);

/* A login went well. */
void endpoint_logged_in(struct mews_fleet *fleet, uint32_t endpoint);

/*
 * Would another login go well, as one did lately and after @since_us? If that
 * is not known, endpoint_want_login() is due. Used before a session is closed
 * to make room for its successor: it stays open until a login is proven.
 */
bool endpoint_proves_login(const struct mews_fleet *fleet, uint32_t endpoint,
    int64_t since_us);

/* Whether a login would go well is not known: ask the next prober to log in. */
void endpoint_want_login(struct mews_fleet *fleet, uint32_t endpoint);

/* Something that routes depend on changed: wake all processes to look again. */
void endpoint_changed(struct mews_fleet *fleet);

#endif
