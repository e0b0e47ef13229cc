/*
 * fleet.c - the life of a fleet: create, fork, join, leave, reap, destroy.
 *
 * Writers of a slot: the process that joined with it; after its death
 * whoever reaps it (the parent, alone). Nobody else.
 */
#include "fleet/fleet.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/environment.h"
#include "fleet/endpoint.h"
#include "fleet/orphan.h"
#include "fleet/resolve.h"
#include "fleet/record.h"
#include "base/status.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct first {
	const struct mews_config *config;
	struct mews_error *error;
};

static void
first_mistake(void *arg, const struct mews_config_mistake *mistake)
{
	struct first		*first = arg;
	struct mews_error	*error = first->error;
	const char		*name;

	if (error == NULL || error->message[0] != '\0')
		return;
	if (mistake->endpoint >= 0) {
		name = first->config->endpoints[mistake->endpoint].name;
		status_set(error, MEWS_INVALID, "endpoint.%.40s.%s: %s",
		    name == NULL ? "?" : name, mistake->field, mistake->text);
	} else if (mistake->group >= 0) {
		name = first->config->groups[mistake->group].name;
		status_set(error, MEWS_INVALID, "group.%.40s.%s: %s",
		    name == NULL ? "?" : name, mistake->field, mistake->text);
	} else
		status_set(error, MEWS_INVALID, "%s: %s", mistake->field,
		    mistake->text);
}

/* The first mistake of a configuration becomes @error. */
static enum mews_status
check(const struct mews_config *config, struct mews_error *error)
{
	struct first	first = { config, error };

	if (error != NULL)
		error->message[0] = '\0';
	if (config->mistake != NULL)
		return status_set(error, config->mistake->status, "%s",
		    config->mistake->message);
	return mews_config_check(config, first_mistake, &first) == 0 ?
	    MEWS_OK : MEWS_INVALID;
}

static uint64_t
hash_groups(const struct mews_config *config)
{
	uint64_t	h = UINT64_C(0xcbf29ce484222325);

	/* FNV-1a; the end of each name counts as well. */
	for (size_t i = 0; i < config->group_count; i++) {
		const char	*name = config->groups[i].name;

		do
			h = (h ^ (unsigned char)*name) *
			    UINT64_C(0x100000001b3);
		while (*name++ != '\0');
	}
	return h;
}

/* Make @fleet, whose segment and line are there, a generation of its own. */
static enum mews_status
configure(struct mews_fleet *fleet, const struct mews_config *config,
    struct mews_error *error)
{
	uint8_t			index[MEWS_ENDPOINTS_MAX];
	uint32_t		known = 0;
	enum mews_status	status;

	fleet->generation = ++fleet->line->newest;
	status = record_claim(&fleet->segment, config, fleet->generation,
	    index, error);
	if (status != MEWS_OK)
		return status;
	for (size_t i = 0; i < config->endpoint_count; i++)
		known |= UINT32_C(1) << index[i];
	segment_set_known(&fleet->segment, known);
	fleet->config = config_copy_at(config, index,
	    fleet->segment.endpoint_count);
	if (fleet->config == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	fleet->groups = hash_groups(config);
	fleet->rules = (struct health_rules) {
		.interval = fleet->config->health.interval,
		.timeout = fleet->config->health.timeout,
		.fall = fleet->config->health.fall,
		.rise = fleet->config->health.rise,
	};
	return MEWS_OK;
}

/* Keep what must stay as it is in the segment; damage.h. */
static void
learn_records(struct mews_fleet *fleet)
{
	const struct segment *segment = &fleet->segment;

	memcpy(&fleet->fixed, segment->header, sizeof(fleet->fixed));
	fleet->turn = atomic_load(&segment->header->turn);
	for (uint32_t i = 0; i < segment->endpoint_count; i++) {
		fleet->first[i] = atomic_load(&segment->endpoints[i].first);
		fleet->place[i] = atomic_load(&segment->endpoints[i].place);
	}
}

/* Whether an endpoint has a host name is known once all were looked up. */
static void
learn_names(struct mews_fleet *fleet)
{
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++)
		fleet->named[i] =
		    atomic_load(&fleet->segment.endpoints[i].named);
	fleet->names_known = true;
}

/* The caps of @fleet are in force, and its endpoints are shown. */
static void
settle(struct mews_fleet *fleet)
{
	record_settle(&fleet->segment, fleet->generation);
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++)
		if (segment_knows(&fleet->segment, i))
			atomic_store(
			    &fleet->segment.endpoints[i].max_connections,
			    fleet->config->endpoints[i].max_connections);
}

