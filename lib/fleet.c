/*
 * fleet.c - the life of a fleet: create, fork, join, leave, reap, destroy.
 *
 * Writers of a slot: the process that joined with it; after its death
 * whoever reaps it (the parent, alone). Nobody else.
 */
#include "fleet.h"

#include "clock.h"
#include "config.h"
#include "orphan.h"
#include "resolve.h"
#include "status.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void
first_mistake(void *arg, const struct mews_config_mistake *mistake)
{
	struct mews_error *error = arg;

	if (error == NULL || error->message[0] != '\0')
		return;
	if (mistake->endpoint >= 0)
		status_set(error, MEWS_INVALID, "endpoints[%d].%s: %s",
		    mistake->endpoint, mistake->field, mistake->text);
	else if (mistake->group >= 0)
		status_set(error, MEWS_INVALID, "groups[%d].%s: %s",
		    mistake->group, mistake->field, mistake->text);
	else
		status_set(error, MEWS_INVALID, "%s: %s", mistake->field,
		    mistake->text);
}

static enum mews_status
make_wakes(struct mews_fleet *fleet, struct mews_error *error)
{
	uint32_t	count = fleet->segment.slot_count;

	if ((fleet->wakes = malloc(count * sizeof(int))) == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	for (uint32_t i = 0; i < count; i++)
		fleet->wakes[i] = -1;
	for (uint32_t i = 0; i < count; i++) {
		fleet->wakes[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (fleet->wakes[i] == -1)
			return status_set(error, MEWS_SYSTEM,
			    "cannot make an eventfd for each of %u workers: "
			    "%s", count - 1, strerror(errno));
	}
	return MEWS_OK;
}

enum mews_status
mews_fleet_create(struct mews_fleet **out, const struct mews_config *config,
    struct mews_error *error)
{
	struct mews_fleet      *fleet;
	enum mews_status	status;

	*out = NULL;
	if (error != NULL)
		error->message[0] = '\0';
	if (mews_config_check(config, first_mistake, error) != 0)
		return MEWS_INVALID;

	status = MEWS_NOMEM;
	status_set(error, status, "out of memory");
	if ((fleet = calloc(1, sizeof(*fleet))) == NULL)
		return status;
	fleet->creator = getpid();
	if ((fleet->config = config_copy(config)) == NULL)
		goto done;
	config = fleet->config;
	fleet->rules = (struct health_rules) {
		.interval = config->health.interval,
		.timeout = config->health.timeout,
		.fall = config->health.fall,
		.rise = config->health.rise,
	};
	status = segment_make(&fleet->segment, config->runtime_file,
	    config->instance, (uint32_t)config->endpoint_count,
	    config->workers + 1, error);
	if (status != MEWS_OK)
		goto done;
	/* From here on the file is ours to remove. */
	if (config->runtime_file != NULL &&
	    (fleet->path = strdup(config->runtime_file)) == NULL) {
		unlink(config->runtime_file);
		status = MEWS_NOMEM;
		goto done;
	}
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++) {
		struct segment_endpoint *e = &fleet->segment.endpoints[i];

		strcpy(e->name, config->endpoints[i].name);
		e->max_connections = config->endpoints[i].max_connections;
		atomic_init(&e->burst, config->endpoints[i].connect_burst);
		atomic_init(&e->lag_ms, SEGMENT_LAG_UNKNOWN);
		e->named = resolve_endpoint(e, config->endpoints[i].conninfo,
		    false);
	}
	if ((status = make_wakes(fleet, error)) != MEWS_OK)
		goto done;
	if (error != NULL)
		status_set(error, MEWS_OK, "%s", "");
	*out = fleet;
	fleet = NULL;
done:
	mews_fleet_destroy(&fleet);
	return status;
}

void
mews_fleet_destroy(struct mews_fleet **fleet)
{
	struct mews_fleet *f = *fleet;

	*fleet = NULL;
	if (f == NULL)
		return;
	mews_fleet_leave(f);
	if (f->path != NULL && f->creator == getpid())
		unlink(f->path);
	for (uint32_t i = 0; f->wakes != NULL && i < f->segment.slot_count; i++)
		if (f->wakes[i] != -1)
			close(f->wakes[i]);
	free(f->wakes);
	segment_close(&f->segment);
	free(f->path);
	free(f->config);
	free(f);
}

void
mews_fleet_set_log(struct mews_fleet *fleet, mews_log_fn *fn, void *arg)
{
	fleet->log = fn;
	fleet->log_arg = arg;
}

const char *
fleet_quote(char buffer[FLEET_QUOTED], const char *text)
{
	char	*to = buffer, *end = buffer + FLEET_QUOTED - 3;

	*to++ = '"';
	for (; *text != '\0' && to < end; text++) {
		if (*text == '"' || *text == '\\')
			*to++ = '\\';
		*to++ = (unsigned char)*text < ' ' ? ' ' : *text;
	}
	*to++ = '"';
	*to = '\0';
	return buffer;
}

void
fleet_log(const struct mews_fleet *fleet, enum mews_log_level level,
    const char *event, const char *format, ...)
{
	char	text[1024];
	va_list	ap;

	if (fleet->log == NULL)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fleet->log(fleet->log_arg, level, event, text);
}

/* This process' slot, or NULL: a child does not inherit its parent's. */
static struct segment_slot *
own_slot(const struct mews_fleet *fleet)
{
	return fleet->slot_pid == getpid() ? fleet->slot : NULL;
}

/* Take one of the slots from .. to - 1. */
static enum mews_status
join(struct mews_fleet *fleet, uint32_t from, uint32_t to,
    struct mews_error *error)
{
	uint32_t now = segment_ms(&fleet->segment, clock_now_us());

	if (own_slot(fleet) != NULL)
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
		atomic_store(&slot->state, MEWS_WORKER_STARTING);
		fleet->slot = slot;
		fleet->slot_pid = getpid();
		fleet->pools = 0;
		return MEWS_OK;
	}
	return status_set(error, MEWS_INVALID, "all %u slots of the fleet are "
	    "taken: configure more workers, or reap the dead", to - from);
}

