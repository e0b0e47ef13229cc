/*
 * view.c - reading a fleet from outside, believing nothing unchecked.
 */
#include <mews/view.h>

#include "budget.h"
#include "clock.h"
#include "segment.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

struct mews_view {
	struct segment segment;
};

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

void
mews_view_close(struct mews_view **view)
{
	if (*view == NULL)
		return;
	segment_close(&(*view)->segment);
	free(*view);
	*view = NULL;
}

/* A name that some process may have damaged: ends where it must. */
static void
copy_name(char to[MEWS_NAME_MAX + 1], const char *from)
{
	size_t length = strnlen(from, MEWS_NAME_MAX);

	memcpy(to, from, length);
	to[length] = '\0';
}

/* Milliseconds from @then to now; never negative. */
static int64_t
age(const struct mews_view *view, uint32_t then)
{
	int32_t	ms;

	ms = (int32_t)(segment_ms(&view->segment, clock_now_us()) - then);
	return ms > 0 ? ms : 0;
}

void
mews_view_fleet(const struct mews_view *view, struct mews_view_fleet *out)
{
	const struct segment_header *header = view->segment.header;
	int64_t			     made_us, now_us;

	memset(out, 0, sizeof(*out));
	copy_name(out->instance, header->instance);
	out->master_pid = atomic_load(&header->master_pid);
	out->generation = atomic_load(&header->generation);
	made_us = header->made_us;
	now_us = clock_now_us();
	if (made_us > 0 && made_us < now_us)
		out->uptime_ms = (now_us - made_us) / 1000;
	out->endpoint_count = view->segment.endpoint_count;
	/* The last slot is the monitor's. */
	out->slot_count = view->segment.slot_count - 1;
	out->monitor_pid = atomic_load(&header->monitor_pid);
}

static bool
is_living_primary(const struct segment_endpoint *e)
{
	struct health	health = health_get(&e->health);

	return health.role == HEALTH_ROLE_PRIMARY &&
	    (health.state == HEALTH_UP || health.state == HEALTH_SUSPECT);
}

/* Does it take itself for the primary, as one on a higher timeline does? */
static bool
is_outdated(const struct mews_view *view, uint32_t index)
{
	const struct segment_endpoint *all = view->segment.endpoints;

	for (uint32_t i = 0; i < view->segment.endpoint_count; i++)
		if (is_living_primary(&all[index]) &&
		    is_living_primary(&all[i]) &&
		    atomic_load(&all[i].timeline) >
		    atomic_load(&all[index].timeline))
			return true;
	return false;
}

bool
mews_view_endpoint(const struct mews_view *view, uint32_t index,
    struct mews_view_endpoint *out)
{
	const struct segment_endpoint *e;
	struct health		       health;
	uint32_t		       now, changed;

	if (index >= view->segment.endpoint_count)
		return false;
	e = &view->segment.endpoints[index];
	now = segment_ms(&view->segment, clock_now_us());
	health = health_get(&e->health);
	changed = atomic_load(&e->changed_ms);
	memset(out, 0, sizeof(*out));
	copy_name(out->name, e->name);
	out->state = health_state_name(health.state);
	out->role = health_role_name(health.role);
	out->reason = health_evidence_name(
	    (enum health_evidence)atomic_load(&e->evidence));
	out->epoch = health.epoch;
	out->failures = health.failures;
	if (health.state != HEALTH_UP && !clock_reached(now, health.retry_ms))
		out->retry_in_ms = health.retry_ms - now;
	out->connections = budget_sum(&view->segment, index);
	out->max_connections = e->max_connections;
	out->changed_ms = changed == 0 ? -1 : age(view, changed);
	out->changed_by = atomic_load(&e->changed_by);
	out->drained = atomic_load(&e->drained) != 0;
	out->outdated = is_outdated(view, index);
	out->cap = budget_cap(&view->segment, index, now);
	out->rtt_us = atomic_load(&e->rtt_us);
	out->timeline = atomic_load(&e->timeline);
	out->lsn = atomic_load(&e->lsn);
	out->lag_ms = atomic_load(&e->lag_ms) == SEGMENT_LAG_UNKNOWN ? -1 :
	    (int64_t)atomic_load(&e->lag_ms);
	out->lag_bytes = atomic_load(&e->lag_bytes);
	return true;
}

bool
mews_view_worker(const struct mews_view *view, uint32_t slot,
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
	out->state = (enum mews_worker_state)atomic_load(&s->state);
	out->uptime_ms = age(view, atomic_load(&s->joined_ms));
	out->requests = atomic_load(&s->requests);
	out->queries = atomic_load(&s->queries);
	out->errors = atomic_load(&s->errors);
	out->waiting = atomic_load(&s->waiting);
	out->in_flight = atomic_load(&s->in_flight);
	out->heartbeat_age_ms = age(view, atomic_load(&s->beat_ms));
	for (uint32_t i = 0; i < view->segment.endpoint_count; i++)
		out->connections[i] = atomic_load(&s->connections[i]);
	return true;
}
