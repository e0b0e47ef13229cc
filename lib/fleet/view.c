/*
 * view.c - reading a fleet from outside; all that is read is checked.
 */
#include <mews/view.h>

#include "fleet/budget.h"
#include "fleet/crowd.h"
#include "base/clock.h"
#include "fleet/figures.h"
#include "fleet/fleet.h"
#include "fleet/hold.h"
#include "fleet/look.h"
#include "fleet/orphan.h"
#include "fleet/segment.h"
#include "base/status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const worker_state_names[] = {
	[MEWS_WORKER_FREE] = "free",
	[MEWS_WORKER_STARTING] = "starting",
	[MEWS_WORKER_READY] = "ready",
	[MEWS_WORKER_DRAINING] = "draining",
};

const char *
mews_worker_state_name(enum mews_worker_state state)
{
	size_t i = (size_t)state;

	return i < sizeof(worker_state_names) / sizeof(worker_state_names[0]) ?
	    worker_state_names[i] : "?";
}

enum mews_status
mews_view_open(struct mews_view **out, const char *path,
    struct mews_error *error)
{
	struct mews_view       *view;
	enum mews_status	status;

	STATUS_NEED_OUT(out);
	*out = NULL;
	if ((view = calloc(1, sizeof(*view))) == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	status = segment_open(&view->segment, path, false, error);
	if (status == MEWS_OK)
		*out = view;
	else
		free(view);
	return status;
}

enum mews_status
mews_view_open_fleet(struct mews_view **out, const struct mews_fleet *fleet,
    struct mews_error *error)
{
	STATUS_NEED_OUT(out);
	*out = NULL;
	assert(fleet != NULL &&
	    "mews: a fleet is there after mews_fleet_create()");
	if ((*out = calloc(1, sizeof(**out))) == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	(*out)->segment = fleet->segment;
	(*out)->borrowed = true;
	return MEWS_OK;
}

void
mews_view_close(struct mews_view **view)
{
	STATUS_NEED_OUT(view);
	if (*view == NULL)
		return;
	if (!(*view)->borrowed)
		segment_close(&(*view)->segment);
	free(*view);
	*view = NULL;
}

static const struct mews_view *
checked_view(const struct mews_view *view)
{
	assert(view != NULL && "mews: a view is there after mews_view_open()");
	return view;
}

/* Is @index an endpoint of the generation that serves? */
static bool
is_current(const struct mews_view *view, uint32_t index)
{
	return index < view->segment.endpoint_space &&
	    (atomic_load(&view->segment.header->known) >> index & 1) != 0;
}

/* Find the record of the endpoint that is shown as @index. False: none is.
 * Those of other generations are left out. */
static bool
find_record(const struct mews_view *view, uint32_t index, uint32_t *at)
{
	for (uint32_t i = 0; i < view->segment.endpoint_space; i++)
		if (is_current(view, i) && index-- == 0) {
			*at = i;
			return true;
		}
	return false;
}

/* Milliseconds from @then, which may be garbage, to now; never negative. */
static int64_t
age(const struct mews_view *view, int64_t then)
{
	int64_t	now = segment_ms(&view->segment, clock_now_us());

	return then >= 0 && now > then ? now - then : 0;
}

/* Milliseconds from @then to now; -1 where @then is 0, "never". */
static int64_t
age_or_never(const struct mews_view *view, int64_t then)
{
	return then == 0 ? -1 : age(view, then);
}

static void
read_fleet(const struct mews_view *view, struct mews_view_fleet *out)
{
	const struct segment_header *header = view->segment.header;
	const struct segment_slot   *monitor;
	int64_t			     made_us, now_us;

	memset(out, 0, sizeof(*out));
	figures_copy_name(out->instance, header->instance);
	out->master_pid = atomic_load(&header->master_pid);
	out->generation = atomic_load(&header->generation);
	made_us = header->made_us;
	now_us = clock_now_us();
	if (made_us > 0 && made_us < now_us)
		out->uptime_ms = (now_us - made_us) / 1000;
	for (uint32_t i = 0; i < view->segment.endpoint_space; i++)
		out->endpoint_count += is_current(view, i);
	/* The last slot is the monitor's. */
	out->slot_count = view->segment.slot_count - 1;
	out->monitor_pid = atomic_load(&header->monitor_pid);
	monitor = &view->segment.slots[out->slot_count];
	out->monitor_uptime_ms = age(view, atomic_load(&monitor->joined_ms));
	out->monitor_heartbeat_age_ms = age(view,
	    atomic_load(&monitor->beat_ms));
	for (uint32_t i = 0; i < view->segment.endpoint_space; i++)
		out->orphans += orphan_count(&view->segment, i);
	out->damaged_ms = age_or_never(view,
	    atomic_load(&header->damaged_ms));
}

void
mews_view_fleet(const struct mews_view *view, struct mews_view_fleet *out,
    size_t size)
{
	struct mews_view_fleet	own;

	read_fleet(checked_view(view), &own);
	status_fill(out, size, &own, sizeof(own));
}

/* Is the endpoint a primary, below the newest timeline? */
static bool
is_outdated(const struct mews_view *view, uint32_t index)
{
	const struct segment_endpoint *all = view->segment.endpoints;
	struct health		       health = health_get(&all[index].health);
	uint32_t		       mine;
	bool			       proven;

	mine = segment_timeline(&all[index], &proven);
	if (health.role != HEALTH_ROLE_PRIMARY || !proven ||
	    (health.state != HEALTH_UP && health.state != HEALTH_SUSPECT))
		return false;
	for (uint32_t i = 0; i < view->segment.endpoint_space; i++)
		if (is_current(view, i) &&
		    segment_timeline(&all[i], &proven) > mine)
			return true;
	return false;
}

/* Fill in the fields that tell why an endpoint is as it is. */
static void
read_reasons(const struct mews_view *view, const struct segment_endpoint *e,
    struct mews_view_endpoint *out)
{
	const struct health	health = health_get(&e->health);
	int64_t			now, until;

