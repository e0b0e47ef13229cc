/*
 * event.c - the ring of events: written by all, read by anybody.
 */
#include "fleet/event.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static void
copy(char *to, size_t size, const char *from)
{
	size_t	length = strnlen(from, size - 1);

	memcpy(to, from, length);
	memset(to + length, 0, size - length);
}

void
event_add(struct events *events, uint32_t level, const char *name,
    const char *text)
{
	uint64_t	 ticket = atomic_fetch_add(&events->last, 1) + 1;
	struct event	*e = &events->ring[ticket % EVENT_RING];
	struct timespec	 now;

	clock_gettime(CLOCK_REALTIME, &now);
	atomic_store(&e->ticket, 0);
	e->time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	e->pid = (int32_t)getpid();
	e->level = level;
	copy(e->name, sizeof(e->name), name);
	copy(e->text, sizeof(e->text), text);
	atomic_store(&e->ticket, ticket);
}

bool
event_get(const struct events *events, uint64_t ticket,
    struct mews_event *out)
{
	const struct event	*e = &events->ring[ticket % EVENT_RING];

	if (ticket == 0 || atomic_load(&e->ticket) != ticket)
		return false;
	*out = (struct mews_event) {
		.ticket = ticket, .time_ms = e->time_ms, .pid = e->pid,
		.level = e->level <= MEWS_LOG_ERROR ?
		    (enum mews_log_level)e->level : MEWS_LOG_INFO,
	};
	copy(out->name, sizeof(out->name), e->name);
	copy(out->text, sizeof(out->text), e->text);
	atomic_thread_fence(memory_order_acquire);
	return atomic_load(&e->ticket) == ticket;
}
