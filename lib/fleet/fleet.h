/*
 * fleet.h - a fleet as one process holds it.
 *
 * A fleet is made before the fork, so every child has its own copy of all this.
 * Only the segment, and the descriptors in wakes, are shared.
 */
#ifndef LIB_FLEET_FLEET_H
#define LIB_FLEET_FLEET_H

#include "fleet/fleet_log.h"
#include "fleet/segment.h"
#include "fleet/wake.h"

#include <mews/fleet.h>
#include <mews/settings.h>

#define FLEET_GUESTS 32 /* slots for processes that attach, at least */

/* The part of a fleet that all its generations share in this process; freed
 * with the last one. */
struct fleet_line {
	unsigned generations; /* that this process holds */
	uint32_t newest;      /* the last number given to a generation */
	char *path;	      /* of the runtime file, or NULL */
	int dir;	      /* FILE.d, see hold.h; -1: none */
	int lock;	      /* the creator's; -1: none */
	char *adopted;	      /* path, while it belongs to another process;
				 until we switch */
	char *beside;	      /* of a segment that ours took the place of, and
				 whose process still lives; else NULL */
	/* As the fleet before said last, by index of the endpoint. */
	uint32_t told_drained; /* bits */
	uint8_t told_health[MEWS_ENDPOINTS_MAX]; /* 0: nothing */
	bool apart;	      /* adopted with a segment of our own; apart.h */
	pid_t creator;	      /* 0: another process, as this one is attached */
	bool attached;
	int *wakes;	      /* one descriptor per slot, see wake.h */
};

struct mews_fleet {
	struct segment segment;
	struct fleet_line *line; /* shared by this process' generations */
	struct mews_config *config; /* own copy, defaults filled in; an endpoint
				       has the index of its record */
	uint32_t generation;
	uint64_t groups;	    /* hash of their names, in order */
	struct health_rules rules;
	struct segment_slot *slot;  /* of this process, or NULL */
	const char *volatile *slot_mark; /* of that process, see forked.h;
					    NULL: it never joined */
	uint32_t leases[MEWS_ENDPOINTS_MAX]; /* ends of the probe leases that
						this process took last */
	pid_t slot_pid;		    /* the process that took the slot */
	int lock;		    /* of the slot; -1: none */
	uint32_t tended;	    /* slots, so far; wraps */
	bool ended;	/* attached: the runtime file is gone */
	bool replaced;	/* attached: another fleet's file is in its place */
	unsigned pools;		    /* open, of slot_pid */
	/* The segment's contents as this process knows them; damage.h. */
	struct segment_header fixed; /* as it was made */
	uint32_t named[MEWS_ENDPOINTS_MAX];
	bool names_known; /* named was filled in */
	uint32_t first[MEWS_ENDPOINTS_MAX];
	uint64_t place[MEWS_ENDPOINTS_MAX];
	uint64_t turn; /* the header's word, when it was last valid */
	bool settled;  /* it was this generation's turn on the last beat */
	enum mews_worker_state state; /* of the slot; its counts follow: */
	uint32_t connections[MEWS_ENDPOINTS_MAX];
	uint32_t dialing[MEWS_ENDPOINTS_MAX];
	uint32_t queued[MEWS_ENDPOINTS_MAX];
	uint16_t group_connections[MEWS_GROUPS_MAX][MEWS_ENDPOINTS_MAX];
	uint32_t inspected;	    /* slots, so far; wraps */
	int64_t damage_quiet_us;    /* damage is not logged before */
	mews_log_fn *log;
	void *log_arg;
	enum mews_log_level log_least; /* less is not even formatted */
	_Atomic uint32_t chosen;    /* how often mews_fleet_choose() was
				       called */
	bool environment_told;	    /* logged, by this process or one that
				       forked it */
};

/* Does a later generation serve? Then this process keeps no connection that it
 * does not use. */
static inline bool
fleet_is_past(const struct mews_fleet *fleet)
{
	return mews_fleet_turn(fleet) == MEWS_TURN_PAST;
}

/* Make segment, generation and line of a new fleet at @path; NULL: in memory.
 * The file is to be removed with @fleet, however this ends. */
enum mews_status fleet_make(struct mews_fleet *fleet, const char *path,
    const struct mews_config *config, struct mews_error *error);
/* A fleet with a line of its own, and no segment yet. NULL: no memory; @error
 * says so in any case, until another one is set. */
struct mews_fleet *fleet_new(struct mews_error *error);
/* The end of a call that makes a fleet, and its status: @fleet goes to *@out if
 * that is MEWS_OK, else it is destroyed, and @error, which is set, stays. */
enum mews_status fleet_give(struct mews_fleet **out, struct mews_fleet *fleet,
    enum mews_status status, struct mews_error *error);
/* Check a configuration; its first mistake becomes @error. */
enum mews_status fleet_check(const struct mews_config *config,
    struct mews_error *error);
/* Make @fleet, which has its segment and line, a generation of its own. */
enum mews_status fleet_claim(struct mews_fleet *fleet,
    const struct mews_config *config, struct mews_error *error);
/* Keep what must stay as it is in the segment; damage.h. */
void fleet_learn(struct mews_fleet *fleet);

/* The figures of this process; it has a slot. */
static inline struct figures *
fleet_figures(const struct mews_fleet *fleet)
{
	return segment_figures(&fleet->segment,
	    (uint32_t)(fleet->slot - fleet->segment.slots));
}

/* Give @fleet a copy of @config, with endpoint i at record @index[i]; false:
 * out of memory. */
bool fleet_configure(struct mews_fleet *fleet,
    const struct mews_config *config, const uint8_t *index);

#endif
