/*
 * probe.h - one question to an endpoint: are you there, and what are you?
 *
 * A process probes an endpoint only while it holds the probe lease in the
 * health word, so the fleet asks one at a time. The monitor probes all of
 * them, all the time; workers probe what is not UP while there is none.
 */
#ifndef LIB_MONITOR_PROBE_H
#define LIB_MONITOR_PROBE_H

#include "wire/dial.h"
#include "monitor/lag.h"
#include "base/loop.h"

struct probe;

/* The monitor's sessions to ask over, and the primary's WAL. */
struct probe_held {
	PGconn *pg[MEWS_ENDPOINTS_MAX]; /* idle, or NULL */
	unsigned epoch[MEWS_ENDPOINTS_MAX]; /* when it was kept */
	struct lag lag;
	int64_t hurry_until_us; /* until then a query waits for a measurement */
	int64_t roles_until_us; /* until then a query waits for another role */
};

/* The probes of one process. */
struct prober {
	struct loop *loop;
	struct mews_fleet *fleet;
	struct probe_held *held; /* the monitor's; NULL in a worker */
	struct {
		struct probe *probe; /* running, or NULL */
		uint32_t begun;	     /* ever */
		uint8_t failing;     /* enum health_evidence of the last probe;
					0: it did not fail */
		bool queues;	     /* logins wait behind a pooler, the
					last one did: see crowd.h */
		bool rival_told;     /* logged: another one claims to be
					primary */
		bool outdated_told;  /* logged: below another's timeline */
	} on[MEWS_ENDPOINTS_MAX];
};

/* Take the lease if a probe of @endpoint is due, and begin; sooner if @panic: a
 * query waits, and no endpoint can be used. Sets loop_due(). */
void probe_scan(struct prober *prober, uint32_t endpoint, bool panic,
    int64_t now_us);

/* Does a probe run? */
bool probe_any(const struct prober *prober);

/* Give up all probes that run, without a verdict. */
void probe_stop_all(struct prober *prober);

#endif
