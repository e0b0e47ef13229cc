/*
 * mews/figures.h - what a fleet counted: durations, ends, events.
 *
 * Sums of all processes since the fleet was made, also of those that ended.
 * Read through a view (mews/view.h), which asks no process, so also while the
 * fleet hangs.
 */
#ifndef MEWS_FIGURES_H
#define MEWS_FIGURES_H

#include <mews/config.h>
#include <mews/fleet.h>
#include <mews/status.h>
#include <mews/view.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define MEWS_TIMES_BUCKETS 23
#define MEWS_ENDS	   16 /* more than there are in enum mews_status */
#define MEWS_EVENT_NAME	   32
#define MEWS_EVENT_TEXT	   200

/* Durations: bucket i counts those below 32 << i microseconds and not below the
 * bucket before it; the last one counts all that are longer. */
struct mews_times {
	uint64_t count;
	uint64_t sum_us;
	uint64_t bucket[MEWS_TIMES_BUCKETS];
};

struct mews_figures_group {
	char name[MEWS_NAME_MAX + 1]; /* "(other)": groups beyond the room */
	uint64_t waiting;   /* now */
	uint64_t endpoints; /* that may serve the group now, as a worker sees
			       it */
	uint64_t resent;
	uint64_t opened; /* connections */
	uint64_t hedged;
	uint64_t ends[MEWS_ENDS]; /* by enum mews_status */
	struct mews_times wait;	  /* for a connection, of those that had to
				     wait */
	uint64_t batches; /* sent; queries of one batch share a Sync */
	uint64_t slow;	  /* took as long as slow_query, or longer */
	uint64_t processes; /* that have the group now; 0: its counters are
			       those of processes that ended */
};

/* Queries from sent to answered. */
struct mews_figures_pair {
	char group[MEWS_NAME_MAX + 1];
	char endpoint[MEWS_NAME_MAX + 1];
	struct mews_times times;
	uint64_t idle; /* connections, now */
	uint64_t used; /* with queries in flight, or lent */
	uint64_t connecting;
};

struct mews_figures_statement {
	char name[MEWS_NAME_MAX + 1]; /* "(unnamed)"; "(other)" */
	uint64_t answers;
	uint64_t errors; /* ended with another status than MEWS_OK */
	uint64_t sum_us; /* of the answers, from sent to answered */
	uint64_t rows;	 /* returned */
};

/* Why a process of the fleet ended, as its parent says. */
enum mews_process_end {
	MEWS_END_STOPPED = 0,  /* told to */
	MEWS_END_EXITED = 1,   /* by itself */
	MEWS_END_KILLED = 2,   /* by a signal that its parent did not send */
	MEWS_END_HUNG = 3,     /* by its parent, as it gave no sign of life */
	MEWS_END_RECYCLED = 4  /* replaced: max_requests, max_memory */
};
#define MEWS_PROCESS_ENDS 5

struct mews_figures_fleet {
	struct mews_times requests; /* of mews_fleet_count_time() */
	uint64_t ends[MEWS_PROCESS_ENDS];
	uint64_t dropped; /* lines of the log */
};

struct mews_event {
	uint64_t ticket;  /* +1 with each event */
	int64_t time_ms;  /* CLOCK_REALTIME */
	pid_t pid;	  /* the process that says so */
	enum mews_log_level level;
	char name[MEWS_EVENT_NAME]; /* "endpoint" */
	char text[MEWS_EVENT_TEXT]; /* logfmt pairs, cut */
};

struct mews_figures;

/**
 * Sum up what the processes of a fleet counted.
 *
 * @out  set on MEWS_OK, else NULL; end it with mews_figures_free(). The view
 *	 may be closed before.
 *
 * Returns MEWS_OK or MEWS_NOMEM.
 */
enum mews_status mews_figures_read(struct mews_figures **out,
    const struct mews_view *view, struct mews_error *error);
/** Free the figures and set *figures to NULL; NULL *figures is a no-op. */
void mews_figures_free(struct mews_figures **figures);

/* In the functions below @size is sizeof(*out), so that structures can grow.
 * False: @index is out of range. */
void mews_figures_fleet(const struct mews_figures *figures,
    struct mews_figures_fleet *out, size_t size);
bool mews_figures_group(const struct mews_figures *figures, uint32_t index,
    struct mews_figures_group *out, size_t size);
bool mews_figures_pair(const struct mews_figures *figures, uint32_t index,
    struct mews_figures_pair *out, size_t size);
bool mews_figures_statement(const struct mews_figures *figures,
    uint32_t index, struct mews_figures_statement *out, size_t size);

/** Microseconds that the share @part (0 to 1) of @times does not exceed,
 * estimated within one bucket; 0: @times is empty. */
double mews_times_quantile(const struct mews_times *times, double part);

/**
 * The first event after the one whose ticket is @after; 0: the oldest that is
 * kept, of some 250. Returns false if there is none.
 */
bool mews_view_event(const struct mews_view *view, uint64_t after,
    struct mews_event *out, size_t size);

/* For processes of the fleet. */

/** Count a request of this worker that took @us microseconds. Needs a slot. */
void mews_fleet_count_time(struct mews_fleet *fleet, int64_t us);
/** Count the end of a process: in its parent, once. */
void mews_fleet_count_end(struct mews_fleet *fleet, enum mews_process_end end);
/** Add @lines of the log that were dropped; one process of the fleet does
 * so. */
void mews_fleet_count_dropped(struct mews_fleet *fleet, uint64_t lines);
/** Add an event: @name is one word, @text logfmt pairs. The library adds one
 * for each line that it logs at MEWS_LOG_INFO or above. */
void mews_fleet_note(struct mews_fleet *fleet, enum mews_log_level level,
    const char *name, const char *text);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
