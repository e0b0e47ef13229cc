/*
 * endpoint.h - what a process knows and says about an endpoint.
 *
 * endpoint_report() and endpoint_see_role() are the only ways to change an
 * endpoint's health: each logs the transition and wakes the fleet.
 */
#ifndef LIB_FLEET_ENDPOINT_H
#define LIB_FLEET_ENDPOINT_H

#include "fleet/fleet.h"

static inline struct health
endpoint_health(const struct mews_fleet *fleet, uint32_t endpoint)
{
	return health_get(&fleet->segment.endpoints[endpoint].health);
}

/* "standby1"; out of the configuration, so always a good string. */
static inline const char *
endpoint_name(const struct mews_fleet *fleet, uint32_t endpoint)
{
	return fleet->config->endpoints[endpoint].name;
}

/* Is an address known, or none needed? */
bool endpoint_has_address(const struct mews_fleet *fleet, uint32_t endpoint);

/* @epoch: of the endpoint when the reporter began to look. */
void endpoint_report(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_evidence evidence, unsigned epoch);
/* As endpoint_report(), for a probe's verdict: ends the probe lease. */
void endpoint_verdict(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_evidence evidence, unsigned epoch);
/* Returns the epoch that this was seen in: a change of role begins one. It is
 * not the endpoint's if something else did meanwhile. */
unsigned endpoint_see_role(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_role role, unsigned epoch);

/* Take the right to probe it; see health_lease(). */
bool endpoint_lease(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_prober prober, bool panic, uint32_t probed_ms);

/* A login went well. */
void endpoint_logged_in(struct mews_fleet *fleet, uint32_t endpoint);

/*
 * Would another login go well, as one did behind @since_us and lately? If
 * that is not known, whoever probes next is asked to log in: a session that
 * has no room for its successor beside it stays until then.
 */
bool endpoint_proves_login(struct mews_fleet *fleet, uint32_t endpoint,
    int64_t since_us);

/* A worker's login was rejected: whoever probes next is asked to log in. */
void endpoint_want_login(struct mews_fleet *fleet, uint32_t endpoint);

/* Something that routes depend on changed: everybody looks again. */
void endpoint_changed(struct mews_fleet *fleet);

#endif
