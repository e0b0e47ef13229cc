/*
 * live.c - what the page at the admin address is told, once a second.
 *
 * All that needs a difference of two looks is made here, so that the page only
 * draws, and what it draws after an incident was seen by nobody's browser.
 */
#include "live.h"

#include "json.h"
#include "metrics.h"
#include "reasons.h"
#include "status.h"
#include "story.h"
#include "words.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/param.h>
#include <time.h>

static const struct sample *
newest(const struct live *live)
{
	return &live->looks[live->count - 1];
}

static uint32_t
second_of(const struct sample *look)
{
	return (uint32_t)(look->us / 1000000);
}

/* Answers of an endpoint between two looks. */
static void
endpoint_between(const struct sample *old, const struct sample *new,
    const char *name, struct mews_times *times)
{
	struct mews_times before;

	sample_endpoint(new, name, times);
	sample_endpoint(old, name, &before);
	sample_since(times, &before);
}

static void
group_between(const struct sample *old, const struct sample *new,
    const char *name, struct mews_times *times)
{
	struct mews_times before;

	sample_group_times(new, name, times);
	sample_group_times(old, name, &before);
	sample_since(times, &before);
}

/*
 * Looking.
 */

/* "up" and "unknown" begin with the same letter. */
static char
letter(const char *word)
{
	return strcmp(word, "unknown") == 0 ? '?' : word[0];
}

static uint32_t
narrow(uint64_t wide)
{
	return (uint32_t)MIN(wide, UINT32_MAX);
}

static void
remember_endpoints(struct live *live, const struct sample *old,
    const struct sample *new)
{
	struct mews_view_endpoint e;
	struct mews_times	  times;
	struct history_endpoint	  moment;

	for (uint32_t i = 0; mews_view_endpoint(live->view, i, &e, sizeof(e));
	    i++) {
		endpoint_between(old, new, e.name, &times);
		moment = (struct history_endpoint) {
			.state = letter(e.state), .role = letter(e.role),
			.rtt_us = e.rtt_us,
			.lag_ms = (int32_t)MIN(status_lag_ms(&e), INT32_MAX),
			.answers = narrow(times.count),
		};
		history_add_endpoint(live->history, second_of(new), e.name,
		    &moment);
	}
}

static void
remember_groups(struct live *live, const struct sample *old,
    const struct sample *new)
{
	struct mews_figures_group g, before;
	struct mews_times	  times;
	uint64_t		  ended, failed, ended_before, failed_before;
	struct history_group	  moment;

	for (uint32_t i = 0; mews_figures_group(new->figures, i, &g,
	    sizeof(g)); i++) {
		sample_group(old, g.name, &before);
		ended = sample_ended(&g, &failed);
		ended_before = sample_ended(&before, &failed_before);
		group_between(old, new, g.name, &times);
		moment = (struct history_group) {
			.waiting = narrow(g.waiting),
			.ended = narrow(ended - ended_before),
			.failed = narrow(failed - failed_before),
			.run_us = (uint32_t)mews_times_quantile(&times, 0.99),
		};
		history_add_group(live->history, second_of(new), g.name,
		    &moment);
	}
}

bool
live_look(struct live *live)
{
	struct sample	  look;
	struct mews_event event;

	if (!sample_take(&look, live->view))
		return false;
	if (live->count == LIVE_LOOKS) {
		sample_free(&live->looks[0]);
		memmove(&live->looks[0], &live->looks[1],
		    (LIVE_LOOKS - 1) * sizeof(live->looks[0]));
		live->count--;
	}
	live->looks[live->count++] = look;
	live->told = live->event;
	while (mews_view_event(live->view, live->event, &event, sizeof(event)))
		live->event = event.ticket;
	if (live->count > 1) {
		remember_endpoints(live, &live->looks[live->count - 2], &look);
		remember_groups(live, &live->looks[live->count - 2], &look);
	}
	return true;
}

/*
 * Telling.
 */

static void
print_quantiles(FILE *out, const char *p50, const char *p99,
    const struct mews_times *times)
{
	json_known(out, p50, (int64_t)mews_times_quantile(times, 0.5),
	    times->count > 0);
	json_known(out, p99, (int64_t)mews_times_quantile(times, 0.99),
	    times->count > 0);
}

static void
print_endpoints(const struct live *live, const struct sample *old, FILE *out)
{
	const struct sample	 *new = newest(live);
	struct mews_view_endpoint e;
	struct mews_times	  times;

	for (uint32_t i = 0; mews_view_endpoint(live->view, i, &e, sizeof(e));
	    i++) {
		endpoint_between(old, new, e.name, &times);
		fputs(i == 0 ? "{\"name\":" : ",{\"name\":", out);
		json_string(out, e.name);
		fputs(",\"cause\":", out);
		json_string(out, reasons_sight(e.cause));
		fprintf(out, ",\"mixed\":%s,\"queries\":%.1f",
		    strcmp(e.role, "mixed") == 0 ? "true" : "false",
		    sample_rate(old, new, 0, times.count));
		print_quantiles(out, "p50_us", "p99_us", &times);
		fputc('}', out);
	}
}

