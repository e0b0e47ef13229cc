/*
 * status.c - mews status: show a fleet from outside.
 *
 * Asks nobody: it reads the segment, so it works while the fleet hangs, and
 * disturbs nobody.
 */
#include "status.h"

#include "fail.h"
#include "instance.h"
#include "json.h"
#include "proc.h"
#include "table.h"
#include "words.h"

#include <inttypes.h>
#include <string.h>

/*
 * For people.
 */

static uint32_t
sum_connections(const struct mews_view_worker *worker, uint32_t endpoint_count)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < endpoint_count; i++)
		sum += worker->connections[i];
	return sum;
}

/* Print a word for a process that gives no sign of life. */
static void
print_silence(int64_t age_ms, FILE *out)
{
	char	span[32];

	if (age_ms > STATUS_SILENT_MS)
		fprintf(out, " SILENT for %s", words_span(span, sizeof(span),
		    age_ms));
}

static void
print_fleet(const struct mews_view *view, const struct mews_view_fleet *fleet,
    bool alive, FILE *out)
{
	struct mews_view_worker worker;
	unsigned		ready = 0, all = 0, attached = 0, silent = 0;
	char			span[32], name[MEWS_NAME_MAX + 1];

	for (uint32_t i = 0; i < fleet->slot_count; i++)
		if (!mews_view_worker(view, i, &worker, sizeof(worker)))
			continue;
		else if (worker.attached)
			attached++;
		else {
			all++;
			ready += worker.state == MEWS_WORKER_READY;
			silent += worker.heartbeat_age_ms > STATUS_SILENT_MS;
		}
	fprintf(out, "fleet %s: ", words_clean(name, sizeof(name),
	    fleet->instance));
	if (fleet->master_pid == 0)
		fprintf(out, "no master");
	else
		fprintf(out, "master %jd%s", (intmax_t)fleet->master_pid,
		    alive ? "" : " IS DEAD");
	if (fleet->monitor_pid == 0)
		fprintf(out, ", no monitor");
	else
		fprintf(out, ", monitor %jd", (intmax_t)fleet->monitor_pid);
	if (fleet->monitor_pid != 0)
		print_silence(fleet->monitor_heartbeat_age_ms, out);
	fprintf(out, ", up %s, generation %" PRIu32 ", %u workers, %u ready",
	    words_span(span, sizeof(span), fleet->uptime_ms),
	    fleet->generation, all, ready);
	if (silent > 0)
		fprintf(out, ", %u SILENT", silent);
	if (attached > 0)
		fprintf(out, ", %u attached", attached);
	fputc('\n', out);
	if (fleet->damaged_ms >= 0)
		fprintf(out, "its shared memory was found written over %s ago, "
		    "and put right as far as possible; if that happens again, "
		    "restart it\n",
		    words_span(span, sizeof(span), fleet->damaged_ms));
}

/* How far a standby is behind: "1.2s 16MB", "0ms"; "-": not known. */
static const char *
lag_text(char *buffer, size_t size, const struct mews_view_endpoint *e)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	uint64_t		 bytes = e->lag_bytes;
	size_t			 unit = 0, length;

	if (strcmp(e->role, "standby") != 0)
		return strcpy(buffer, "-");
	length = strlen(words_span(buffer, size, e->lag_ms));
	for (; bytes >= 10240 && unit < 4; unit++)
		bytes /= 1024;
	if (e->lag_ms >= 0 && bytes > 0)
		snprintf(buffer + length, size - length, " %" PRIu64 "%s",
		    bytes, units[unit]);
	return buffer;
}

/* "3/100", "3/2" while the server wants no more; "3" without a limit. */
static void
set_connections(struct table *table, size_t column,
    const struct mews_view_endpoint *e)
{
	if (e->cap != 0)
		table_set(table, column, "%" PRIu32 "/%" PRIu32,
		    e->connections, e->cap);
	else
		table_set(table, column, "%" PRIu32, e->connections);
}

