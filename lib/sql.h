/*
 * sql.h - what a statement may do to the session it runs in.
 *
 * Judged by its text, to the safe side: what is not clearly harmless is
 * taken to change the session.
 */
#ifndef SQL_H
#define SQL_H

enum sql_effect {
	SQL_HARMLESS, /* reads or writes rows, and calls only what we know */
	SQL_DIRTY,    /* may leave session state behind: set_config(), ... */
	SQL_SESSION   /* is about the session or its transaction: BEGIN, SET */
};

enum sql_effect sql_effect(const char *sql);

/* Does it copy from, or to, the client? */
enum sql_copy { SQL_COPY_NONE, SQL_COPY_IN, SQL_COPY_OUT };

enum sql_copy sql_copies(const char *sql);

#endif
