/*
 * fleet.h - a fleet as one process holds it.
 *
 * Made before the fork, so every child has a copy of its own of everything
 * here; shared is only what fleet->segment points to, and the eventfds.
 */
#ifndef FLEET_H
#define FLEET_H

#include "segment.h"

#include <mews/fleet.h>

struct mews_fleet {
	struct segment segment;
	struct mews_config *config; /* own copy, defaults filled in */
	struct health_rules rules;
	char *path;		    /* of the runtime file, or NULL */
	pid_t creator;
	int *wakes;		    /* one eventfd per slot */
	struct segment_slot *slot;  /* of this process, or NULL */
	pid_t slot_pid;		    /* who took it: a fork does not inherit */
	unsigned pools;		    /* open, of slot_pid */
	mews_log_fn *log;
	void *log_arg;
};

/* The eventfd that is poked when an endpoint changes; of this slot. */
int fleet_wake_fd(const struct mews_fleet *fleet);

/* Poke everybody who lives. */
void fleet_wake_all(const struct mews_fleet *fleet);
/* Poke the monitor: somebody wants fresh measurements. */
void fleet_wake_monitor(const struct mews_fleet *fleet);

/* Take the slot that is kept for the monitor. */
enum mews_status fleet_join_monitor(struct mews_fleet *fleet,
    struct mews_error *error);

/* Does a monitor live, as far as is known? */
bool fleet_has_monitor(const struct mews_fleet *fleet);

/* @text as a value of logfmt: in quotes, its own escaped. */
#define FLEET_QUOTED 400
const char *fleet_quote(char buffer[FLEET_QUOTED], const char *text);

void fleet_log(const struct mews_fleet *fleet, enum mews_log_level level,
    const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
