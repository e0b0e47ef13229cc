/*
 * excuse.c - why no endpoint serves a group, in words: fleet/route.c's reasons,
 * for each endpoint.
 */
#include "pool/excuse.h"

#include "fleet/endpoint.h"
#include "pool/pool.h"

#include <stdio.h>
#include <string.h>

/* Evidence that makes an endpoint DOWN, in words; "" for other evidence. */
static const char *
death(enum health_evidence evidence)
{
	switch (evidence) {
	case HEALTH_PROBE_FAILED:
		return ": no answer to a probe";
	case HEALTH_REFUSED:
		return ": connection refused or unreachable";
	case HEALTH_NOT_READY:
		return ": starting up or shutting down";
	default:
		return "";
	}
}

/* List each endpoint that has a reason of its own. */
static void
say_each(const struct mews_group *group, char *why, size_t size)
{
	const struct mews_pool	*pool = group->pool;
	const struct segment	*segment = &pool->fleet->segment;
	size_t			 used = 0;

	for (uint32_t i = 0; i < segment->endpoint_count && used < size; i++) {
		const struct route_candidate *c = &pool->noticed.candidates[i];
		const char *is = "is not used", *cause = "";

		if (!segment_knows(segment, i))
			continue;
		if (c->drained)
			is = "is drained";
		else if (c->health.state == HEALTH_UNKNOWN)
			is = "has not answered yet";
		else if (c->health.state == HEALTH_DOWN) {
			is = "is down";
			cause = death((enum health_evidence)
			    atomic_load(&segment->endpoints[i].cause));
		} else if (!route_suits(group->config, c->health.role))
			is = c->health.role == HEALTH_ROLE_PRIMARY ?
			    "is a primary" : "takes no writes";
		else if (c->health.role == HEALTH_ROLE_STANDBY)
			is = "lags too much";
		used += (size_t)snprintf(why + used, size - used, "%s%s %s%s",
		    used == 0 ? "" : ", ", endpoint_name(pool->fleet, i), is,
		    cause);
	}
}

void
excuse_say(const struct mews_group *group, bool position, char *why,
    size_t size)
{
	const struct mews_fleet	*fleet = group->pool->fleet;
	const struct route	*route = &group->route;

	why[0] = '\0';
	if (route->mixed != ROUTE_NONE && (route->count == 0 || position))
		snprintf(why, size, "logins to %s lead to a primary and to "
		    "a standby by turns", endpoint_name(fleet, route->mixed));
	else if (route->count == 0 && route->kept > 0)
		snprintf(why, size, "no primary's timeline is known yet");
	else if (route->count == 0 && route->outdated != ROUTE_NONE)
		snprintf(why, size, "%s is an outdated primary: %s was seen "
		    "on a later timeline", endpoint_name(fleet,
			route->outdated), endpoint_name(fleet, route->newest));
	else if (route->count == 0)
		say_each(group, why, size);
}
