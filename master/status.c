/*
 * status.c - mews status: show a fleet from outside.
 *
 * Asks nobody: it reads the segment, so it works while the fleet hangs, and
 * disturbs nobody. Whether the master lives is told by the lock on its pid
 * file, as its pid may have become somebody else's.
 */
#include "status.h"

#include "config.h"
#include "fail.h"
#include "runtime.h"
#include "table.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <mews/view.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_SUFFIX ".segment"

/* "a" of "a.segment"; false if it is no segment's name. */
static bool
instance_of_file(const char *file, char *instance, size_t size)
{
	size_t length = strlen(file), suffix = strlen(SEGMENT_SUFFIX);

	if (length <= suffix || length - suffix >= size ||
	    strcmp(file + length - suffix, SEGMENT_SUFFIX) != 0)
		return false;
	strlcpy(instance, file, length - suffix + 1);
	return true;
}

/* The only instance of a directory, as an empty name stands for it. */
static bool
instance_find(const char *dir, char *instance, size_t size,
    struct mews_error *error)
{
	struct dirent **files;
	char		list[256] = "";
	int		file_count, count = 0;

	if ((file_count = scandir(dir, &files, NULL, alphasort)) < 0)
		return fail(error, "%s: %s", dir, strerror(errno));
	for (int i = 0; i < file_count; i++) {
		if (instance_of_file(files[i]->d_name, instance, size)) {
			strlcat(list, count++ > 0 ? ", " : "", sizeof(list));
			strlcat(list, instance, sizeof(list));
		}
		free(files[i]);
	}
	free(files);
	if (count == 0)
		return fail(error, "%s: no fleet has its segment here", dir);
	if (count > 1)
		return fail(error, "%s: --instance NAME must be one of %s",
		    dir, list);
	strlcpy(instance, list, size);
	return true;
}

/* A host that embeds the library has no pid file, and perhaps no master. */
static bool
master_lives(const char *runtime_dir, const struct mews_view_fleet *fleet)
{
	char *path = config_pid_path(runtime_dir, fleet->instance);
	bool  lives;

	if (path != NULL && access(path, R_OK) == 0)
		lives = runtime_owner(path) != RUNTIME_NOBODY;
	else
		lives = fleet->master_pid == 0 ||
		    kill(fleet->master_pid, 0) == 0 || errno == EPERM;
	free(path);
	return lives;
}

/*
 * For people.
 */

/* "950ms", "12.3s", "5m10s", "7h05m", "3d04h"; "-" for what is not. */
static const char *
span_text(char *buffer, size_t size, int64_t ms)
{
	int64_t s = ms / 1000;

	if (ms < 0)
		strlcpy(buffer, "-", size);
	else if (ms < 1000)
		snprintf(buffer, size, "%" PRId64 "ms", ms);
	else if (s < 60)
		snprintf(buffer, size, "%" PRId64 ".%" PRId64 "s", s,
		    ms / 100 % 10);
	else if (s < 3600)
		snprintf(buffer, size, "%" PRId64 "m%02" PRId64 "s", s / 60,
		    s % 60);
	else if (s < 86400)
		snprintf(buffer, size, "%" PRId64 "h%02" PRId64 "m", s / 3600,
		    s / 60 % 60);
	else
		snprintf(buffer, size, "%" PRId64 "d%02" PRId64 "h",
		    s / 86400, s / 3600 % 24);
	return buffer;
}

static uint32_t
sum_connections(const struct mews_view_worker *worker, uint32_t endpoint_count)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < endpoint_count; i++)
		sum += worker->connections[i];
	return sum;
}

