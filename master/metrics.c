/*
 * metrics.c - a fleet's figures as Prometheus reads them.
 *
 * Names and units follow OpenTelemetry's conventions for database clients and
 * HTTP servers, where these have one. Sums over all workers: a label by worker
 * is on what only makes sense of one.
 */
#include "metrics.h"

#include "proc.h"
#include "status.h"
#include "words.h"

#include <inttypes.h>
#include <mews/figures.h>
#include <signal.h>
#include <string.h>

#define LABEL_ROOM (4 * MEWS_NAME_MAX + 1)

struct writer {
	FILE *out;
	bool  open; /* OpenMetrics */
	const struct mews_config *config;
};

/* A label's value: quotes and backslashes escaped, the rest made printable. */
static const char *
label(char buffer[LABEL_ROOM], const char *text)
{
	char	clean[MEWS_NAME_MAX + 1], *to = buffer;

	words_clean(clean, sizeof(clean), text);
	for (const char *c = clean; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			*to++ = '\\';
		*to++ = *c;
	}
	*to = '\0';
	return buffer;
}

static void
begin(const struct writer *w, const char *name, const char *type,
    const char *help)
{
	bool	counter = strcmp(type, "counter") == 0;

	/* A counter's family has no suffix in OpenMetrics. */
	if (w->open)
		fprintf(w->out, "# TYPE %s %s\n# HELP %s %s\n", name, type,
		    name, help);
	else
		fprintf(w->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name,
		    counter ? "_total" : "", help, name,
		    counter ? "_total" : "", type);
}

static void
print_times(const struct writer *w, const char *name, const char *labels,
    const struct mews_times *times)
{
	const char	*comma = labels[0] == '\0' ? "" : ",";
	uint64_t	 sum = 0;

	for (uint32_t i = 0; i < MEWS_TIMES_BUCKETS - 1; i++) {
		sum += times->bucket[i];
		fprintf(w->out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name,
		    labels, comma, (double)(UINT64_C(32) << i) / 1e6, sum);
	}
	sum += times->bucket[MEWS_TIMES_BUCKETS - 1];
	fprintf(w->out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name,
	    labels, comma, sum);
	if (labels[0] != '\0')
		fprintf(w->out, "%s_sum{%s} %.6f\n%s_count{%s} %" PRIu64 "\n",
		    name, labels, (double)times->sum_us / 1e6, name, labels,
		    sum);
	else
		fprintf(w->out, "%s_sum %.6f\n%s_count %" PRIu64 "\n", name,
		    (double)times->sum_us / 1e6, name, sum);
}

/*
 * The fleet and its workers.
 */

static void
print_fleet(const struct writer *w, const struct mews_view_fleet *fleet)
{
	char	name[LABEL_ROOM];
	bool	lives = fleet->master_pid > 0 &&
	    kill(fleet->master_pid, 0) == 0;

	begin(w, "mews_build_info", "gauge", "The version that serves.");
	fprintf(w->out, "mews_build_info{instance_name=\"%s\",version=\"%s\"} "
	    "1\n", label(name, fleet->instance), mews_version());
	begin(w, "mews_master_up", "gauge", "1 while the master lives.");
	fprintf(w->out, "mews_master_up %d\n", lives);
	begin(w, "mews_monitor_up", "gauge", "1 while there is a monitor.");
	fprintf(w->out, "mews_monitor_up %d\n", fleet->monitor_pid > 0);
	begin(w, "mews_monitor_heartbeat_age_seconds", "gauge",
	    "Time since the monitor's last sign of life.");
	if (fleet->monitor_pid > 0)
		fprintf(w->out, "mews_monitor_heartbeat_age_seconds %g\n",
		    (double)fleet->monitor_heartbeat_age_ms / 1e3);
	begin(w, "mews_uptime_seconds", "gauge",
	    "Time since the fleet was made.");
	fprintf(w->out, "mews_uptime_seconds %.3f\n",
	    (double)fleet->uptime_ms / 1000);
	begin(w, "mews_generation", "gauge",
	    "Number of the configuration that serves.");
	fprintf(w->out, "mews_generation %" PRIu32 "\n", fleet->generation);
}

