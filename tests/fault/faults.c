/*
 * faults.c - inject a fault, undo it, compare what happened with the promise.
 *
 * For every fault: a fleet is settled, something breaks under its load, is
 * observed, and is repaired. The servers end as they began, except for which of
 * them is the primary.
 */
#include "faults.h"

#include "host.h"
#include "servers.h"
#include "witness.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEADY_MS 1000 /* of load before the fault */
#define REPORT_US 10000 /* after that, a server once reported gets no more
			   reads */
#define HEDGE_MS  40

/* One run of a fault. */
struct run {
	struct judge *judge;
	struct host host;
	struct scope scope;
	uint32_t lives[LEDGER_WORKERS];
	unsigned primary, victim; /* victim: a standby, or the primary */
	int64_t begun_us, done_us; /* of the command that causes the fault */
};

static void
begin(struct run *run, struct judge *judge, uint32_t hedge_after)
{
	memset(run, 0, sizeof(*run));
	run->judge = judge;
	run->primary = servers_primary();
	run->victim = (run->primary + 1) % LEDGER_ENDPOINTS;
	if (!servers_do(run->primary, "SET client_min_messages = warning; "
	    "DROP TABLE IF EXISTS fault_write; "
	    "CREATE TABLE fault_write (id bigint PRIMARY KEY, worker int)"))
		errx(1, "no table to write to");
	host_start(&run->host, hedge_after);
	run->scope = (struct scope) {
		.ledger = run->host.ledger, .lives = run->lives,
	};
	judge_figure(judge, JUDGE_LOGIC, "fleets_not_settled",
	    !host_settle(&run->host), 0);
	host_run(&run->host, STEADY_MS);
}

static struct story *
story(struct run *run, unsigned endpoint)
{
	return &run->host.ledger->stories[endpoint];
}

/* Cause the fault; times count from now on. */
static bool
inject(struct run *run, const char *command, const char *names)
{
	bool	well;

	ledger_arm(run->host.ledger);
	run->begun_us = ledger_now();
	well = host_servers(&run->host, command, names);
	run->done_us = ledger_now();
	run->scope.from_us = run->begun_us - 20000;
	if (!well)
		judge_figure(run->judge, JUDGE_LOGIC, "commands_failed", 1, 0);
	return well;
}

static void
repair(struct run *run, const char *command, const char *names)
{
	if (!host_servers(&run->host, command, names))
		judge_figure(run->judge, JUDGE_LOGIC, "commands_failed", 1, 0);
}

/* End the load and check the records, as for every fault. */
static struct truth
finish(struct run *run, unsigned primary)
{
	struct judge   *judge = run->judge;
	struct scope	whole = run->scope;
	struct truth	truth;
	char	       *there;
	bool		stopped = host_stop(&run->host);

	for (unsigned i = 0; i < LEDGER_WORKERS; i++)
		run->lives[i] = run->host.children[i].life;
	judge->late_ms = (double)run->host.late_us / 1e3;
	judge_figure(judge, JUDGE_INFO, "machine_late_ms", judge->late_ms, 0);
	whole.from_us = whole.to_us = 0;
	there = servers_rows(primary, LEDGER_REQUESTS);
	truth = judge_writes(&whole, there);
	free(there);
	judge_least(judge, JUDGE_LOGIC, "writes_acknowledged",
	    truth.acknowledged, 1);
	judge_figure(judge, JUDGE_LOGIC, "acknowledged_writes_lost",
	    truth.lost, 0);
	judge_figure(judge, JUDGE_LOGIC, "statuses_untrue", truth.untrue, 0);
	judge_figure(judge, JUDGE_LOGIC, "requests_without_end",
	    truth.unended + !stopped, 0);
	judge_figure(judge, JUDGE_LOGIC, "crashes", run->host.deaths, 0);
	return truth;
}

static void
end(struct run *run)
{
	host_free(&run->host);
	if (run->judge->broken > 0)
		host_show_log();
}

static double
ms_between(int64_t from_us, int64_t to_us)
{
	return to_us == 0 ? 0 : (double)(to_us - from_us) / 1e3;
}

/* Wait until *@when is set; its value, or 0. */
static int64_t
wait_for(struct run *run, _Atomic int64_t *when, int ms)
{
	int64_t	until = ledger_now() + (int64_t)ms * 1000;

	while (atomic_load(when) == 0 && ledger_now() < until)
		host_tick(&run->host);
	return atomic_load(when);
}

