/*
 * story.c - events of a fleet in plain words.
 *
 * An event is a name and pairs of logfmt. A sentence is a pattern: {key} is the
 * value of a pair, "?" where the text was cut before it.
 */
#include "story.h"

#include "reasons.h"
#include "words.h"

#include <stdio.h>
#include <string.h>

#define VALUE_ROOM MEWS_EVENT_TEXT

static const struct {
	const char *event;
	const char *pattern;
} patterns[] = {
	{ "admin_exited", "the admin process ended, and is started anew" },
	{ "connect_failed", "group {group} could not log in to {endpoint}: "
	  "{error}" },
	{ "connection_kept", "group {group} keeps an old connection to "
	  "{endpoint}, as a new login might fail: {error}" },
	{ "connection_lost", "group {group} lost a connection to {endpoint}, "
	  "queries in flight {in_flight}: {error}" },
	{ "endpoint_admin", "{endpoint} was {to} by an operator" },
	{ "interrupt_failed", "a query could not be cancelled: {error}" },
	{ "lease_forgotten", "a lease of group {group} on {endpoint} was idle "
	  "for {idle_ms} ms, and was ended" },
	{ "listen_failed", "nobody can listen on {endpoint}: {error}" },
	{ "listen_lost", "the connection that listens on {endpoint} broke: "
	  "{error}" },
	{ "listening", "listening on {endpoint}" },
	{ "mixed_roles", "logins to {endpoint} lead to a primary and to a "
	  "standby by turns; it gets no writes" },
	{ "mixed_roles_ended", "{endpoint} is a single server again" },
	{ "monitor_exited", "the monitor ended" },
	{ "monitor_hangs", "the monitor gave no sign of life for {silent_ms} "
	  "ms, and is killed" },
	{ "monitor_ready", "the monitor is ready" },
	{ "monitor_started", "the monitor was started anew" },
	{ "orphan_ended", "a session on {endpoint} that nobody held any more "
	  "was ended" },
	{ "outdated_primary", "{endpoint} is a primary on timeline {timeline}, "
	  "but {newest} was on {newest_timeline}; it gets no writes" },
	{ "probe_failed", "a probe of {endpoint} failed: {error}" },
	{ "reported", "an application reported {endpoint}: {error}" },
	{ "segment_damaged", "the shared memory was written over, and put "
	  "right as far as possible; if this comes again, restart the fleet" },
	{ "two_primaries", "{endpoint} and {other} both take themselves for "
	  "the primary; {used} is used" },
	{ "worker_exited", "worker {worker} ended" },
	{ "worker_hangs", "worker {worker} gave no sign of life for "
	  "{silent_ms} ms, and is killed" },
	{ "worker_overdue", "worker {worker} did not end in its time, and is "
	  "killed" },
	{ "worker_ready", "worker {worker} is ready" },
	{ "worker_started", "worker {worker} was started anew" },
};

/* The value of @key among the pairs of @text; "": there is none. */
static const char *
find_value(char value[VALUE_ROOM], const char *text, const char *key)
{
	size_t	length = strlen(key), used;
	bool	wanted, quoted;

	while (*text != '\0') {
		wanted = strncmp(text, key, length) == 0 &&
		    text[length] == '=';
		text += strcspn(text, "= ");
		text += *text == '=';
		quoted = *text == '"';
		text += quoted;
		for (used = 0; *text != '\0' && *text != (quoted ? '"' : ' ') &&
		    used < VALUE_ROOM - 1; text++) {
			if (*text == '\\' && text[1] != '\0')
				text++;
			value[used++] = *text;
		}
		value[used] = '\0';
		if (wanted)
			return value;
		text += *text == '"';
		text += strspn(text, " ");
	}
	value[0] = '\0';
	return value;
}

static const char *
value_or(char value[VALUE_ROOM], const char *text, const char *key)
{
	if (find_value(value, text, key)[0] == '\0')
		strcpy(value, "?");
	return value;
}

static void
fill_in(FILE *out, const char *pattern, const char *text)
{
	char		 key[32], value[VALUE_ROOM];
	const char	*end;

	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '{' || (end = strchr(pattern, '}')) == NULL) {
			fputc(*pattern, out);
			continue;
		}
		snprintf(key, sizeof(key), "%.*s", (int)(end - pattern - 1),
		    pattern + 1);
		fputs(value_or(value, text, key), out);
		pattern = end;
	}
}

/* An endpoint changed: from what, to what, and why. */
static void
tell_change(FILE *out, const char *text)
{
	char	endpoint[VALUE_ROOM], from[VALUE_ROOM], to[VALUE_ROOM];
	char	role[VALUE_ROOM], evidence[VALUE_ROOM];

	value_or(endpoint, text, "endpoint");
	value_or(from, text, "from");
	value_or(to, text, "to");
	value_or(role, text, "role");
	value_or(evidence, text, "evidence");
	fputs(endpoint, out);
	if (strcmp(from, to) != 0)
		fprintf(out, " went from %s to %s", from, to);
	else if (strcmp(evidence, "role_changed") == 0) {
		fprintf(out, " is a %s now", role);
		return;
	} else
		fprintf(out, " is %s", to);
	if (strcmp(role, "unknown") != 0)
		fprintf(out, " as a %s", role);
	fprintf(out, ": %s", reasons_sight(evidence));
}

static void
tell(FILE *out, const struct mews_event *event)
{
	if (strcmp(event->name, "endpoint") == 0) {
		tell_change(out, event->text);
		return;
	}
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (strcmp(patterns[i].event, event->name) == 0) {
			fill_in(out, patterns[i].pattern, event->text);
			return;
		}
	for (const char *c = event->name; *c != '\0'; c++)
		fputc(*c == '_' ? ' ' : *c, out);
	fprintf(out, ": %s", event->text);
}

const char *
story_tell(char *buffer, size_t size, const struct mews_event *event)
{
	char	 told[2 * MEWS_EVENT_TEXT + 200] = "";
	FILE	*out = fmemopen(told, sizeof(told) - 1, "w");

	if (out == NULL)
		return words_clean(buffer, size, event->text);
	tell(out, event);
	fclose(out);
	return words_clean(buffer, size, told);
}
