/*
 * sql.c - a scanner of SQL text that knows words, quotes and comments.
 *
 * The scanner does not parse SQL. Asked "could this leave something behind in
 * the session?" it may say yes too often, which costs a reset after a lease,
 * never a wrong result.
 */
#include "base/sql.h"

#include <stddef.h>
#include <string.h>

/* Statements that belong on a lease. */
static const char *const session_words[] = {
	"abort", "begin", "close", "commit", "copy", "deallocate", "declare",
	"discard", "end", "execute", "fetch", "listen", "load", "lock",
	"move", "prepare", "release", "reset", "rollback", "savepoint",
	"set", "start", "unlisten",
};

/* Statements that touch rows only, apart from the functions they call. */
static const char *const row_words[] = {
	"delete", "insert", "merge", "select", "show", "table", "update",
	"values", "with",
};

/* Statements that may commit before they end, or several times. */
static const char *const commit_words[] = {
	"analyse", "analyze", "call", "cluster", "do", "reindex", "vacuum",
};

/* Objects whose CREATE, ALTER or DROP may commit on its way, or cannot be
 * undone. */
static const char *const commit_objects[] = {
	"database", "subscription", "tablespace",
};

/* Statements that begin, or may end, a transaction. */
static const char *const transaction_words[] = {
	"abort", "begin", "commit", "end", "prepare", "rollback", "start",
};

/* Words before a parenthesis that leave nothing in a session. */
static const char *const harmless_calls[] = {
	"abs", "all", "and", "any", "array", "array_agg", "as", "avg",
	"between", "bool_and", "bool_or", "case", "cast", "ceil",
	"char_length", "clock_timestamp", "coalesce", "concat", "count",
	"current_timestamp", "date_trunc", "distinct", "else", "except",
	"exists", "extract", "floor", "from", "generate_series",
	"greatest", "having", "in", "intersect", "join", "json_agg",
	"json_build_object", "jsonb_agg", "jsonb_build_object", "lateral",
	"least", "left", "length", "like", "limit", "lower",
	"max", "md5", "min", "not", "now", "nullif", "numeric", "offset", "on",
	"or", "pg_backend_pid", "pg_is_in_recovery",
	"pg_sleep", "random", "rank", "replace", "returning", "right",
	"round", "row", "row_number", "select", "some", "string_agg",
	"substr", "substring", "sum", "then", "to_char", "to_timestamp",
	"trim", "union", "unnest", "upper", "using", "values", "varchar",
	"when", "where",
};

/* Words that may be a user's function before a parenthesis, except after
 * these. */
