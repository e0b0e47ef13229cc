/*
 * complaint.c - writing to standard error without waiting for long.
 */
#include "complaint.h"

#include "standard.h"
#include "words.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/param.h>
#include <syslog.h>
#include <unistd.h>

#define TEXT_MAX 6144 /* a path, and a sentence */

void
complaints_open(struct complaints *complaints, uint32_t patience_ms)
{
	standard_keep_error();
	output_open(&complaints->output, STDERR_FILENO);
	complaints->patience_ms = patience_ms;
}

/* Wait until there is room, for as long as patience lasts. False: there is
 * none. */
static bool
wait_for_room(struct complaints *c)
{
	struct pollfd room = { .fd = c->output.fd, .events = POLLOUT };

	if (c->patience_ms != 0 && poll(&room, 1, (int)c->patience_ms) == 0)
		c->patience_ms = 0;
	return c->patience_ms != 0 && room.revents == POLLOUT;
}

static bool
put(struct complaints *c, const char *text, size_t length)
{
	size_t piece;

	for (; length > 0; text += piece, length -= piece) {
		piece = MIN(length, OUTPUT_LINE_MAX);
		while (!output_write(&c->output, text, piece, LOG_ERR))
			if (!wait_for_room(c))
				return false;
	}
	return true;
}

/* Report how many lines were dropped. Returns true if none are left to
 * report. */
static bool
tell_dropped(struct complaints *c)
{
	const unsigned long lines = atomic_load(c->output.dropped);
	char		    text[100];
	int		    length;

	if (lines == 0)
		return true;
	length = snprintf(text, sizeof(text), "mews: %lu lines were dropped, "
	    "as nobody read them\n", lines);
	if (!put(c, text, (size_t)length))
		return false;
	atomic_store(c->output.dropped, 0);
	return true;
}

void
complaints_add(struct complaints *complaints, const char *format, ...)
{
	char	text[TEXT_MAX];
	size_t	length;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text) - 1, format, args);
	va_end(args);
	words_printable(text);
	length = strlen(text);
	text[length++] = '\n';
	if (!tell_dropped(complaints) || !put(complaints, text, length))
		atomic_fetch_add(complaints->output.dropped, 1);
}

void
complaints_line(void *complaints, const char *line)
{
	complaints_add(complaints, "%s", line);
}