enum mews_status
mews_fleet_create(struct mews_fleet **out, const struct mews_config *config,
    struct mews_error *error)
{
	struct mews_fleet      *fleet;
	enum mews_status	status;

	STATUS_NEED_OUT(out);
	*out = NULL;
	assert(config != NULL &&
	    "mews: a configuration is there after mews_config_new()");
	if ((status = check(config, error)) != MEWS_OK)
		return status;
	status = MEWS_NOMEM;
	status_set(error, status, "out of memory");
	if ((fleet = calloc(1, sizeof(*fleet))) == NULL ||
	    (fleet->line = calloc(1, sizeof(*fleet->line))) == NULL)
		goto done;
	fleet->log_least = MEWS_LOG_INFO;
	fleet->line->generations = 1;
	fleet->line->creator = getpid();
	status = segment_make(&fleet->segment, config->runtime_file,
	    config->instance, MEWS_ENDPOINTS_MAX,
	    (config->slots == 0 ? config->workers : config->slots) + 1,
	    figures_room_for(config->group_count, config->endpoint_count),
	    error);
	if (status != MEWS_OK)
		goto done;
	/* From here on the file is ours to remove. */
	if (config->runtime_file != NULL &&
	    (fleet->line->path = strdup(config->runtime_file)) == NULL) {
		unlink(config->runtime_file);
		status = MEWS_NOMEM;
		goto done;
	}
	if ((status = configure(fleet, config, error)) != MEWS_OK ||
	    (status = wake_make(fleet->line, fleet->segment.slot_count,
		error)) != MEWS_OK)
		goto done;
	mews_fleet_resolve(fleet);
	settle(fleet);
	learn_records(fleet);
	learn_names(fleet);
	if (error != NULL)
		status_set(error, MEWS_OK, "%s", "");
	*out = fleet;
	fleet = NULL;
done:
	mews_fleet_destroy(&fleet);
	return status;
}

enum mews_status
mews_fleet_renew(struct mews_fleet **out, struct mews_fleet *from,
    const struct mews_config *config, struct mews_error *error)
{
	struct mews_fleet      *fleet;
	enum mews_status	status;

	STATUS_NEED_OUT(out);
	*out = NULL;
	assert(from != NULL && config != NULL &&
	    "mews: a fleet and a configuration are there");
	if ((status = check(config, error)) != MEWS_OK)
		return status;
	if (from->line->creator != getpid())
		return status_set(error, MEWS_INVALID,
		    "only the process that made the fleet renews it");
	if (mews_fleet_turn(from) != MEWS_TURN_CURRENT)
		return status_set(error, MEWS_INVALID,
		    "only the generation that serves is renewed");
	if (strcmp(config->instance, from->config->instance) != 0)
		return status_set(error, MEWS_INVALID,
		    "instance: it is %s as long as the fleet runs",
		    from->config->instance);
	status_set(error, MEWS_NOMEM, "out of memory");
	if ((fleet = calloc(1, sizeof(*fleet))) == NULL)
		return MEWS_NOMEM;
	fleet->line = from->line;
	fleet->line->generations++;
	fleet->segment = from->segment;
	fleet->log = from->log;
	fleet->log_arg = from->log_arg;
	fleet->log_least = from->log_least;
	fleet->environment_told = from->environment_told;
	if ((status = configure(fleet, config, error)) == MEWS_OK) {
		learn_records(fleet);
		if (error != NULL)
			status_set(error, MEWS_OK, "%s", "");
		*out = fleet;
	} else
		mews_fleet_destroy(&fleet);
	return status;
}

void
mews_fleet_resolve(struct mews_fleet *fleet)
{
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++) {
		struct segment_endpoint *e = &fleet->segment.endpoints[i];

		if (!segment_knows(&fleet->segment, i) ||
		    endpoint_has_address(fleet, i))
			continue;
		resolve_endpoint(e, fleet->config->endpoints[i].conninfo,
		    false);
		/* The first one is no move. */
		atomic_store(&e->moved, atomic_load(&e->address));
	}
}

void
mews_fleet_switch(struct mews_fleet *fleet)
{
	settle(fleet);
	endpoint_changed(fleet);
}

