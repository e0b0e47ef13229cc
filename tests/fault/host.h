/*
 * host.h - the parent: a fleet by the library alone, as an embedding host
 * has it. It forks a monitor and the workers, reaps, and replaces.
 *
 * Whatever waits here turns host_tick() and has a deadline.
 */
#ifndef TESTS_FAULT_HOST_H
#define TESTS_FAULT_HOST_H

#include "ledger.h"

#include <mews.h>
#include <sys/types.h>

#define HOST_INTERVAL 1000 /* ms, of the fleet's health rules */
#define HOST_TIMEOUT  500
#define HOST_ACQUIRE  5000
#define HOST_CAP      40 /* connections to one endpoint, of the fleet */
#define HOST_BURST    2

struct child {
	pid_t pid;
	uint32_t life; /* how many were there before it */
	bool killed;   /* by us, and not reaped yet */
};

struct host {
	char path[300];	    /* of the segment */
	uint32_t hedge_after;
	bool attached;	    /* workers are, and nobody reaps their slots */
	struct ledger *ledger;
	struct mews_fleet *fleet;
	struct mews_view *view;
	struct child children[LEDGER_PROCESSES];
	int stop[2];	    /* a pipe: its end stops the monitor */
	int log;	    /* of everybody in the fleet */
	bool leaving;	    /* nobody is replaced any more */
	unsigned deaths;    /* of those that nobody killed */
	unsigned kills;
	pid_t command;	    /* of config/servers, or 0 */
	int command_status;
	int64_t unequal_us; /* sums over slots differ since a reap; 0: equal */
	int64_t unequal_most_us;
	int64_t late_us; /* the machine let this process wait so long, at most,
			    after the end of a sleep */
};

/** Do workers attach, from the next host_start() on? Otherwise they join as
 * children do. */
extern bool host_attaches;

/** Start a fleet; hedge_after in ms, 0: off. Ends the program if it cannot. */
void host_start(struct host *host, uint32_t hedge_after);

/** Until every worker is served and every server is up. */
bool host_settle(struct host *host);

/** Reap, replace, look at the sums; then nap for 2 ms. */
void host_tick(struct host *host);
void host_run(struct host *host, int ms);

/** Kill one, as if by accident; host_tick() replaces it. */
void host_kill(struct host *host, unsigned process);

/** No more load; true if all ended by itself. */
bool host_stop(struct host *host);

/** Release all; a no-op for a second time. */
void host_free(struct host *host);

/** config/servers COMMAND DIR NAMES, while the fleet runs. */
bool host_servers(struct host *host, const char *command, const char *names);

/** Begin it only; host_tick() notices its end, and clears host->command. */
void host_servers_begin(struct host *host, const char *command,
    const char *names);

/** Microseconds of CPU that the fleet's processes have used. */
int64_t host_cpu_us(const struct host *host);

/** Print the fleet's log of its decisions. */
void host_show_log(void);

#endif
