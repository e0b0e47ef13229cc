/*
 * fleet_log.h - lines for the log function that a host gave its fleet.
 */
#ifndef LIB_FLEET_FLEET_LOG_H
#define LIB_FLEET_FLEET_LOG_H

#include <mews/fleet.h>
#include <mews/logfmt.h>

#define FLEET_QUOTED 400 /* room for a text in quotes: logfmt_text() */

/* As fleet_log(), without an event: frequent lines would push the important
 * ones out of the ring. */
void fleet_say(const struct mews_fleet *fleet, enum mews_log_level level,
    const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Log a line; from MEWS_LOG_INFO on it is also an event of the fleet. Nothing
 * is formatted below the host's level. */
void fleet_log(const struct mews_fleet *fleet, enum mews_log_level level,
    const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
