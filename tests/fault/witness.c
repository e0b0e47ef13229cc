/*
 * witness.c - what the library does, as seen at its functions; see witness.h.
 *
 * A count of this file is never more than the library's at that instant: it
 * grows after the library's, and shrinks before.
 */
#include "witness.h"

#include "fleet/budget.h"
#include "wire/conn.h"
#include "fleet/endpoint.h"
#include "pool/group.h"
#include "query/query.h"
#include "wire/session.h"

#include <stdio.h>
#include <string.h>

static struct ledger *ledger;
static unsigned me;

#define WRAPPED(type, name, ...)					\
	type __real_##name(__VA_ARGS__);				\
	type __wrap_##name(__VA_ARGS__)

WRAPPED(bool, conn_send, struct conn *, struct query *, bool);
WRAPPED(enum budget, session_dial, struct terms *, uint32_t);
WRAPPED(enum budget, budget_take, struct mews_fleet *, uint32_t);
WRAPPED(void, budget_dialed, struct mews_fleet *, uint32_t, bool);
WRAPPED(void, budget_give, struct mews_fleet *, uint32_t);
WRAPPED(bool, endpoint_lease, struct mews_fleet *, uint32_t,
    enum health_prober, bool, uint32_t);
WRAPPED(void, endpoint_verdict, struct mews_fleet *, uint32_t,
    enum health_evidence, unsigned);
WRAPPED(void, group_rethink, struct mews_group *,
    const struct route_candidate *, uint32_t);

void
witness_be(struct ledger *of, unsigned process)
{
	ledger = of;
	me = process;
}

void
witness_bury(struct ledger *of, unsigned process)
{
	for (int i = 0; i < LEDGER_ENDPOINTS; i++) {
		int mine = (int)process + 1;

		atomic_store(&of->sights[process].open[i], 0);
		atomic_store(&of->sights[process].dialing[i], 0);
		atomic_store(&of->sights[process].known[i], 0);
		atomic_compare_exchange_strong(&of->probing[i], &mine, 0);
	}
}

static uint64_t
essence(struct health health)
{
	return (uint64_t)health.epoch << 8 | (uint64_t)health.role << 4 |
	    (uint64_t)health.state;
}

uint64_t
witness_health(const struct mews_fleet *fleet, uint32_t endpoint)
{
	return essence(endpoint_health(fleet, endpoint));
}

int
witness_open(const struct ledger *of, uint32_t endpoint)
{
	int	sum = 0;

	for (int i = 0; i < LEDGER_PROCESSES; i++)
		sum += atomic_load(&of->sights[i].open[endpoint]);
	return sum;
}

static int
all_dialing(uint32_t endpoint)
{
	int	sum = 0;

	for (int i = 0; i < LEDGER_PROCESSES; i++)
		sum += atomic_load(&ledger->sights[i].dialing[endpoint]);
	return sum;
}

static void
note_once(_Atomic int64_t *when)
{
	int64_t	never = 0;

	atomic_compare_exchange_strong(when, &never, ledger_now());
}

bool
__wrap_conn_send(struct conn *conn, struct query *query, bool begin)
{
	struct query   *asked = query->original != NULL ? query->original :
	    query;
	struct story   *story = &ledger->stories[conn->endpoint];
	struct request *request = asked->arg;
	int64_t		now = ledger_now();

	if (!__real_conn_send(conn, query, begin))
		return false;
	note_once(&story->first_pick_us);
	atomic_store(&story->last_pick_us, now);
	if (!conn->terms->reader)
		atomic_store(&story->last_write_us, now);
	if (request->picked_us == 0) {
		request->picked_us = now;
		request->picked = (uint8_t)conn->endpoint;
	}
	return true;
}

enum budget
__wrap_session_dial(struct terms *terms, uint32_t endpoint)
{
	enum budget	budget = __real_session_dial(terms, endpoint);

	if (budget == BUDGET_OK)
		atomic_store(&ledger->stories[endpoint].last_dial_us,
		    ledger_now());
	return budget;
}

enum budget
__wrap_budget_take(struct mews_fleet *fleet, uint32_t endpoint)
{
	struct segment_endpoint *e = &fleet->segment.endpoints[endpoint];
	uint32_t	before = atomic_load(&e->burst), after;
	enum budget	budget = __real_budget_take(fleet, endpoint);

	if (budget != BUDGET_OK)
		return budget;
	atomic_fetch_add(&ledger->sights[me].open[endpoint], 1);
	atomic_fetch_add(&ledger->sights[me].dialing[endpoint], 1);
	after = atomic_load(&e->burst);
	if (all_dialing(endpoint) > (int)(before > after ? before : after))
		atomic_fetch_add(&ledger->over_burst, 1);
	if (e->max_connections != 0 && witness_open(ledger, endpoint) >
	    (int)e->max_connections)
		atomic_fetch_add(&ledger->over_cap, 1);
	return budget;
}

void
__wrap_budget_dialed(struct mews_fleet *fleet, uint32_t endpoint, bool well)
{
	atomic_fetch_sub(&ledger->sights[me].dialing[endpoint], 1);
	__real_budget_dialed(fleet, endpoint, well);
}

void
__wrap_budget_give(struct mews_fleet *fleet, uint32_t endpoint)
{
	atomic_fetch_sub(&ledger->sights[me].open[endpoint], 1);
	__real_budget_give(fleet, endpoint);
}

bool
__wrap_endpoint_lease(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_prober prober, bool panic, uint32_t probed_ms)
{
	if (!__real_endpoint_lease(fleet, endpoint, prober, panic, probed_ms))
		return false;
	atomic_fetch_add(&ledger->stories[endpoint].probes, 1);
	if (atomic_exchange(&ledger->probing[endpoint], (int)me + 1) != 0)
		atomic_fetch_add(&ledger->probes_at_once, 1);
	return true;
}

void
__wrap_endpoint_verdict(struct mews_fleet *fleet, uint32_t endpoint,
    enum health_evidence evidence, unsigned epoch)
{
	int	mine = (int)me + 1;

	atomic_compare_exchange_strong(&ledger->probing[endpoint], &mine, 0);
	__real_endpoint_verdict(fleet, endpoint, evidence, epoch);
}

void
__wrap_group_rethink(struct mews_group *group,
    const struct route_candidate *candidates, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		atomic_store(&ledger->sights[me].known[i],
		    essence(candidates[i].health));
	__real_group_rethink(group, candidates, count);
}

/* the line is "endpoint=b from=up to=suspect ..." */
static void
note_transition(const char *text)
{
	char		name, from[16], to[16];
	struct story   *story;

	if (sscanf(text, "endpoint=%c from=%15s to=%15s", &name, from, to) !=
	    3 || name < 'a' || name >= 'a' + LEDGER_ENDPOINTS)
		return;
	story = &ledger->stories[name - 'a'];
	if (strcmp(from, to) == 0)
		return;
	if (strcmp(from, "up") == 0)
		note_once(&story->left_up_us);
	if (strcmp(to, "down") == 0)
		note_once(&story->down_us);
	if (strcmp(to, "up") == 0)
		note_once(&story->up_us);
}

void
witness_log(void *arg, enum mews_log_level level, const char *event,
    const char *text)
{
	static const char *const levels[] = { "debug", "info", "warning",
		"error" };
	int64_t now = ledger_now();

	if (ledger != NULL && strcmp(event, "endpoint") == 0)
		note_transition(text);
	dprintf(*(const int *)arg, "%lld.%06lld process=%u level=%s event=%s "
	    "%s\n", (long long)(now / 1000000), (long long)(now % 1000000),
	    me, levels[level], event, text);
}
