/*
 * log.c - logfmt lines on stderr, in syslog or in a file.
 *
 * A line is made in a buffer on the stack and leaves with one write(2): no
 * allocation, nothing shared, errno is kept. Lines are no longer than what a
 * pipe takes in one piece: a longer one is cut and ends with truncated=true. A
 * line that cannot be written is lost, and counted.
 */
#include "log.h"

#include <mews/character.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const char truncated[] = " truncated=true";

/* Bytes behind the text: a quote, the note, newline and NUL. */
#define LOG_TAIL (1 + sizeof(truncated) + 1)

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[MEWS_LOG_DEBUG] = { "debug", LOG_DEBUG },
	[MEWS_LOG_INFO] = { "info", LOG_INFO },
	[MEWS_LOG_WARNING] = { "warning", LOG_WARNING },
	[MEWS_LOG_ERROR] = { "error", LOG_ERR },
};

struct line {
	size_t used;
	bool full;
	char text[OUTPUT_LINE_MAX];
};

static void line_add(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
line_add_list(struct line *line, const char *format, va_list args)
{
	const size_t	room = sizeof(line->text) - LOG_TAIL - line->used;
	int		length;

	if (line->full)
		return;
	length = vsnprintf(line->text + line->used, room, format, args);
	if (length < 0)
		return;
	if ((size_t)length < room) {
		line->used += (size_t)length;
		return;
	}
	line->full = true;
	line->used = character_whole(line->text, line->used + room - 1);
}

static void
line_add(struct line *line, const char *format, ...)
{
	va_list	args;

	va_start(args, format);
	line_add_list(line, format, args);
	va_end(args);
}

bool
log_is_journal(int fd)
{
	const char		*text = getenv("JOURNAL_STREAM");
	unsigned long long	 device, inode;
	struct stat		 status;

	return text != NULL &&
	    sscanf(text, "%llu:%llu", &device, &inode) == 2 &&
	    fstat(fd, &status) == 0 &&
	    status.st_dev == device && status.st_ino == inode;
}

/* RFC 3339, UTC, milliseconds. */
static void
line_add_time(struct line *line)
{
	struct timespec	now;
	struct tm	utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	line_add(line, " ts=%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ",
	    utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
	    utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000);
}

static void
line_begin(struct line *line, const struct log *log,
    enum mews_log_level level)
{
	line->used = 0;
	line->full = false;
	line_add(line, "level=%s pid=%ld process=%s", levels[level].name,
	    (long)getpid(), log->process);
	if (log->number >= 0)
		line_add(line, " worker=%d", log->number);
	if (log->where == CONFIG_LOG_FILE || (log->where == CONFIG_LOG_STDERR &&
		!log_is_journal(STDERR_FILENO)))
		line_add_time(line);
}

/* End the line, so that it is one line of valid logfmt even if it was cut. */
static void
line_end(struct line *line)
{
	bool	quoted = false;

	for (size_t i = 0; i < line->used; i++) {
		if ((unsigned char)line->text[i] < ' ')
			line->text[i] = ' ';
		else if (line->text[i] == '\\' && quoted &&
		    i + 1 < line->used)
			i++;
		else if (line->text[i] == '\\' && quoted)
			line->text[i] = ' ';	/* cut inside an escape */
		else if (line->text[i] == '"')
			quoted = !quoted;
	}
	while (!quoted && line->used > 0 && line->text[line->used - 1] == ' ')
		line->used--;
	if (line->full) {
		if (quoted)
			line->text[line->used++] = '"';
		memcpy(line->text + line->used, truncated,
		    strlen(truncated));
		line->used += strlen(truncated);
	}
	line->text[line->used] = '\0';
}

static bool
line_write(struct line *line, const struct log *log,
    enum mews_log_level level)
{
	struct output plain = { .kind = OUTPUT_FILE, .fd = STDERR_FILENO };

	line_end(line);
	line->text[line->used++] = '\n';
	return output_write(log->output != NULL ? log->output : &plain,
	    line->text, line->used, LOG_DAEMON | levels[level].priority);
}

/* The master opened the file anew: do so, too, or else log to the old one why
 * not. */
static void
follow(const struct log *log)
{
	const char *why;
	struct line line;

	if (log->output == NULL || output_follow(log->output, &why))
		return;
	line_begin(&line, log, MEWS_LOG_ERROR);
	line_add(&line, " event=log_not_reopened path=%s error=\"%s\" "
	    "action=old_one_goes_on", log->output->path, why);
	line_write(&line, log, MEWS_LOG_ERROR);
}

/* Log how many lines were dropped. Returns true if none are left to report. */
static bool
tell_dropped(const struct log *log)
{
	unsigned long lines;
	struct line line;

	/* The process that takes the count reports it. */
	if (log->output == NULL || atomic_load(log->output->dropped) == 0 ||
	    (lines = atomic_exchange(log->output->dropped, 0)) == 0)
		return true;
	line_begin(&line, log, MEWS_LOG_WARNING);
	line_add(&line, " event=log_dropped lines=%lu "
	    "hint=\"the reader of this log is too slow\"", lines);
	if (line_write(&line, log, MEWS_LOG_WARNING))
		return true;
	atomic_fetch_add(log->output->dropped, lines);
	return false;
}

void
log_open(struct log *log, struct output *output)
{
	if (log->where == CONFIG_LOG_SYSLOG)
		output_open_syslog(output, NULL);
	else
		output_open(output, STDERR_FILENO);
	log->output = output;
}

unsigned long
log_lost(const struct log *log)
{
	return log->output == NULL ? 0 : atomic_load(log->output->lost);
}

void
log_tell_dropped(const struct log *log)
{
	const int saved = errno;

	follow(log);
	tell_dropped(log);
	errno = saved;
}

void
log_write(const struct log *log, enum mews_log_level level,
    const char *event, const char *format, ...)
{
	const int	saved = errno;
	struct line	line;
	va_list		args;

	if (level < log->level || (size_t)level >=
	    sizeof(levels) / sizeof(levels[0]))
		return;
	follow(log);
	line_begin(&line, log, level);
	line_add(&line, " event=%s", event);
	line_add(&line, " ");
	va_start(args, format);
	line_add_list(&line, format, args);
	va_end(args);
	if ((!tell_dropped(log) || !line_write(&line, log, level)) &&
	    log->output != NULL) {
		atomic_fetch_add(log->output->lost, 1);
		atomic_fetch_add(log->output->dropped, 1);
	}
	errno = saved;
}

void
log_sink(void *log, enum mews_log_level level, const char *event,
    const char *text)
{
	log_write(log, level, event, "%s", text);
}
