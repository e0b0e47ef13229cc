/*
 * servers.h - the servers of tests/with-servers, from outside the fleet.
 */
#ifndef TESTS_FAULT_SERVERS_H
#define TESTS_FAULT_SERVERS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

const char *servers_name(unsigned server); /* "a", "b", "c" */
const char *servers_conninfo(unsigned server);
const char *servers_port(unsigned server);
const char *servers_dir(void);

/** config/servers COMMAND DIR NAMES, in a child. */
pid_t servers_begin(const char *command, const char *names);

/** Run @sql; the caller clears the answer. NULL: it failed, and why is on
 * stderr. */
PGresult *servers_query(unsigned server, const char *sql);

/** As servers_query(), for the effect, or for one number; -1: it failed. */
bool servers_do(unsigned server, const char *sql);
long servers_number(unsigned server, const char *sql);

/** A byte for each request below @count: is its row on @server? free(3) it.
 * Ends the program if that cannot be read. */
char *servers_rows(unsigned server, unsigned long count);

/** Have @primary wait for both others at each commit. */
void servers_make_synchronous(unsigned primary);

/** Which one takes writes; ends the program if none does. */
unsigned servers_primary(void);

/**
 * Drop every packet to @server; a table of our own does it. A process of its
 * own takes that table away again, at the latest when we have ended.
 * False: no permission here, or no nft.
 */
bool servers_cut(unsigned server);
void servers_join(void);

#endif