/* A request that fails before its deadline fails by logic. A request that
 * reaches its deadline may have had no CPU, or the servers had none: that is
 * measured only. */
static void
judge_failures(struct run *run, bool reads, bool writes, const char *failed)
{
	char		figure[40];
	unsigned	early = 0, late = 0;

	for (int write = 0; write <= 1; write++) {
		if (write ? !writes : !reads)
			continue;
		early += judge_failed(&run->scope, write, HOST_ACQUIRE * 1000,
		    false);
		late += judge_failed(&run->scope, write, HOST_ACQUIRE * 1000,
		    true);
	}
	judge_figure(run->judge, JUDGE_LOGIC, failed, early, 0);
	snprintf(figure, sizeof(figure), "%s_at_their_deadline", failed);
	judge_figure(run->judge, JUDGE_GOAL, figure, late, 0);
}

static void
judge_reads(struct run *run)
{
	judge_failures(run, true, false, "reads_failed");
	judge_figure(run->judge, JUDGE_INFO, "read_p50_ms",
	    judge_percentile_ms(&run->scope, 0.5), 0);
	judge_figure(run->judge, JUDGE_INFO, "read_p99_ms",
	    judge_percentile_ms(&run->scope, 0.99), 0);
}

static void
standby_killed(struct judge *judge, bool full)
{
	struct run	run;
	struct story   *dead;
	int64_t		reported, down, last, dialed;

	begin(&run, judge, 0);
	dead = story(&run, run.victim);
	inject(&run, "kill", servers_name(run.victim));
	wait_for(&run, &dead->left_up_us, 5000);
	host_run(&run.host, full ? 5000 : 1500);
	reported = atomic_load(&dead->left_up_us);
	down = atomic_load(&dead->down_us);
	last = atomic_load(&dead->last_pick_us);
	dialed = atomic_load(&dead->last_dial_us);
	run.scope.to_us = ledger_now();
	repair(&run, "up", servers_name(run.victim));
	finish(&run, run.primary);
	judge_reads(&run);
	judge_figure(judge, JUDGE_TIME, "read_longest_ms",
	    judge_longest_ms(&run.scope), 1000);
	judge_figure(judge, JUDGE_LOGIC, "never_reported", reported == 0, 0);
	judge_figure(judge, JUDGE_TIME, "last_pick_after_report_ms",
	    last < reported ? 0 : ms_between(reported, last),
	    REPORT_US / 1e3);
	/* Logins to a suspect go on, and may wait for it. */
	judge_figure(judge, JUDGE_TIME, "last_login_after_verdict_ms",
	    down == 0 ? -1 : dialed < down ? 0 : ms_between(down, dialed),
	    REPORT_US / 1e3);
	judge_failures(&run, false, true, "writes_failed");
	end(&run);
}

/* Faults in which a server is silent, not dead: frozen, or cut off. */
static void
judge_silence(struct run *run, bool hedged)
{
	struct judge   *judge = run->judge;
	struct story   *silent = story(run, run->victim);
	int64_t		reported = atomic_load(&silent->left_up_us);
	double		longest = judge_longest_ms(&run->scope);
	unsigned	then, flying;

	then = judge_in_flight(&run->scope, run->victim, run->done_us);
	flying = judge_in_flight(&run->scope, run->victim, reported);
	judge_reads(run);
	judge_figure(judge, JUDGE_LOGIC, "never_reported", reported == 0, 0);
	judge_figure(judge, JUDGE_INFO, "reported_after_ms",
	    ms_between(run->begun_us, reported), 0);
	judge_figure(judge, JUDGE_INFO, "reads_in_flight_when_silent",
	    then, 0);
	judge_figure(judge, JUDGE_INFO, "reads_in_flight_when_reported",
	    flying, 0);
	judge_figure(judge, JUDGE_TIME, "reads_over_1s",
	    judge_slower(&run->scope, 1000000), hedged ? 0 :
	    then > flying ? then : flying);
	judge_figure(judge, JUDGE_TIME, "read_longest_ms", longest,
	    hedged ? 150 : HOST_INTERVAL + HOST_TIMEOUT + 200);
	judge_failures(run, false, true, "writes_failed");
}

static void
standby_silent(struct judge *judge, bool full, bool hedged)
{
	struct run	run;

	begin(&run, judge, hedged ? HEDGE_MS : 0);
	inject(&run, "freeze", servers_name(run.victim));
	host_run(&run.host, full ? 10000 : 3500);
	run.scope.to_us = ledger_now();
	repair(&run, "thaw", servers_name(run.victim));
	finish(&run, run.primary);
	judge_silence(&run, hedged);
	end(&run);
}

