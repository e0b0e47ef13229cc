/*
 * servers.h - the servers of tests/with-servers, from outside the fleet.
 */
#ifndef TESTS_FAULT_SERVERS_H
#define TESTS_FAULT_SERVERS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

const char *servers_name(unsigned server); /* "a", "b" or "c" */
const char *servers_conninfo(unsigned server);
const char *servers_port(unsigned server);
const char *servers_dir(void);

/** Run config/servers COMMAND DIR NAMES in a child. */
pid_t servers_begin(const char *command, const char *names);

/** Run @sql; the caller clears the answer. NULL: it failed, and stderr says
 * why. */
PGresult *servers_query(unsigned server, const char *sql);

/** As servers_query(), for SQL without an answer, or with one number; -1: it
 * failed. */
bool servers_do(unsigned server, const char *sql);
long servers_number(unsigned server, const char *sql);

/** Whether the row of each request below @count is on @server: a byte each;
 * free(3) it. Ends the program if that cannot be read. */
char *servers_rows(unsigned server, unsigned long count);

/** Have @primary wait for both others at each commit. */
void servers_make_synchronous(unsigned primary);

/** The server that takes writes; ends the program if there is none. */
unsigned servers_primary(void);

/**
 * Drop every packet to @server, with a table of nft that this program owns. A
 * guard process removes that table again, at the latest when this program has
 * ended. False: no permission for it, or no nft.
 */
bool servers_cut(unsigned server);
void servers_join(void);

#endif