static void
set_endpoint(struct table *table, const struct mews_view_endpoint *e)
{
	char span[48];

	table_set(table, 0, "%s", e->name);
	table_set(table, 1, "%s", e->state);
	table_set(table, 2, "%s", e->role);
	if (e->timeline != 0)
		table_set(table, 3, "%" PRIu32, e->timeline);
	else
		table_set(table, 3, "-");
	table_set(table, 4, "%s", lag_text(span, sizeof(span), e));
	if (e->rtt_us != 0)
		table_set(table, 5, "%.1fms", e->rtt_us / 1000.0);
	else
		table_set(table, 5, "-");
	set_connections(table, 6, e);
	table_set(table, 7, "%s", words_span(span, sizeof(span),
	    e->retry_in_ms != 0 ? (int64_t)e->retry_in_ms : -1));
	table_set(table, 8, "%s", e->reason);
	if (e->changed_ms >= 0)
		table_set(table, 9, "%s ago",
		    words_span(span, sizeof(span), e->changed_ms));
	if (e->changed_by > 0)
		table_set(table, 10, "%jd", (intmax_t)e->changed_by);
}

/* Print a line of its own for each thing out of the ordinary. */
static void
print_notes(const struct mews_view_endpoint *e, FILE *out)
{
	char name[MEWS_NAME_MAX + 1], why[sizeof(e->refusal)], span[32];

	words_clean(name, sizeof(name), e->name);
	if (e->rejected_ms >= 0)
		fprintf(out, "endpoint %s rejects logins since %s: %s\n", name,
		    words_span(span, sizeof(span), e->rejected_ms),
		    words_clean(why, sizeof(why), e->refusal));
	if (e->drained)
		fprintf(out, "endpoint %s is drained: it gets no work until "
		    "mews enable\n", name);
	if (strcmp(e->role, "mixed") == 0)
		fprintf(out, "endpoint %s is mixed: logins lead to a primary "
		    "and to a standby by turns, it gets no writes\n", name);
	if (e->outdated)
		fprintf(out, "endpoint %s is an outdated primary: another's "
		    "timeline is higher, it gets no writes\n", name);
	if (e->queued > 0)
		fprintf(out, "endpoint %s: %" PRIu32 " logins wait behind a "
		    "pooler whose pool is full\n", name, e->queued);
	if (e->cap != e->max_connections)
		fprintf(out, "endpoint %s refused connections: for a while "
		    "at most %" PRIu32 " are made\n", name, e->cap);
}

static bool
print_endpoints(const struct mews_view *view, uint32_t count, FILE *out)
{
	static const struct table_column columns[] = {
		{ "endpoint", false }, { "state", false }, { "role", false },
		{ "tli", true }, { "lag", true }, { "rtt", true },
		{ "conns", true }, { "retry in", true },
		{ "last evidence", false }, { "changed", true },
		{ "by", true }, { NULL, false },
	};
	struct table		  table;
	struct mews_view_endpoint e;
	bool			  complete = true;

	table_init(&table, columns);
	for (uint32_t i = 0; complete && i < count; i++)
		if (mews_view_endpoint(view, i, &e, sizeof(e)) &&
		    (complete = table_add_row(&table)))
			set_endpoint(&table, &e);
	table_print(&table, out);
	table_free(&table);
	for (uint32_t i = 0; i < count; i++)
		if (mews_view_endpoint(view, i, &e, sizeof(e)))
			print_notes(&e, out);
	return complete;
}

static void
set_worker(struct table *table, uint32_t slot, const struct mews_view_worker *w,
    uint32_t endpoint_count)
{
	char span[32], name[32];

	table_set(table, 0, "%" PRIu32, slot);
	table_set(table, 1, "%jd", (intmax_t)w->pid);
	table_set(table, 2, "%s", mews_worker_state_name(w->state));
	table_set(table, 3, "%s", words_span(span, sizeof(span),
	    w->uptime_ms));
	table_set(table, 4, "%" PRIu64, w->requests);
	table_set(table, 5, "%" PRIu64, w->queries);
	table_set(table, 6, "%" PRIu64, w->errors);
	table_set(table, 7, "%" PRIu32, w->waiting);
	table_set(table, 8, "%" PRIu32, w->in_flight);
	table_set(table, 9, "%" PRIu32, sum_connections(w, endpoint_count));
	table_set(table, 10, "%s", words_span(span, sizeof(span),
	    w->heartbeat_age_ms));
	if (w->attached)
		table_set(table, 11, "%s",
		    proc_command(w->pid, name, sizeof(name)));
}

