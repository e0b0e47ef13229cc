/*
 * fleet.c - the life of a fleet: created, renewed, destroyed.
 *
 * slots.c lets a process join; attach.c is for one that the fleet did not fork.
 */
#include "fleet/fleet.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/environment.h"
#include "base/forked.h"
#include "fleet/endpoint.h"
#include "fleet/hold.h"
#include "fleet/place.h"
#include "fleet/resolve.h"
#include "fleet/record.h"
#include "fleet/slots.h"
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

enum mews_status
fleet_check(const struct mews_config *config, struct mews_error *error)
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

/* The highest number of a generation that lives, or lived lately. */
static uint32_t
newest_generation(const struct mews_fleet *fleet)
{
	const struct segment *segment = &fleet->segment;
	uint32_t	      most = fleet->line->newest, its;

	its = record_turn(segment->header);
	most = its > most ? its : most;
	for (uint32_t i = 0; i < segment->endpoint_space; i++) {
		its = atomic_load(&segment->endpoints[i].first);
		most = its > most ? its : most;
	}
	for (uint32_t i = 0; i < segment->slot_count; i++) {
		its = atomic_load(&segment->slots[i].generation);
		most = its > most ? its : most;
	}
	return most;
}

bool
fleet_configure(struct mews_fleet *fleet, const struct mews_config *config,
    const uint8_t *index)
{
	uint32_t	known = 0;

	for (size_t i = 0; i < config->endpoint_count; i++)
		known |= UINT32_C(1) << index[i];
	segment_set_known(&fleet->segment, known);
	fleet->config = config_copy_at(config, index,
	    fleet->segment.endpoint_count);
	if (fleet->config == NULL)
		return false;
	fleet->groups = hash_groups(config);
	fleet->rules = (struct health_rules) {
		.interval = fleet->config->health.interval,
		.timeout = fleet->config->health.timeout,
		.fall = fleet->config->health.fall,
		.rise = fleet->config->health.rise,
	};
	return true;
}

enum mews_status
fleet_claim(struct mews_fleet *fleet, const struct mews_config *config,
    struct mews_error *error)
{
	uint8_t			index[MEWS_ENDPOINTS_MAX];
	enum mews_status	status;

	/* Another process may have begun a generation, and died. */
	fleet->line->newest = newest_generation(fleet);
	record_disclaim(&fleet->segment, fleet->line->newest);
	fleet->generation = ++fleet->line->newest;
	status = record_claim(&fleet->segment, config, fleet->generation,
	    index, error);
	if (status != MEWS_OK)
		return status;
	if (!fleet_configure(fleet, config, index))
		return status_set(error, MEWS_NOMEM, "out of memory");
	return MEWS_OK;
}

void
fleet_learn(struct mews_fleet *fleet)
{
	const struct segment *segment = &fleet->segment;

	memcpy(&fleet->fixed, segment->header, sizeof(fleet->fixed));
	fleet->turn = atomic_load(&segment->header->turn);
	for (uint32_t i = 0; i < segment->endpoint_count; i++) {
		fleet->first[i] = atomic_load(&segment->endpoints[i].first);
		fleet->place[i] = atomic_load(&segment->endpoints[i].place);
	}
}

/* Show what a process that attaches compares its configuration with. */
static void
publish_rules(struct mews_fleet *fleet)
{
	struct segment_header	*header = fleet->segment.header;
	char			 server[SEGMENT_SERVER_MAX + 1];

	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++) {
		if (!segment_knows(&fleet->segment, i))
			continue;
		resolve_server(fleet->config->endpoints[i].conninfo, server);
		segment_set_server(&fleet->segment.endpoints[i], server);
	}
	for (size_t i = 0; i < fleet->config->group_count; i++) {
		const struct mews_group_config *g = &fleet->config->groups[i];

		strcpy(header->groups[i].name, g->name);
		atomic_store(&header->groups[i].role, (uint32_t)g->role);
	}
	atomic_store(&header->group_count,
	    (uint32_t)fleet->config->group_count);
}

