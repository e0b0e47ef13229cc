/*
 * load.c - queries that never end; see load.h.
 */
#include "load.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

struct one {
	struct load *load;
	int id;
};

static void load_send(struct load *load);

static void
answered(void *arg, const struct mews_result *result)
{
	struct one		*one = arg;
	struct load		*load = one->load;
	enum mews_status	 status = mews_result_status(result);
	const char		*endpoint = mews_result_endpoint(result);

	ck_assert_int_eq(load->ends[one->id], -1);
	load->ends[one->id] = (signed char)status;
	load->count[status]++;
	load->under_way--;
	if (status == MEWS_OK)
		load->on[endpoint[0] - 'a']++;
	else
		snprintf(load->message, sizeof(load->message), "%s: %s",
		    mews_status_name(status), mews_result_message(result));
	free(one);
	if (!load->stop)
		load_send(load);
}

static void
load_send(struct load *load)
{
	struct one	       *one = malloc(sizeof(*one));
	struct mews_param	param;
	struct mews_query_args	args = { .sql = load->sql, .params = &param,
		.param_count = 1 };

	ck_assert_ptr_nonnull(one);
	*one = (struct one) { load, load->ids++ };
	ck_assert_int_lt(one->id, LOAD_IDS);
	param = mews_param_int_text(one->id);
	load->under_way++;
	ck_assert_msg(mews_query_send(load->group, &args, answered, one,
	    NULL) == MEWS_OK, "%s", mews_group_message(load->group));
}

struct load *
load_new(void)
{
	struct load	*load = calloc(1, sizeof(*load));

	ck_assert_ptr_nonnull(load);
	return load;
}

void
load_start(struct load *load, const char *group, const char *sql)
{
	memset(load, 0, sizeof(*load));
	memset(load->ends, -1, sizeof(load->ends));
	load->group = cluster_group(group);
	load->sql = sql;
	for (int i = 0; i < LOAD_WIDTH; i++)
		load_send(load);
}

void
load_stop(struct load *load)
{
	load->stop = true;
	CLUSTER_WAIT(load->under_way == 0);
}

int
load_answers(const struct load *load)
{
	int	sum = 0;

	for (size_t i = 0; i < CLUSTER_COUNT(load->count); i++)
		sum += load->count[i];
	return sum;
}

int
load_failed(const struct load *load)
{
	return load_answers(load) - load->count[MEWS_OK];
}