/* The workers, or else the processes that attached; of these nothing if there
 * are none. */
static bool
print_workers(const struct mews_view *view,
    const struct mews_view_fleet *fleet, bool attached, FILE *out)
{
	static const struct table_column columns[] = {
		{ "slot", true }, { "pid", true }, { "state", false },
		{ "up", true }, { "requests", true }, { "queries", true },
		{ "errors", true }, { "waiting", true },
		{ "in flight", true }, { "connections", true },
		{ "heartbeat", true }, { "attached", false },
		{ NULL, false },
	};
	struct table		table;
	struct mews_view_worker w;
	bool			complete = true;

	table_init(&table, columns);
	if (!attached)
		table.column_count--;
	for (uint32_t i = 0; complete && i < fleet->slot_count; i++)
		if (mews_view_worker(view, i, &w, sizeof(w)) &&
		    w.attached == attached &&
		    (complete = table_add_row(&table)))
			set_worker(&table, i, &w, fleet->endpoint_count);
	if (attached && table.row_count > 0)
		fputc('\n', out);
	if (!attached || table.row_count > 0)
		table_print(&table, out);
	table_free(&table);
	return complete;
}

static bool
print_for_people(const struct mews_view *view,
    const struct mews_view_fleet *fleet, bool alive, FILE *out)
{
	bool complete;

	print_fleet(view, fleet, alive, out);
	fputc('\n', out);
	complete = print_endpoints(view, fleet->endpoint_count, out);
	fputc('\n', out);
	complete = print_workers(view, fleet, false, out) && complete;
	return print_workers(view, fleet, true, out) && complete;
}

/*
 * For programs.
 */

static void
json_endpoint(FILE *out, const struct mews_view_endpoint *e)
{
	int64_t lag_ms = status_lag_ms(e);

	fputs("{\"name\":", out);
	json_string(out, e->name);
	fputs(",\"state\":", out);
	json_string(out, e->state);
	fputs(",\"role\":", out);
	json_string(out, e->role);
	fprintf(out, ",\"epoch\":%" PRIu32 ",\"failures\":%" PRIu32
	    ",\"retry_in_ms\":%" PRIu32 ",\"reason\":", e->epoch, e->failures,
	    e->retry_in_ms);
	json_string(out, e->reason);
	fprintf(out, ",\"connections\":%" PRIu32 ",\"max_connections\":%" PRIu32
	    ",\"limit\":%" PRIu32 ",\"queued\":%" PRIu32
	    ",\"rtt_us\":%" PRIu32
	    ",\"timeline\":%" PRIu32 ",\"admin\":\"%s\",\"outdated\":%s",
	    e->connections, e->max_connections, e->cap, e->queued, e->rtt_us,
	    e->timeline, e->drained ? "drained" : "enabled",
	    e->outdated ? "true" : "false");
	json_known(out, "lag_ms", lag_ms, lag_ms >= 0);
	json_known(out, "lag_bytes", (int64_t)e->lag_bytes, lag_ms >= 0);
	json_known(out, "changed_s", e->changed_ms / 1000, e->changed_ms >= 0);
	json_known(out, "changed_by", e->changed_by, e->changed_by > 0);
	json_known(out, "rejected_s", e->rejected_ms / 1000,
	    e->rejected_ms >= 0);
	fputs(",\"rejected\":", out);
	if (e->rejected_ms >= 0)
		json_string(out, e->refusal);
	else
		fputs("null", out);
	fputc('}', out);
}

