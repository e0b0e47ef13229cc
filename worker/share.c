/*
 * share.c - which worker takes the next client.
 *
 * Only clients that stay are shared: if clients come and go quickly, balancing
 * them only costs time. So the number of passing clients, on an average of the
 * last SPAN_US, is subtracted from the young.
 *
 * A worker is full when it has an eighth more than the worker with the fewest.
 * It looks again each millisecond, as others take and lose clients meanwhile.
 * If a client still waits after LEAVE_LOOKS it is taken, and the workers with
 * the fewest count as absent, as they are stopped, stuck, dead, or too busy:
 * for ABSENT_MS, twice as long each time this happens again, or until they show
 * a sign of life.
 *
 * During that time one worker could take all of a burst of clients, while the
 * others just wait for a processor. So a worker has a credit of clients that it
 * may take because others are absent: two, twice as many for each absence in a
 * row, up to CREDIT_MAX, or to an eighth of its clients. When the credit is
 * used up it waits for the others again.
 */
#include "share.h"

#include <poll.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <time.h>

#define LOOK_S	    .001
#define LEAVE_LOOKS 5	/* 5 ms in all */
#define ABSENT_MS   10	/* the first time */
#define ABSENCES_MAX 7	/* that make the next one longer; to 1280 ms */
#define CREDIT	    2u	/* clients, the first time */
#define CREDIT_MAX  32u
#define SPAN_US	    50000
#define SLOW_MS	    20 /* in an application that blocks */
#define SLOW_FOR_MS 10000
#define CLOSED	    UINT32_MAX /* takes no clients */
#define LINE	    128	/* bytes between words of different writers */
#define LISTENERS_MAX 64 /* looked at; more are taken as if nobody waited */

struct place {
	alignas(LINE) _Atomic uint32_t clients; /* its worker; the master */
	_Atomic int64_t absent; /* until then; any worker */
	_Atomic unsigned absences; /* without a word between; any worker */
	_Atomic bool idle; /* its worker */
};

struct share_table {
	unsigned count;
	_Atomic int64_t slow_until; /* ms: an application blocked a worker */
	struct place places[];
};

/* Of the clients that passed while they were young, in a span of time. */
struct span {
	uint64_t passed, passed_us;
	int64_t length_us;
};

struct share {
	struct share_table *table;
	unsigned number;
	struct ev_loop *ev;
	const int *listeners;
	size_t listener_count;
	void (*resume)(void *arg);
	void *arg;
	ev_timer look; /* active while it leaves clients to others */
	unsigned looks;
	bool overdue; /* a client waited long enough: take the next */
	uint32_t clients; /* that count, as it told */
	uint32_t credit; /* clients, until others are waited for again */
	int64_t busy_since; /* ms; while its place is not idle */
	int64_t span_at; /* us: its start */
	struct span now, before;
	uint64_t passed, passed_us; /* as told when the span began */
};

struct share_table *
share_table_make(unsigned places)
{
	struct share_table *table;
	size_t size = sizeof(*table) + places * sizeof(struct place);

	table = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (table == MAP_FAILED)
		return NULL;
	table->count = places;
	for (unsigned i = 0; i < places; i++)
		atomic_init(&table->places[i].clients, CLOSED);
	return table;
}

void
share_table_free(struct share_table **table)
{
	if (*table != NULL)
		munmap(*table, sizeof(**table) +
		    (*table)->count * sizeof(struct place));
	*table = NULL;
}