enum mews_turn
mews_fleet_turn(const struct mews_fleet *fleet)
{
	uint32_t	turn = record_turn(fleet->segment.header);

	/* In doubt nothing changes. */
	if (turn == fleet->generation || turn == 0)
		return MEWS_TURN_CURRENT;
	return turn < fleet->generation ? MEWS_TURN_NEXT : MEWS_TURN_PAST;
}

/* The last generation goes. */
static void
end_line(struct fleet_line *line, struct segment *segment)
{
	if (line->path != NULL && line->creator == getpid())
		unlink(line->path);
	for (uint32_t i = 0; line->wakes != NULL && i < segment->slot_count;
	    i++)
		if (line->wakes[i] != -1)
			close(line->wakes[i]);
	free(line->wakes);
	free(line->path);
	free(line);
	segment_close(segment);
}

void
mews_fleet_destroy(struct mews_fleet **fleet)
{
	struct mews_fleet *f;

	STATUS_NEED_OUT(fleet);
	f = *fleet;
	*fleet = NULL;
	if (f == NULL)
		return;
	mews_fleet_leave(f);
	if (f->line != NULL && f->segment.header != NULL &&
	    f->line->creator == getpid() &&
	    mews_fleet_turn(f) == MEWS_TURN_NEXT)
		record_disclaim(&f->segment, f->generation);
	if (f->line != NULL && --f->line->generations == 0)
		end_line(f->line, &f->segment);
	free(f->config);
	free(f);
}

void
mews_fleet_set_log_level(struct mews_fleet *fleet, enum mews_log_level least)
{
	fleet->log_least = least;
}

void
mews_fleet_set_log(struct mews_fleet *fleet, mews_log_fn *fn, void *arg)
{
	char	names[800];

	fleet->log = fn;
	fleet->log_arg = arg;
	if (fn == NULL || fleet->environment_told)
		return;
	fleet->environment_told = true;
	if (environment_names(names, sizeof(names)))
		fleet_log(fleet, MEWS_LOG_INFO, "environment",
		    "variables=%s fill_in=endpoints", names);
}

struct segment_slot *
fleet_slot(const struct mews_fleet *fleet)
{
	assert(fleet != NULL &&
	    "mews: a fleet is there after mews_fleet_create()");
	return fleet->slot_pid == getpid() ? fleet->slot : NULL;
}

/* Take one of the slots from .. to - 1. */
static enum mews_status
join(struct mews_fleet *fleet, uint32_t from, uint32_t to,
    struct mews_error *error)
{
	int64_t now = segment_ms(&fleet->segment, clock_now_us());

	if (fleet_slot(fleet) != NULL)
		return status_set(error, MEWS_INVALID,
		    "this process joined the fleet already");
	for (uint32_t i = from; i < to; i++) {
		struct segment_slot *slot = &fleet->segment.slots[i];
		int32_t		     nobody = 0;

		if (!atomic_compare_exchange_strong(&slot->pid, &nobody,
			(int32_t)getpid()))
			continue;
		atomic_store(&slot->joined_ms, now);
		atomic_store(&slot->beat_ms, now);
		atomic_store(&slot->groups, fleet->groups);
		atomic_store(&slot->generation, fleet->generation);
		if (!record_all_hold(&fleet->segment, fleet->generation)) {
			segment_clear_slot(&fleet->segment, slot);
			return status_set(error, MEWS_INVALID,
			    "the configuration of this process is given up");
		}
		atomic_store(&slot->state, MEWS_WORKER_STARTING);
		fleet->state = MEWS_WORKER_STARTING;
		if (!fleet->names_known)
			learn_names(fleet);
		memset(fleet->connections, 0, sizeof(fleet->connections));
		memset(fleet->dialing, 0, sizeof(fleet->dialing));
		memset(fleet->group_connections, 0,
		    sizeof(fleet->group_connections));
		fleet->slot = slot;
		fleet->slot_pid = getpid();
		fleet->pools = 0;
		return MEWS_OK;
	}
	return status_set(error, MEWS_INVALID, "all %u slots of the fleet are "
	    "taken: configure more workers, or mews_fleet_reap() those "
	    "that ended", to - from);
}

enum mews_status
mews_fleet_join(struct mews_fleet *fleet, struct mews_error *error)
{
	assert(fleet != NULL &&
	    "mews: a fleet is there after mews_fleet_create()");
	return join(fleet, 0, fleet->segment.slot_count - 1, error);
}