static void
print_fleet(const struct mews_view *view, const struct mews_view_fleet *fleet,
    bool alive, FILE *out)
{
	struct mews_view_worker worker;
	unsigned		ready = 0, all = 0;
	char			span[32];

	for (uint32_t i = 0; i < fleet->slot_count; i++)
		if (mews_view_worker(view, i, &worker)) {
			all++;
			ready += worker.state == MEWS_WORKER_READY;
		}
	fprintf(out, "fleet %s: ", fleet->instance);
	if (fleet->master_pid == 0)
		fprintf(out, "no master");
	else
		fprintf(out, "master %jd%s", (intmax_t)fleet->master_pid,
		    alive ? "" : " IS DEAD");
	fprintf(out, ", up %s, generation %" PRIu32 ", %u workers, %u ready\n",
	    span_text(span, sizeof(span), fleet->uptime_ms),
	    fleet->generation, all, ready);
}

static bool
print_endpoints(const struct mews_view *view, uint32_t count, FILE *out)
{
	static const struct table_column columns[] = {
		{ "endpoint", false }, { "state", false }, { "role", false },
		{ "connections", true }, { "epoch", true },
		{ "failures", true }, { "retry in", true },
		{ "last evidence", false }, { "", true },
		{ NULL, false },
	};
	struct table		  table;
	struct mews_view_endpoint e;
	char			  span[32];
	bool			  complete = true;

	table_init(&table, columns);
	for (uint32_t i = 0; complete && i < count; i++) {
		if (!mews_view_endpoint(view, i, &e))
			continue;
		if (!(complete = table_add_row(&table)))
			break;
		table_set(&table, 0, "%s", e.name);
		table_set(&table, 1, "%s", e.state);
		table_set(&table, 2, "%s", e.role);
		if (e.max_connections != 0)
			table_set(&table, 3, "%" PRIu32 "/%" PRIu32,
			    e.connections, e.max_connections);
		else
			table_set(&table, 3, "%" PRIu32, e.connections);
		table_set(&table, 4, "%" PRIu32, e.epoch);
		table_set(&table, 5, "%" PRIu32, e.failures);
		table_set(&table, 6, "%s", span_text(span, sizeof(span),
		    e.retry_in_ms != 0 ? (int64_t)e.retry_in_ms : -1));
		table_set(&table, 7, "%s", e.reason);
		if (e.changed_ms >= 0)
			table_set(&table, 8, "%s ago",
			    span_text(span, sizeof(span), e.changed_ms));
	}
	table_print(&table, out);
	table_free(&table);
	return complete;
}

static bool
print_workers(const struct mews_view *view,
    const struct mews_view_fleet *fleet, FILE *out)
{
	static const struct table_column columns[] = {
		{ "slot", true }, { "pid", true }, { "state", false },
		{ "up", true }, { "requests", true }, { "queries", true },
		{ "errors", true }, { "waiting", true },
		{ "in flight", true }, { "connections", true },
		{ "heartbeat", true }, { NULL, false },
	};
	struct table		table;
	struct mews_view_worker w;
	char			span[32];
	bool			complete = true;

	table_init(&table, columns);
	for (uint32_t i = 0; complete && i < fleet->slot_count; i++) {
		if (!mews_view_worker(view, i, &w))
			continue;
		if (!(complete = table_add_row(&table)))
			break;
		table_set(&table, 0, "%" PRIu32, i);
		table_set(&table, 1, "%jd", (intmax_t)w.pid);
		table_set(&table, 2, "%s", mews_worker_state_name(w.state));
		table_set(&table, 3, "%s",
		    span_text(span, sizeof(span), w.uptime_ms));
		table_set(&table, 4, "%" PRIu64, w.requests);
		table_set(&table, 5, "%" PRIu64, w.queries);
		table_set(&table, 6, "%" PRIu64, w.errors);
		table_set(&table, 7, "%" PRIu32, w.waiting);
		table_set(&table, 8, "%" PRIu32, w.in_flight);
		table_set(&table, 9, "%" PRIu32,
		    sum_connections(&w, fleet->endpoint_count));
		table_set(&table, 10, "%s",
		    span_text(span, sizeof(span), w.heartbeat_age_ms));
	}
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
	return print_workers(view, fleet, out) && complete;
}

