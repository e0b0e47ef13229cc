/*
 * told.c - what a fleet knows of an endpoint, as text for one that follows it.
 *
 * Pairs KEY=VALUE with spaces between, server= last, to the end of the line.
 * Names stand for states, and times are relative, so that two versions
 * understand each other. A key that is not known is left out, and so is a value
 * beyond its bounds.
 */
#include "fleet/apart.h"

#include "base/clock.h"
#include "base/status.h"
#include "fleet/budget.h"
#include "fleet/endpoint.h"
#include "fleet/orphan.h"
#include "fleet/record.h"
#include "fleet/resolve.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLD_AGE_MOST 86400000 /* ms; what is older is told as so old */

/* One line, taken apart. */
struct told {
	char name[MEWS_NAME_MAX + 1];
	char server[SEGMENT_SERVER_MAX + 1];
	bool knows_state, knows_held, knows_measured, knows_changed;
	bool drained, mixed, proven;
	enum health_state state;
	enum health_role role;
	enum health_evidence cause;
	uint64_t held, failures, wait_ms, timeline, lag_ms, lag_bytes, lsn,
	    rtt_us, measured, changed;
};

/*
 * Telling.
 */

/* Connections that the successor may have: more once this fleet has only to
 * finish. */
static uint32_t
share_of_successor(const struct mews_fleet *fleet, uint32_t at, uint32_t cap,
    uint32_t used)
{
	uint32_t	lent = budget_other(&fleet->segment, at, BUDGET_AFTER);
	uint32_t	spare = cap / 8 + 1, least = cap / 4 + 1;

	if (!fleet_is_past(fleet))
		least = cap < 2 ? 0 : least;
	else if (cap > 1)
		/* Requests that are not over may need another one. */
		least = used + spare < cap ? cap - used - spare : least;
	else
		least = cap - used;
	if (least >= cap && cap > 1)
		least = cap - 1;
	return lent > least ? lent : least;
}

/* Connections that processes of this fleet have, or may have. */
static uint32_t
held_of(struct mews_fleet *fleet, uint32_t at, bool lend)
{
	struct segment	*segment = &fleet->segment;
	uint32_t	 cap, used, lent;

	cap = atomic_load(&segment->endpoints[at].max_connections);
	used = budget_sum(segment, at) + orphan_count(segment, at) +
	    budget_other(segment, at, BUDGET_BEFORE);
	if (cap == 0)
		return used;
	if (lend) {
		lent = share_of_successor(fleet, at, cap,
		    used < cap ? used : cap);
		budget_set_other(segment, at, BUDGET_AFTER, lent);
		/* Processes that counted themselves before are seen now. */
		used = budget_sum(segment, at) + orphan_count(segment, at) +
		    budget_other(segment, at, BUDGET_BEFORE);
	}
	lent = budget_other(segment, at, BUDGET_AFTER);
	cap = lent < cap ? cap - lent : 0;
	return used > cap ? used : cap;
}

static int64_t
age_of(int64_t now_ms, int64_t then_ms)
{
	/* Wrapping, as what another process wrote may be anything. */
	uint64_t	age = (uint64_t)now_ms - (uint64_t)then_ms;

	return age < TOLD_AGE_MOST ? (int64_t)age : TOLD_AGE_MOST;
}

/* Milliseconds until it is probed next. */
static uint32_t
wait_of(struct health health, uint32_t now_ms)
{
	return clock_reached(now_ms, health.retry_ms) ? 0 :
	    health.retry_ms - now_ms;
}

