/*
 * event.h - the last things that happened to a fleet, for people who come late.
 *
 * A ring in the segment. A writer takes the next ticket, and with it an entry;
 * it writes the ticket there last, so that a reader knows which entries are
 * whole. A writer that is killed meanwhile leaves an entry that nobody reads.
 * Two writers in the same entry, a whole ring apart, may leave words of both:
 * readers cut and clean what they find.
 *
 * Writers: any process of the fleet.
 */
#ifndef LIB_FLEET_EVENT_H
#define LIB_FLEET_EVENT_H

#include <assert.h>
#include <mews/figures.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#define EVENT_RING 256 /* entries; a power of two */

struct event {
	_Atomic uint64_t ticket; /* from 1 on; 0: being written, or none */
	int64_t time_ms;	 /* CLOCK_REALTIME */
	int32_t pid;
	uint32_t level; /* enum mews_log_level */
	char name[MEWS_EVENT_NAME];
	char text[MEWS_EVENT_TEXT];
};

struct events {
	alignas(128) _Atomic uint64_t last; /* ticket */
	/* The master counts these two. */
	_Atomic uint64_t ends[MEWS_PROCESS_ENDS];
	_Atomic uint64_t dropped; /* lines of the log */
	struct event ring[EVENT_RING];
};

static_assert(sizeof(struct event) == 256, "entries do not straddle pages");

/* Add an event; @text is cut. */
void event_add(struct events *events, uint32_t level, const char *name,
    const char *text);

/* Copy the event of @ticket. False: it is gone, or not whole. */
bool event_get(const struct events *events, uint64_t ticket,
    struct mews_event *out);

#endif
