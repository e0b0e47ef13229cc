/*
 * slots.c - how a process takes part: join, leave, and what follows its death.
 *
 * Writers of a slot: the process that joined with it; after its death the
 * process that clears it, one at a time; no other.
 */
#include "fleet/slots.h"

#include "base/clock.h"
#include "base/forked.h"
#include "fleet/hold.h"
#include "fleet/orphan.h"
#include "fleet/record.h"
#include "base/status.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

uint64_t
slots_holder(const struct mews_fleet *fleet)
{
	return hold_self() | (fleet->line->attached ? HOLD_ATTACHED : 0);
}

struct segment_slot *
fleet_slot(const struct mews_fleet *fleet)
{
	assert(fleet != NULL &&
	    "mews: a fleet is there after mews_fleet_create()");
	return fleet->slot != NULL && *fleet->slot_mark != NULL ?
	    fleet->slot : NULL;
}

/* Undo take_slot(), for a slot that was given back, or never filled. */
static void
let_go(struct mews_fleet *fleet, struct segment_slot *slot)
{
	uint64_t	own;

	if (fleet->line->dir == -1)
		return;
	own = slots_holder(fleet);
	atomic_compare_exchange_strong(&slot->holder, &own, 0);
	if (fleet->lock != -1)
		close(fleet->lock);
	fleet->lock = -1;
}

/*
 * Take a slot: its word first, on which threads of one process compete, then
 * its lock, if the fleet has locks. The slot is taken with both.
 */
static bool
take_slot(struct mews_fleet *fleet, uint32_t index)
{
	const struct fleet_line	*line = fleet->line;
	struct segment_slot	*slot = &fleet->segment.slots[index];
	uint64_t		 nobody = 0, own;
	int32_t			 free_pid = 0;
	bool			 refused;

	fleet->lock = -1;
	if (atomic_load(&slot->pid) != 0)
		return false;
	if (line->dir != -1) {
		own = slots_holder(fleet);
		if (!atomic_compare_exchange_strong(&slot->holder, &nobody,
			own))
			return false;
		fleet->lock = hold_lock(line->dir, index, true);
		/* A child can do without a lock: its parent reaps it. */
		refused = fleet->lock == -1 && (line->attached ||
		    errno == EAGAIN || errno == EACCES);
		if (fleet->lock == -1)
			let_go(fleet, slot);
		if (refused)
			return false;
		if (fleet->lock != -1 && atomic_load(&slot->holder) != own) {
			let_go(fleet, slot);
			return false;
		}
	}
	if (atomic_compare_exchange_strong(&slot->pid, &free_pid,
		(int32_t)getpid()))
		return true;
	let_go(fleet, slot);
	return false;
}

void
fleet_learn_names(struct mews_fleet *fleet)
{
	for (uint32_t i = 0; i < fleet->segment.endpoint_count; i++)
		fleet->named[i] =
		    atomic_load(&fleet->segment.endpoints[i].named);
	fleet->names_known = true;
}

/* Fill in a slot that this process took. */
static bool
fill_slot(struct mews_fleet *fleet, struct segment_slot *slot)
{
	static const char joined;
	int64_t now = segment_ms(&fleet->segment, clock_now_us());

	atomic_store(&slot->joined_ms, now);
	atomic_store(&slot->beat_ms, now);
	atomic_store(&slot->groups, fleet->groups);
	atomic_store(&slot->generation, fleet->generation);
	if (!record_all_hold(&fleet->segment, fleet->generation))
		return false;
	atomic_store(&slot->state, MEWS_WORKER_STARTING);
	fleet->state = MEWS_WORKER_STARTING;
	if (!fleet->names_known)
		fleet_learn_names(fleet);
	memset(fleet->connections, 0, sizeof(fleet->connections));
	memset(fleet->dialing, 0, sizeof(fleet->dialing));
	memset(fleet->queued, 0, sizeof(fleet->queued));
	memset(fleet->group_connections, 0, sizeof(fleet->group_connections));
	figures_begin(segment_figures(&fleet->segment,
	    (uint32_t)(slot - fleet->segment.slots)), fleet->segment.room);
	fleet->slot = slot;
	fleet->slot_pid = getpid();
	*fleet->slot_mark = &joined;
	fleet->pools = 0;
	return true;
}

/* Take one of the slots from .. to - 1; an attached process begins at the
 * end. */
static enum mews_status
take_one(struct mews_fleet *fleet, uint32_t from, uint32_t to,
    struct mews_error *error)
{
	for (uint32_t i = from; i < to; i++) {
		uint32_t	     at = fleet->line->attached ?
			to - 1 - (i - from) : i;
		struct segment_slot *slot = &fleet->segment.slots[at];
		enum mews_status     status;

		if (!take_slot(fleet, at))
			continue;
		if (!wake_open(fleet->line, at))
			status = status_set(error, MEWS_SYSTEM, "cannot open "
			    "the FIFO of a slot: %s", strerror(errno));
		else if (fleet->slot_mark == NULL &&
		    (fleet->slot_mark = forked_mark(NULL)) == NULL)
			status = status_set(error, MEWS_SYSTEM, "cannot map a "
			    "page that forks find empty: %s", strerror(errno));
		else if (!fill_slot(fleet, slot))
			status = status_set(error, MEWS_INVALID, "the "
			    "configuration of this process is given up");
		else
			return MEWS_OK;
		segment_clear_slot(&fleet->segment, slot);
		let_go(fleet, slot);
		return status;
	}
	return status_set(error, MEWS_INVALID, "all %u slots of the fleet are "
	    "taken: configure more workers, or mews_fleet_reap() those "
	    "that ended", to - from);
}

