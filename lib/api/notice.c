/*
 * notice.c - the doors of notices: who hears them.
 */
#include "wire/lease.h"
#include "pool/group.h"

enum mews_status
mews_pool_set_notice(struct mews_pool *pool, mews_notice_fn *fn, void *arg)
{
	if (!pool_admit_given(pool))
		return MEWS_INVALID;
	pool->wire.on_notice = fn;
	pool->wire.notice_arg = arg;
	return MEWS_OK;
}

enum mews_status
mews_lease_set_notice(struct mews_lease *lease, mews_notice_fn *fn, void *arg)
{
	if (lease_checked(lease)->group == NULL)
		return MEWS_INVALID;
	if (!pool_admit(lease->group->pool))
		return refuse_foreign(&lease->group->why);
	lease->on_notice = fn;
	lease->notice_arg = arg;
	return MEWS_OK;
}
