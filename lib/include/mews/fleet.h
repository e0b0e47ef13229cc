/*
 * mews/fleet.h - the processes that share one segment.
 *
 * Create before the first fork; join in each child; reap in the parent. A
 * process that the fleet's creator did not fork attaches. The segment holds one
 * health record per endpoint and one slot per worker; it has no lock, so a
 * process may be killed between any two instructions.
 */
#ifndef MEWS_FLEET_H
#define MEWS_FLEET_H

#include <mews/config.h>
#include <mews/status.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct mews_fleet;

enum mews_log_level {
	MEWS_LOG_DEBUG = 0,
	MEWS_LOG_INFO = 1,
	MEWS_LOG_WARNING = 2,
	MEWS_LOG_ERROR = 3
};

/**
 * The host's log. Runs inside calls into the library, in the process that
 * made the call; must not call the library.
 *
 * @event  one word ("endpoint_state").
 * @text   logfmt pairs ("endpoint=a from=up to=down evidence=refused").
 */
typedef void mews_log_fn(void *arg, enum mews_log_level level,
    const char *event, const char *text);

/* A worker's state, as its slot shows it. */
enum mews_worker_state {
	MEWS_WORKER_FREE = 0,
	MEWS_WORKER_STARTING = 1,
	MEWS_WORKER_READY = 2,
	MEWS_WORKER_DRAINING = 3
};

/**
 * Make the segment, and look up the endpoints' addresses once (this may
 * block on DNS; no server is contacted). Call it before the first fork.
 *
 * A runtime_file that exists already is refused, as its fleet may be running.
 * A host that crashed leaves it behind; if no other host uses that path, remove
 * it first. The directory beside it, runtime_file with ".d" added, needs no
 * care. With a runtime_file there are slots for processes that attach, 32 at
 * least.
 *
 * @out    set on MEWS_OK, else NULL; end it with mews_fleet_destroy().
 * @error  says which field or call; may be NULL, as everywhere.
 *
 * Returns MEWS_OK, MEWS_INVALID (configuration or ABI), MEWS_NOMEM or
 * MEWS_SYSTEM.
 */
enum mews_status mews_fleet_create(struct mews_fleet **out,
    const struct mews_config *config, struct mews_error *error);

/**
 * Take part in a fleet that another process made with mews_fleet_create(), or
 * `mews run`, or `mews monitor`: for a process whose parent made none. Then
 * join, open a pool and query as a child does. The process shares at once what
 * the fleet knows of the servers, and what it finds is shared with all; caps
 * hold for all together.
 *
 * Each thread that opens a pool attaches, joins and opens its own: a slot is
 * one thread's. A forked child of an attached process joins with the copy that
 * it has. mews_fleet_leave() gives a slot back. If the process ends without
 * that call, another process of the fleet clears its slot within two seconds.
 *
 * If the fleet ends, the process goes on alone with the same servers. If
 * another fleet, or the next generation, takes its place, mews_fleet_turn()
 * returns MEWS_TURN_PAST: attach again, open a pool there, and close the old
 * one.
 *
 * @config  has the runtime_file and the instance of the fleet, whose file
 *          belongs to the same user. Each endpoint is one of the fleet's by
 *          name, with the same server, database and max_connections; a group of
 *          the same name has the same role. workers is ignored.
 * @out     set on MEWS_OK, else NULL; end it with mews_fleet_destroy().
 *
 * Returns MEWS_OK; MEWS_UNAVAILABLE: no fleet runs, or not yet; MEWS_INVALID:
 * a mistake in the configuration, a conflict with the fleet's (@error names
 * both values), no segment or one of another ABI; MEWS_NOMEM; or MEWS_SYSTEM,
 * for example if the file belongs to another user.
 */
enum mews_status mews_fleet_attach(struct mews_fleet **out,
    const struct mews_config *config, struct mews_error *error);

