/*
 * mews/logfmt.h - text as a value of logfmt.
 *
 * logfmt.c is part of the library, for what it tells its host's log, and of the
 * mews command, for its own.
 */
#ifndef MEWS_LOGFMT_H
#define MEWS_LOGFMT_H

#include <stddef.h>

/** @text in @buffer, in quotes and escaped; cut where it does not fit. "" if
 * @size is too small even for the quotes. */
const char *logfmt_text(char *buffer, size_t size, const char *text);

/** As logfmt_text(), but without quotes if @text needs none and fits. */
const char *logfmt_value(char *buffer, size_t size, const char *text);

#endif
