/*
 * fuzz_listen.c - channels of any name, messages of any payload, in any order:
 * the commands name the channels as they are, and each listener hears what
 * mews/listen.h promises, in that order.
 *
 * An input is a sequence of steps, each with a letter; a text in a step ends at
 * the next newline.
 */
#include "fuzz.h"

#include "notify/listener.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LISTENERS 8

const bool fuzz_lines = false;
const char *const fuzz_words[] = { "Lx\n", "L\"\n", "L;\"\n", "L\\\n",
	"L\xc3\xa4\n", "Mx\npayload\n", "U", "C", "c", "H", "R", "r", "X",
	NULL };

/* One listener: what it heard, and what it must still hear. */
struct hearing {
	struct mews_listener *listener; /* NULL: this place is free */
	bool ended;
	bool listening; /* is it between LISTENING or MISSED, and LOST? */
	bool ever;
	bool refused;
};

struct steps {
	const char *at, *end;
	struct listener_list list;
	struct hearing hearings[LISTENERS];
	char setup[2]; /* the beginning of the commands */
	const char *payload; /* the message that is delivered */
};

static struct steps *here;

static void
hear(void *arg, const struct mews_notification *heard)
{
	struct hearing *hearing = arg;

	assert(!hearing->ended && !hearing->refused);
	assert(strcmp(heard->channel, hearing->listener->channel) == 0);
	assert(strcmp(heard->endpoint, "e") == 0);
	switch (heard->event) {
	case MEWS_NOTIFY_MESSAGE:
		assert(hearing->listening && heard->payload == here->payload);
		break;
	case MEWS_NOTIFY_LISTENING:
		assert(!hearing->listening && !hearing->ever);
		hearing->listening = hearing->ever = true;
		break;
	case MEWS_NOTIFY_LOST:
		assert(hearing->listening);
		hearing->listening = false;
		break;
	case MEWS_NOTIFY_MISSED:
		assert(!hearing->listening && hearing->ever);
		hearing->listening = true;
		break;
	case MEWS_NOTIFY_REFUSED:
		assert(!hearing->listening);
		hearing->refused = true;
		break;
	}
}

/* The text up to the next newline, or NUL; free(3) it. */
static char *
take_text(struct steps *steps)
{
	size_t	 left = (size_t)(steps->end - steps->at), length;
	const char *end = memchr(steps->at, '\n', left);
	char	*text;

	length = end == NULL ? left : (size_t)(end - steps->at);
	text = strndup(steps->at, length);
	assert(text != NULL);
	steps->at += length + (end != NULL);
	return text;
}

static void
listen_to(struct steps *steps)
{
	char	*channel = take_text(steps);
	struct hearing *hearing = steps->hearings;
	struct mews_listener *listener;

	while (hearing < steps->hearings + LISTENERS &&
	    hearing->listener != NULL && !hearing->ended)
		hearing++;
	if (hearing < steps->hearings + LISTENERS && *channel != '\0' &&
	    strlen(channel) <= MEWS_CHANNEL_MAX) {
		listener = calloc(1, sizeof(*listener));
		assert(listener != NULL);
		listener->magic = LISTENER_MAGIC;
		listener->fn = hear;
		listener->arg = hearing;
		strcpy(listener->channel, channel);
		TAILQ_INSERT_TAIL(&steps->list, listener, link);
		*hearing = (struct hearing) { .listener = listener };
	}
	free(channel);
}

static void
unlisten(struct steps *steps)
{
	unsigned which = steps->at < steps->end ?
	    (unsigned char)*steps->at++ % LISTENERS : 0;
	struct hearing *hearing = &steps->hearings[which];

	if (hearing->listener == NULL || hearing->ended)
		return;
	hearing->listener->ended = true;
	hearing->ended = true;
}

/* Read an identifier in quotes as the server does; afterwards @at is behind
 * it. */
static const char *
read_name(const char *at, char *name)
{
	size_t	 length = 0;

	assert(*at++ == '"');
	while (*at != '"' || at[1] == '"') {
		at += *at == '"';
		assert(*at != '\0' && length < MEWS_CHANNEL_MAX);
		name[length++] = *at++;
	}
	name[length] = '\0';
	return at + 1;
}

/* Check that each command is LISTEN for a channel with listeners, or UNLISTEN
 * for one without. @one: there is at most one LISTEN. */
static void
check_commands(const struct steps *steps, const char *sql, bool one)
{
	char	 name[MEWS_CHANNEL_MAX + 1];
	int	 listens = 0;
	bool	 known;

	assert(strncmp(sql, steps->setup, strlen(steps->setup)) == 0);
	for (sql += strlen(steps->setup); *sql != '\0'; sql++) {
		const struct mews_listener *listener;
		bool	 begins = strncmp(sql, "LISTEN ", 7) == 0;

		assert(begins || strncmp(sql, "UNLISTEN ", 9) == 0);
		sql = read_name(sql + (begins ? 7 : 9), name);
		assert(*sql == ';');
		listens += begins;
		known = false;
		TAILQ_FOREACH (listener, &steps->list, link)
			known |= !listener->ended &&
			    strcmp(listener->channel, name) == 0;
		assert(known == begins);
	}
	assert(!one || listens <= 1);
}

static void
command(struct steps *steps, bool one)
{
	char	*sql = listener_commands(&steps->list, steps->setup, one);

	assert(sql != NULL);
	check_commands(steps, sql, one);
	free(sql);
}

static void
deliver(struct steps *steps)
{
	char	*channel = take_text(steps), *payload = take_text(steps);
	PGnotify message = { .relname = channel, .be_pid = 7,
		.extra = payload };

	steps->payload = payload;
	listener_message(&steps->list, &message, "e");
	steps->payload = NULL;
	free(channel);
	free(payload);
}

static void
step(struct steps *steps)
{
	switch (*steps->at++) {
	case 'L':
		listen_to(steps);
		break;
	case 'U':
		unlisten(steps);
		break;
	case 'C':
		command(steps, false);
		break;
	case 'c':
		command(steps, true);
		break;
	case 'H':
		listener_heard(&steps->list, "e");
		break;
	case 'R':
		listener_refused(&steps->list, false, "e");
		break;
	case 'r':
		listener_refused(&steps->list, true, "e");
		break;
	case 'M':
		deliver(steps);
		break;
	case 'X':
		listener_lost(&steps->list, "e");
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct steps steps = { .at = (const char *)data,
		.end = (const char *)data + size };

	TAILQ_INIT(&steps.list);
	if (size % 2 == 1)
		strcpy(steps.setup, ";");
	here = &steps;
	while (steps.at < steps.end)
		step(&steps);
	for (unsigned i = 0; i < LISTENERS; i++)
		if (steps.hearings[i].listener != NULL &&
		    !steps.hearings[i].ended)
			steps.hearings[i].listener->ended = true;
	listener_lost(&steps.list, "e");
	assert(TAILQ_EMPTY(&steps.list));
	return 0;
}
