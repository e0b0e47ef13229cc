/*
 * takeover.h - the new master's side of an upgrade.
 *
 * It makes the next generation of the fleet whose segment it finds, and waits
 * with everything that is seen from outside until the old master lets go.
 */
#ifndef MASTER_TAKEOVER_H
#define MASTER_TAKEOVER_H

#include <mews/status.h>
#include <stdint.h>

struct master;

/** Take what was passed, in place of a start's binding and making. */
bool takeover_open(struct master *m, struct mews_error *error);
/** Go on, as far as that is possible now. */
void takeover_go_on(struct master *m);
/** Are we waiting for the old master to let go? */
bool takeover_waits(const struct master *m);
/** We stop, by @signal: tell an old master that still drains. A stop is not
 * over before its end: systemd kills what a main process leaves behind. */
void takeover_stop(struct master *m, int signal, int64_t patience_ms);
/** We stopped: until when to wait for the old master; 0: it is gone, or was
 * waited for long enough. */
int64_t takeover_until(const struct master *m);
/** May our monitor begin? */
bool takeover_lets_monitor(const struct master *m);

#endif