/**
 * Make the next generation of a fleet, with another configuration, on the same
 * segment. Called in the process that created the fleet, which then forks
 * processes of the new generation beside the old ones. The generation serves
 * after mews_fleet_switch(); if it is destroyed before that, nothing has
 * changed. There may be one such generation at a time.
 *
 * The instance stays. workers, slots and runtime_file are ignored: the segment
 * keeps its size and place. Endpoints are matched by name, host and port. A
 * host name that is new is not looked up: see mews_fleet_resolve().
 *
 * @out  set on MEWS_OK, else NULL; end it with mews_fleet_destroy(), as well as
 *       @fleet.
 *
 * Returns MEWS_OK, MEWS_INVALID or MEWS_NOMEM.
 */
enum mews_status mews_fleet_renew(struct mews_fleet **out,
    struct mews_fleet *fleet, const struct mews_config *config,
    struct mews_error *error);

/**
 * As mews_fleet_renew(), but in a successor: a process that the fleet's creator
 * forked and that executed another program. After mews_fleet_switch() the new
 * generation serves, the successor owns the fleet and its file, and the creator
 * may no longer fork, renew or switch. Only one of the two makes generations at
 * a time.
 *
 * A segment that another version made cannot be shared: then the fleet that is
 * made has one of its own, of config->slots, which takes the other one's place
 * with mews_fleet_switch(). mews_fleet_is_apart() tells. Both processes see to
 * it that caps hold for both, and that what is known of servers is not lost:
 * mews_fleet_tell() there, mews_fleet_hear() here.
 *
 * @config      with the runtime_file of the fleet.
 * @wakes       what mews_fleet_wakes() gave, inherited; closed with the fleet.
 *
 * Returns MEWS_OK, MEWS_INVALID, MEWS_SYSTEM or MEWS_NOMEM.
 */
enum mews_status mews_fleet_adopt(struct mews_fleet **out,
    const struct mews_config *config, const int *wakes, size_t wake_count,
    struct mews_error *error);

/** Fill @fds with the descriptors that wake processes of the fleet, for a
 * successor to inherit; the library still owns them. Returns how many; 0:
 * @room, a count, is too small. */
size_t mews_fleet_wakes(const struct mews_fleet *fleet, int *fds, size_t room);

/** Has an adopted fleet a segment of its own? */
bool mews_fleet_is_apart(const struct mews_fleet *fleet);

/** The successor serves: the runtime file is no longer ours to remove. Where
 * its segment is another one, processes of ours learn from mews_fleet_turn()
 * that they are of the past. */
void mews_fleet_hand_over(struct mews_fleet *fleet);

/* Bytes of a line of mews_fleet_tell(), with its NUL. */
#define MEWS_FLEET_TOLD 900

/**
 * Say what is known of an endpoint, and how many connections to it processes of
 * this fleet have, or may have, as a line of text for a successor.
 *
 * @at    from 0 on; ends at the first that returns false.
 * @lend  leave a part of the endpoint's connections to the successor: the more
 *        the less is used here, once mews_fleet_hand_over() was called.
 * @line  "": the endpoint is none that serves.
 */
bool mews_fleet_tell(struct mews_fleet *fleet, uint32_t at, bool lend,
    char line[MEWS_FLEET_TOLD]);

/**
 * Take in such a line. Of an endpoint that this fleet does not have, or has on
 * another server, only what its name stands for is taken: the operator's word,
 * and the connections. Once this fleet serves, what it knows itself of a
 * server's health counts more.
 *
 * Returns MEWS_OK, or MEWS_INVALID: it is no such line, and changes nothing.
 */
enum mews_status mews_fleet_hear(struct mews_fleet *fleet, const char *line);

/** The process that a fleet follows has ended: nothing is held there, and what
 * it left in files is removed. */
void mews_fleet_inherit(struct mews_fleet *fleet);

/** The successor is gone, and never served: have all connections again, and
 * remove what it left in files. */
void mews_fleet_take_back(struct mews_fleet *fleet);

/** Connections that processes of the fleet have, those of guests included. */
uint32_t mews_fleet_held(const struct mews_fleet *fleet);