static void tell_pair(char line[MEWS_FLEET_TOLD], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
tell_pair(char line[MEWS_FLEET_TOLD], const char *format, ...)
{
	size_t	used = strlen(line);
	va_list	ap;

	va_start(ap, format);
	vsnprintf(line + used, MEWS_FLEET_TOLD - used, format, ap);
	va_end(ap);
}

static void
tell_endpoint(struct mews_fleet *fleet, uint32_t at, bool lend,
    char line[MEWS_FLEET_TOLD])
{
	const struct segment_endpoint *e = &fleet->segment.endpoints[at];
	struct health health = health_get(&e->health);
	int64_t	 now = segment_ms(&fleet->segment, clock_now_us());
	int64_t	 changed = atomic_load(&e->changed_ms);
	int64_t	 measured = atomic_load(&e->measured_ms);
	uint32_t lag = atomic_load(&e->lag_ms), timeline;
	char	 server[SEGMENT_SERVER_MAX + 1];
	bool	 proven;

	line[0] = '\0';
	timeline = segment_timeline(e, &proven);
	segment_get_server(e, server);
	tell_pair(line, "name=%s held=%u drained=%d mixed=%d state=%s role=%s "
	    "failures=%u wait_ms=%u timeline=%u proven=%d",
	    endpoint_name(fleet, at), held_of(fleet, at, lend),
	    atomic_load(&e->drained) != 0, mixed_is(&e->mixed),
	    health_state_name(health.state), health_role_name(health.role),
	    health.failures, wait_of(health, (uint32_t)now), timeline, proven);
	if (changed != 0)
		tell_pair(line, " changed=%" PRId64 " cause=%s",
		    age_of(now, changed), health_evidence_name(
			(enum health_evidence)atomic_load(&e->cause)));
	if (measured != 0)
		tell_pair(line, " measured=%" PRId64 " rtt_us=%u lsn=%" PRIu64
		    " lag_bytes=%" PRIu64, age_of(now, measured),
		    atomic_load(&e->rtt_us), atomic_load(&e->lsn),
		    atomic_load(&e->lag_bytes));
	if (measured != 0 && lag != SEGMENT_LAG_UNKNOWN)
		tell_pair(line, " lag_ms=%u", lag);
	tell_pair(line, " server=%s", server);
	/* One line it is, whatever a conninfo has in it. */
	line[strcspn(line, "\n")] = '\0';
}

bool
mews_fleet_tell(struct mews_fleet *fleet, uint32_t at, bool lend,
    char line[MEWS_FLEET_TOLD])
{
	line[0] = '\0';
	if (at >= fleet->segment.endpoint_count)
		return false;
	if (segment_knows(&fleet->segment, at))
		tell_endpoint(fleet, at, lend, line);
	return true;
}

/*
 * Hearing.
 */

static bool
read_number(const char *value, uint64_t most, uint64_t *number)
{
	char	*end;

	if (value[0] < '0' || value[0] > '9')
		return false;
	/* A number that is too large becomes the largest. */
	*number = strtoull(value, &end, 10);
	if (*end == '\0' && *number > most)
		*number = most;
	return *end == '\0';
}

static void
read_state(struct told *told, const char *value)
{
	for (unsigned i = HEALTH_UP; i < HEALTH_STATES; i++)
		if (strcmp(value, health_state_name(
			(enum health_state)i)) == 0) {
			told->state = (enum health_state)i;
			told->knows_state = true;
		}
}

static void
read_word(struct told *told, const char *key, const char *value)
{
	if (strcmp(key, "state") == 0)
		read_state(told, value);
	for (unsigned i = 0; i < HEALTH_ROLES; i++)
		if (strcmp(key, "role") == 0 &&
		    strcmp(value, health_role_name((enum health_role)i)) == 0)
			told->role = (enum health_role)i;
	for (unsigned i = 0; i < HEALTH_EVIDENCES; i++)
		if (strcmp(key, "cause") == 0 &&
		    strcmp(value, health_evidence_name(
			(enum health_evidence)i)) == 0)
			told->cause = (enum health_evidence)i;
	if (strcmp(key, "name") == 0 && strlen(value) <= MEWS_NAME_MAX)
		strcpy(told->name, value);
	if (strcmp(key, "drained") == 0)
		told->drained = strcmp(value, "1") == 0;
	if (strcmp(key, "mixed") == 0)
		told->mixed = strcmp(value, "1") == 0;
	if (strcmp(key, "proven") == 0)
		told->proven = strcmp(value, "1") == 0;
}

static void
read_pair(struct told *told, const char *key, const char *value)
{
	const struct {
		const char *key;
		uint64_t *number, most;
		bool *knows; /* or NULL */
	} numbers[] = {
		{ "held", &told->held, BUDGET_ELSEWHERE_MOST,
		    &told->knows_held },
		{ "failures", &told->failures, 15 },
		{ "wait_ms", &told->wait_ms, HEALTH_BACKOFF_LAST },
		{ "timeline", &told->timeline, UINT32_MAX },
		{ "lag_ms", &told->lag_ms, SEGMENT_LAG_UNKNOWN },
		{ "lag_bytes", &told->lag_bytes, UINT64_MAX },
		{ "lsn", &told->lsn, UINT64_MAX },
		{ "rtt_us", &told->rtt_us, UINT32_MAX },
		{ "measured", &told->measured, TOLD_AGE_MOST,
		    &told->knows_measured },
		{ "changed", &told->changed, TOLD_AGE_MOST,
		    &told->knows_changed },
	};
	uint64_t	number;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (strcmp(key, numbers[i].key) == 0 &&
		    read_number(value, numbers[i].most, &number)) {
			*numbers[i].number = number;
			if (numbers[i].knows != NULL)
				*numbers[i].knows = true;
		}
	read_word(told, key, value);
}

/* False: it is no such line. */
static bool
read_told(struct told *told, const char *line)
{
	char	copy[MEWS_FLEET_TOLD], *rest = copy, *key, *value;

	*told = (struct told) { .lag_ms = SEGMENT_LAG_UNKNOWN };
	if (strlen(line) >= sizeof(copy))
		return false;
	strcpy(copy, line);
	while (rest != NULL) {
		if (strncmp(rest, "server=", 7) == 0) {
			snprintf(told->server, sizeof(told->server), "%s",
			    rest + 7);
			break;
		}
		key = strsep(&rest, " ");
		if ((value = strchr(key, '=')) == NULL)
			return false;
		*value = '\0';
		read_pair(told, key, value + 1);
	}
	return told->name[0] != '\0' && told->knows_held;
}

/* Store the measures. Their times are from before this segment: negative. */
static void
take_measures(struct segment_endpoint *e, const struct told *told,
    int64_t now_ms)
{
	if (told->timeline != 0)
		segment_set_timeline(e, (uint32_t)told->timeline,
		    told->proven);
	if (!told->knows_measured)
		return;
	atomic_store(&e->rtt_us, (uint32_t)told->rtt_us);
	atomic_store(&e->lsn, told->lsn);
	atomic_store(&e->lag_bytes, told->lag_bytes);
	atomic_store(&e->lag_ms, (uint32_t)told->lag_ms);
	atomic_store(&e->measured_ms, (now_ms - (int64_t)told->measured) | 1);
}

/* A server's health, before this fleet serves. What its own processes found
 * meanwhile stays, unless there is news. */
static void
take_health(struct mews_fleet *fleet, uint32_t at, const struct told *told,
    int64_t now_ms)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[at];
	uint8_t *before = &fleet->line->told_health[at];
	uint8_t	 this = (uint8_t)(1 + (unsigned)told->state *
			HEALTH_ROLES + (unsigned)told->role);
	struct health health = {
		.state = told->state,
		.role = told->role,
		.failures = (unsigned)told->failures,
		.retry_ms = (uint32_t)now_ms + (uint32_t)told->wait_ms,
	};

	if (!told->knows_state)
		return;
	take_measures(e, told, now_ms);
	if (told->mixed)
		mixed_inherit(&e->mixed, now_ms);
	if (*before == this)
		return;
	*before = this;
	if (!health_inherit(&e->health, health) || !told->knows_changed)
		return;
	atomic_store(&e->cause, (uint32_t)told->cause);
	atomic_store(&e->evidence, (uint32_t)told->cause);
	atomic_store(&e->changed_ms, (now_ms - (int64_t)told->changed) | 1);
	atomic_store(&e->evidence_ms, (now_ms - (int64_t)told->changed) | 1);
}