static void
json_worker(FILE *out, const struct mews_view *view, uint32_t slot,
    const struct mews_view_worker *w, uint32_t endpoint_count)
{
	struct mews_view_endpoint e;
	const char		 *comma = "";
	char			  name[32];

	fprintf(out, "{\"slot\":%" PRIu32 ",\"pid\":%jd,\"state\":", slot,
	    (intmax_t)w->pid);
	json_string(out, mews_worker_state_name(w->state));
	fprintf(out, ",\"uptime_s\":%" PRId64 ",\"requests\":%" PRIu64
	    ",\"queries\":%" PRIu64 ",\"errors\":%" PRIu64
	    ",\"waiting\":%" PRIu32 ",\"in_flight\":%" PRIu32
	    ",\"connections\":{", w->uptime_ms / 1000, w->requests,
	    w->queries, w->errors, w->waiting, w->in_flight);
	for (uint32_t i = 0; i < endpoint_count; i++)
		if (mews_view_endpoint(view, i, &e, sizeof(e))) {
			fputs(comma, out);
			comma = ",";
			json_string(out, e.name);
			fprintf(out, ":%" PRIu32, w->connections[i]);
		}
	fprintf(out, "},\"heartbeat_age_ms\":%" PRId64 ",\"attached\":",
	    w->heartbeat_age_ms);
	if (w->attached)
		json_string(out, proc_command(w->pid, name, sizeof(name)));
	else
		fputs("null", out);
	fputc('}', out);
}

static void
print_json(const struct mews_view *view, const struct mews_view_fleet *fleet,
    FILE *out)
{
	struct mews_view_endpoint e;
	struct mews_view_worker	  w;
	const char		 *comma = "";

	fputs("{\"instance\":", out);
	json_string(out, fleet->instance);
	fprintf(out, ",\"master\":{\"pid\":%jd,\"uptime_s\":%" PRId64
	    ",\"generation\":%" PRIu32 "},\"monitor\":{\"pid\":%jd",
	    (intmax_t)fleet->master_pid, fleet->uptime_ms / 1000,
	    fleet->generation, (intmax_t)fleet->monitor_pid);
	json_known(out, "heartbeat_age_ms", fleet->monitor_heartbeat_age_ms,
	    fleet->monitor_pid != 0);
	fputc('}', out);
	fputs(",\"endpoints\":[", out);
	for (uint32_t i = 0; i < fleet->endpoint_count; i++)
		if (mews_view_endpoint(view, i, &e, sizeof(e))) {
			fputs(comma, out);
			comma = ",";
			json_endpoint(out, &e);
		}
	fputs("],\"workers\":[", out);
	comma = "";
	for (uint32_t i = 0; i < fleet->slot_count; i++)
		if (mews_view_worker(view, i, &w, sizeof(w))) {
			fputs(comma, out);
			comma = ",";
			json_worker(out, view, i, &w, fleet->endpoint_count);
		}
	fputc(']', out);
	json_known(out, "damaged_s", fleet->damaged_ms / 1000,
	    fleet->damaged_ms >= 0);
	fputs("}\n", out);
}

void
status_print_json(const struct mews_view *view, FILE *out)
{
	struct mews_view_fleet	fleet;

	mews_view_fleet(view, &fleet, sizeof(fleet));
	print_json(view, &fleet, out);
}

bool
status_print(const struct status_args *args, FILE *out,
    struct mews_error *error)
{
	struct mews_view      *view;
	struct mews_view_fleet fleet;
	char		       instance[MEWS_NAME_MAX + 1] = "";
	bool		       ok;

	if (args->instance != NULL)
		strlcpy(instance, args->instance, sizeof(instance));
	if (!instance_open(&view, &fleet, args->runtime_dir, instance, error))
		return false;
	ok = instance_lives(&fleet, args->runtime_dir, error);
	if (args->json)
		print_json(view, &fleet, out);
	else if (!print_for_people(view, &fleet, ok, out))
		ok = fail(error, "out of memory");
	mews_view_close(&view);
	return ok;
}
