/*
 * kept.c - groups for leases and a table of what was committed; see kept.h.
 */
#include "kept.h"

#include "unit.h"

static const struct mews_group_config groups[] = {
	{ .name = "manual", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .autocommit = MEWS_SWITCH_OFF },
	{ .name = "auto", .role = MEWS_GROUP_PRIMARY, .connection_count = 1 },
	{ .name = "two", .role = MEWS_GROUP_PRIMARY, .connection_count = 2 },
	{ .name = "brief", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .autocommit = MEWS_SWITCH_OFF, .query_timeout = 300 },
	{ .name = "aging", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .autocommit = MEWS_SWITCH_OFF, .query_timeout = 300,
	  .max_lifetime = 100 },
	{ .name = "read", .role = MEWS_GROUP_STANDBY },
};

void
kept_prepare(void)
{
	cluster_ask("a", "drop table if exists kept;"
	    "create table kept (at serial, id int "
	    "unique deferrable initially deferred)");
	cluster_prepare(groups, CLUSTER_COUNT(groups));
}

void
kept_open(void)
{
	kept_prepare();
	cluster_create();
	cluster_join();
}

const char *
kept_do(struct mews_lease *lease, const char *sql)
{
	static struct asked	asked;

	asked = cluster_on_lease(lease, sql);
	ck_assert_msg(asked.status == MEWS_OK, "%s: %s: %s", sql,
	    mews_status_name(asked.status), asked.message);
	return asked.value;
}
