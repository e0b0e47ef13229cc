/*
 * pooler.h - is a session ours alone?
 *
 * A pooler in transaction or statement mode lends one session of the server to
 * many clients: our settings reach others, prepared statements are not where
 * they were prepared, and LISTEN hears nothing. A pooler does not tell. So each
 * of our sessions leaves a mark, a setting that no server knows; a session that
 * has another's mark is not ours alone. A pooler in session mode resets
 * sessions (server_reset_query), and with them the mark.
 */
#ifndef LIB_WIRE_POOLER_H
#define LIB_WIRE_POOLER_H

#include <libpq-fe.h>
#include <stdbool.h>

/* A mark is neither a number nor a bool: casting it fails, and the error's
 * message holds the mark in any language. */
#define POOLER_SETTING "current_setting('mews.session', true)"
#define POOLER_MARK    "mews: of session "
#define POOLER_SET(id) "set_config('mews.session', '" POOLER_MARK id "', false)"

#define POOLER_REASON							\
	"a pooler in transaction or statement mode is in between, or "	\
	"one that resets no session: use pool_mode = session"

/* The first command of a group's session: fail if there is a mark, else leave
 * one. */
#define POOLER_BEGIN							\
	"SELECT CASE WHEN " POOLER_SETTING " <> '' "			\
	"THEN " POOLER_SETTING "::int::text "				\
	"ELSE " POOLER_SET("of a group") " END"

/* An expression for a probe, which may keep its session: @value, a bool; an
 * error if the session has a mark other than @id. Leaves the mark @id. */
#define POOLER_ASK(id, value)						\
	"CASE WHEN " POOLER_SETTING " NOT IN ('', '" POOLER_MARK id "') " \
	"THEN " POOLER_SETTING "::bool "				\
	"ELSE " POOLER_SET(id) " IS NOT NULL AND " value " END"

/* Is @answer the error of a foreign mark? */
bool pooler_is_told(const PGresult *answer);

#endif
