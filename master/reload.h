/*
 * reload.h - another configuration for a fleet that runs.
 *
 * Steps: read the file; try the application, and look up new host names, in a
 * child; start all workers of the next generation; when each is ready, let it
 * serve, and the one before drain. Whatever fails before is logged, and nothing
 * has changed.
 *
 * How it ended is said in RUNTIME_DIR/INSTANCE.reload, for mews reload: a line
 * "BEGAN OUTCOME TEXT", BEGAN in ms of CLOCK_MONOTONIC, and the mistakes, a
 * line each.
 */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include <mews/status.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct master;

#define RELOAD_READY	"ready"
#define RELOAD_REFUSED	"refused"
#define RELOAD_REPLACED "replaced" /* another reload began */

struct reload {
	struct generation *next; /* NULL: no reload is under way */
	int64_t		   began;
	int64_t		   due;	  /* of the trial's end */
	pid_t		   trial; /* 0: it is over */
	int		   answers; /* of the trial; -1: none */
	FILE		  *in;	    /* the same */
	unsigned	   mistakes;
	char		  *said; /* the mistakes, a line each */
	size_t		   said_size;
	FILE		  *saying;
};

void reload_init(struct reload *reload);

/** Somebody asks for something whose outcome is told: mistakes are kept from
 * now on. */
void reload_ask(struct master *m);
/** One mistake: FILE:LINE, and what is wrong there. A config_report_fn. */
void reload_say(void *master, const char *line);
/** Leave the outcome, with the mistakes, for who asked. */
void reload_tell(struct master *m, const char *outcome, const char *text);

/** HUP: begin; one that is under way is given up for it. */
void reload_begin(struct master *m);
/** Go on, as far as that is possible now. */
void reload_go_on(struct master *m);
/** A child ended. False: it is not the reload's. */
bool reload_bury(struct master *m, pid_t pid, int wait_status);
/** Give up; a no-op if none is under way. */
void reload_give_up(struct master *m, const char *outcome, const char *why);
/** When it has to go on at the latest; INT64_MAX: never. */
int64_t reload_due(const struct master *m);

#endif
