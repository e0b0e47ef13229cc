/*
 * quote.c - the doors of quoting, which is libpq's.
 */
#include "api/borrow.h"
#include "base/status.h"
#include "pool/group.h"

#include <mews/quote.h>
#include <string.h>

typedef char *escape_fn(PGconn *pg, const char *text, size_t length);

static enum mews_status
quote(struct mews_lease *lease, const char *text, size_t length, char **out,
    escape_fn *escape)
{
	enum mews_status	status;
	char			why[200];

	STATUS_NEED_OUT(out);
	*out = NULL;
	if ((status = borrow_alive(lease)) != MEWS_OK)
		return status;
	if (text == NULL || memchr(text, '\0', length) != NULL)
		return refuse(&lease->group->why, MEWS_INVALID, "%s",
		    text == NULL ? "there is no text to be quoted" :
		    "a text with a NUL cannot be in SQL");
	if (length == 0 && escape == PQescapeIdentifier)
		return refuse(&lease->group->why, MEWS_INVALID,
		    "a name has a byte at least");
	*out = escape(lease->conn->pg, text, length);
	if (*out != NULL)
		return MEWS_OK;
	dial_message(why, sizeof(why), PQerrorMessage(lease->conn->pg));
	return strstr(why, "memory") != NULL ?
	    refuse(&lease->group->why, MEWS_NOMEM, "out of memory") :
	    refuse(&lease->group->why, MEWS_INVALID,
		"a text cannot be quoted: %s", why);
}

enum mews_status
mews_quote_literal(struct mews_lease *lease, const char *text, size_t length,
    char **out)
{
	return quote(lease, text, length, out, PQescapeLiteral);
}

enum mews_status
mews_quote_identifier(struct mews_lease *lease, const char *text,
    size_t length, char **out)
{
	return quote(lease, text, length, out, PQescapeIdentifier);
}

void
mews_quote_free(char **text)
{
	STATUS_NEED_OUT(text);
	PQfreemem(*text);
	*text = NULL;
}
