/*
 * reasons.c - sentences about one endpoint, out of the segment alone.
 */
#include "reasons.h"

#include "words.h"

#include <inttypes.h>
#include <string.h>

/* The material of the sentences about one endpoint. */
struct subject {
	const struct mews_view *view;
	struct mews_view_fleet fleet;
	struct mews_view_endpoint e;
	char name[MEWS_NAME_MAX + 1];
	bool rules_known;
	struct mews_health_config rules; /* with the defaults */
	FILE *out;
};

static const struct {
	const char *evidence;
	const char *sentence;
} sights[] = {
	{ "probe_ok", "it answered a probe" },
	{ "probe_failed", "a probe got no answer in its time" },
	{ "connected", "a login went well" },
	{ "refused", "nobody took the connection, or could be reached" },
	{ "not_ready", "it was starting up or shutting down" },
	{ "connection_lost", "an open connection broke" },
	{ "shutdown", "it ended a session because it shuts down" },
	{ "watchdog", "a query got no answer in its time" },
	{ "connect_timeout", "a login took too long" },
	{ "stall", "on every connection the oldest query hung" },
	{ "rejected", "it answered, and rejected the login" },
	{ "too_many_connections", "it answered, and had too many connections" },
	{ "role_changed", "its role changed" },
	{ "address_changed", "its name led to another address" },
};

static bool
is(const char *word, const char *other)
{
	return strcmp(word, other) == 0;
}

const char *
reasons_sight(const char *evidence)
{
	for (size_t i = 0; i < sizeof(sights) / sizeof(sights[0]); i++)
		if (is(sights[i].evidence, evidence))
			return sights[i].sentence;
	return evidence;
}

/* "it answered a probe (probe_ok)" */
static void
print_sight(const struct subject *s, const char *evidence)
{
	const char	*sight = reasons_sight(evidence);

	if (sight == evidence)
		fprintf(s->out, "%s", evidence);
	else
		fprintf(s->out, "%s (%s)", sight, evidence);
}

/* "the monitor (pid 12)", "worker 3 (pid 15)" */
static void
print_witness(const struct subject *s, pid_t pid)
{
	struct mews_view_worker worker;

	if (pid == s->fleet.monitor_pid) {
		fprintf(s->out, "the monitor (pid %jd)", (intmax_t)pid);
		return;
	}
	for (uint32_t i = 0; i < s->fleet.slot_count; i++)
		if (mews_view_worker(s->view, i, &worker, sizeof(worker)) &&
		    worker.pid == pid) {
			fprintf(s->out, "worker %" PRIu32 " (pid %jd)", i,
			    (intmax_t)pid);
			return;
		}
	fprintf(s->out, "a process that has ended (pid %jd)", (intmax_t)pid);
}

static const char *
plural(uint32_t count)
{
	return count == 1 ? "" : "s";
}

/* How it is, since when, and by whose evidence. */
static void
explain_state(const struct subject *s)
{
	const struct mews_view_endpoint *e = &s->e;
	char				 span[32];

	fprintf(s->out, "endpoint %s is %s", s->name,
	    is(e->state, "unknown") ? "not known yet" : e->state);
	if (is(e->role, "unknown"))
		fputs("; its role is not known", s->out);
	else if (is(e->role, "mixed"))
		fputs("; logins lead to a primary and to a standby by turns, "
		    "so it is no single server", s->out);
	else
		fprintf(s->out, "; %s a %s", is(e->state, "down") ?
		    "when last seen it was" : "it is", e->role);
	if (e->timeline != 0)
		fprintf(s->out, " on timeline %" PRIu32, e->timeline);
	fputs(".\n", s->out);
	if (e->changed_ms >= 0) {
		fprintf(s->out, "  Its last change was %s ago, when ",
		    words_span(span, sizeof(span), e->changed_ms));
		print_witness(s, e->changed_by);
		fputs(" saw: ", s->out);
		print_sight(s, e->cause);
		fputs(".\n", s->out);
	}
	if (e->evidence_ms >= 0) {
		fprintf(s->out, "  The last evidence came %s ago, when ",
		    words_span(span, sizeof(span), e->evidence_ms));
		print_witness(s, e->evidence_by);
		fputs(" saw: ", s->out);
		print_sight(s, e->reason);
		fputs(".\n", s->out);
	}
	if (e->failures > 0 && is(e->state, "down"))
		fprintf(s->out, "  %" PRIu32 " failure%s since it is down.\n",
		    e->failures, plural(e->failures));
	else if (e->failures > 0)
		fprintf(s->out, "  %" PRIu32 " failed probe%s in a row.\n",
		    e->failures, plural(e->failures));
}

