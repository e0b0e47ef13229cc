/*
 * ending.h - the end of a fleet: its monitor ends last, when servers run
 * nothing any more that a worker left behind.
 */
#ifndef MASTER_ENDING_H
#define MASTER_ENDING_H

#include <stdbool.h>
#include <stdint.h>

struct master;

struct ending {
	int64_t	 told_at;  /* when the last monitor was told to end */
	bool	 done;	   /* it took long enough, and ended properly */
	unsigned again;	   /* monitors started because the one before did not */
	uint32_t orphans;  /* left on servers, as found at the last look */
};

/** The fleet stops, and no worker is left: end the monitor. If it was killed or
 * hung, start another while orphans are left. */
void ending_go_on(struct master *m);
/** A monitor ended with @wait_status; @retired: it had been told to. */
void ending_bury(struct master *m, bool retired, int wait_status);

#endif