static void
standby_frozen(struct judge *judge, bool full)
{
	standby_silent(judge, full, false);
}

static void
standby_frozen_hedged(struct judge *judge, bool full)
{
	standby_silent(judge, full, true);
}

static void
standby_cut_off(struct judge *judge, bool full)
{
	struct run	run;

	begin(&run, judge, 0);
	ledger_arm(run.host.ledger);
	run.begun_us = ledger_now();
	if (!servers_cut(run.victim)) {
		judge->skipped = "packets cannot be dropped here";
		finish(&run, run.primary);
		end(&run);
		return;
	}
	run.done_us = ledger_now();
	run.scope.from_us = run.begun_us - 20000;
	host_run(&run.host, full ? 10000 : 3500);
	run.scope.to_us = ledger_now();
	servers_join();
	finish(&run, run.primary);
	judge_silence(&run, false);
	end(&run);
}

/* Start the victim; the time when it accepted a login, or 0. */
static int64_t
await_accept(struct run *run, unsigned server)
{
	int64_t	next = 0, accepted = 0;

	host_servers_begin(&run->host, "up", servers_name(server));
	while (run->host.command != 0) {
		if (accepted == 0 && ledger_now() >= next) {
			if (PQping(servers_conninfo(server)) == PQPING_OK)
				accepted = ledger_now();
			next = ledger_now() + 10000;
		}
		host_tick(&run->host);
	}
	return accepted != 0 ? accepted : ledger_now();
}

static void
server_back(struct judge *judge, bool full)
{
	struct run	run;
	struct story   *back;
	int64_t		accepted, picked, up;
	unsigned	probes;

	begin(&run, judge, 0);
	back = story(&run, run.victim);
	inject(&run, "kill", servers_name(run.victim));
	host_run(&run.host, full ? 10000 : 3000);
	probes = atomic_load(&back->probes);
	ledger_arm(run.host.ledger);
	accepted = await_accept(&run, run.victim);
	picked = wait_for(&run, &back->first_pick_us, 35000);
	up = atomic_load(&back->up_us);
	host_run(&run.host, 1500);
	run.scope.to_us = ledger_now();
	finish(&run, run.primary);
	judge_reads(&run);
	judge_figure(judge, JUDGE_LOGIC, "never_picked_again", picked == 0,
	    0);
	/* The longer the server was away, the longer a back-off may still
	 * last. */
	judge_figure(judge, JUDGE_GOAL, "traffic_after_ms",
	    ms_between(accepted, picked), 2 * HOST_INTERVAL);
	judge_figure(judge, JUDGE_INFO, "up_after_ms",
	    ms_between(accepted, up), 0);
	judge_figure(judge, JUDGE_TIME, "traffic_after_up_ms",
	    ms_between(up, picked), 2 * HOST_INTERVAL);
	judge_figure(judge, JUDGE_INFO, "probes_while_down", probes, 0);
	judge_figure(judge, JUDGE_LOGIC, "probes_at_once",
	    atomic_load(&run.host.ledger->probes_at_once), 0);
	judge_figure(judge, JUDGE_LOGIC, "logins_over_burst",
	    atomic_load(&run.host.ledger->over_burst), 0);
	judge_figure(judge, JUDGE_LOGIC, "connections_over_cap",
	    atomic_load(&run.host.ledger->over_cap), 0);
	end(&run);
}

/* The longest time that any request waited beyond its deadline. */
static double
overdue_ms(const struct run *run)
{
	const struct ledger *ledger = run->host.ledger;
	int64_t		     most = 0, end, took;

	for (uint32_t i = 0; i < ledger_count(ledger); i++) {
		const struct request *r = &ledger->requests[i];

		end = atomic_load(&r->end_us);
		if (r->due_us == 0 || r->picked_us != 0)
			continue;
		took = (end != 0 ? end : ledger_now()) - r->due_us;
		if (took > most)
			most = took;
	}
	return (double)most / 1e3 - HOST_ACQUIRE;
}

