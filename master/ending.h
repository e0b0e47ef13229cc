/*
 * ending.h - the end of a fleet: its monitor goes last, when nothing that a
 * worker left behind runs on a server any more.
 */
#ifndef MASTER_ENDING_H
#define MASTER_ENDING_H

#include <stdbool.h>
#include <stdint.h>

struct master;

struct ending {
	int64_t	 told_at;  /* when the last monitor was told to end */
	bool	 done;	   /* it took its time for that, and ended properly */
	unsigned again;	   /* monitors started because one did not */
	uint32_t orphans;  /* left on servers, as found at the last look */
};

/** Stop, and no worker is left: end the monitor. One that was killed, or hung,
 * is followed by another while there is something left to end. */
void ending_go_on(struct master *m);
/** A monitor ended with this status; @retired: it had been told to. */
void ending_bury(struct master *m, bool retired, int wait_status);

#endif