/* Put the caps of @fleet in force, and show its endpoints. */
static void
settle_first(struct mews_fleet *fleet)
{
	publish_rules(fleet);
	record_settle(&fleet->segment, fleet->generation);
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++)
		if (segment_knows(&fleet->segment, i))
			atomic_store(
			    &fleet->segment.endpoints[i].max_connections,
			    fleet->config->endpoints[i].max_connections);
}

/* The number of slots of a new segment: if it has a file, others may attach. */
static uint32_t
count_slots(const struct mews_config *config)
{
	uint32_t	slots = config->slots;

	if (slots == 0)
		slots = config->workers +
		    (config->runtime_file == NULL ? 0 : FLEET_GUESTS);
	return slots + 1;
}

/* Make the directory of the locks and FIFOs, and lock it for this process. */
static enum mews_status
make_line(struct mews_fleet *fleet, struct mews_error *error)
{
	struct fleet_line	*line = fleet->line;

	if (line->path != NULL) {
		if ((line->dir = hold_make_directory(line->path)) == -1 ||
		    (line->lock = hold_lock_creator(line->dir)) == -1 ||
		    !hold_mark(line->dir, fleet->segment.ino))
			return status_set(error, MEWS_SYSTEM,
			    "cannot make the directory %s.d: %s", line->path,
			    strerror(errno));
		atomic_store(&fleet->segment.header->made_by, hold_self());
	}
	return wake_make(line, fleet->segment.slot_count, error);
}

struct mews_fleet *
fleet_new(struct mews_error *error)
{
	struct mews_fleet *fleet = calloc(1, sizeof(*fleet));

	status_set(error, MEWS_NOMEM, "out of memory");
	if (fleet == NULL ||
	    (fleet->line = calloc(1, sizeof(*fleet->line))) == NULL) {
		free(fleet);
		return NULL;
	}
	fleet->log_least = MEWS_LOG_INFO;
	fleet->lock = fleet->line->dir = fleet->line->lock = -1;
	fleet->line->generations = 1;
	return fleet;
}

enum mews_status
fleet_give(struct mews_fleet **out, struct mews_fleet *fleet,
    enum mews_status status, struct mews_error *error)
{
	if (status != MEWS_OK) {
		mews_fleet_destroy(&fleet);
		return status;
	}
	if (error != NULL)
		status_set(error, MEWS_OK, "%s", "");
	*out = fleet;
	return MEWS_OK;
}

enum mews_status
fleet_make(struct mews_fleet *fleet, const char *path,
    const struct mews_config *config, struct mews_error *error)
{
	enum mews_status	status;

	fleet->line->creator = getpid();
	status = segment_make(&fleet->segment, path, config->instance,
	    MEWS_ENDPOINTS_MAX, count_slots(config),
	    figures_room_for(config->group_count, config->endpoint_count),
	    error);
	if (status != MEWS_OK)
		return status;
	/* From here on the file is ours to remove. */
	if (path != NULL && (fleet->line->path = strdup(path)) == NULL) {
		unlink(path);
		return status_set(error, MEWS_NOMEM, "out of memory");
	}
	if ((status = make_line(fleet, error)) != MEWS_OK)
		return status;
	return fleet_claim(fleet, config, error);
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
	if ((status = fleet_check(config, error)) != MEWS_OK)
		return status;
	if ((fleet = fleet_new(error)) == NULL)
		return MEWS_NOMEM;
	status = fleet_make(fleet, config->runtime_file, config, error);
	if (status == MEWS_OK) {
		mews_fleet_resolve(fleet);
		settle_first(fleet);
		fleet_learn(fleet);
		fleet_learn_names(fleet);
	}
	return fleet_give(out, fleet, status, error);
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
	if ((status = fleet_check(config, error)) != MEWS_OK)
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
	fleet->lock = -1;
	fleet->line = from->line;
	fleet->line->generations++;
	fleet->segment = from->segment;
	fleet->log = from->log;
	fleet->log_arg = from->log_arg;
	fleet->log_least = from->log_least;
	fleet->environment_told = from->environment_told;
	if ((status = fleet_claim(fleet, config, error)) == MEWS_OK)
		fleet_learn(fleet);
	return fleet_give(out, fleet, status, error);
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
		/* The first address is not a move. */
		atomic_store(&e->moved, atomic_load(&e->address));
	}
}