static void
all_down(struct judge *judge, bool full)
{
	struct run	run;
	int64_t		cpu, from, accepted = 0;
	double		served, share;

	begin(&run, judge, 0);
	inject(&run, "kill", "a b c");
	host_run(&run.host, 500);
	cpu = host_cpu_us(&run.host);
	from = ledger_now();
	host_run(&run.host, full ? 10000 : 6000);
	share = (double)(host_cpu_us(&run.host) - cpu) /
	    (double)(ledger_now() - from) * 100;
	ledger_arm(run.host.ledger);
	accepted = await_accept(&run, run.primary);
	repair(&run, "up", "a b c");
	wait_for(&run, &story(&run, run.primary)->last_write_us, 10000);
	/* The fleet may log in to the server before this process does. */
	served = ms_between(accepted,
	    atomic_load(&story(&run, run.primary)->first_pick_us));
	served = served < 0 ? 0 : served;
	host_settle(&run.host);
	run.scope.from_us = ledger_now();
	host_run(&run.host, 1000);
	finish(&run, run.primary);
	/*
	 * The price of a wake-up depends on the machine: an idle virtual one
	 * takes the most for it. A process in a busy loop uses a whole core.
	 */
	judge_figure(judge, JUDGE_GOAL, "cpu_while_down_percent", share, 5);
	judge_figure(judge, JUDGE_LOGIC, "processes_spinning",
	    (int)(share / 50), 0);
	judge_figure(judge, JUDGE_TIME, "overdue_ms", overdue_ms(&run), 100);
	judge_figure(judge, JUDGE_TIME, "served_after_ms", served,
	    2 * HOST_INTERVAL);
	judge_failures(&run, true, true, "failed_after_repair");
	judge_figure(judge, JUDGE_LOGIC, "probes_at_once",
	    atomic_load(&run.host.ledger->probes_at_once), 0);
	judge_figure(judge, JUDGE_LOGIC, "logins_over_burst",
	    atomic_load(&run.host.ledger->over_burst), 0);
	end(&run);
}

/* Does every worker act on the health that the segment shows? */
static bool
all_know(const struct run *run)
{
	const struct ledger *ledger = run->host.ledger;

	for (uint32_t e = 0; e < LEDGER_ENDPOINTS; e++)
		for (unsigned i = 0; i < LEDGER_WORKERS; i++)
			if (atomic_load(&ledger->sights[i].known[e]) !=
			    witness_health(run->host.fleet, e))
				return false;
	return true;
}

/* Sessions of the fleet on the servers, less those that the slots count. */
static double
sessions_beyond(const struct run *run)
{
	struct mews_view_endpoint seen;
	long	found = 0, counted = 0;

	for (uint32_t e = 0; e < LEDGER_ENDPOINTS; e++) {
		found += servers_number(e, "SELECT count(*) FROM "
		    "pg_stat_activity WHERE application_name = 'mews:fault'");
		mews_view_endpoint(run->host.view, e, &seen, sizeof(seen));
		counted += seen.connections;
	}
	return (double)(found - counted);
}

static void
workers_killed(struct judge *judge, bool full)
{
	struct run	run;
	int64_t		now, next, until;
	int		half;
	bool		known;
	double		beyond = -1;

	begin(&run, judge, 0);
	run.scope.from_us = 0;
	next = ledger_now();
	half = full ? 30000 : 5000;
	for (int round = 0; round < 2; round++) {
		/* Include a server's death and return. */
		until = ledger_now() + (int64_t)half * 1000;
		host_servers_begin(&run.host, round == 0 ? "kill" : "up",
		    servers_name(run.victim));
		while ((now = ledger_now()) < until ||
		    run.host.command != 0) {
			if (now >= next) {
				host_kill(&run.host, (unsigned)rand() %
				    LEDGER_PROCESSES);
				next += 200000;
			}
			host_tick(&run.host);
		}
	}
	host_settle(&run.host);
	for (until = ledger_now() + 1000000; ledger_now() < until &&
	    (!all_know(&run) || run.host.unequal_us != 0);)
		host_tick(&run.host);
	known = all_know(&run);
	/* A probe may have just logged in, and the monitor holds one session
	 * each. */
	for (until = ledger_now() + 5000000; ledger_now() < until;) {
		beyond = sessions_beyond(&run);
		if (beyond >= 0 && beyond <= LEDGER_ENDPOINTS)
			break;
		host_tick(&run.host);
	}
	finish(&run, run.primary);
	judge_figure(judge, JUDGE_INFO, "killed", run.host.kills, 0);
	judge_failures(&run, true, true, "others_failed");
	judge_figure(judge, JUDGE_TIME, "sums_unequal_ms",
	    (double)run.host.unequal_most_us / 1e3, 1000);
	judge_figure(judge, JUDGE_LOGIC, "sums_unequal_at_the_end",
	    run.host.unequal_us != 0, 0);
	judge_figure(judge, JUDGE_LOGIC, "sessions_beyond_sums", beyond,
	    LEDGER_ENDPOINTS);
	judge_figure(judge, JUDGE_LOGIC, "health_updates_missed", !known, 0);
	judge_figure(judge, JUDGE_LOGIC, "probes_at_once",
	    atomic_load(&run.host.ledger->probes_at_once), 0);
	judge_figure(judge, JUDGE_LOGIC, "connections_over_cap",
	    atomic_load(&run.host.ledger->over_cap), 0);
	end(&run);
}