	out->cause = health_evidence_name(
	    (enum health_evidence)atomic_load(&e->cause));
	out->evidence_ms = age_or_never(view, atomic_load(&e->evidence_ms));
	out->evidence_by = atomic_load(&e->evidence_by);
	out->successes = health.successes;
	out->probing = health.probing;
	out->probed_ms = age_or_never(view, atomic_load(&e->probed_ms));
	segment_timeline(e, &out->proven);
	out->returned_ms = age_or_never(view, atomic_load(&e->up_ms));
	now = segment_ms(&view->segment, clock_now_us());
	until = atomic_load(&e->limit_ms);
	/* Compare before subtracting: garbage may be any number. */
	if (out->cap != out->max_connections && now >= 0 && until > now)
		out->lowered_ms = (uint32_t)(until - now);
	out->rejected_ms = age_or_never(view,
	    segment_get_refusal(e, out->refusal));
}

static bool
read_endpoint(const struct mews_view *view, uint32_t shown,
    struct mews_view_endpoint *out)
{
	uint32_t		       index;
	const struct segment_endpoint *e;
	struct health		       health;
	int64_t			       now;
	bool			       proven;

	if (!find_record(view, shown, &index))
		return false;
	e = &view->segment.endpoints[index];
	now = segment_ms(&view->segment, clock_now_us());
	health = health_get(&e->health);
	memset(out, 0, sizeof(*out));
	figures_copy_name(out->name, e->name);
	out->state = health_state_name(health.state);
	out->role = mixed_is(&e->mixed) ? "mixed" :
	    health_role_name(health.role);
	out->reason = health_evidence_name(
	    (enum health_evidence)atomic_load(&e->evidence));
	out->epoch = health.epoch;
	out->failures = health.failures;
	if (health.state != HEALTH_UP &&
	    !clock_reached((uint32_t)now, health.retry_ms))
		out->retry_in_ms = health.retry_ms - (uint32_t)now;
	out->connections = budget_sum(&view->segment, index);
	out->max_connections = atomic_load(&e->max_connections);
	out->queued = crowd_count(&view->segment, index);
	out->changed_ms = age_or_never(view, atomic_load(&e->changed_ms));
	out->changed_by = atomic_load(&e->changed_by);
	out->drained = atomic_load(&e->drained) != 0;
	out->outdated = is_outdated(view, index);
	out->cap = budget_cap(&view->segment, index, now);
	out->rtt_us = atomic_load(&e->rtt_us);
	out->timeline = segment_timeline(e, &proven);
	out->lsn = atomic_load(&e->lsn);
	/* The lag of a server that is down is not measured any more. */
	out->lag_ms = atomic_load(&e->lag_ms) == SEGMENT_LAG_UNKNOWN ||
		health.state == HEALTH_DOWN ? -1 :
	    (int64_t)atomic_load(&e->lag_ms);
	out->lag_bytes = atomic_load(&e->lag_bytes);
	read_reasons(view, e, out);
	return true;
}

bool
mews_view_endpoint(const struct mews_view *view, uint32_t index,
    struct mews_view_endpoint *out, size_t size)
{
	struct mews_view_endpoint	own;

	if (!read_endpoint(checked_view(view), index, &own))
		return false;
	status_fill(out, size, &own, sizeof(own));
	return true;
}

bool
mews_view_transitions(const struct mews_view *view, uint32_t index,
    uint32_t evidence, const char **name, uint32_t *count)
{
	uint32_t	at;

	if (evidence >= HEALTH_EVIDENCES || !find_record(view, index, &at))
		return false;
	*name = health_evidence_name((enum health_evidence)evidence);
	*count = atomic_load(
	    &view->segment.endpoints[at].transitions[evidence]);
	return true;
}

static bool
view_worker(const struct mews_view *view, uint32_t slot,
    struct mews_view_worker *out)
{
	const struct segment_slot *s;

	/* The last slot is the monitor's. */
	if (slot >= view->segment.slot_count - 1)
		return false;
	s = &view->segment.slots[slot];
	memset(out, 0, sizeof(*out));
	if ((out->pid = atomic_load(&s->pid)) <= 0)
		return false;
	out->attached = (atomic_load(&s->holder) & HOLD_ATTACHED) != 0;
	out->state = (enum mews_worker_state)atomic_load(&s->state);
	out->uptime_ms = age(view, atomic_load(&s->joined_ms));
	out->requests = atomic_load(&s->requests);
	out->queries = atomic_load(&s->queries);
	out->errors = atomic_load(&s->errors);
	out->waiting = atomic_load(&s->waiting);
	out->in_flight = atomic_load(&s->in_flight);
	out->heartbeat_age_ms = age(view, atomic_load(&s->beat_ms));
	out->lag_us = figures_load(
	    &segment_figures(&view->segment, slot)->lag_us);
	for (uint32_t i = 0, to = 0; i < view->segment.endpoint_space; i++)
		if (is_current(view, i))
			out->connections[to++] =
			    atomic_load(&s->connections[i]);
	return true;
}

bool
mews_view_worker(const struct mews_view *view, uint32_t slot,
    struct mews_view_worker *out, size_t size)
{
	struct mews_view_worker	own;

	if (!view_worker(checked_view(view), slot, &own))
		return false;
	status_fill(out, size, &own, sizeof(own));
	return true;
}