static void
print_worker_states(const struct writer *w, const struct mews_view *view,
    uint32_t slots)
{
	unsigned		counts[MEWS_WORKER_DRAINING + 1] = { 0 };
	struct mews_view_worker worker;

	for (uint32_t i = 0; i < slots; i++)
		if (mews_view_worker(view, i, &worker, sizeof(worker)) &&
		    !worker.attached &&
		    (unsigned)worker.state <= MEWS_WORKER_DRAINING)
			counts[worker.state]++;
	begin(w, "mews_workers", "gauge", "Workers by state.");
	for (unsigned i = MEWS_WORKER_STARTING; i <= MEWS_WORKER_DRAINING; i++)
		fprintf(w->out, "mews_workers{state=\"%s\"} %u\n",
		    mews_worker_state_name((enum mews_worker_state)i),
		    counts[i]);
}

enum worker_figure { BEAT_AGE, LOOP_LAG, IN_FLIGHT };

static void
print_workers(const struct writer *w, const struct mews_view *view,
    uint32_t slots, enum worker_figure which, const char *name,
    const char *help)
{
	struct mews_view_worker worker;
	double			value;

	begin(w, name, "gauge", help);
	for (uint32_t i = 0; i < slots; i++) {
		if (!mews_view_worker(view, i, &worker, sizeof(worker)) ||
		    worker.attached)
			continue;
		value = which == BEAT_AGE ?
		    (double)worker.heartbeat_age_ms / 1e3 :
		    which == LOOP_LAG ? (double)worker.lag_us / 1e6 :
		    (double)worker.in_flight;
		fprintf(w->out, "%s{worker=\"%" PRIu32 "\"} %g\n", name, i,
		    value);
	}
}

/* Processes of other programs, which joined by themselves: what makes sense of
 * one that perhaps has no loop. */
static void
print_attached(const struct writer *w, const struct mews_view *view,
    uint32_t slots)
{
	struct mews_view_worker process;
	char	 name[MEWS_NAME_MAX + 1], program[LABEL_ROOM];
	unsigned count = 0;

	begin(w, "mews_attached_queries_in_flight", "gauge",
	    "Queries sent, not answered, of a process that attached.");
	for (uint32_t i = 0; i < slots; i++) {
		if (!mews_view_worker(view, i, &process, sizeof(process)) ||
		    !process.attached)
			continue;
		count++;
		fprintf(w->out, "mews_attached_queries_in_flight{"
		    "slot=\"%" PRIu32 "\",program=\"%s\"} %" PRIu32 "\n", i,
		    label(program, proc_command(process.pid, name,
			sizeof(name))), process.in_flight);
	}
	begin(w, "mews_attached_processes", "gauge",
	    "Processes of other programs that attached.");
	fprintf(w->out, "mews_attached_processes %u\n", count);
}

/*
 * Endpoints.
 */

static const char *const states[] = { "unknown", "up", "suspect", "down" };
static const char *const roles[] = { "unknown", "primary", "standby",
	"readonly", "mixed" };

static void
print_set(const struct writer *w, const struct mews_view *view,
    const char *name, const char *help, const char *of,
    const char *const *values, size_t count)
{
	struct mews_view_endpoint e;
	char			  endpoint[LABEL_ROOM];

	begin(w, name, "gauge", help);
	for (uint32_t i = 0; mews_view_endpoint(view, i, &e, sizeof(e)); i++)
		for (size_t k = 0; k < count; k++)
			fprintf(w->out, "%s{endpoint=\"%s\",%s=\"%s\"} %d\n",
			    name, label(endpoint, e.name), of, values[k],
			    strcmp(strcmp(of, "state") == 0 ? e.state :
				e.role, values[k]) == 0);
}

/* Connections of all workers to one endpoint, by what they do. */
static void
print_connections(const struct writer *w, const struct mews_view *view,
    const struct mews_figures *figures)
{
	struct mews_view_endpoint e;
	struct mews_figures_pair  pair;
	char			  endpoint[LABEL_ROOM];
	uint64_t		  idle, used, connecting;

	begin(w, "db_client_connections", "gauge",
	    "Connections of workers to an endpoint, by state.");
	for (uint32_t i = 0; mews_view_endpoint(view, i, &e, sizeof(e)); i++) {
		idle = used = connecting = 0;
		for (uint32_t k = 0; mews_figures_pair(figures, k, &pair,
		    sizeof(pair)); k++)
			if (strcmp(pair.endpoint, e.name) == 0) {
				idle += pair.idle;
				used += pair.used;
				connecting += pair.connecting;
			}
		label(endpoint, e.name);
		fprintf(w->out, "db_client_connections{endpoint=\"%s\","
		    "state=\"idle\"} %" PRIu64 "\n"
		    "db_client_connections{endpoint=\"%s\","
		    "state=\"used\"} %" PRIu64 "\n"
		    "db_client_connections{endpoint=\"%s\","
		    "state=\"connecting\"} %" PRIu64 "\n", endpoint, idle,
		    endpoint, used, endpoint, connecting);
	}
}