/* Both other servers follow the new primary. */
static void
follow(struct run *run, unsigned primary)
{
	char	names[8];

	for (unsigned i = 0; i < LEDGER_ENDPOINTS; i++) {
		if (i == primary)
			continue;
		snprintf(names, sizeof(names), "%s %s", servers_name(i),
		    servers_name(primary));
		repair(run, "follow", names);
	}
}

static void
primary_frozen(struct judge *judge, bool full)
{
	struct run	run;
	struct truth	truth;
	int64_t		promoted, first, stale;
	unsigned	old, new;

	servers_make_synchronous(servers_primary());
	begin(&run, judge, 0);
	old = run.primary;
	new = run.victim;
	inject(&run, "freeze", servers_name(old));
	host_run(&run.host, 1500);
	repair(&run, "promote", servers_name(new));
	promoted = ledger_now();
	host_run(&run.host, full ? 6000 : 4000);
	/* The old primary comes back, and does not know of its successor. */
	stale = ledger_now();
	repair(&run, "thaw", servers_name(old));
	host_run(&run.host, full ? 5000 : 2000);
	run.scope.to_us = ledger_now();
	truth = finish(&run, new);
	judge_reads(&run);
	first = judge_first_write_us(&run.scope, new);
	judge_figure(judge, JUDGE_LOGIC, "writes_never_flowed", first == 0,
	    0);
	judge_figure(judge, JUDGE_TIME, "writes_flow_after_ms",
	    first < promoted ? 0 : ms_between(promoted, first), 1000);
	judge_figure(judge, JUDGE_LOGIC, "writes_refused", truth.refused, 0);
	judge_figure(judge, JUDGE_INFO, "writes_of_unknown_outcome",
	    truth.unknown, 0);
	judge_figure(judge, JUDGE_LOGIC, "writes_picked_on_the_old_primary",
	    atomic_load(&story(&run, old)->last_write_us) > stale, 0);
	follow(&run, new);
	end(&run);
}

/* Run a fault with workers that attach instead of being children. */
static void
attached(struct judge *judge, bool full,
    void (*run)(struct judge *judge, bool full))
{
	host_attaches = true;
	run(judge, full);
	host_attaches = false;
}

static void
attached_standby_killed(struct judge *judge, bool full)
{
	attached(judge, full, standby_killed);
}

static void
attached_standby_frozen(struct judge *judge, bool full)
{
	attached(judge, full, standby_frozen);
}

static void
attached_killed(struct judge *judge, bool full)
{
	attached(judge, full, workers_killed);
}

const struct fault faults[] = {
	{ "standby_killed", "reads failed: 0; last pick at most 10 ms after "
	    "the first report", standby_killed },
	{ "standby_frozen", "reads failed: 0; over 1 s at most those in "
	    "flight, none over interval + timeout + 200 ms", standby_frozen },
	{ "standby_frozen_hedged", "reads failed: 0; none over 150 ms",
	    standby_frozen_hedged },
	{ "standby_cut_off", "as frozen", standby_cut_off },
	{ "server_back", "traffic within two probe intervals; logins never "
	    "above the cap; one probe at a time", server_back },
	{ "all_down", "no crash, CPU under 5 % of a core, all waiting work "
	    "ended by its deadline or served", all_down },
	{ "workers_killed", "other workers' requests failed: 0; sums exact "
	    "within 1 s; no health update lost", workers_killed },
	{ "attached_standby_killed", "as standby_killed, with processes that "
	    "attached", attached_standby_killed },
	{ "attached_standby_frozen", "as standby_frozen",
	    attached_standby_frozen },
	{ "attached_killed", "as workers_killed, and nobody reaps them",
	    attached_killed },
	{ "primary_frozen", "acknowledged writes lost: 0; every status true; "
	    "writes flow within 1 s of the promotion", primary_frozen },
};
const unsigned fault_count = sizeof(faults) / sizeof(faults[0]);