/* Was the memory written over that all of this is read from? */
static void
explain_damage(const struct subject *s)
{
	char	span[32];

	if (s->fleet.damaged_ms >= 0)
		fprintf(s->out, "  The shared memory was found written over "
		    "%s ago. The fleet put right what it knows, and measures "
		    "the rest anew; if that happens again, restart it.\n",
		    words_span(span, sizeof(span), s->fleet.damaged_ms));
}

/* Say what is out of the ordinary. */
static void
explain_limits(const struct subject *s)
{
	const struct mews_view_endpoint *e = &s->e;
	char				 span[32], why[sizeof(e->refusal)];

	if (e->rejected_ms >= 0)
		fprintf(s->out, "  Logins are rejected since %s; open "
		    "connections go on. It says: %s\n",
		    words_span(span, sizeof(span), e->rejected_ms),
		    words_clean(why, sizeof(why), e->refusal));
	if (e->lowered_ms > 0)
		fprintf(s->out, "  It had too many connections (53300): for "
		    "another %s it gets %" PRIu32 " at most.\n",
		    words_span(span, sizeof(span), e->lowered_ms), e->cap);
	if (e->queued > 0)
		fprintf(s->out, "  %" PRIu32 " login%s behind a pooler whose "
		    "pool is full; open connections go on, and are given up "
		    "for workers that have none.\n", e->queued,
		    e->queued == 1 ? " waits" : "s wait");
	if (e->drained)
		fprintf(s->out, "  It is drained, by mews drain: it gets no "
		    "work until mews enable %s.\n", s->name);
}

static void
explain_probe(const struct subject *s)
{
	const struct mews_view_endpoint *e = &s->e;
	int64_t				 due = e->retry_in_ms, steady;
	char				 span[32];

	if (e->probing) {
		fputs("  A probe is on its way", s->out);
		if (s->rules_known)
			fprintf(s->out, ", and has %s in all",
			    words_span(span, sizeof(span), s->rules.timeout));
		fputs(".\n", s->out);
		return;
	}
	if (s->fleet.monitor_pid == 0 && is(e->state, "up")) {
		fputs("  No monitor runs, and workers probe what is not up: "
		    "so it is not probed.\n", s->out);
		return;
	}
	/* The monitor does not wait for the end of the back-off. */
	if (s->fleet.monitor_pid != 0 && s->rules_known &&
	    e->probed_ms >= 0) {
		steady = (int64_t)s->rules.interval - e->probed_ms;
		if (is(e->state, "up") || steady < due)
			due = steady > 0 ? steady : 0;
	} else if (is(e->state, "up"))
		return;
	if (due == 0)
		fputs("  The next probe is due now.\n", s->out);
	else
		fprintf(s->out, "  The next probe is in %s.\n",
		    words_span(span, sizeof(span), due));
}

