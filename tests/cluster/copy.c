/*
 * copy.c - what the tests of COPY share; see copy.h.
 */
#include "copy.h"

#include <stdio.h>
#include <string.h>

static const struct mews_group_config groups[] = {
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .connection_count = 1 },
	{ .name = "two", .role = MEWS_GROUP_PRIMARY, .connection_count = 2 },
	{ .name = "manual", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .autocommit = MEWS_SWITCH_OFF },
	{ .name = "read", .role = MEWS_GROUP_STANDBY, .connection_count = 1 },
	{ .name = "hasty", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .query_timeout = 400 },
};

/* Have sanitizers keep no freed memory, as tests measure how much is used. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "quarantine_size_mb=1";
}

void
open_pool(void)
{
	cluster_open(groups, CLUSTER_COUNT(groups));
	cluster_ask("a", "set client_min_messages = warning; "
	    "drop table if exists copied; "
	    "create table copied (id int not null, note text)");
}

const char *
stored(void)
{
	return cluster_ask("a", "select count(*) from copied");
}

long
resident(void)
{
	FILE   *file = fopen("/proc/self/statm", "r");
	long	size, pages;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%ld %ld", &size, &pages), 2);
	fclose(file);
	return pages * 4;
}

void
on_end(void *arg, const struct mews_result *result)
{
	struct stream	*stream = arg;
	PGresult	*pg = (PGresult *)(uintptr_t)mews_result_pg(result);

	cluster_note(&stream->end, result);
	if (pg != NULL)
		snprintf(stream->rows, sizeof(stream->rows), "%s",
		    PQcmdTuples(pg));
}

enum mews_flow
on_data(void *arg, const void *data, size_t length)
{
	struct stream	*stream = arg;
	const char	*line = data;

	stream->pieces++;
	stream->bytes += length;
	/* Tested without check, each assertion of which costs a system call. */
	if (stream->end.calls != 0 || line[length] != '\0' || length == 0)
		ck_abort_msg("piece %ld is wrong", stream->pieces);
	if (strtol(line, NULL, 10) != stream->pieces)
		stream->ordered = false;
	if (stream->pieces % 10000 == 0 && resident() > stream->most)
		stream->most = resident();
	if (stream->stop_at != 0 && stream->pieces >= stream->stop_at)
		return MEWS_FLOW_STOP;
	if (stream->pause_at == 0 || stream->pieces % stream->pause_at != 0)
		return MEWS_FLOW_GO;
	if (stream->end_lease)
		mews_lease_end(&stream->lease);
	return MEWS_FLOW_PAUSE;
}

void
begin_out(struct stream *stream, const char *group, const char *sql)
{
	stream->ordered = true;
	if (stream->lease == NULL)
		stream->lease = cluster_lease(cluster_group(group));
	ck_assert_msg(mews_copy_out(stream->lease, sql, on_data, on_end,
	    stream, &stream->end.id) == MEWS_OK, "%s",
	    mews_group_message(cluster_group(group)));
}

/* Put rows until there are no more, or there is no room. */
static enum mews_status
put_rows(struct stream *stream)
{
	enum mews_status	status = MEWS_OK;

	while (status == MEWS_OK && stream->was_put < stream->to_put) {
		char	line[1100];
		int	length = snprintf(line, sizeof(line), "%ld\t%s\n",
		    stream->was_put + 1, stream->note);

		status = mews_copy_put(stream->lease, line, (size_t)length);
		if (status == MEWS_OK) {
			stream->was_put++;
			stream->bytes += (size_t)length;
		}
		if (stream->was_put % 10000 == 0 && resident() > stream->most)
			stream->most = resident();
	}
	return status;
}

void
on_room(void *arg)
{
	struct stream	*stream = arg;

	stream->rooms++;
	if (stream->to_put >= 0 && put_rows(stream) == MEWS_OK)
		ck_assert_int_eq(mews_copy_end(stream->lease, NULL), MEWS_OK);
}

void
begin_in(struct stream *stream, const char *group)
{
	if (stream->note == NULL)
		stream->note = "x";
	if (stream->lease == NULL)
		stream->lease = cluster_lease(cluster_group(group));
	ck_assert_msg(mews_copy_in(stream->lease, "copy copied from stdin",
	    on_room, on_end, stream, &stream->end.id) == MEWS_OK, "%s",
	    mews_group_message(cluster_group(group)));
}

enum mews_status
put(struct stream *stream, const char *text)
{
	return mews_copy_put(stream->lease, text, strlen(text));
}

const char *
backend(struct mews_lease *lease)
{
	static struct asked	asked;

	asked = cluster_on_lease(lease, "select pg_backend_pid()");
	ck_assert_msg(asked.status == MEWS_OK, "%s", asked.message);
	return asked.value;
}

bool
server_waits(const char *pid, const char *event)
{
	char	sql[160];

	snprintf(sql, sizeof(sql), "select wait_event = '%s' from "
	    "pg_stat_activity where pid = %s", event, pid);
	return strcmp(cluster_ask("a", sql), "t") == 0;
}
