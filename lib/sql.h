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

#endif
