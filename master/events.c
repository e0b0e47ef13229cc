/*
 * events.c - mews events: the last things that happened to a fleet.
 *
 * Reads the segment, as mews status does. Nobody tells a reader that there is
 * something new: it looks from time to time.
 */
#include "events.h"

#include "fail.h"
#include "instance.h"
#include "words.h"

#include <mews/figures.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US 200000 /* between two looks */

static const char *const levels[] = {
	[MEWS_LOG_DEBUG] = "debug", [MEWS_LOG_INFO] = "info",
	[MEWS_LOG_WARNING] = "warning", [MEWS_LOG_ERROR] = "error",
};

static void
print_event(const struct mews_event *event, FILE *out)
{
	char	  when[32] = "?", name[MEWS_EVENT_NAME], text[MEWS_EVENT_TEXT];
	time_t	  second = (time_t)(event->time_ms / 1000);
	struct tm local;

	if (localtime_r(&second, &local) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &local);
	fprintf(out, "%s.%03d %-7s %s %s\n", when,
	    (int)((uint64_t)event->time_ms % 1000), levels[event->level],
	    words_clean(name, sizeof(name), event->name),
	    words_clean(text, sizeof(text), event->text));
}

/* All behind @after; returns the last one's ticket. */
static uint64_t
print_new(const struct mews_view *view, uint64_t after, FILE *out)
{
	struct mews_event event;

	while (mews_view_event(view, after, &event, sizeof(event))) {
		print_event(&event, out);
		after = event.ticket;
	}
	fflush(out);
	return after;
}

bool
events_print(const struct events_args *args, FILE *out,
    struct mews_error *error)
{
	char		       instance[MEWS_NAME_MAX + 1] = "";
	struct mews_error      dead;
	struct mews_view      *view;
	struct mews_view_fleet fleet;
	uint64_t	       after;
	bool		       lives = args->follow;

	if (args->instance != NULL)
		strlcpy(instance, args->instance, sizeof(instance));
	if (!instance_open(&view, &fleet, args->runtime_dir, instance, error))
		return false;
	after = print_new(view, 0, out);
	while (lives && !ferror(out)) {
		usleep(LOOK_US);
		/* Asked first: the last events of a fleet that ends count. */
		lives = instance_lives(&fleet, args->runtime_dir, &dead);
		after = print_new(view, after, out);
	}
	mews_view_close(&view);
	return !ferror(out) || fail(error, "standard output takes no more");
}