static void
print_groups(const struct live *live, const struct sample *old, FILE *out)
{
	const struct sample	 *new = newest(live);
	struct mews_figures_group g, before;
	struct mews_times	  times;
	uint64_t    ended, failed, ended_before, failed_before;
	const char *comma = "";

	for (uint32_t i = 0; mews_figures_group(new->figures, i, &g,
	    sizeof(g)); i++) {
		if (!metrics_is_current(live->config, &g))
			continue;
		sample_group(old, g.name, &before);
		ended = sample_ended(&g, &failed);
		ended_before = sample_ended(&before, &failed_before);
		sample_since(&g.wait, &before.wait);
		group_between(old, new, g.name, &times);
		fprintf(out, "%s{\"name\":", comma);
		comma = ",";
		json_string(out, g.name);
		fprintf(out, ",\"endpoints\":%" PRIu64 ",\"waiting\":%" PRIu64
		    ",\"queries\":%.1f,\"failed\":%.1f", g.endpoints,
		    g.waiting, sample_rate(old, new, ended_before, ended),
		    sample_rate(old, new, failed_before, failed));
		print_quantiles(out, "p50_us", "p99_us", &times);
		print_quantiles(out, "wait_p50_us", "wait_p99_us", &g.wait);
		fputc('}', out);
	}
}

static void
print_workers(const struct live *live, const struct sample *old, FILE *out)
{
	const struct sample		*new = newest(live);
	const struct mews_view_worker	*now, *then;
	const char			*comma = "";

	for (uint32_t i = 0; i < new->slots; i++) {
		now = &new->workers[i];
		then = &old->workers[i];
		if (now->pid == 0)
			continue;
		fprintf(out, "%s{\"slot\":%" PRIu32 ",\"requests\":%.1f,"
		    "\"queries\":%.1f,\"errors\":%.1f,\"lag_us\":%" PRIu64 "}",
		    comma, i,
		    sample_rate(old, new, then->requests, now->requests),
		    sample_rate(old, new, then->queries, now->queries),
		    sample_rate(old, new, then->errors, now->errors),
		    now->lag_us);
		comma = ",";
	}
}

static const char *const levels[] = {
	[MEWS_LOG_DEBUG] = "debug", [MEWS_LOG_INFO] = "info",
	[MEWS_LOG_WARNING] = "warning", [MEWS_LOG_ERROR] = "error",
};

static void
print_events(const struct live *live, uint64_t after, FILE *out)
{
	struct mews_event event;
	char		  words[512];
	const char	 *comma = "";

	while (mews_view_event(live->view, after, &event, sizeof(event)) &&
	    event.ticket <= live->event) {
		after = event.ticket;
		fprintf(out, "%s{\"ticket\":%" PRIu64 ",\"time_ms\":%" PRId64
		    ",\"level\":\"%s\",\"words\":", comma, event.ticket,
		    event.time_ms, levels[event.level]);
		json_string(out, story_tell(words, sizeof(words), &event));
		fputc('}', out);
		comma = ",";
	}
}

void
live_print(const struct live *live, bool whole, FILE *out)
{
	const struct sample   *old = &live->looks[0];
	struct mews_view_fleet fleet;
	struct mews_figures_fleet then, counted;
	struct timespec	       now;
	uint32_t	       second;

	if (live->count == 0)
		return;
	mews_view_fleet(live->view, &fleet, sizeof(fleet));
	clock_gettime(CLOCK_REALTIME, &now);
	second = second_of(newest(live));
	fprintf(out, "data: {\"now_ms\":%" PRId64 ",\"second\":%" PRIu32
	    ",\"version\":\"%s\",\"master_lives\":%s,\"workers_wanted\":%s,"
	    "\"whole\":%s,\"status\":",
	    (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, second,
	    mews_version(), fleet.master_pid > 0 &&
	    (kill(fleet.master_pid, 0) == 0 || errno == EPERM) ? "true" :
	    "false", live->config != NULL ? "true" : "false",
	    whole ? "true" : "false");
	/* Ends with a newline: data goes on in a line of its own. */
	status_print_json(live->view, out);
	fputs("data: ,\"endpoints\":[", out);
	print_endpoints(live, old, out);
	fputs("],\"groups\":[", out);
	print_groups(live, old, out);
	fputs("],\"workers\":[", out);
	print_workers(live, old, out);
	mews_figures_fleet(old->figures, &then, sizeof(then));
	mews_figures_fleet(newest(live)->figures, &counted, sizeof(counted));
	fprintf(out, "],\"lines_lost\":%.1f,\"history\":",
	    sample_rate(old, newest(live), then.dropped, counted.dropped));
	history_print(live->history, !whole ? second :
	    second < HISTORY_SECONDS ? 1 : second - HISTORY_SECONDS + 1,
	    second, out);
	fputs(",\"events\":[", out);
	print_events(live, whole ? 0 : live->told, out);
	fputs("]}\n\n", out);
}