/* Say what the probes to come will do. */
static void
explain_outlook(const struct subject *s)
{
	const struct mews_view_endpoint *e = &s->e;
	uint32_t			 more;
	char				 span[32];

	if (is(e->state, "unknown"))
		fputs("  The first answer makes it up.\n", s->out);
	if (is(e->state, "suspect")) {
		fputs("  One answer makes it up again", s->out);
		more = s->rules.fall > e->failures ?
		    s->rules.fall - e->failures : 1;
		if (s->rules_known)
			fprintf(s->out, "; %" PRIu32 " more failed probe%s, "
			    "or a refused connection, make it down", more,
			    plural(more));
		fputs(".\n", s->out);
	}
	if (!s->rules_known)
		return;
	if (is(e->state, "down")) {
		more = s->rules.rise > e->successes ?
		    s->rules.rise - e->successes : 1;
		fprintf(s->out, "  It is up again after %" PRIu32 " good "
		    "probe%s", more, plural(more));
		if (s->rules.slow_start != MEWS_FOREVER)
			fprintf(s->out, ", and gets less than its share for "
			    "%s then (slow_start)", words_span(span,
				sizeof(span), s->rules.slow_start));
		fputs(".\n", s->out);
	} else if (e->returned_ms >= 0 &&
	    s->rules.slow_start != MEWS_FOREVER &&
	    e->returned_ms < s->rules.slow_start)
		fprintf(s->out, "  It came back and gets less than its share "
		    "for another %s (slow_start).\n", words_span(span,
			sizeof(span), s->rules.slow_start - e->returned_ms));
}

/* Is there a primary whose timeline was not measured yet? */
static bool
writes_wait(const struct subject *s)
{
	struct mews_view_endpoint e;

	for (uint32_t i = 0; mews_view_endpoint(s->view, i, &e,
	    sizeof(e)); i++)
		if (is(e.role, "primary") && !e.proven &&
		    (is(e.state, "up") || is(e.state, "suspect")))
			return true;
	return false;
}

static void
explain_writes(const struct subject *s)
{
	const struct mews_view_endpoint *e = &s->e;

	if (is(e->role, "unknown") && is(e->state, "up"))
		fputs("  It may get writes where no primary is known.\n",
		    s->out);
	else if (is(e->role, "unknown"))
		fputs("  It gets no writes before its role is known.\n",
		    s->out);
	else if (is(e->role, "mixed"))
		fputs("  It gets no writes, no reads of groups with role "
		    "standby, and none that wait for a position: which server "
		    "a login leads to is not known. Give each server an "
		    "endpoint of its own.\n", s->out);
	else if (!is(e->role, "primary"))
		fprintf(s->out, "  It gets no writes: it is %s.\n",
		    is(e->role, "standby") ? "a standby" : "read-only");
	else if (is(e->state, "down") || e->drained)
		fprintf(s->out, "  It gets no writes while it is %s.\n",
		    e->drained ? "drained" : "down");
	else if (writes_wait(s))
		fputs("  Writes wait until the timeline of every primary is "
		    "measured.\n", s->out);
	else if (e->outdated)
		fputs("  It gets no writes: it is an outdated primary, as "
		    "another server was seen on a higher timeline.\n", s->out);
	else
		fputs("  It may get writes: no server was seen on a higher "
		    "timeline.\n", s->out);
}

/* Take the rules; a value of 0 is the default. */
static void
take_rules(struct subject *s, const struct mews_health_config *health)
{
	if (!(s->rules_known = health != NULL))
		return;
	s->rules = *health;
	if (s->rules.interval == 0)
		s->rules.interval = MEWS_HEALTH_INTERVAL_DEFAULT;
	if (s->rules.timeout == 0)
		s->rules.timeout = MEWS_HEALTH_TIMEOUT_DEFAULT;
	if (s->rules.fall == 0)
		s->rules.fall = MEWS_HEALTH_FALL_DEFAULT;
	if (s->rules.rise == 0)
		s->rules.rise = MEWS_HEALTH_RISE_DEFAULT;
	if (s->rules.slow_start == 0)
		s->rules.slow_start = MEWS_HEALTH_SLOW_START_DEFAULT;
}

void
reasons_print(const struct mews_view *view, uint32_t index,
    const struct mews_health_config *health, FILE *out)
{
	struct subject s = { .view = view, .out = out };

	if (!mews_view_endpoint(view, index, &s.e, sizeof(s.e)))
		return;
	mews_view_fleet(view, &s.fleet, sizeof(s.fleet));
	words_clean(s.name, sizeof(s.name), s.e.name);
	take_rules(&s, health);
	explain_state(&s);
	explain_limits(&s);
	explain_probe(&s);
	explain_outlook(&s);
	explain_writes(&s);
	explain_damage(&s);
}