static enum mews_status
join(struct mews_fleet *fleet, uint32_t from, uint32_t to,
    struct mews_error *error)
{
	enum mews_status	status;

	if (fleet_slot(fleet) != NULL)
		return status_set(error, MEWS_INVALID,
		    "this process joined the fleet already");
	/* Close a fork's copy of its parent's lock. */
	if (fleet->lock != -1)
		close(fleet->lock);
	if (fleet->line->attached)
		slots_tend(fleet, true);
	hold_begin(true);
	status = take_one(fleet, from, to, error);
	hold_end();
	return status;
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
	hold_begin(true);
	if (slot != NULL)
		segment_clear_slot(&fleet->segment, slot);
	if (fleet->lock != -1)
		close(fleet->lock);
	fleet->lock = -1;
	hold_end();
}

static struct segment_slot *
slot_of(const struct mews_fleet *fleet, pid_t pid)
{
	assert(fleet != NULL &&
	    "mews: a fleet is there after mews_fleet_create()");
	/* A pid of 0 would match free slots. */
	for (uint32_t i = 0; pid > 0 && i < fleet->segment.slot_count; i++)
		if (atomic_load(&fleet->segment.slots[i].pid) == (int32_t)pid)
			return &fleet->segment.slots[i];
	return NULL;
}

/* Clear the slot of a dead process; false: its death is not proven, or another
 * process clears it. */
static bool
give_slot_back(struct mews_fleet *fleet, uint32_t index, uint64_t holder)
{
	struct segment_slot *slot = &fleet->segment.slots[index];
	bool		     given = false;
	int		     lock;

	if (hold_is_self(holder) || !hold_begin(false))
		return false;
	/* Make the lock file only if the slot was just let go: that of a holder
	 * exists. */
	lock = hold_lock(fleet->line->dir, index,
	    atomic_load(&slot->pid) == 0);
	/* Meanwhile another process may have cleared it, and a third one
	 * joined. */
	if (lock != -1 && atomic_load(&slot->holder) == holder) {
		orphan_adopt(&fleet->segment, slot);
		segment_clear_slot(&fleet->segment, slot);
		given = true;
	}
	if (lock != -1)
		close(lock);
	hold_end();
	return given;
}

bool
slots_discard(struct mews_fleet *fleet, struct segment_slot *slot,
    uint64_t holder)
{
	uint32_t index = (uint32_t)(slot - fleet->segment.slots);
	bool	 discarded = false;
	int	 lock;

	if (hold_is_self(holder) || !hold_begin(false))
		return false;
	/* Damage may name a slot that has no lock file. */
	lock = hold_lock(fleet->line->dir, index, true);
	if (lock != -1 && atomic_load(&slot->holder) == holder) {
		segment_clear_slot(&fleet->segment, slot);
		discarded = true;
	}
	if (lock != -1)
		close(lock);
	hold_end();
	return discarded;
}

bool
mews_fleet_reap(struct mews_fleet *fleet, pid_t pid)
{
	int	saved = errno;
	bool	found = false;

	assert(fleet != NULL &&
	    "mews: a fleet is there after mews_fleet_create()");
	/* A pid of 0 would match free slots. A process may have several
	 * slots. */
	for (uint32_t i = 0; pid > 0 && i < fleet->segment.slot_count; i++) {
		struct segment_slot *slot = &fleet->segment.slots[i];
		uint64_t	     holder = atomic_load(&slot->holder);

		if (atomic_load(&slot->pid) != (int32_t)pid)
			continue;
		found = true;
		if (holder != 0 && fleet->line->dir != -1) {
			give_slot_back(fleet, i, holder);
			continue;
		}
		orphan_adopt(&fleet->segment, slot);
		segment_clear_slot(&fleet->segment, slot);
	}
	if (found)
		fleet_wake_monitor(fleet);
	/* The caller may be a handler of SIGCHLD. */
	errno = saved;
	return found;
}

/* Is it time to look whether the holder lives, for a process that is not its
 * parent? */
static bool
is_due(const struct mews_fleet *fleet, const struct segment_slot *slot,
    uint64_t holder)
{
	uint64_t now = (uint64_t)segment_ms(&fleet->segment, clock_now_us());

	if (holder == 0 || slot == fleet->slot || hold_is_self(holder))
		return false;
	/* Unsigned, as another process may have written any number. */
	return (holder & HOLD_ATTACHED) != 0 ||
	    now - (uint64_t)atomic_load(&slot->beat_ms) > SLOTS_GRACE_MS;
}

void
slots_tend(struct mews_fleet *fleet, bool all)
{
	const struct segment	*segment = &fleet->segment;
	uint32_t		 looks = all ? segment->slot_count :
	    SLOTS_LOOKS;

	if (fleet->line->dir == -1)
		return;
	for (uint32_t i = 0; i < looks && i < segment->slot_count; i++) {
		uint32_t at = fleet->tended++ % segment->slot_count;
		const struct segment_slot *slot = &segment->slots[at];
		uint64_t holder = atomic_load(&slot->holder);
		int32_t	 pid = atomic_load(&slot->pid);

		if (!is_due(fleet, slot, holder) ||
		    !give_slot_back(fleet, at, holder))
			continue;
		fleet_wake_monitor(fleet);
		fleet_log(fleet, MEWS_LOG_WARNING, "slot_given_back",
		    "gone_pid=%d attached=%s", (int)pid,
		    (holder & HOLD_ATTACHED) != 0 ? "yes" : "no");
	}
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

	/* There is one writer: no need for an atomic add. */
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
	/* Unsigned, as another process may have written any number. */
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
