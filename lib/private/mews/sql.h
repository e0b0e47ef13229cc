/*
 * mews/sql.h - what SQL does to the transaction that it is run in.
 *
 * sql.c is part of the library, and of the extension of Python.
 */
#ifndef MEWS_SQL_H
#define MEWS_SQL_H

#include <stdbool.h>

/** Does @sql end a transaction, either way? ROLLBACK TO does not. */
bool sql_ends(const char *sql);

#endif