enum mews_status
fleet_join_monitor(struct mews_fleet *fleet, struct mews_error *error)
{
	uint32_t		last = fleet->segment.slot_count - 1;
	enum mews_status	status = join(fleet, last, last + 1, error);

	if (status == MEWS_OK)
		atomic_store(&fleet->segment.header->monitor_pid,
		    (int32_t)getpid());
	else if (fleet_slot(fleet) == NULL)
		status_set(error, status, "the fleet has a monitor: pid %d",
		    (int)atomic_load(&fleet->segment.header->monitor_pid));
	return status;
}

bool
fleet_has_monitor(const struct mews_fleet *fleet)
{
	return atomic_load_explicit(&fleet->segment.header->monitor_pid,
	    memory_order_relaxed) != 0;
}

void
mews_fleet_leave(struct mews_fleet *fleet)
{
	struct segment_slot *slot = fleet_slot(fleet);

	assert((slot == NULL || fleet->pools == 0) &&
	    "mews: close the pool before the fleet is left or destroyed");
	fleet->slot = NULL;
	fleet->slot_pid = 0;
	if (slot != NULL)
		segment_clear_slot(&fleet->segment, slot);
}

static struct segment_slot *
slot_of(const struct mews_fleet *fleet, pid_t pid)
{
	assert(fleet != NULL &&
	    "mews: a fleet is there after mews_fleet_create()");
	/* 0 is in the free ones. */
	for (uint32_t i = 0; pid > 0 && i < fleet->segment.slot_count; i++)
		if (atomic_load(&fleet->segment.slots[i].pid) == (int32_t)pid)
			return &fleet->segment.slots[i];
	return NULL;
}

bool
mews_fleet_reap(struct mews_fleet *fleet, pid_t pid)
{
	struct segment_slot *slot = slot_of(fleet, pid);
	int		     saved = errno;

	if (slot == NULL)
		return false;
	orphan_adopt(&fleet->segment, slot);
	segment_clear_slot(&fleet->segment, slot);
	fleet_wake_monitor(fleet);
	/* Called from a handler of SIGCHLD, perhaps. */
	errno = saved;
	return true;
}

void
mews_fleet_set_state(struct mews_fleet *fleet, enum mews_worker_state state)
{
	struct segment_slot *slot = fleet_slot(fleet);

	if (slot == NULL)
		return;
	fleet->state = state;
	atomic_store(&slot->state, (uint32_t)state);
}

void
mews_fleet_count_requests(struct mews_fleet *fleet, uint32_t count)
{
	struct segment_slot *slot = fleet_slot(fleet);

	/* One writer: no need for a locked add. */
	if (slot != NULL)
		atomic_store_explicit(&slot->requests,
		    atomic_load_explicit(&slot->requests,
			memory_order_relaxed) + count,
		    memory_order_relaxed);
}

void
mews_fleet_beat(struct mews_fleet *fleet)
{
	struct segment_slot *slot = fleet_slot(fleet);

	if (slot != NULL)
		atomic_store_explicit(&slot->beat_ms,
		    segment_ms(&fleet->segment, clock_now_us()),
		    memory_order_relaxed);
}

int64_t
mews_fleet_beat_age(const struct mews_fleet *fleet, pid_t pid)
{
	const struct segment_slot *slot = slot_of(fleet, pid);
	int64_t			   age;

	if (slot == NULL)
		return -1;
	/* Wrapping, as what another process wrote may be anything. */
	age = (int64_t)((uint64_t)segment_ms(&fleet->segment, clock_now_us()) -
	    (uint64_t)atomic_load(&slot->beat_ms));
	return age > 0 ? age : 0;
}

enum mews_worker_state
mews_fleet_state(const struct mews_fleet *fleet, pid_t pid)
{
	const struct segment_slot *slot = slot_of(fleet, pid);

	return slot == NULL ? MEWS_WORKER_FREE :
	    (enum mews_worker_state)atomic_load(&slot->state);
}

void
mews_fleet_set_master(struct mews_fleet *fleet, pid_t pid,
    uint32_t generation)
{
	atomic_store(&fleet->segment.header->master_pid, (int32_t)pid);
	atomic_store(&fleet->segment.header->generation, generation);
}

enum mews_status
mews_fleet_chown(struct mews_fleet *fleet, uid_t uid, gid_t gid,
    struct mews_error *error)
{
	const char	*path = fleet->line->path;

	if (path != NULL && chown(path, uid, gid) == -1)
		return status_set(error, MEWS_SYSTEM, "cannot give %s to the "
		    "user %u: %s", path, (unsigned)uid,
		    strerror(errno));
	return MEWS_OK;
}
