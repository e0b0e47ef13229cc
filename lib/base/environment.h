/*
 * environment.h - the variables of the environment that libpq reads.
 *
 * Variables apply to every endpoint. One that chooses the server or changes
 * each session is refused. The others (PGUSER, PGPASSFILE, PGSSLMODE ..) fill
 * in what a conninfo leaves open, as libpq documents, and are named in the log.
 */
#ifndef LIB_BASE_ENVIRONMENT_H
#define LIB_BASE_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

/* The @index-th variable that is set and refused: its name, and *@why; NULL:
 * there are no more. */
const char *environment_refused(size_t index, const char **why);

/* Write "PGSSLMODE,PGUSER", the variables that are set and fill in; false:
 * there are none. */
bool environment_names(char *names, size_t size);

#endif