enum endpoint_figure { CONNECTIONS, QUEUED, CAP, RTT, LAG, LAG_BYTES,
	DRAINED, OUTDATED, REJECTED };

/* False: not known. */
static bool
endpoint_value(const struct mews_view_endpoint *e, enum endpoint_figure which,
    double *value)
{
	switch (which) {
	case CONNECTIONS:
		*value = e->connections;
		return true;
	case QUEUED:
		*value = e->queued;
		return true;
	case CAP:
		*value = e->cap;
		return e->cap != 0;
	case RTT:
		*value = e->rtt_us / 1e6;
		return e->rtt_us != 0;
	case LAG:
		*value = (double)e->lag_ms / 1e3;
		return status_lag_ms(e) >= 0;
	case LAG_BYTES:
		*value = (double)e->lag_bytes;
		return status_lag_ms(e) >= 0;
	case DRAINED:
		*value = e->drained;
		return true;
	case OUTDATED:
		*value = e->outdated;
		return true;
	default:
		*value = e->rejected_ms >= 0;
		return true;
	}
}

static void
print_endpoints(const struct writer *w, const struct mews_view *view,
    enum endpoint_figure which, const char *name, const char *help)
{
	struct mews_view_endpoint e;
	char			  endpoint[LABEL_ROOM];
	double			  value;

	begin(w, name, "gauge", help);
	for (uint32_t i = 0; mews_view_endpoint(view, i, &e, sizeof(e)); i++)
		if (endpoint_value(&e, which, &value))
			fprintf(w->out, "%s{endpoint=\"%s\"} %.6f\n", name,
			    label(endpoint, e.name), value);
}

static void
print_transitions(const struct writer *w, const struct mews_view *view)
{
	struct mews_view_endpoint e;
	char			  endpoint[LABEL_ROOM];
	const char		 *name;
	uint32_t		  count;

	begin(w, "mews_endpoint_transitions", "counter",
	    "Changes of an endpoint, by the evidence for them.");
	for (uint32_t i = 0; mews_view_endpoint(view, i, &e, sizeof(e)); i++)
		for (uint32_t k = 0; mews_view_transitions(view, i, k, &name,
		    &count); k++)
			if (count > 0)
				fprintf(w->out, "mews_endpoint_transitions_"
				    "total{endpoint=\"%s\",evidence=\"%s\"} "
				    "%" PRIu32 "\n",
				    label(endpoint, e.name), name, count);
}

/*
 * Figures that were counted.
 */

enum group_figure { WAITING, ROUTE, RESENT, HEDGED, OPENED, BATCHES, SLOW };

static void
print_groups(const struct writer *w, const struct mews_figures *figures,
    enum group_figure which, const char *name, const char *help)
{
	bool	gauge = which == WAITING || which == ROUTE;
	struct mews_figures_group g;
	char	group[LABEL_ROOM];

	begin(w, name, gauge ? "gauge" : "counter", help);
	for (uint32_t i = 0; mews_figures_group(figures, i, &g, sizeof(g));
	    i++)
		if (!gauge || metrics_is_current(w->config, &g))
			fprintf(w->out, "%s%s{group=\"%s\"} %" PRIu64 "\n",
			    name, gauge ? "" : "_total",
			    label(group, g.name),
			    which == WAITING ? g.waiting :
			    which == ROUTE ? g.endpoints :
			    which == RESENT ? g.resent :
			    which == HEDGED ? g.hedged :
			    which == OPENED ? g.opened :
			    which == BATCHES ? g.batches : g.slow);
}