/**
 * Look up the host names of endpoints that have no address yet; may block on
 * DNS. For a child forked from a renewed fleet, or for a host that may wait. An
 * endpoint without an address is not dialed.
 */
void mews_fleet_resolve(struct mews_fleet *fleet);

/**
 * A renewed fleet becomes the one that serves: its caps are in force, and
 * every process is woken to learn it from mews_fleet_turn(). Processes of the
 * generation before go on until their host ends them.
 */
void mews_fleet_switch(struct mews_fleet *fleet);

/* Is it the turn of a generation to serve? */
enum mews_turn {
	MEWS_TURN_NEXT = 0,    /* not yet this generation's */
	MEWS_TURN_CURRENT = 1, /* this generation's */
	MEWS_TURN_PAST = 2     /* no longer: finish what was begun */
};

/** Ask for the generation that this process was forked from, or attached to;
 * one load. */
enum mews_turn mews_fleet_turn(const struct mews_fleet *fleet);

/**
 * Unmap the segment and set *fleet to NULL; NULL *fleet is a no-op. The process
 * that created the fleet removes its file with the last generation. An
 * assertion fails if a pool of this process is still open.
 */
void mews_fleet_destroy(struct mews_fleet **fleet);

/**
 * Give the library a log; NULL @fn: none. Inherited by later forks. The first
 * call logs, before it returns, which variables of the environment fill in
 * what the endpoints' conninfos leave open.
 */
void mews_fleet_set_log(struct mews_fleet *fleet, mews_log_fn *fn, void *arg);

/**
 * Log nothing below @least; the default is MEWS_LOG_INFO. Inherited by later
 * forks. MEWS_LOG_DEBUG adds each change of a connection's state except the
 * begin and end of a lease.
 */
void mews_fleet_set_log_level(struct mews_fleet *fleet,
    enum mews_log_level least);

/**
 * Take a slot for this process, as MEWS_WORKER_STARTING.
 *
 * Returns MEWS_OK, or MEWS_INVALID: joined already, or every slot is taken.
 */
enum mews_status mews_fleet_join(struct mews_fleet *fleet,
    struct mews_error *error);

/** Give the slot back; an assertion fails if a pool is still open. A no-op if
 * this process holds no slot. */
void mews_fleet_leave(struct mews_fleet *fleet);

/**
 * Clear the slots of a process that ended: its connections no longer count in
 * the caps. What it counted for mews/figures.h stays. Call it after waitpid(2)
 * returned @pid, in the parent only. Async signal safe. Returns true if @pid
 * had a slot.
 */
bool mews_fleet_reap(struct mews_fleet *fleet, pid_t pid);

/** Publish this worker's state, as mews status shows it. Needs a slot. */
void mews_fleet_set_state(struct mews_fleet *fleet,
    enum mews_worker_state state);

/** Count requests that this worker answered. Needs a slot. */
void mews_fleet_count_requests(struct mews_fleet *fleet, uint32_t count);

/** Record that this worker is alive now; mews_pool_tick() does it too. */
void mews_fleet_beat(struct mews_fleet *fleet);

/** Milliseconds since @pid last beat; -1 if it has no slot. */
int64_t mews_fleet_beat_age(const struct mews_fleet *fleet, pid_t pid);

/**
 * The worker's state, MEWS_WORKER_FREE if @pid has no slot: how a parent
 * learns that a child is ready.
 */
enum mews_worker_state mews_fleet_state(const struct mews_fleet *fleet,
    pid_t pid);

/** Publish the parent's pid, and the number of the generation, +1 with each
 * reload or upgrade, for mews status. A parent that adopted the fleet calls
 * this again when its predecessor has ended; attached processes then watch that
 * pid. */
void mews_fleet_set_master(struct mews_fleet *fleet, pid_t pid,
    uint32_t generation);

/** Change the owner of the runtime file, before privileges are dropped. */
enum mews_status mews_fleet_chown(struct mews_fleet *fleet, uid_t uid,
    gid_t gid, struct mews_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
