/*
 * sql.h - what a statement may do to the session it runs in.
 *
 * Judged by its text, to the safe side: what is not clearly harmless is
 * taken to change the session.
 */
#ifndef LIB_BASE_SQL_H
#define LIB_BASE_SQL_H

#include <mews/sql.h>

enum sql_effect {
	SQL_HARMLESS, /* reads or writes rows, and calls only functions known
			 here */
	SQL_DIRTY,    /* may leave session state behind, as set_config() does */
	SQL_SESSION   /* is about the session or its transaction: BEGIN, SET */
};

enum sql_effect sql_effect(const char *sql);

/* Is it certain that @sql has nothing to commit? */
bool sql_reads(const char *sql);

/* May @sql, outside of a transaction, commit something and fail later? */
bool sql_commits(const char *sql);

/* Does @sql begin or end a transaction? Savepoints count, to be safe. */
bool sql_transacts(const char *sql);

/* Is @sql COMMIT or END? The server answers it with the tag ROLLBACK if the
 * transaction had failed. */
bool sql_is_commit(const char *sql);

/* Does @sql remove prepared statements? */
bool sql_deallocates(const char *sql);

/* Does @sql copy from, or to, the client? */
enum sql_copy { SQL_COPY_NONE, SQL_COPY_IN, SQL_COPY_OUT };

enum sql_copy sql_copies(const char *sql);

/* Is @sql one statement, and nothing behind its semicolon? @standard_strings:
 * the session's standard_conforming_strings. */
bool sql_is_single(const char *sql, bool standard_strings);

#endif
