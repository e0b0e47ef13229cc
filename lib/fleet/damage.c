/*
 * damage.c - comparing the segment with what must stand there.
 */
#include "fleet/damage.h"

#include "fleet/budget.h"
#include "fleet/endpoint.h"
#include "fleet/record.h"
#include "fleet/slots.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAMAGE_SLOTS	4	 /* slots of others looked at on each beat */
#define DAMAGE_QUIET_US 60000000 /* between two lines in the log */
#define DAMAGE_SOON_MS	60000	 /* no valid time lies farther ahead */
#define DAMAGE_MOST	262143	 /* connections of a worker to an endpoint */

/* Mend the part of the header that was written before the fork. */
static bool
mend_header(struct mews_fleet *fleet)
{
	size_t	size = offsetof(struct segment_header, master_pid);

	if (memcmp(fleet->segment.header, &fleet->fixed, size) == 0)
		return false;
	memcpy(fleet->segment.header, &fleet->fixed, size);
	return true;
}

/* Mend the word that says which generation's turn it is. */
static bool
mend_turn(struct mews_fleet *fleet)
{
	struct segment_header *header = fleet->segment.header;
	uint64_t	       word = atomic_load(&header->turn);

	if (record_turn(header) != 0) {
		fleet->turn = word;
		return false;
	}
	return atomic_compare_exchange_strong(&header->turn, &word,
	    fleet->turn);
}

/* Mend a record, and the header's bit for it, if it is this generation's turn.
 * A new turn begins before the rest changes, so ask for the turn last. */
static bool
mend_record(struct mews_fleet *fleet, uint32_t i)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[i];
	_Atomic uint32_t	*known = &fleet->segment.header->known;
	uint32_t		 cap;

	cap = fleet->config->endpoints[i].max_connections;
	if ((atomic_load(&e->max_connections) == cap &&
		atomic_load(&e->first) == fleet->first[i] &&
		atomic_load(&e->last) == SEGMENT_STAYS &&
		atomic_load(&e->place) == fleet->place[i] &&
		atomic_load(known) == fleet->segment.known) ||
	    mews_fleet_turn(fleet) != MEWS_TURN_CURRENT)
		return false;
	/* At the begin of a turn records still change. An attached process need
	 * not know all endpoints. */
	if (!fleet->settled || fleet->line->attached)
		return false;
	atomic_store(&e->max_connections, cap);
	atomic_store(&e->place, fleet->place[i]);
	atomic_store(&e->last, SEGMENT_STAYS);
	atomic_store(&e->first, fleet->first[i]);
	atomic_store(known, fleet->segment.known);
	return true;
}

/* Mend the monitor's pid: it is the last slot's, or none. */
static bool
mend_monitor(struct mews_fleet *fleet)
{
	const struct segment   *segment = &fleet->segment;
	_Atomic int32_t	       *pid =
	    &segment->slots[segment->slot_count - 1].pid;
	int32_t			holder = atomic_load(pid);
	int32_t			monitor =
	    atomic_load(&segment->header->monitor_pid);

	/* A monitor may have joined in between. */
	if (monitor == 0 || monitor == holder || atomic_load(pid) != holder)
		return false;
	atomic_compare_exchange_strong(&segment->header->monitor_pid,
	    &monitor, 0);
	return true;
}

static bool
mend_endpoint(struct mews_fleet *fleet, uint32_t i, int64_t now_ms)
{
	const struct mews_endpoint_config *config =
	    &fleet->config->endpoints[i];
	struct segment_endpoint	*e = &fleet->segment.endpoints[i];
	uint32_t		 burst = atomic_load(&e->burst);
	bool			 found = false;

	if (strncmp(e->name, config->name, sizeof(e->name)) != 0 ||
	    atomic_load(&e->named) != fleet->named[i]) {
		memset(e->name, 0, sizeof(e->name));
		strcpy(e->name, config->name);
		atomic_store(&e->named, fleet->named[i]);
		found = true;
	}
	found = mend_record(fleet, i) || found;
	if (burst == 0 ||
	    (burst > BUDGET_BURST_MOST && burst > config->connect_burst)) {
		atomic_store(&e->burst, config->connect_burst);
		found = true;
	}
	if (atomic_load(&e->drained) > 1) {
		atomic_store(&e->drained, 0);
		found = true;
	}
	if (atomic_load(&e->up_ms) > now_ms + DAMAGE_SOON_MS) {
		atomic_store(&e->up_ms, 0);
		found = true;
	}
	return found;
}

/* Is there no process with that pid? */
static bool
is_nobody(int32_t pid)
{
	return pid < 0 || (kill(pid, 0) == -1 && errno == ESRCH);
}