enum mews_status
mews_fleet_join(struct mews_fleet *fleet, struct mews_error *error)
{
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
	else if (own_slot(fleet) == NULL)
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
	struct segment_slot *slot = own_slot(fleet);

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

	if (slot == NULL)
		return false;
	orphan_adopt(&fleet->segment, slot);
	segment_clear_slot(&fleet->segment, slot);
	fleet_wake_monitor(fleet);
	return true;
}

void
mews_fleet_set_state(struct mews_fleet *fleet, enum mews_worker_state state)
{
	struct segment_slot *slot = own_slot(fleet);

	if (slot != NULL)
		atomic_store(&slot->state, (uint32_t)state);
}

void
mews_fleet_count_requests(struct mews_fleet *fleet, uint32_t count)
{
	struct segment_slot *slot = own_slot(fleet);

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
	struct segment_slot *slot = own_slot(fleet);

	if (slot != NULL)
		atomic_store_explicit(&slot->beat_ms,
		    segment_ms(&fleet->segment, clock_now_us()),
		    memory_order_relaxed);
}

int64_t
mews_fleet_beat_age(const struct mews_fleet *fleet, pid_t pid)
{
	const struct segment_slot *slot = slot_of(fleet, pid);
	int32_t			   age;

	if (slot == NULL)
		return -1;
	age = (int32_t)(segment_ms(&fleet->segment, clock_now_us()) -
	    atomic_load(&slot->beat_ms));
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
	if (fleet->path != NULL && chown(fleet->path, uid, gid) == -1)
		return status_set(error, MEWS_SYSTEM, "cannot give %s to the "
		    "user %u: %s", fleet->path, (unsigned)uid,
		    strerror(errno));
	return MEWS_OK;
}

int
fleet_wake_fd(const struct mews_fleet *fleet)
{
	return fleet->wakes[fleet->slot - fleet->segment.slots];
}

static void
wake(const struct mews_fleet *fleet, uint32_t slot)
{
	static const uint64_t one = 1;

	if (atomic_load(&fleet->segment.slots[slot].pid) == 0)
		return;
	/* A full counter means that it was woken already. */
	if (write(fleet->wakes[slot], &one, sizeof(one)) == -1)
		return;
}

void
fleet_wake_all(const struct mews_fleet *fleet)
{
	for (uint32_t i = 0; i < fleet->segment.slot_count; i++)
		wake(fleet, i);
}

void
fleet_wake_monitor(const struct mews_fleet *fleet)
{
	wake(fleet, fleet->segment.slot_count - 1);
}
