/*
 * upgrade.h - USR2: another binary takes over, without a connection lost.
 *
 * Steps of the old master: fork, and execute the file that it was started from
 * with what handover.h names; once the new master says that each of its workers
 * is ready, let it take over; then let its own workers drain, and end with the
 * last of them. If the new one ends before, or takes too long, the old master
 * goes on as it was, and says why.
 *
 * Under systemd the new master is made as a child of systemd. One that was a
 * child of the old master when systemd heard of it would count as a stranger
 * for good, whose end nothing waits for: a stop would kill it with its workers.
 *
 * Where the new one is apart, as its segment is of another version, two fleets
 * live side by side from then on: the old master tells the new one what is
 * known of the servers, and how many connections are left to it; it keeps its
 * monitor, for its own workers, and stays until its last worker, or the last
 * connection of a process that attached to it, is gone.
 *
 * How it ended is said as that of a reload is: reload.h.
 */
#ifndef MASTER_UPGRADE_H
#define MASTER_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct master;

struct upgrade {
	char	binary[4096]; /* what we were started from; "": unknown */
	pid_t	pid;	      /* the new master; 0: none is under way */
	bool	sibling;      /* it is our parent's child, as we are */
	int	channel;      /* to it; -1: none */
	int64_t due;	      /* to be ready, or to have ended */
	bool	given_up;     /* it was told to end */
	bool	going;	      /* it was told to take over */
	bool	passed;	      /* it serves: all that is left is to drain */
	bool	told;	      /* that our monitor ended */
	bool	apart;	      /* its segment is another one */
	int64_t tell_at;      /* to one that is apart; the next time */
	int64_t take_back_at; /* what was lent to one that is gone; 0: never */
	int64_t alone_since;  /* our last worker is gone; 0: not yet */
};

/** Find out what was started; @name is the command's first word. */
void upgrade_init(struct upgrade *upgrade, const char *name);
/** USR2: begin. */
void upgrade_begin(struct master *m);
/** Go on, as far as that is possible now. */
void upgrade_go_on(struct master *m);
/** A child ended. False: it is not the new master. */
bool upgrade_bury(struct master *m, pid_t pid, int wait_status);
/** Give up; a no-op if none is under way. */
void upgrade_give_up(struct master *m, const char *why);
/** Was the new master told to take over, and has not done it yet? It will. */
bool upgrade_is_going(const struct master *m);
/** Is there a new master that has not taken over? */
bool upgrade_lives(const struct master *m);
/** The last worker is gone. If a new master serves, and is apart, guests have a
 * limited time from the first call on. */
void upgrade_emptied(struct master *m);
/** Are connections of guests left, and time for them, after
 * upgrade_emptied()? */
bool upgrade_holds(const struct master *m);
/** When it has to go on at the latest; INT64_MAX: never. */
int64_t upgrade_due(const struct master *m);

#endif