void
share_table_clear(struct share_table *table, unsigned number)
{
	if (table != NULL && number < table->count)
		atomic_store(&table->places[number].clients, CLOSED);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The fewest clients of another worker; CLOSED: there is none. */
struct least {
	uint32_t all;	  /* of all */
	uint32_t present; /* of those who are not absent */
};

static bool
is_absent(const struct place *place, int64_t now)
{
	return atomic_load_explicit(&place->absent, memory_order_relaxed) > now;
}

static struct least
least_clients(const struct share *share, int64_t now)
{
	struct least	    least = { CLOSED, CLOSED };
	const struct place *place;
	uint32_t	    clients;

	for (unsigned i = 0; i < share->table->count; i++) {
		place = &share->table->places[i];
		if (i == share->number)
			continue;
		clients = atomic_load_explicit(&place->clients,
		    memory_order_relaxed);
		least.all = MIN(least.all, clients);
		if (!is_absent(place, now))
			least.present = MIN(least.present, clients);
	}
	return least;
}

/* The least that counts for this worker. */
static uint32_t
least_counted(const struct share *share, struct least least)
{
	return share->credit > 0 ? least.present : least.all;
}

static bool
has_more(const struct share *share, uint32_t least)
{
	return least != CLOSED &&
	    share->clients > (uint64_t)least + least / 8;
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Begin a new span if the last one is over. */
static void
turn_span(struct share *share, const struct share_clients *clients)
{
	const int64_t now = now_us(), passed = now - share->span_at;

	share->now.length_us = passed;
	share->now.passed = clients->passed - share->passed;
	share->now.passed_us = clients->passed_us - share->passed_us;
	if (passed < SPAN_US)
		return;
	share->before = passed < 2 * SPAN_US ? share->now :
	    (struct span){ .passed = 0 };
	share->now = (struct span){ .passed = 0 };
	share->span_at = now;
	share->passed = clients->passed;
	share->passed_us = clients->passed_us;
}

/* How many passing clients are connected at a time, on average, and one more;
 * 0: none pass. */
static uint32_t
passing(const struct share *share)
{
	const int64_t length_us = share->before.length_us +
	    share->now.length_us;

	if (share->before.passed + share->now.passed == 0)
		return 0;
	return (uint32_t)((share->before.passed_us + share->now.passed_us) /
	    (uint64_t)MAX(length_us, SPAN_US)) + 1;
}

static bool
is_full(struct share *share)
{
	return has_more(share, least_counted(share, least_clients(share,
	    now_ms())));
}

/* Charge the credit, if a client was taken because others are absent. */
static void
pay(struct share *share)
{
	if (!has_more(share, least_clients(share, now_ms()).all))
		share->credit = 0;
	else if (share->credit > 0)
		share->credit--;
}

static bool
somebody_waits(const struct share *share)
{
	struct pollfd fds[LISTENERS_MAX];
	nfds_t count = 0;

	for (; count < share->listener_count && count < LISTENERS_MAX; count++)
		fds[count] = (struct pollfd){ .fd = share->listeners[count],
			.events = POLLIN };
	return poll(fds, count, 0) > 0;
}

/* A client was left waiting: mark the workers with the fewest clients
 * absent. */
static void
mark_absent(struct share *share)
{
	const int64_t  now = now_ms();
	const uint32_t least = least_counted(share, least_clients(share, now));
	unsigned absences, most = 0;
	struct place *place;

	for (unsigned i = 0; i < share->table->count; i++) {
		place = &share->table->places[i];
		if (i == share->number || atomic_load_explicit(&place->clients,
			memory_order_relaxed) != least ||
		    (share->credit > 0 && is_absent(place, now)))
			continue;
		absences = atomic_fetch_add_explicit(&place->absences, 1,
		    memory_order_relaxed);
		absences = MIN(absences, ABSENCES_MAX);
		most = MAX(most, absences);
		atomic_store_explicit(&place->absent,
		    now + (ABSENT_MS << absences), memory_order_relaxed);
	}
	share->credit = MIN(CREDIT << most,
	    MAX(CREDIT_MAX, share->clients / 8));
}

static void
on_look(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct share *share = timer->data;

	(void)revents;
	if (++share->looks < LEAVE_LOOKS && is_full(share))
		return;
	ev_timer_stop(ev, timer);
	if (is_full(share) && somebody_waits(share)) {
		mark_absent(share);
		share->overdue = true;
	}
	share->resume(share->arg);
}

bool
share_takes(struct share *share)
{
	if (share->table == NULL)
		return true;
	if (share->overdue || !is_full(share)) {
		share->overdue = false;
		pay(share);
		return true;
	}
	share->looks = 0;
	ev_timer_again(share->ev, &share->look);
	return false;
}

bool
share_waits(const struct share *share)
{
	return share != NULL && ev_is_active(&share->look);
}

void
share_tell(struct share *share, const struct share_clients *clients)
{
	struct place *place;

	if (share == NULL || share->table == NULL)
		return;
	turn_span(share, clients);
	share->clients = clients->settled +
	    clients->young - MIN(clients->young, passing(share));
	place = &share->table->places[share->number];
	atomic_store_explicit(&place->clients,
	    clients->room ? share->clients : CLOSED, memory_order_relaxed);
	atomic_store_explicit(&place->absent, 0, memory_order_relaxed);
	atomic_store_explicit(&place->absences, 0, memory_order_relaxed);
}

struct share *
share_open(struct share_table *table, unsigned number, struct ev_loop *ev,
    const int *listeners, size_t listener_count, void (*resume)(void *arg),
    void *arg)
{
	size_t places = table == NULL ? 0 : table->count;
	struct share *share;

	if ((share = calloc(1, sizeof(*share))) == NULL)
		return NULL;
	share->table = number < places ? table : NULL;
	share->number = number;
	share->ev = ev;
	share->listeners = listeners;
	share->listener_count = listener_count;
	share->resume = resume;
	share->arg = arg;
	ev_timer_init(&share->look, on_look, LOOK_S, LOOK_S);
	share->look.data = share;
	share_tell(share, &(struct share_clients){ .room = true });
	return share;
}

void
share_close(struct share **sharep)
{
	struct share *share = *sharep;

	*sharep = NULL;
	if (share == NULL)
		return;
	share_tell(share, &(struct share_clients){ .room = false });
	ev_timer_stop(share->ev, &share->look);
	free(share);
}

void
share_idle(struct share *share, bool idle)
{
	int64_t now;

	if (share == NULL || share->table == NULL)
		return;
	now = now_ms();
	if (!idle)
		share->busy_since = now;
	else if (now - share->busy_since > SLOW_MS)
		atomic_store_explicit(&share->table->slow_until,
		    now + SLOW_FOR_MS, memory_order_relaxed);
	atomic_store_explicit(&share->table->places[share->number].idle, idle,
	    memory_order_relaxed);
}

bool
share_hands_over(const struct share *share)
{
	struct place *place;
	int64_t now;

	if (share == NULL || share->table == NULL)
		return false;
	now = now_ms();
	if (atomic_load_explicit(&share->table->slow_until,
		memory_order_relaxed) < now)
		return false;
	for (unsigned i = 0; i < share->table->count; i++) {
		place = &share->table->places[i];
		if (i != share->number &&
		    atomic_load_explicit(&place->idle, memory_order_relaxed) &&
		    atomic_load_explicit(&place->clients,
			memory_order_relaxed) != CLOSED &&
		    !is_absent(place, now))
			return true;
	}
	return false;
}
