/*
 * ledger.c - the shared record of a run; see ledger.h.
 */
#include "ledger.h"

#include <err.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

struct ledger *
ledger_map(void)
{
	struct ledger	*ledger = mmap(NULL, sizeof(*ledger),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (ledger == MAP_FAILED)
		err(1, "mmap");
	return ledger;
}

void
ledger_unmap(struct ledger **ledger)
{
	if (*ledger != NULL)
		munmap(*ledger, sizeof(**ledger));
	*ledger = NULL;
}

void
ledger_arm(struct ledger *ledger)
{
	for (int i = 0; i < LEDGER_ENDPOINTS; i++) {
		struct story *story = &ledger->stories[i];

		atomic_store(&story->left_up_us, 0);
		atomic_store(&story->down_us, 0);
		atomic_store(&story->up_us, 0);
		atomic_store(&story->first_pick_us, 0);
		atomic_store(&story->last_pick_us, 0);
		atomic_store(&story->last_write_us, 0);
		atomic_store(&story->last_dial_us, 0);
		atomic_store(&story->probes, 0);
	}
}

uint32_t
ledger_count(const struct ledger *ledger)
{
	unsigned	count = atomic_load(&ledger->count);

	return count < LEDGER_REQUESTS ? count : LEDGER_REQUESTS;
}

struct request *
ledger_add(struct ledger *ledger)
{
	unsigned	at = atomic_fetch_add(&ledger->count, 1);

	return at < LEDGER_REQUESTS ? &ledger->requests[at] : NULL;
}

int64_t
ledger_now(void)
{
	struct timespec	ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
