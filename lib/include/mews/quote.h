/*
 * mews/quote.h - values and names inside of SQL, where a parameter cannot
 * stand: SET x = .., CREATE ROLE .., a table's name.
 */
#ifndef MEWS_QUOTE_H
#define MEWS_QUOTE_H

#include <mews/lease.h>
#include <mews/status.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * @text as a constant of SQL, with its quotes, by libpq's own rules. Valid only
 * in sessions with the encoding of the lease's session. Nothing is sent.
 *
 * @text    @length bytes, none of them a NUL.
 * @out     set on MEWS_OK, else NULL; NUL-terminated. Free it with
 *          mews_quote_free().
 *
 * Returns MEWS_OK; MEWS_INVALID: not valid in that encoding, a NUL, or the
 * lease's pool was closed; MEWS_UNAVAILABLE as mews_lease_query(); MEWS_NOMEM.
 * mews_group_message() says why.
 */
enum mews_status mews_quote_literal(struct mews_lease *lease,
    const char *text, size_t length, char **out);

/** @text as a name: of a table, a column, a role. Else as
 * mews_quote_literal(). Case matters, and an empty name is MEWS_INVALID. */
enum mews_status mews_quote_identifier(struct mews_lease *lease,
    const char *text, size_t length, char **out);

/** Free a quoted text and set *text to NULL; NULL *text is a no-op. */
void mews_quote_free(char **text);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