static void
print_ends(const struct writer *w, const struct mews_figures *figures)
{
	struct mews_figures_group g;
	char			  group[LABEL_ROOM];

	begin(w, "mews_query_ends", "counter", "Queries by how they ended.");
	for (uint32_t i = 0; mews_figures_group(figures, i, &g, sizeof(g));
	    i++)
		for (unsigned s = 0; s <= MEWS_TOO_LARGE; s++)
			fprintf(w->out, "mews_query_ends_total{group=\"%s\","
			    "status=\"%s\"} %" PRIu64 "\n",
			    label(group, g.name),
			    mews_status_name((enum mews_status)s), g.ends[s]);
}

static void
print_histograms(const struct writer *w, const struct mews_figures *figures)
{
	struct mews_figures_fleet all;
	struct mews_figures_group g;
	struct mews_figures_pair  pair;
	char	labels[2 * LABEL_ROOM + 32], group[LABEL_ROOM];
	char	endpoint[LABEL_ROOM];

	begin(w, "db_client_operation_duration_seconds", "histogram",
	    "Queries that a server answered, from sent to answered.");
	for (uint32_t i = 0; mews_figures_pair(figures, i, &pair,
	    sizeof(pair)); i++) {
		snprintf(labels, sizeof(labels),
		    "group=\"%s\",endpoint=\"%s\"", label(group, pair.group),
		    label(endpoint, pair.endpoint));
		print_times(w, "db_client_operation_duration_seconds", labels,
		    &pair.times);
	}
	begin(w, "db_client_connection_wait_time_seconds", "histogram",
	    "Waits for a connection, of queries that had to wait.");
	for (uint32_t i = 0; mews_figures_group(figures, i, &g, sizeof(g));
	    i++) {
		snprintf(labels, sizeof(labels), "group=\"%s\"",
		    label(group, g.name));
		print_times(w, "db_client_connection_wait_time_seconds",
		    labels, &g.wait);
	}
	mews_figures_fleet(figures, &all, sizeof(all));
	begin(w, "http_server_request_duration_seconds", "histogram",
	    "Requests, from the head read to the answer given.");
	print_times(w, "http_server_request_duration_seconds", "",
	    &all.requests);
}

enum statement_figure { ANSWERS, ERRORS, SECONDS, ROWS };

static void
print_statements(const struct writer *w, const struct mews_figures *figures,
    enum statement_figure which, const char *name, const char *help)
{
	struct mews_figures_statement s;
	char			      statement[LABEL_ROOM];

	begin(w, name, "counter", help);
	for (uint32_t i = 0; mews_figures_statement(figures, i, &s,
	    sizeof(s)); i++) {
		fprintf(w->out, "%s_total{statement=\"%s\"} ", name,
		    label(statement, s.name));
		if (which == SECONDS)
			fprintf(w->out, "%.6f\n", (double)s.sum_us / 1e6);
		else
			fprintf(w->out, "%" PRIu64 "\n",
			    which == ANSWERS ? s.answers :
			    which == ERRORS ? s.errors : s.rows);
	}
}

static void
print_processes(const struct writer *w, const struct mews_figures *figures)
{
	static const char *const reasons[MEWS_PROCESS_ENDS] = {
		[MEWS_END_STOPPED] = "stopped", [MEWS_END_EXITED] = "exited",
		[MEWS_END_KILLED] = "killed", [MEWS_END_HUNG] = "hung",
		[MEWS_END_RECYCLED] = "recycled",
	};
	struct mews_figures_fleet all;

	mews_figures_fleet(figures, &all, sizeof(all));
	begin(w, "mews_process_ends", "counter",
	    "Workers and monitors that ended, by reason.");
	for (unsigned i = 0; i < MEWS_PROCESS_ENDS; i++)
		fprintf(w->out, "mews_process_ends_total{reason=\"%s\"} %"
		    PRIu64 "\n", reasons[i], all.ends[i]);
	begin(w, "mews_log_lines_dropped", "counter",
	    "Lines that did not flow, and that nobody waited for.");
	fprintf(w->out, "mews_log_lines_dropped_total %" PRIu64 "\n",
	    all.dropped);
}