/*
 * For programs.
 */

static void
json_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void
json_endpoint(FILE *out, const struct mews_view_endpoint *e)
{
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
	    "}", e->connections, e->max_connections);
}

static void
json_worker(FILE *out, const struct mews_view *view, uint32_t slot,
    const struct mews_view_worker *w, uint32_t endpoint_count)
{
	struct mews_view_endpoint e;
	const char		 *comma = "";

	fprintf(out, "{\"slot\":%" PRIu32 ",\"pid\":%jd,\"state\":", slot,
	    (intmax_t)w->pid);
	json_string(out, mews_worker_state_name(w->state));
	fprintf(out, ",\"uptime_s\":%" PRId64 ",\"requests\":%" PRIu64
	    ",\"queries\":%" PRIu64 ",\"errors\":%" PRIu64
	    ",\"waiting\":%" PRIu32 ",\"in_flight\":%" PRIu32
	    ",\"connections\":{", w->uptime_ms / 1000, w->requests,
	    w->queries, w->errors, w->waiting, w->in_flight);
	for (uint32_t i = 0; i < endpoint_count; i++)
		if (mews_view_endpoint(view, i, &e)) {
			fputs(comma, out);
			comma = ",";
			json_string(out, e.name);
			fprintf(out, ":%" PRIu32, w->connections[i]);
		}
	fprintf(out, "},\"heartbeat_age_ms\":%" PRId64 "}",
	    w->heartbeat_age_ms);
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
	    ",\"generation\":%" PRIu32 "},\"endpoints\":[",
	    (intmax_t)fleet->master_pid, fleet->uptime_ms / 1000,
	    fleet->generation);
	for (uint32_t i = 0; i < fleet->endpoint_count; i++)
		if (mews_view_endpoint(view, i, &e)) {
			fputs(comma, out);
			comma = ",";
			json_endpoint(out, &e);
		}
	fputs("],\"workers\":[", out);
	comma = "";
	for (uint32_t i = 0; i < fleet->slot_count; i++)
		if (mews_view_worker(view, i, &w)) {
			fputs(comma, out);
			comma = ",";
			json_worker(out, view, i, &w, fleet->endpoint_count);
		}
	fputs("]}\n", out);
}

static bool
status_open(struct mews_view **view, struct mews_view_fleet *fleet,
    const char *runtime_dir, const char *instance, struct mews_error *error)
{
	char		 *path = config_segment_path(runtime_dir, instance);
	struct mews_error why;
	bool		  same = false;

	if (path == NULL)
		return fail(error, "out of memory");
	if (mews_view_open(view, path, &why) != MEWS_OK) {
		fail(error, "instance %s: %s", instance, why.message);
	} else {
		mews_view_fleet(*view, fleet);
		same = strcmp(fleet->instance, instance) == 0;
	}
	if (*view != NULL && !same) {
		mews_view_close(view);
		fail(error, "%s: belongs to instance \"%s\"", path,
		    fleet->instance);
	}
	free(path);
	return same;
}

bool
status_print(const struct status_args *args, FILE *out,
    struct mews_error *error)
{
	struct mews_view      *view = NULL;
	struct mews_view_fleet fleet;
	char		       only[MEWS_NAME_MAX + 1];
	const char	      *instance = args->instance;
	bool		       ok = true;

	if (instance == NULL) {
		if (!instance_find(args->runtime_dir, only, sizeof(only),
			error))
			return false;
		instance = only;
	}
	if (!status_open(&view, &fleet, args->runtime_dir, instance, error))
		return false;
	if (!master_lives(args->runtime_dir, &fleet))
		ok = fail(error, "instance %s: its master, pid %jd, is dead",
		    instance, (intmax_t)fleet.master_pid);
	if (args->json)
		print_json(view, &fleet, out);
	else if (!print_for_people(view, &fleet, ok, out))
		ok = fail(error, "out of memory");
	mews_view_close(&view);
	return ok;
}
