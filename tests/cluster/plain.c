/*
 * plain.c - groups for ordinary queries; see plain.h.
 */
#include "plain.h"

static const struct mews_group_config groups[] = {
	{ .name = "read", .queue = 20000 },
	{ .name = "write", .role = MEWS_GROUP_PRIMARY, .queue = 20000 },
	{ .name = "one", .role = MEWS_GROUP_PRIMARY, .connection_count = 1 },
	{ .name = "narrow", .role = MEWS_GROUP_PREFER_STANDBY,
	  .connection_count = 2, .pipeline = 1, .queue = 20000 },
	{ .name = "single", .role = MEWS_GROUP_PRIMARY, .connection_count = 1,
	  .pipeline = 1 },
};

void
plain_prepare(void)
{
	cluster_prepare(groups, CLUSTER_COUNT(groups));
}

void
plain_open(void)
{
	cluster_open(groups, CLUSTER_COUNT(groups));
}