static void
print_view(const struct writer *w, const struct mews_view *view)
{
	struct mews_view_fleet	fleet;
	uint32_t		slots;

	mews_view_fleet(view, &fleet, sizeof(fleet));
	slots = fleet.slot_count;
	print_fleet(w, &fleet);
	print_worker_states(w, view, slots);
	print_workers(w, view, slots, BEAT_AGE,
	    "mews_worker_heartbeat_age_seconds",
	    "Time since a worker's last sign of life.");
	print_workers(w, view, slots, LOOP_LAG, "mews_worker_loop_lag_seconds",
	    "Time that the last beat of a worker's loop was late.");
	print_workers(w, view, slots, IN_FLIGHT,
	    "mews_worker_queries_in_flight", "Queries sent, not answered.");
	print_attached(w, view, slots);
	print_set(w, view, "mews_endpoint_state",
	    "1 for the state that an endpoint is in.", "state", states,
	    sizeof(states) / sizeof(states[0]));
	print_set(w, view, "mews_endpoint_role",
	    "1 for the role that an endpoint has.", "role", roles,
	    sizeof(roles) / sizeof(roles[0]));
	print_endpoints(w, view, CONNECTIONS, "mews_endpoint_connections",
	    "Connections to an endpoint that count against its limit.");
	print_endpoints(w, view, QUEUED, "mews_endpoint_logins_queued",
	    "Logins to an endpoint that wait behind a pooler.");
	print_endpoints(w, view, CAP, "db_client_connection_max",
	    "The most connections that are made to an endpoint.");
	print_endpoints(w, view, RTT, "mews_endpoint_probe_rtt_seconds",
	    "Round trip of the last probe.");
	print_endpoints(w, view, LAG, "mews_endpoint_lag_seconds",
	    "How far a standby is behind.");
	print_endpoints(w, view, LAG_BYTES, "mews_endpoint_lag_bytes",
	    "How much a standby has not replayed.");
	print_endpoints(w, view, DRAINED, "mews_endpoint_drained",
	    "1 for an endpoint that an operator drained.");
	print_endpoints(w, view, OUTDATED, "mews_endpoint_outdated",
	    "1 for a primary that another one has replaced.");
	print_transitions(w, view);
	print_endpoints(w, view, REJECTED, "mews_endpoint_rejects_logins",
	    "1 for an endpoint that rejects logins.");
}

bool
metrics_is_current(const struct mews_config *config,
    const struct mews_figures_group *group)
{
	for (size_t i = 0; config != NULL && i < config->group_count; i++)
		if (strcmp(config->groups[i].name, group->name) == 0)
			return true;
	return group->processes > 0;
}

bool
metrics_print(const struct mews_view *view, const struct mews_config *config,
    bool open, FILE *out)
{
	const struct writer  w = { .out = out, .open = open,
		.config = config };
	struct mews_figures *figures;

	if (mews_figures_read(&figures, view, NULL) != MEWS_OK)
		return false;
	print_view(&w, view);
	print_groups(&w, figures, WAITING,
	    "db_client_connection_pending_requests",
	    "Queries that wait for a connection.");
	print_groups(&w, figures, ROUTE, "mews_group_endpoints",
	    "Endpoints that may serve a group.");
	print_groups(&w, figures, RESENT, "mews_query_resends",
	    "Queries that were sent again.");
	print_groups(&w, figures, HEDGED, "mews_query_hedges",
	    "Reads that were sent to a second endpoint.");
	print_groups(&w, figures, BATCHES, "mews_query_batches",
	    "Batches of queries that were sent.");
	print_groups(&w, figures, SLOW, "mews_slow_queries",
	    "Queries that took as long as slow_query, or longer.");
	print_connections(&w, view, figures);
	print_groups(&w, figures, OPENED, "mews_connections_opened",
	    "Logins that succeeded.");
	print_ends(&w, figures);
	print_histograms(&w, figures);
	print_statements(&w, figures, ANSWERS, "mews_statement_answers",
	    "Answers to a registered statement.");
	print_statements(&w, figures, ERRORS, "mews_statement_errors",
	    "Errors of a registered statement.");
	print_statements(&w, figures, SECONDS, "mews_statement_seconds",
	    "Time from sent to answered.");
	print_statements(&w, figures, ROWS, "mews_statement_rows",
	    "Rows returned.");
	print_processes(&w, figures);
	mews_figures_free(&figures);
	if (open)
		fputs("# EOF\n", out);
	return ferror(out) == 0;
}
