/*
 * sql.c - a scanner of SQL text that knows words, quotes and comments.
 *
 * It need not understand SQL: it answers "could this leave something behind
 * in the session?", and may say yes too often. That costs a reset after a
 * lease, never a wrong result.
 */
#include "sql.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Statements that belong on a lease. */
static const char *const session_words[] = {
	"abort", "begin", "close", "commit", "copy", "deallocate", "declare",
	"discard", "end", "execute", "fetch", "listen", "load", "lock",
	"move", "prepare", "release", "reset", "rollback", "savepoint",
	"set", "start", "unlisten",
};

/* Statements that touch rows only, but for the functions they call. */
static const char *const row_words[] = {
	"delete", "insert", "merge", "select", "show", "table", "update",
	"values", "with",
};

/* What may stand before a parenthesis and leaves nothing in a session. */
static const char *const harmless_calls[] = {
	"abs", "all", "and", "any", "array", "array_agg", "as", "avg",
	"between", "bool_and", "bool_or", "by", "case", "cast", "ceil",
	"char_length", "clock_timestamp", "coalesce", "concat", "count",
	"current_timestamp", "date_trunc", "distinct", "else", "except",
	"exists", "extract", "filter", "floor", "from", "generate_series",
	"greatest", "having", "in", "intersect", "join", "json_agg",
	"json_build_object", "jsonb_agg", "jsonb_build_object", "lateral",
	"least", "left", "length", "like", "limit", "lower", "materialized",
	"max", "md5", "min", "not", "now", "nullif", "numeric", "offset", "on",
	"or", "over", "partition", "pg_backend_pid", "pg_is_in_recovery",
	"pg_sleep", "random", "rank", "replace", "returning", "right",
	"round", "row", "row_number", "select", "set", "some", "string_agg",
	"substr", "substring", "sum", "then", "to_char", "to_timestamp",
	"trim", "union", "unnest", "upper", "using", "values", "varchar",
	"when", "where",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct word {
	const char *text;
	size_t length;
};

static bool
is_word(struct word word, const char *name)
{
	return word.length == strlen(name) &&
	    strncasecmp(word.text, name, word.length) == 0;
}

static bool
is_one_of(struct word word, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_word(word, names[i]))
			return true;
	return false;
}

/* Behind white space and comments (which nest). */
static const char *
skip_blank(const char *p)
{
	for (;;) {
		while (isspace((unsigned char)*p))
			p++;
		if (p[0] == '-' && p[1] == '-') {
			p += strcspn(p, "\n");
		} else if (p[0] == '/' && p[1] == '*') {
			int	depth = 0;

			do {
				if (p[0] == '/' && p[1] == '*') {
					depth++;
					p += 2;
				} else if (p[0] == '*' && p[1] == '/') {
					depth--;
					p += 2;
				} else if (*p != '\0') {
					p++;
				}
			} while (depth > 0 && *p != '\0');
		} else {
			return p;
		}
	}
}

/* Behind a quoted thing that begins at @p; a backslash may escape. */
static const char *
skip_quoted(const char *p, bool backslash)
{
	char	quote = *p++;

	while (*p != '\0' && *p != quote)
		p += backslash && p[0] == '\\' && p[1] != '\0' ? 2 : 1;
	return *p == '\0' ? p : p + 1;
}

/* Behind $tag$ ... $tag$; NULL: @p begins no such thing ($1). */
static const char *
skip_dollars(const char *p)
{
	const char	*end = p + 1, *close;
	size_t		 length;

	while (isalnum((unsigned char)*end) || *end == '_')
		end++;
	if (*end != '$' || isdigit((unsigned char)p[1]))
		return NULL;
	length = (size_t)(end - p) + 1;
	for (close = end + 1; *close != '\0'; close++)
		if (strncmp(close, p, length) == 0)
			return close + length;
	return close;
}

static bool
is_word_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' ||
	    (c & 0x80) != 0;
}

/* Behind the word that begins at @p; E'...' goes with its E. */
static const char *
skip_word(const char *p)
{
	const char	*at = p;

	while (is_word_byte(*at))
		at++;
	if (*at == '\'' && at == p + 1)
		at = skip_quoted(at, (*p | 0x20) == 'e');
	return at;
}

/*
 * The next word; behind it in *p. Other tokens are skipped, but "(", ";" and
 * "quoted names" come as words of their own. Length 0: the end.
 */
static struct word
next_word(const char **p)
{
	const char	*at = *p, *behind;

	while (*(at = skip_blank(at)) != '\0') {
		bool	counts = true;

		if (is_word_byte(*at) && *at != '$') {
			behind = skip_word(at);
		} else if (*at == '\'' || *at == '"') {
			counts = *at == '"';
			behind = skip_quoted(at, false);
		} else {
			counts = *at == '(' || *at == ';';
			if (*at != '$' || (behind = skip_dollars(at)) == NULL)
				behind = at + 1;
		}
		if (counts) {
			*p = behind;
			return (struct word) { at, (size_t)(behind - at) };
		}
		at = behind;
	}
	*p = at;
	return (struct word) { at, 0 };
}

/* Nothing but known calls, no SELECT INTO, no second statement. */
static bool
leaves_nothing(const char *sql, struct word first)
{
	struct word	word, last = { "", 0 }, before = { "", 0 };
	bool		insert = is_word(first, "insert") ||
	    is_word(first, "merge");

	while ((word = next_word(&sql)).length != 0) {
		if (*word.text == ';' && *skip_blank(sql) != '\0')
			return false;
		if (is_word(word, "insert") || is_word(word, "merge"))
			insert = true;
		if (is_word(word, "into") && !insert)
			return false;
		if (*word.text == '(' && last.length != 0 &&
		    !is_word(before, "into") &&
		    !is_one_of(last, harmless_calls, COUNT(harmless_calls)))
			return false;
		if (*word.text == '(' || *word.text == ';') {
			before = last = (struct word) { "", 0 };
		} else {
			before = last;
			last = word;
		}
	}
	return true;
}

enum sql_effect
sql_effect(const char *sql)
{
	const char	*p = sql;
	struct word	 first, second;

	do
		first = next_word(&p);
	while (first.length == 1 && (*first.text == '(' ||
	    *first.text == ';'));
	if (first.length == 0)
		return SQL_HARMLESS;
	if (is_one_of(first, session_words, COUNT(session_words)))
		return SQL_SESSION;
	if (is_word(first, "create")) {
		const char *rest = p;

		second = next_word(&rest);
		return is_word(second, "temp") ||
		    is_word(second, "temporary") ||
		    is_word(second, "local") || is_word(second, "global") ?
		    SQL_SESSION : SQL_DIRTY;
	}
	if (!is_one_of(first, row_words, COUNT(row_words)))
		return SQL_DIRTY;
	return leaves_nothing(p, first) ? SQL_HARMLESS : SQL_DIRTY;
}
