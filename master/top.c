/*
 * top.c - mews top: a fleet, live, in a terminal.
 *
 * Reads the segment once a second, as mews status does; what is shown per
 * second happened since the look before. Drawn anew each time, cut to the
 * window, so that a window of any size will do.
 */
#include "top.h"

#include "fail.h"
#include "instance.h"
#include "proc.h"
#include "sample.h"
#include "status.h"
#include "words.h"

#include <inttypes.h>
#include <ncurses.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 1000

enum order { BY_SLOT, BY_QUERIES, BY_REQUESTS, BY_WAITING, BY_FLIGHT,
	BY_BEAT, ORDERS };

static const char *const orders[ORDERS] = { "slot", "queries", "requests",
	"waiting", "in flight", "heartbeat" };

struct top {
	const struct top_args *args;
	struct mews_view *view;
	struct mews_view_fleet fleet;
	struct sample old, new;
	enum order order;
	bool reversed;
	int row; /* the next to draw */
};

static void put(struct top *top, int look, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One line, cut to the window. */
static void
put(struct top *top, int look, const char *format, ...)
{
	char	line[512];
	va_list	ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (top->row >= LINES)
		return;
	attrset(look);
	mvaddnstr(top->row++, 0, line, COLS);
	attrset(A_NORMAL);
}

/* "-" where there is none. */
static const char *
quantile(char *buffer, size_t size, const struct mews_times *times,
    double part)
{
	double	us = mews_times_quantile(times, part);

	if (times->count == 0)
		snprintf(buffer, size, "-");
	else if (us < 10000)
		snprintf(buffer, size, "%.2fms", us / 1e3);
	else
		snprintf(buffer, size, "%.0fms", us / 1e3);
	return buffer;
}

static void
draw_head(struct top *top)
{
	const struct mews_view_fleet *f = &top->fleet;
	double	 requests = 0, queries = 0, errors = 0;
	uint32_t ready = 0, all = 0, attached = 0, waiting = 0, flight = 0;
	char	 span[32], name[MEWS_NAME_MAX + 1], others[32] = "";

	for (uint32_t i = 0; i < top->new.slots; i++) {
		const struct mews_view_worker *w = &top->new.workers[i];
		const struct mews_view_worker *o = &top->old.workers[i];

		if (w->pid == 0)
			continue;
		attached += w->attached;
		all += !w->attached;
		ready += !w->attached && w->state == MEWS_WORKER_READY;
		waiting += w->waiting;
		flight += w->in_flight;
		requests += sample_rate(&top->old, &top->new, o->requests,
		    w->requests);
		queries += sample_rate(&top->old, &top->new, o->queries,
		    w->queries);
		errors += sample_rate(&top->old, &top->new, o->errors,
		    w->errors);
	}
	if (attached > 0)
		snprintf(others, sizeof(others), "  %" PRIu32 " attached",
		    attached);
	put(top, A_BOLD, "mews %s  up %s  generation %" PRIu32 "  workers %"
	    PRIu32 "/%" PRIu32 " ready%s%s",
	    words_clean(name, sizeof(name), f->instance),
	    words_span(span, sizeof(span), f->uptime_ms), f->generation,
	    ready, all, others, f->monitor_pid == 0 ? "  NO MONITOR" :
	    f->monitor_heartbeat_age_ms > STATUS_SILENT_MS ?
	    "  MONITOR SILENT" : "");
	put(top, A_NORMAL, "%.0f requests/s  %.0f queries/s  %.0f errors/s  %"
	    PRIu32 " waiting  %" PRIu32 " in flight", requests, queries,
	    errors, waiting, flight);
}

static void
draw_endpoints(struct top *top)
{
	struct mews_view_endpoint e;
	struct mews_times	  times, before;
	char	name[MEWS_NAME_MAX + 1], lag[32], p50[24], p99[24], span[32];

	top->row++;
	put(top, A_REVERSE, "%-14s %-8s %-8s %8s %6s %8s %8s %8s %8s",
	    "ENDPOINT", "STATE", "ROLE", "LAG", "CONNS", "Q/S", "P50", "P99",
	    "CHANGED");
	for (uint32_t i = 0; mews_view_endpoint(top->view, i, &e, sizeof(e));
	    i++) {
		sample_endpoint(&top->new, e.name, &times);
		sample_endpoint(&top->old, e.name, &before);
		sample_since(&times, &before);
		put(top, strcmp(e.state, "up") == 0 ? A_NORMAL : A_BOLD,
		    "%-14.14s %-8s %-8s %8s %6" PRIu32 " %8.0f %8s %8s %8s",
		    words_clean(name, sizeof(name), e.name),
		    e.drained ? "drained" : e.state, e.role,
		    words_span(lag, sizeof(lag), status_lag_ms(&e)),
		    e.connections,
		    sample_rate(&top->old, &top->new, 0, times.count),
		    quantile(p50, sizeof(p50), &times, 0.5),
		    quantile(p99, sizeof(p99), &times, 0.99),
		    words_span(span, sizeof(span), e.changed_ms));
	}
}

/* Has a process any group? If none has, all may be dead. */
static bool
is_any_held(const struct mews_figures *figures)
{
	struct mews_figures_group g;

	for (uint32_t i = 0; mews_figures_group(figures, i, &g, sizeof(g)); i++)
		if (g.processes > 0)
			return true;
	return false;
}

/* A group that no process has any more is of an earlier configuration. */
static void
draw_groups(struct top *top)
{
	const bool held = is_any_held(top->new.figures);
	struct mews_figures_group g, before;
	uint64_t ended, failed, ended_before, failed_before;
	char	 name[MEWS_NAME_MAX + 1], p50[24], p99[24];

	top->row++;
	put(top, A_REVERSE, "%-14s %9s %9s %9s %9s %9s %9s", "GROUP",
	    "ENDPOINTS", "Q/S", "ERRORS/S", "WAITING", "WAIT P50",
	    "WAIT P99");
	for (uint32_t i = 0; mews_figures_group(top->new.figures, i, &g,
	    sizeof(g)); i++) {
		if (held && g.processes == 0)
			continue;
		sample_group(&top->old, g.name, &before);
		ended = sample_ended(&g, &failed);
		ended_before = sample_ended(&before, &failed_before);
		sample_since(&g.wait, &before.wait);
		put(top, A_NORMAL, "%-14.14s %9" PRIu64 " %9.0f %9.0f %9"
		    PRIu64 " %9s %9s",
		    words_clean(name, sizeof(name), g.name), g.endpoints,
		    sample_rate(&top->old, &top->new, ended_before, ended),
		    sample_rate(&top->old, &top->new, failed_before, failed),
		    g.waiting, quantile(p50, sizeof(p50), &g.wait, 0.5),
		    quantile(p99, sizeof(p99), &g.wait, 0.99));
	}
}

/* The key that workers are sorted by; the most comes first, but for slots. */
static double
weight(const struct top *top, uint32_t slot)
{
	const struct mews_view_worker *w = &top->new.workers[slot];
	const struct mews_view_worker *o = &top->old.workers[slot];

	switch (top->order) {
	case BY_QUERIES:
		return (double)(w->queries - o->queries);
	case BY_REQUESTS:
		return (double)(w->requests - o->requests);
	case BY_WAITING:
		return w->waiting;
	case BY_FLIGHT:
		return w->in_flight;
	case BY_BEAT:
		return (double)w->heartbeat_age_ms;
	default:
		return -(double)slot;
	}
}

/* The slots of workers, in the order that was chosen; returns how many. */
static uint32_t
sort_workers(const struct top *top, uint32_t *slots)
{
	uint32_t	count = 0, at;

	for (uint32_t i = 0; i < top->new.slots; i++) {
		if (top->new.workers[i].pid == 0)
			continue;
		for (at = count++; at > 0 && (weight(top, slots[at - 1]) <
		    weight(top, i)) != top->reversed &&
		    weight(top, slots[at - 1]) != weight(top, i); at--)
			slots[at] = slots[at - 1];
		slots[at] = i;
	}
	return count;
}

static void
draw_workers(struct top *top)
{
	uint32_t slots[MEWS_SLOTS_MAX], count, connections;
	char	 beat[32], requests[32];

	top->row++;
	put(top, A_REVERSE, "%4s %8s %-8s %8s %8s %7s %7s %6s %8s %8s", "SLOT",
	    "PID", "STATE", "REQ/S", "Q/S", "WAITING", "FLIGHT", "CONNS",
	    "LAG", "BEAT");
	count = sort_workers(top, slots);
	for (uint32_t i = 0; i < count; i++) {
		const struct mews_view_worker *w = &top->new.workers[slots[i]];
		const struct mews_view_worker *o = &top->old.workers[slots[i]];

		connections = 0;
		for (uint32_t k = 0; k < MEWS_ENDPOINTS_MAX; k++)
			connections += w->connections[k];
		/* A process that attached has no requests: its program. */
		if (w->attached)
			proc_command(w->pid, requests, sizeof(requests));
		else
			snprintf(requests, sizeof(requests), "%.0f",
			    sample_rate(&top->old, &top->new, o->requests,
				w->requests));
		put(top, !w->attached &&
		    w->heartbeat_age_ms > STATUS_SILENT_MS ? A_BOLD : A_NORMAL,
		    "%4" PRIu32 " %8jd %-8s %8.8s %8.0f %7"
		    PRIu32 " %7" PRIu32 " %6" PRIu32 " %6.1fms %8s", slots[i],
		    (intmax_t)w->pid, w->attached ? "attached" :
		    mews_worker_state_name(w->state), requests,
		    sample_rate(&top->old, &top->new, o->queries, w->queries),
		    w->waiting, w->in_flight, connections,
		    (double)w->lag_us / 1e3,
		    words_span(beat, sizeof(beat), w->heartbeat_age_ms));
	}
}

static void
draw(struct top *top)
{
	char	keys[120];

	erase();
	top->row = 0;
	draw_head(top);
	draw_endpoints(top);
	draw_groups(top);
	draw_workers(top);
	snprintf(keys, sizeof(keys),
	    " q quit   s sort (%s)   r reverse ", orders[top->order]);
	attrset(A_REVERSE);
	mvaddnstr(LINES - 1, 0, keys, COLS);
	attrset(A_NORMAL);
	refresh();
}

/* A look at the fleet; false: it failed. */
static bool
look(struct top *top, struct mews_error *error)
{
	struct sample	next;

	mews_view_fleet(top->view, &top->fleet, sizeof(top->fleet));
	if (!instance_lives(&top->fleet, top->args->runtime_dir, error))
		return false;
	if (!sample_take(&next, top->view))
		return fail(error, "out of memory");
	sample_free(&top->old);
	top->old = top->new;
	top->new = next;
	return true;
}

/* The first two looks, so that there is something between them. */
static bool
begin(struct top *top, struct mews_error *error)
{
	if (!look(top, error))
		return false;
	return look(top, error);
}

static bool
run(struct top *top, struct mews_error *error)
{
	int	key;

	if (!begin(top, error))
		return false;
	for (;;) {
		draw(top);
		switch (key = getch()) {
		case 'q':
		case 'Q':
			return true;
		case 's':
			top->order = (top->order + 1) % ORDERS;
			break;
		case 'r':
			top->reversed = !top->reversed;
			break;
		case KEY_RESIZE:
			break;
		default:
			if (key == ERR && !look(top, error))
				return false;
		}
	}
}

bool
top_run(const struct top_args *args, struct mews_error *error)
{
	struct top top = { .args = args };
	char	   instance[MEWS_NAME_MAX + 1] = "";
	bool	   done;

	if (args->instance != NULL)
		strlcpy(instance, args->instance, sizeof(instance));
	if (!instance_open(&top.view, &top.fleet, args->runtime_dir, instance,
		error))
		return false;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
	    newterm(NULL, stdout, stdin) == NULL) {
		mews_view_close(&top.view);
		return fail(error, "mews top needs a terminal; see mews "
		    "status --watch");
	}
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	timeout(LOOK_MS);
	done = run(&top, error);
	endwin();
	sample_free(&top.old);
	sample_free(&top.new);
	mews_view_close(&top.view);
	return done;
}