void
mews_fleet_switch(struct mews_fleet *fleet)
{
	struct fleet_line	*line = fleet->line;

	/* Before a process that attaches can find the segment. */
	settle_first(fleet);
	if (!place_take(fleet) && line->adopted != NULL && !line->apart) {
		line->path = line->adopted;
		line->adopted = NULL;
	}
	endpoint_changed(fleet);
}

enum mews_turn
mews_fleet_turn(const struct mews_fleet *fleet)
{
	uint32_t	turn = record_turn(fleet->segment.header);

	if (fleet->replaced)
		return MEWS_TURN_PAST;
	/* An invalid turn changes nothing. */
	if (turn == fleet->generation || turn == 0)
		return MEWS_TURN_CURRENT;
	return turn < fleet->generation ? MEWS_TURN_NEXT : MEWS_TURN_PAST;
}

/* End what the generations of this process share, with the last one. */
static void
end_line(struct fleet_line *line, struct segment *segment)
{
	if (line->path != NULL && line->creator == getpid()) {
		unlink(line->path);
		hold_remove_directory(line->path);
	}
	if (line->creator == getpid())
		place_clean(line, segment);
	wake_close(line, segment->slot_count);
	if (line->lock != -1)
		close(line->lock);
	if (line->dir != -1)
		close(line->dir);
	free(line->path);
	free(line->adopted);
	free(line->beside);
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
	/* A later generation gave these records away when it was made. */
	if (f->line != NULL && f->segment.header != NULL &&
	    f->line->creator == getpid() &&
	    mews_fleet_turn(f) == MEWS_TURN_NEXT &&
	    newest_generation(f) == f->generation)
		record_disclaim(&f->segment, f->generation);
	if (f->line != NULL && --f->line->generations == 0)
		end_line(f->line, &f->segment);
	forked_free(&f->slot_mark);
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

/* Take the creator's lock of an adopted fleet; its creator has it as long as it
 * lives. */
static void
take_lock(struct mews_fleet *fleet)
{
	struct fleet_line *line = fleet->line;

	if (line->dir == -1 || line->lock != -1 || line->creator != getpid())
		return;
	hold_begin(true);
	line->lock = hold_lock_creator(line->dir);
	hold_end();
	if (line->lock != -1)
		atomic_store(&fleet->segment.header->made_by, hold_self());
}

void
mews_fleet_set_master(struct mews_fleet *fleet, pid_t pid,
    uint32_t generation)
{
	if (fleet->line->attached)
		return;
	take_lock(fleet);
	atomic_store(&fleet->segment.header->master_pid, (int32_t)pid);
	atomic_store(&fleet->segment.header->generation, generation);
}

enum mews_status
mews_fleet_chown(struct mews_fleet *fleet, uid_t uid, gid_t gid,
    struct mews_error *error)
{
	const char	*path = fleet->line->path;

	if (fleet->line->attached)
		return status_set(error, MEWS_INVALID, "the file is that of "
		    "the process which made the fleet");
	if (path != NULL && (chown(path, uid, gid) == -1 ||
		hold_chown(fleet->line->dir, uid, gid) == -1))
		return status_set(error, MEWS_SYSTEM, "cannot give %s to the "
		    "user %u: %s", path, (unsigned)uid,
		    strerror(errno));
	return MEWS_OK;
}