/* A word that was told before may have been taken back here since. */
static void
take_drained(struct mews_fleet *fleet, uint32_t at, bool drained)
{
	uint32_t	bit = UINT32_C(1) << at;
	bool		before = (fleet->line->told_drained & bit) != 0;

	if (drained == before)
		return;
	fleet->line->told_drained ^= bit;
	atomic_store(&fleet->segment.endpoints[at].drained, drained);
}

static bool
is_same_server(const struct mews_fleet *fleet, uint32_t at,
    const struct told *told)
{
	char	server[SEGMENT_SERVER_MAX + 1];

	resolve_server(fleet->config->endpoints[at].conninfo, server);
	return strcmp(server, told->server) == 0;
}

enum mews_status
mews_fleet_hear(struct mews_fleet *fleet, const char *line)
{
	struct told	told;
	int64_t		now = segment_ms(&fleet->segment, clock_now_us());

	if (!read_told(&told, line))
		return MEWS_INVALID;
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++) {
		if (!segment_knows(&fleet->segment, i) ||
		    strcmp(endpoint_name(fleet, i), told.name) != 0)
			continue;
		budget_set_other(&fleet->segment, i, BUDGET_BEFORE,
		    (uint32_t)told.held);
		take_drained(fleet, i, told.drained);
		if (mews_fleet_turn(fleet) == MEWS_TURN_NEXT &&
		    is_same_server(fleet, i, &told))
			take_health(fleet, i, &told, now);
		endpoint_changed(fleet);
	}
	return MEWS_OK;
}
