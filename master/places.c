/*
 * places.c - adding and giving up places in the table of workers.
 */
#include "places.h"

#include "workers.h"

#define GRACE_MARGIN_MS 1000 /* beyond a worker's own graceful_timeout */

struct process *
places_add(struct workers *workers)
{
	unsigned number = process_number(&workers->list, 0);

	while (workers->taken != NULL &&
	    workers->taken(workers->child_arg, number))
		number = process_number(&workers->list, number + 1);
	return process_add_as(&workers->list, number);
}

void
places_retire(struct workers *workers, struct process *p, int signal,
    int64_t kill_at)
{
	p->retired = true;
	if (p->state == PROCESS_ABSENT)
		process_remove(&workers->list, p);
	else
		process_stop(p, signal, kill_at);
}

int64_t
places_patience(const struct workers *workers)
{
	uint32_t grace = workers->config->graceful_timeout;

	return grace == MEWS_FOREVER ? PROCESS_NEVER :
				       (int64_t)grace + GRACE_MARGIN_MS;
}