static bool
mend_own_slot(struct mews_fleet *fleet)
{
	struct segment_slot *slot = fleet->slot;
	int32_t		     pid = atomic_load(&slot->pid);
	bool		     found = false;

	if (pid != (int32_t)fleet->slot_pid && (pid == 0 || is_nobody(pid)))
		found = atomic_compare_exchange_strong(&slot->pid, &pid,
		    (int32_t)fleet->slot_pid);
	if (atomic_load(&slot->pid) != (int32_t)fleet->slot_pid)
		return found;
	/* While we hold the slot's lock no other process can have the slot. */
	if (fleet->lock != -1 &&
	    atomic_load(&slot->holder) != slots_holder(fleet)) {
		atomic_store(&slot->holder, slots_holder(fleet));
		found = true;
	}
	if (atomic_load(&slot->generation) != fleet->generation ||
	    atomic_load(&slot->groups) != fleet->groups) {
		atomic_store(&slot->generation, fleet->generation);
		atomic_store(&slot->groups, fleet->groups);
		found = true;
	}
	if (atomic_load(&slot->state) != (uint32_t)fleet->state) {
		atomic_store(&slot->state, (uint32_t)fleet->state);
		found = true;
	}
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++) {
		if (atomic_load(&slot->connections[i]) !=
		    fleet->connections[i] ||
		    atomic_load(&slot->dialing[i]) != fleet->dialing[i] ||
		    atomic_load(&slot->queued[i]) != fleet->queued[i]) {
			atomic_store(&slot->connections[i],
			    fleet->connections[i]);
			atomic_store(&slot->dialing[i], fleet->dialing[i]);
			atomic_store(&slot->queued[i], fleet->queued[i]);
			found = true;
		}
		for (uint32_t g = 0; g < MEWS_GROUPS_MAX; g++) {
			uint16_t shared = fleet->group_connections[g][i];

			if (atomic_load(&slot->group_connections[g][i]) ==
			    shared)
				continue;
			atomic_store(&slot->group_connections[g][i], shared);
			found = true;
		}
	}
	return found;
}

/* Does a slot hold what no worker writes? */
static bool
is_implausible(const struct mews_fleet *fleet,
    const struct segment_slot *slot, bool is_free)
{
	for (uint32_t i = 0; i < MEWS_ENDPOINTS_MAX; i++) {
		uint32_t most = is_free ||
		    i >= fleet->segment.endpoint_space ? 0 : DAMAGE_MOST;

		if (atomic_load(&slot->connections[i]) > most ||
		    atomic_load(&slot->dialing[i]) > most ||
		    atomic_load(&slot->queued[i]) > most)
			return true;
	}
	return atomic_load(&slot->state) > MEWS_WORKER_DRAINING;
}

/* Clear a damaged slot that no living process holds. */
static bool
mend_slot(struct mews_fleet *fleet, struct segment_slot *slot)
{
	int32_t		pid = atomic_load(&slot->pid);
	uint64_t	holder = atomic_load(&slot->holder);

	if (slot == fleet->slot || !is_implausible(fleet, slot, pid == 0) ||
	    (pid != 0 && !is_nobody(pid)) || atomic_load(&slot->pid) != pid)
		return false;
	/* The holder is noise, or dead: its lock is free. */
	if (holder != 0 && fleet->line->dir != -1)
		return slots_discard(fleet, slot, holder);
	segment_clear_slot(&fleet->segment, slot);
	return true;
}

void
damage_mend(struct mews_fleet *fleet, int64_t now_us)
{
	const struct segment  *segment = &fleet->segment;
	bool		       header, monitor, slots = false;
	bool		       endpoints = false;

	if (fleet->slot == NULL)
		return;
	header = mend_header(fleet);
	header = mend_turn(fleet) || header;
	monitor = mend_monitor(fleet);
	for (uint32_t i = 0; i < segment->endpoint_count; i++)
		if (segment_knows(segment, i))
			endpoints = mend_endpoint(fleet, i,
			    segment_ms(segment, now_us)) || endpoints;
	fleet->settled = mews_fleet_turn(fleet) == MEWS_TURN_CURRENT;
	slots = mend_own_slot(fleet);
	for (uint32_t i = 0; i < DAMAGE_SLOTS; i++)
		slots = mend_slot(fleet, &segment->slots[
		    fleet->inspected++ % segment->slot_count]) || slots;
	if (!header && !monitor && !endpoints && !slots)
		return;
	/* 0 stands for "never". */
	atomic_store(&segment->header->damaged_ms,
	    segment_ms(segment, now_us) | 1);
	endpoint_changed(fleet);
	if (now_us < fleet->damage_quiet_us)
		return;
	fleet->damage_quiet_us = now_us + DAMAGE_QUIET_US;
	fleet_log(fleet, MEWS_LOG_ERROR, "segment_damaged",
	    "parts=%s%s%s%s error=\"the shared memory was written over: it "
	    "was put right as far as possible; if this is logged again, "
	    "restart the fleet\"", header ? "header," : "",
	    monitor ? "monitor," : "", endpoints ? "endpoints," : "",
	    slots ? "slots," : "");
}
