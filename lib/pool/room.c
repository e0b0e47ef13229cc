/*
 * room.c - replacing one connection by another, at a group's limit.
 */
#include "pool/room.h"

#include "pool/grow.h"

/* The connection to give up for one to @endpoint, of @tier, which has @own: the
 * one with the least in flight. NULL: none may go. */
static struct conn *
find_replaced(const struct mews_group *group, uint32_t endpoint, uint32_t own,
    struct tier tier)
{
	uint32_t	 share = group->config->connection_count /
		    (uint32_t)(tier.to - tier.from);
	struct conn	*conn, *leaver = NULL;

	for (uint32_t i = 0; i < group->pool->fleet->config->endpoint_count;
	    i++) {
		bool	peer = false;

		for (uint32_t k = tier.from; k < tier.to; k++)
			peer = peer || group->route.endpoint[k] == i;
		TAILQ_FOREACH (conn, &group->on[i].conns, link) {
			/* One at a time. */
			if (conn->retiring)
				return NULL;
			if (i == endpoint || conn->state != CONN_READY ||
			    (peer && (group->on[i].count <= share ||
				own >= share)))
				continue;
			if (leaver == NULL ||
			    conn->in_flight < leaver->in_flight)
				leaver = conn;
		}
	}
	return leaver;
}

void
room_make(struct mews_group *group, uint32_t endpoint, struct tier tier)
{
	struct group_endpoint	*on = &group->on[endpoint];

	if (group->mover != NULL ||
	    group->terms.count > group->config->connection_count ||
	    find_replaced(group, endpoint, on->count, tier) == NULL ||
	    !grow_dial(group, endpoint))
		return;
	group->mover = TAILQ_LAST(&on->conns, conn_list);
	group->makes_room = true;
}

void
room_made(struct conn *conn)
{
	struct mews_group *group = conn->group;
	struct conn	  *leaver = NULL;
	struct tier	   tier = { 0 };

	group->mover = NULL;
	group->makes_room = false;
	/* Other connections may have ended meanwhile. */
	if (group->terms.count <= group->config->connection_count)
		return;
	while (route_next_tier(&group->route, &tier))
		for (uint32_t i = tier.from; i < tier.to; i++)
			if (group->route.endpoint[i] == conn->endpoint)
				leaver = find_replaced(group, conn->endpoint,
				    conn->on->count - 1, tier);
	conn_retire(leaver != NULL ? leaver : conn);
}
