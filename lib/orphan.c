/*
 * orphan.c - three short lists of backends, without a lock.
 */
#include "orphan.h"

#include <stdio.h>

/* Fill a free entry; the pid last, so that it is whole when it shows. */
static bool
put(struct segment_backend *entry, uint32_t endpoint, uint32_t pid,
    uint32_t since_ms)
{
	if (atomic_load(&entry->pid) != 0)
		return false;
	atomic_store(&entry->endpoint, endpoint);
	atomic_store(&entry->since_ms, since_ms);
	atomic_store(&entry->pid, pid);
	return true;
}

int
orphan_record(struct segment_slot *slot, uint32_t endpoint, uint32_t pid,
    uint32_t now_ms)
{
	for (int i = 0; slot != NULL && i < SEGMENT_BACKENDS; i++)
		if (put(&slot->backends[i], endpoint, pid, now_ms))
			return i;
	return -1;
}

void
orphan_forget(struct segment_slot *slot, int index)
{
	if (slot != NULL && index >= 0)
		atomic_store(&slot->backends[index].pid, 0);
}

void
orphan_adopt(struct segment *segment, const struct segment_slot *slot)
{
	uint32_t	at = 0;

	for (uint32_t i = 0; i < SEGMENT_BACKENDS; i++) {
		const struct segment_backend *b = &slot->backends[i];
		uint32_t		      pid = atomic_load(&b->pid);

		if (pid == 0)
			continue;
		/* A full list: it ends by its own statement_timeout. */
		while (at < SEGMENT_ORPHANS &&
		    !put(&segment->orphans->backends[at],
			atomic_load(&b->endpoint), pid,
			atomic_load(&b->since_ms)))
			at++;
	}
}

bool
orphan_next(struct segment *segment, uint32_t endpoint, const char *name,
    uint32_t now_ms, char sql[ORPHAN_SQL_MAX])
{
	for (uint32_t i = 0; i < SEGMENT_ORPHANS; i++) {
		struct segment_backend *b = &segment->orphans->backends[i];
		uint32_t		pid = atomic_load(&b->pid);
		uint32_t		age;

		if (pid == 0 || atomic_load(&b->endpoint) != endpoint)
			continue;
		age = now_ms - atomic_load(&b->since_ms);
		atomic_store(&b->pid, 0);
		/* The pid may be somebody else's by now: it must have our
		 * name, and have begun when we connected. */
		snprintf(sql, ORPHAN_SQL_MAX,
		    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
		    "WHERE pid = %u AND application_name = %s AND "
		    "state <> 'idle' AND abs(extract(epoch FROM "
		    "clock_timestamp() - backend_start) - %u.%03u) < 2",
		    pid, name, age / 1000, age % 1000);
		return true;
	}
	return false;
}
