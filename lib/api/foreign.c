/*
 * foreign.c - choosing a server for a foreign driver, and taking its report.
 */
#include <mews/foreign.h>

#include "base/clock.h"
#include "fleet/endpoint.h"
#include "fleet/notice.h"
#include "base/status.h"

#include <assert.h>
#include <libpq-fe.h>
#include <mews/key.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The golden section of 2^32, whose multiples lie evenly. */
#define GOLDEN 0x9e3779b9U

#define FULL_PART 1000 /* the weight of a server that is not in its slow
			  start */

static enum mews_status
read_wanted(const struct mews_wanted *wanted, struct mews_group_config *group,
    struct mews_error *error)
{
	const struct option *role = key_find(SECTION_GROUP, "role");
	uint32_t	     value = MEWS_GROUP_ANY;
	char		     why[200];

	*group = (struct mews_group_config) { .name = "" };
	if (wanted == NULL)
		return MEWS_OK;
	for (size_t i = 0; i < sizeof(wanted->reserved) /
	    sizeof(wanted->reserved[0]); i++)
		if (wanted->reserved[i] != 0 || wanted->unused != 0)
			return status_set(error, MEWS_INVALID, "a reserved "
			    "member of struct mews_wanted is not zero");
	if (wanted->role != NULL && !key_convert(role, wanted->role, &value,
		why, sizeof(why)))
		return status_set(error, MEWS_INVALID, "role \"%s\": %s",
		    wanted->role, why);
	group->role = (enum mews_group_role)value;
	group->max_lag = wanted->max_lag;
	group->max_lag_bytes = wanted->max_lag_bytes;
	return MEWS_OK;
}

/* The present weight of @endpoint. */
static uint32_t
weight_now(const struct mews_fleet *fleet, uint32_t endpoint, int64_t up_ms)
{
	const struct mews_config *config = fleet->config;
	uint32_t		  weight = config->endpoints[endpoint].weight;
	uint32_t		  slow = config->health.slow_start;
	int64_t			  age;

	age = segment_ms(&fleet->segment, clock_now_us()) - up_ms;
	if (up_ms == 0 || slow == MEWS_FOREVER || age < 0 || age >= slow)
		return weight * FULL_PART;
	return weight * (uint32_t)(age * FULL_PART / slow) + 1;
}

/*
 * Choose one of the @count endpoints of a tier. The n-th choice lies at n
 * golden sections of all weights, so that the choices are even from the first
 * on; each process begins at another place.
 */
static uint32_t
take_golden_turn(struct mews_fleet *fleet, const uint8_t *tier, uint32_t count,
    const struct notice *seen)
{
	uint32_t	parts[MEWS_ENDPOINTS_MAX], i;
	uint64_t	sum = 0, at;

	for (i = 0; i < count; i++)
		sum += parts[i] = weight_now(fleet, tier[i],
		    seen->up_ms[tier[i]]);
	at = (uint32_t)((atomic_fetch_add(&fleet->chosen, 1) +
	    (uint32_t)getpid() * GOLDEN) * GOLDEN);
	at = at * sum >> 32;
	for (i = 0; i < count - 1 && at >= parts[i]; i++)
		at -= parts[i];
	return tier[i];
}

static enum mews_status
refuse_choice(const struct mews_fleet *fleet, const struct notice *seen,
    const struct mews_group_config *group, struct mews_error *error)
{
	char	states[350] = "";
	size_t	used = 0;

	for (uint32_t i = 0; i < fleet->segment.endpoint_count &&
	    used < sizeof(states); i++) {
		if (!segment_knows(&fleet->segment, i))
			continue;
		used += (size_t)snprintf(states + used, sizeof(states) - used,
		    "%s%s=%s/%s%s", used > 0 ? ", " : "",
		    endpoint_name(fleet, i),
		    health_state_name(seen->candidates[i].health.state),
		    health_role_name(seen->candidates[i].health.role),
		    seen->candidates[i].drained ? "/drained" : "");
	}
	return status_set(error, MEWS_UNAVAILABLE,
	    "no endpoint of role %s is usable now: %s",
	    mews_group_role_name(group->role), states);
}

