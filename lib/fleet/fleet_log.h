/*
 * fleet_log.h - what a fleet tells the function that its host gave it.
 */
#ifndef LIB_FLEET_FLEET_LOG_H
#define LIB_FLEET_FLEET_LOG_H

#include <mews/fleet.h>
#include <mews/logfmt.h>

#define FLEET_QUOTED 400 /* room for a text in quotes: logfmt_text() */

/* As fleet_log(), without an event: what comes often would push those that
 * matter out of the ring. */
void fleet_say(const struct mews_fleet *fleet, enum mews_log_level level,
    const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Nothing is formatted that no host asked for; from MEWS_LOG_INFO on it is an
 * event of the fleet as well. */
void fleet_log(const struct mews_fleet *fleet, enum mews_log_level level,
    const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
