/*
 * log.h - logfmt lines on stderr, in syslog or in a file.
 *
 * A process has one struct log; a forked child changes the name and number in
 * its copy. One line is one write(2), so the lines of several processes never
 * mix. No process waits for its log: a line that cannot be written at once is
 * dropped, and event=log_dropped counts it later.
 */
#ifndef CONFIG_LOG_H
#define CONFIG_LOG_H

#include "config.h"
#include "output.h"

#include <mews/logfmt.h>

struct log {
	enum config_log where;
	enum mews_log_level level; /* nothing below it is written */
	const char *process;	   /* "master", "worker" */
	int number;		   /* the worker's number; -1: none */
	struct output *output;	   /* see log_open(); NULL: plain stderr */
};

/** Open the place that @log->where names, in @output, which @log keeps; for
 * CONFIG_LOG_FILE use output_open_file(). */
void log_open(struct log *log, struct output *output);

/** Log how many lines any process dropped, if lines can be written again. One
 * process should call this from time to time, for all that share the output. */
void log_tell_dropped(const struct log *log);

/** Lines that any process dropped, since the place was opened. */
unsigned long log_lost(const struct log *log);

/** Is @fd the socket of systemd's journal, which adds the time by itself? */
bool log_is_journal(int fd);

/**
 * level=info pid=71 process=worker worker=3 event=EVENT TEXT
 *
 * @format  logfmt pairs, printf style; quote what may hold a blank with
 *          logfmt_value().
 */
void log_write(const struct log *log, enum mews_log_level level,
    const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** A mews_log_fn; @log is the struct log. */
void log_sink(void *log, enum mews_log_level level, const char *event,
    const char *text);

#endif