/* Append a pair, quoted as libpq wants it; *@used may pass the end. */
static void
append(char *text, size_t *used, const char *keyword, const char *value)
{
	const char *const marks[] = { *used > 0 ? " " : "", keyword, "='" };

	for (size_t i = 0; i < 3; i++)
		for (const char *p = marks[i]; *p != '\0'; p++)
			if ((*used)++ < MEWS_CONNINFO_MAX)
				text[*used - 1] = *p;
	for (; *value != '\0'; value++) {
		if ((*value == '\'' || *value == '\\') &&
		    (*used)++ < MEWS_CONNINFO_MAX)
			text[*used - 1] = '\\';
		if ((*used)++ < MEWS_CONNINFO_MAX)
			text[*used - 1] = *value;
	}
	if ((*used)++ < MEWS_CONNINFO_MAX)
		text[*used - 1] = '\'';
}

/* Write the conninfo by which a pool connects. */
static enum mews_status
write_conninfo(const struct mews_fleet *fleet, uint32_t endpoint, char *text,
    struct mews_error *error)
{
	const struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	PQconninfoOption *options = PQconninfoParse(
	    fleet->config->endpoints[endpoint].conninfo, NULL);
	char		  address[SEGMENT_HOSTADDR_MAX + 1];
	size_t		  used = 0;

	/* The fleet was made of a conninfo that can be parsed. */
	if (options == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
		if (o->val != NULL)
			append(text, &used, o->keyword, o->val);
	PQconninfoFree(options);
	segment_get_address(e, address);
	if (e->named && address[0] != '\0')
		append(text, &used, "hostaddr", address);
	if (used > MEWS_CONNINFO_MAX)
		return status_set(error, MEWS_INVALID, "the conninfo of "
		    "endpoint %s has more than %d bytes",
		    endpoint_name(fleet, endpoint), MEWS_CONNINFO_MAX);
	text[used] = '\0';
	return MEWS_OK;
}

enum mews_status
mews_fleet_choose(struct mews_fleet *fleet, const struct mews_wanted *wanted,
    struct mews_choice *out, size_t size, struct mews_error *error)
{
	struct mews_choice	 own = { .lag_ms = -1 };
	struct mews_group_config group;
	struct notice		 seen;
	struct route		 route;
	enum mews_status	 status;
	struct tier		 best = { 0 };
	uint32_t		 lag, endpoint;

	STATUS_NEED_OUT(out);
	memset(out, 0, size);
	assert(fleet != NULL &&
	    "mews: a fleet is there after mews_fleet_create()");
	if ((status = read_wanted(wanted, &group, error)) != MEWS_OK)
		return status;
	notice_read(&seen, &fleet->segment);
	route_make(&route, &group, seen.candidates,
	    fleet->segment.endpoint_count);
	if (!route_next_tier(&route, &best))
		return refuse_choice(fleet, &seen, &group, error);
	endpoint = take_golden_turn(fleet, route.endpoint, best.to, &seen);
	own.endpoint = endpoint_name(fleet, endpoint);
	own.role = health_role_name(seen.candidates[endpoint].health.role);
	lag = seen.candidates[endpoint].lag_ms;
	if (lag != SEGMENT_LAG_UNKNOWN)
		own.lag_ms = lag;
	status = write_conninfo(fleet, endpoint, own.conninfo, error);
	if (status == MEWS_OK)
		status_fill(out, size, &own, sizeof(own));
	return status;
}

enum mews_status
mews_fleet_report(struct mews_fleet *fleet, const char *endpoint,
    enum mews_report how, const char *message, struct mews_error *error)
{
	uint32_t	i = 0;
	char		quoted[FLEET_QUOTED];

	assert(fleet != NULL &&
	    "mews: a fleet is there after mews_fleet_create()");
	while (i < fleet->segment.endpoint_count && (endpoint == NULL ||
	    !segment_knows(&fleet->segment, i) ||
	    strcmp(endpoint_name(fleet, i), endpoint) != 0))
		i++;
	if (i == fleet->segment.endpoint_count)
		return status_set(error, MEWS_INVALID, "the fleet has no "
		    "endpoint \"%s\"", endpoint == NULL ? "" : endpoint);
	if (how != MEWS_REPORT_FAILED && how != MEWS_REPORT_WORKED)
		return status_set(error, MEWS_INVALID, "a report is "
		    "MEWS_REPORT_FAILED or MEWS_REPORT_WORKED");
	if (how == MEWS_REPORT_FAILED)
		fleet_log(fleet, MEWS_LOG_INFO, "reported",
		    "endpoint=%s error=%s", endpoint,
		    logfmt_text(quoted, sizeof(quoted),
			message == NULL ? "" : message));
	endpoint_report(fleet, i, how == MEWS_REPORT_FAILED ?
	    HEALTH_REPORTED : HEALTH_CONNECTED,
	    endpoint_health(fleet, i).epoch);
	return MEWS_OK;
}