static const struct {
	const char *call;
	const char *behind;
} harmless_behind[] = {
	{ "by", "group" }, { "by", "order" }, { "by", "partition" },
	{ "filter", ")" }, { "materialized", "as" }, { "over", ")" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct word {
	const char *text;
	size_t length;
};

/* To lower case in ASCII, as PostgreSQL does: the host's locale has no say. */
static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_word_letter(char c)
{
	return (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' ||
	    (c & 0x80) != 0;
}

static bool
is_word(struct word word, const char *name)
{
	for (size_t i = 0; i < word.length; i++)
		if (name[i] == '\0' || lower(word.text[i]) != name[i])
			return false;
	return name[word.length] == '\0';
}

static bool
is_one_of(struct word word, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_word(word, names[i]))
			return true;
	return false;
}

/* Skip white space and comments (which nest). */
static const char *
skip_blank(const char *p)
{
	for (;;) {
		while (is_blank(*p))
			p++;
		if (p[0] == '-' && p[1] == '-') {
			p += strcspn(p, "\n\r");
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

/* The end of the quoted string or name that begins at @p. @backslash: it
 * escapes. */
static const char *
skip_quoted(const char *p, bool backslash)
{
	char	quote = *p++;

	while (*p != '\0' && *p != quote)
		p += backslash && p[0] == '\\' && p[1] != '\0' ? 2 : 1;
	return *p == '\0' ? p : p + 1;
}

/* The end of $tag$ ... $tag$ at @p; NULL: @p begins no such string ($1). */
static const char *
skip_dollars(const char *p)
{
	const char	*end = p + 1, *close;
	size_t		 length;

	while (is_word_letter(*end) || is_digit(*end))
		end++;
	if (*end != '$' || is_digit(p[1]))
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
	return is_word_letter(c) || is_digit(c) || c == '$';
}

/* The end of the word that begins at @p; E'...' is one word. */
static const char *
skip_word(const char *p, bool backslash)
{
	const char	*at = p;

	while (is_word_byte(*at))
		at++;
	if (*at == '\'' && at == p + 1)
		at = skip_quoted(at, backslash || lower(*p) == 'e');
	return at;
}

/*
 * The next token, and *p behind it: a word, a "quoted name", a string, or any
 * other byte. Length 0: the end. @backslash: a backslash escapes in any string.
 */
static struct word
next_token(const char **p, bool backslash)
{
	const char	*at = skip_blank(*p), *behind = at;

	if (*at == '\'' || *at == '"')
		behind = skip_quoted(at, backslash && *at == '\'');
	else if (is_word_byte(*at) && *at != '$')
		behind = skip_word(at, backslash);
	else if (*at != '\0' &&
	    (*at != '$' || (behind = skip_dollars(at)) == NULL))
		behind = at + 1;
	*p = behind;
	return (struct word) { at, (size_t)(behind - at) };
}

static struct word
next_word(const char **p)
{
	return next_token(p, false);
}

/*
 * Does @last "(" call an unknown function? @before is the token before @last.
 * If @last is a string, it ends U&"name" UESCAPE '!'.
 */
static bool
is_call(struct word before, struct word last)
{
	if (*last.text != '"' && *last.text != '\'' &&
	    !is_word_byte(*last.text))
		return false;
	for (size_t i = 0; i < COUNT(harmless_behind); i++)
		if (is_word(last, harmless_behind[i].call) &&
		    is_word(before, harmless_behind[i].behind))
			return false;
	/* With a schema's name even count() may be a user's. */
	return is_word(before, ".") ||
	    !is_one_of(last, harmless_calls, COUNT(harmless_calls));
}

/* Count in @depth the parentheses that are open behind @word; note a SELECT
 * outside of all. */
static void
count_depth(struct word word, int *depth, bool *selects)
{
	if (is_word(word, "("))
		++*depth;
	else if (is_word(word, ")"))
		--*depth;
	else if (*depth == 0 && is_word(word, "select"))
		*selects = true;
}

/* Nothing but known calls, no SELECT INTO, no second statement. */
static bool
leaves_nothing(const char *sql, struct word first)
{
	struct word	word, last = first, before = { "", 0 };
	bool		target = false; /* inside the name behind INTO */
	bool		selects = is_word(first, "select");
	int		depth = 0;

	for (; (word = next_word(&sql)).length != 0;
	     before = last, last = word) {
		if (is_word(word, ";") && *skip_blank(sql) != '\0')
			return false;
		if (is_word(word, "(") && !target && is_call(before, last))
			return false;
		if (is_word(word, "into")) {
			/*
			 * SELECT INTO makes a table; INTO of INSERT and MERGE
			 * does not. Either word may also name a column, but not
			 * where a statement begins.
			 */
			if (!is_word(last, "insert") && !is_word(last, "merge"))
				return false;
			if (before.length != 0 && !is_word(before, "(") &&
			    (!is_word(before, ")") || depth != 0 || selects))
				return false;
			target = true;
		} else if (!is_word(word, ".") && !is_word(last, ".") &&
		    !is_word(last, "into")) {
			target = false;
		}
		count_depth(word, &depth, &selects);
	}
	return true;
}

/* Is @word pg_temp, with or without quotes or a session's number? */
static bool
is_temporary_schema(struct word word)
{
	if (*word.text == '"' && word.length > 1)
		word = (struct word) { word.text + 1, word.length - 2 };
	if (word.length > strlen("pg_temp_"))
		word.length = strlen("pg_temp_");
	return is_word(word, "pg_temp") || is_word(word, "pg_temp_");
}

/* Does @word after @last continue the name that stands after INTO? */
static bool
is_in_name(struct word last, struct word word)
{
	static const char *const joints[] = { ".", "&", "uescape" };
	static const char *const begins[] = { "into", "table", "unlogged" };

	return is_one_of(word, joints, COUNT(joints)) ||
	    is_one_of(last, joints, COUNT(joints)) ||
	    is_one_of(last, begins, COUNT(begins));
}

/* May @word follow "INSERT INTO temp", if temp is a table's name? */
static bool
follows_table(struct word word)
{
	static const char *const words[] = { "(", ".", "as", "default", "on",
		"overriding", "select", "using", "values", "with" };

	return is_one_of(word, words, COUNT(words));
}

/* Is @word TEMP or a word like it? */
static bool
is_temporary_word(struct word word)
{
	return is_word(word, "temp") || is_word(word, "temporary") ||
	    is_word(word, "local") || is_word(word, "global");
}

/* Does INTO after @last belong to INSERT or MERGE, which create nothing?
 * @plain: it is neither in parentheses nor after SELECT. */
static bool
is_insert(struct word before, struct word last, bool plain)
{
	return (is_word(last, "insert") || is_word(last, "merge")) &&
	    (plain || before.length == 0 || is_word(before, "(") ||
		is_word(before, ";"));
}

/* Is @word, at @p, the temporary schema that an object is put into: after
 * SCHEMA of CREATE EXTENSION and ALTER, or INTO of IMPORT FOREIGN SCHEMA? */
static bool
is_put_into_temporary(struct word first, struct word before, struct word last,
    struct word word, const char *p)
{
	if (is_word(first, "import") ? !is_word(last, "into") :
	    !is_word(last, "schema") || before.text == first.text ||
	    (!is_word(first, "create") && !is_word(first, "alter")))
		return false;
	/* U&"name" may hide pg_temp in escapes. */
	return is_temporary_schema(word) || (is_word(word, "u") && *p == '&');
}

/*
 * Does the rest of the statement create something temporary: in a schema
 * pg_temp after CREATE or INTO, by INTO TEMP, or by CREATE TEMP after EXPLAIN?
 */
static bool
is_temporary_inside(const char *p, struct word first)
{
	bool		creates = is_word(first, "create");
	bool		selects = is_word(first, "select");
	bool		target = false; /* inside the name behind INTO */
	bool		hidden = false; /* the name may be in escapes, as it is
					   U&"name" */
	int		depth = 0;
	struct word	word, last = first, before = { "", 0 };

	for (; (word = next_word(&p)).length != 0;
	     before = last, last = word) {
		if (is_temporary_word(last) && !follows_table(word) &&
		    (is_word(before, "into") ||
			(is_word(before, "create") &&
			    before.text != first.text)))
			return true;
		if (is_put_into_temporary(first, before, last, word, p))
			return true;
		/* The schema of the object created, not of what it is made
		 * from. */
		if ((creates || target) && is_word(word, ".") &&
		    (hidden || is_temporary_schema(last)))
			return true;
		if (*word.text == '"')
			hidden = is_word(last, "&") &&
			    memchr(word.text, '\\', word.length) != NULL;
		else if (!is_word(last, "uescape"))
			hidden = is_word(word, "uescape");
		if (is_word(word, "into"))
			target = !is_insert(before, last,
			    depth == 0 && !selects);
		else
			target = target && is_in_name(last, word);
		count_depth(word, &depth, &selects);
		if (is_word(word, "create"))
			creates = true;
		else if (is_word(word, "as"))
			creates = false;
	}
	return false;
}

/* Does TEMP, or a word like it, follow CREATE or CREATE OR REPLACE at @p? */
static bool
is_temporary(const char *p)
{
	struct word	word = next_word(&p);

	if (is_word(word, "or")) {
		next_word(&p);
		word = next_word(&p);
	}
	return is_word(word, "temp") || is_word(word, "temporary") ||
	    is_word(word, "local") || is_word(word, "global");
}

/* The word that says what the statement does, and *p behind it. */
static struct word
first_word(const char **p)
{
	struct word	first;

	do
		first = next_word(p);
	while (is_word(first, "(") || is_word(first, ";"));
	return first;
}

bool
sql_commits(const char *sql)
{
	struct word	word = first_word(&sql);

	if (is_one_of(word, commit_words, COUNT(commit_words)))
		return true;
	if (!is_word(word, "create") && !is_word(word, "alter") &&
	    !is_word(word, "drop"))
		return false;
	word = next_word(&sql);
	if (is_one_of(word, commit_objects, COUNT(commit_objects)))
		return true;
	for (; word.length != 0; word = next_word(&sql))
		if (is_word(word, "concurrently"))
			return true;
	return false;
}

bool
sql_transacts(const char *sql)
{
	return is_one_of(first_word(&sql), transaction_words,
	    COUNT(transaction_words));
}

bool
sql_is_commit(const char *sql)
{
	struct word	word = first_word(&sql);

	return is_word(word, "commit") || is_word(word, "end") ||
	    (is_word(word, "prepare") &&
		is_word(next_word(&sql), "transaction"));
}

bool
sql_ends(const char *sql)
{
	const char	*p = sql;
	struct word	 word = first_word(&p);

	if (!is_word(word, "rollback"))
		return is_word(word, "abort") || sql_is_commit(sql);
	word = next_word(&p);
	if (is_word(word, "work") || is_word(word, "transaction"))
		word = next_word(&p);
	return !is_word(word, "to");
}

enum sql_effect
sql_effect(const char *sql)
{
	const char	*p = sql;
	struct word	 first = first_word(&p);

	if (first.length == 0)
		return SQL_HARMLESS;
	if (is_one_of(first, session_words, COUNT(session_words)))
		return SQL_SESSION;
	if (is_word(first, "create"))
		return is_temporary(p) || is_temporary_inside(p, first) ?
		    SQL_SESSION : SQL_DIRTY;
	/*
	 * Where a string with a backslash ends depends on the session's
	 * standard_conforming_strings, and on the string before it.
	 */
	if (is_one_of(first, row_words, COUNT(row_words)) &&
	    strchr(sql, '\\') == NULL && leaves_nothing(p, first))
		return SQL_HARMLESS;
	return is_temporary_inside(p, first) ? SQL_SESSION : SQL_DIRTY;
}

bool
sql_deallocates(const char *sql)
{
	struct word	first;

	do
		first = next_word(&sql);
	while (is_word(first, ";"));
	return is_word(first, "deallocate") ||
	    (is_word(first, "discard") && is_word(next_word(&sql), "all"));
}

bool
sql_reads(const char *sql)
{
	static const char *const words[] = {
		"select", "show", "table", "values",
	};
	const char	*p = sql;

	return is_one_of(first_word(&p), words, COUNT(words)) &&
	    sql_effect(sql) == SQL_HARMLESS;
}

/* The server takes STDIN and STDOUT for each other. */
enum sql_copy
sql_copies(const char *sql)
{
	struct word	word = next_word(&sql), last;
	int		depth = 0;

	while (is_word(word, ";"))
		word = next_word(&sql);
	if (!is_word(word, "copy"))
		return SQL_COPY_NONE;
	for (last = word; (word = next_word(&sql)).length != 0; last = word) {
		if (is_word(word, "("))
			depth++;
		else if (is_word(word, ")"))
			depth--;
		else if (depth > 0 || (!is_word(word, "stdin") &&
		    !is_word(word, "stdout")))
			continue;
		else if (is_word(last, "from"))
			return SQL_COPY_IN;
		else if (is_word(last, "to"))
			return SQL_COPY_OUT;
	}
	return SQL_COPY_NONE;
}

bool
sql_is_single(const char *sql, bool standard_strings)
{
	struct word	word;
	bool		begun = false, ended = false;

	while ((word = next_token(&sql, !standard_strings)).length != 0) {
		if (is_word(word, ";"))
			ended = begun;
		else if (ended)
			return false;
		else
			begun = true;
	}
	return true;
}
