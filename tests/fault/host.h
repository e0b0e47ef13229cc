/*
 * host.h - the parent: a fleet by the library alone, as an embedding host makes
 * it. The parent forks a monitor and the workers, reaps and replaces them.
 *
 * All functions that wait turn host_tick() and have a deadline.
 */
#ifndef TESTS_FAULT_HOST_H
#define TESTS_FAULT_HOST_H

#include "ledger.h"

#include <mews.h>
#include <sys/types.h>

#define HOST_INTERVAL 1000 /* interval of the fleet's health rules, in ms */
#define HOST_TIMEOUT  500
#define HOST_ACQUIRE  5000
#define HOST_CAP      40 /* the fleet's cap of connections to one endpoint */
#define HOST_BURST    2

struct child {
	pid_t pid;
	uint32_t life; /* how many workers had this place before */
	bool killed;   /* killed by the parent, and not reaped yet */
};

struct host {
	char path[300];	    /* of the segment */
	uint32_t hedge_after;
	bool attached;	    /* do workers attach? then no parent reaps their
			       slots */
	struct ledger *ledger;
	struct mews_fleet *fleet;
	struct mews_view *view;
	struct child children[LEDGER_PROCESSES];
	int stop[2];	    /* a pipe, whose end stops the monitor */
	int log;	    /* of all processes of the fleet */
	bool leaving;	    /* dead workers are no longer replaced */
	unsigned deaths;    /* exits of processes that were not killed */
	unsigned kills;
	pid_t command;	    /* the pid of config/servers, or 0 */
	int command_status;
	int64_t unequal_us; /* since when sums over slots differ after a reap;
			       0: equal */
	int64_t unequal_most_us;
	int64_t late_us; /* the longest time by which the machine let this
			    process sleep too long */
};

/** Do workers attach, from the next host_start() on? Otherwise they are
 * children of the process that made the fleet. */
extern bool host_attaches;

/** Start a fleet; hedge_after in ms, 0: off. Ends the program if it cannot. */
void host_start(struct host *host, uint32_t hedge_after);

/** Wait until every worker is served and every server is up. */
bool host_settle(struct host *host);

/** Reap, replace, check the sums; then sleep for 2 ms. */
void host_tick(struct host *host);
void host_run(struct host *host, int ms);

/** Kill a worker, as if by accident; host_tick() replaces it. */
void host_kill(struct host *host, unsigned process);

/** End the load; true if all processes ended by themselves. */
bool host_stop(struct host *host);

/** Release all. A second call is a no-op. */
void host_free(struct host *host);

/** Run config/servers COMMAND DIR NAMES, while the fleet runs. */
bool host_servers(struct host *host, const char *command, const char *names);

/** Start config/servers only; host_tick() notices its end, and clears
 * host->command. */
void host_servers_begin(struct host *host, const char *command,
    const char *names);

/** Microseconds of CPU that the fleet's processes have used. */
int64_t host_cpu_us(const struct host *host);

/** Print the fleet's log of its decisions. */
void host_show_log(void);

#endif
