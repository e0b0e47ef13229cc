/*
 * token.c - the words and signs of a configuration file, with their lines.
 */
#include "token.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text that grows; @written has TOKEN_VARIABLE in place of what came from the
 * environment. */
struct builder {
	FILE *meant, *written;
	char *meant_text, *written_text;
	size_t meant_size, written_size;
	bool unset;
};

static bool
builder_open(struct builder *b)
{
	b->meant = open_memstream(&b->meant_text, &b->meant_size);
	b->written = open_memstream(&b->written_text, &b->written_size);
	return b->meant != NULL && b->written != NULL;
}

static void
builder_put(struct builder *b, char c)
{
	fputc(c, b->meant);
	fputc(c, b->written);
}

/* False: out of memory. */
static bool
builder_close(struct builder *b, struct memory **memory, struct token *token)
{
	bool done = b->meant != NULL && b->written != NULL;

	if (b->meant != NULL)
		done &= fclose(b->meant) == 0;
	if (b->written != NULL)
		done &= fclose(b->written) == 0;
	if (done) {
		token->text = memory_text(memory, b->meant_text);
		token->written = memory_text(memory, b->written_text);
		done = token->text != NULL && token->written != NULL;
	}
	free(b->meant_text);
	free(b->written_text);
	return done;
}

static void
step(struct tokens *t)
{
	t->line += *t->at == '\n';
	t->at++;
}

/* Skip blanks and comments. False: a comment is never closed. */
static bool
skip_blanks(struct tokens *t)
{
	const char *end;

	for (;;) {
		while (isspace((unsigned char)*t->at))
			step(t);
		if (t->at[0] == '#' || (t->at[0] == '/' && t->at[1] == '/'))
			t->at += strcspn(t->at, "\n");
		else if (t->at[0] != '/' || t->at[1] != '*')
			return true;
		else if ((end = strstr(t->at + 2, "*/")) == NULL) {
			mistake_add(t->mistakes, t->line,
			    "comment is never closed: */ is missing");
			return false;
		} else
			while (t->at < end + 2)
				step(t);
	}
}

/* Is @name a variable's name, as a shell knows it? */
static bool
is_name(const char *name)
{
	return *name != '\0' && !isdigit((unsigned char)*name) &&
	    name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"
		"abcdefghijklmnopqrstuvwxyz0123456789")] == '\0';
}

/* ${NAME} or ${NAME:-TEXT} */
static bool
take_variable(struct tokens *t, struct builder *b)
{
	const char *value, *fallback;
	size_t	    length = strcspn(t->at, "}\n");
	char	    name[256];
	int	    rest = 0;

	if (t->at[length] != '}') {
		mistake_add(t->mistakes, t->line,
		    "'${' needs its '}' on the same line");
		return false;
	}
	snprintf(name, sizeof(name), "%.*s", (int)length - 2, t->at + 2);
	fallback = memmem(t->at, length, ":-", 2);
	if (fallback != NULL)
		name[strcspn(name, ":")] = '\0';
	value = getenv(name);
	if (!is_name(name)) {
		mistake_add(t->mistakes, t->line, "'${%.64s}' names no "
		    "variable; write ${NAME} or ${NAME:-TEXT}", name);
		b->unset = true;
	} else if (fallback == NULL && value == NULL) {
		mistake_add(t->mistakes, t->line, "${%.64s} is not set in the "
		    "environment; write ${%.64s:-} if it may be empty", name,
		    name);
		b->unset = true;
	}
	fputc(TOKEN_VARIABLE, b->written);
	if (fallback != NULL) {
		fallback += 2;
		rest = (int)(t->at + length - fallback);
		/* The default is readable in the file, used or not. */
		fprintf(b->written, "%.*s", rest, fallback);
	}
	if (fallback != NULL && (value == NULL || *value == '\0'))
		fprintf(b->meant, "%.*s", rest, fallback);
	else if (value != NULL)
		fputs(value, b->meant);
	t->at += length + 1;
	return true;
}

/* \101 or \x41, behind the backslash. */
static bool
take_number(struct tokens *t, struct builder *b)
{
	char	      digits[4] = "";
	const char   *from = t->at;
	int	      base = 8;
	size_t	      most = 3, count;
	unsigned long value;

	if (*from == 'x') {
		from++;
		base = 16;
		most = 2;
	}
	count = strspn(from, base == 8 ? "01234567" :
	    "0123456789abcdefABCDEF");
	if (count > most)
		count = most;
	memcpy(digits, from, count);
	value = strtoul(digits, NULL, base);
	if (value == 0 || value > 255) {
		mistake_add(t->mistakes, t->line, "syntax error: \\%.*s is no "
		    "character", (int)(from - t->at) + (int)count, t->at);
		return false;
	}
	builder_put(b, (char)value);
	t->at = from + count;
	return true;
}

/* Take the escape behind a backslash in "text". */
static bool
take_escape(struct tokens *t, struct builder *b)
{
	static const char names[] = "ntbrfaev", meant[] = "\n\t\b\r\f\a\033\v";
	const char	 *name;

	t->at++;
	if (*t->at == '\0')
		return true;	/* the text is never closed */
	if (*t->at == 'x' || (*t->at >= '0' && *t->at <= '7'))
		return take_number(t, b);
	if (*t->at == '\n')
		;
	else if ((name = strchr(names, *t->at)) != NULL)
		builder_put(b, meant[name - names]);
	else
		builder_put(b, *t->at);
	step(t);
	return true;
}

static bool
take_quoted(struct tokens *t, struct builder *b)
{
	const char     quote = *t->at;
	const unsigned line = t->line;

	step(t);
	while (*t->at != quote && *t->at != '\0') {
		if (quote == '"' && *t->at == '\\') {
			if (!take_escape(t, b))
				return false;
		} else if (quote == '"' && t->at[0] == '$' &&
		    t->at[1] == '{') {
			if (!take_variable(t, b))
				return false;
		} else if (t->at[0] == '\\' && t->at[1] == '\n') {
			t->at++;
			step(t);
		} else {
			if (t->at[0] == '\\' &&
			    (t->at[1] == '\\' || t->at[1] == '\''))
				t->at++;
			builder_put(b, *t->at);
			step(t);
		}
	}
	if (*t->at == '\0') {
		mistake_add(t->mistakes, line,
		    "string is never closed: %c is missing", quote);
		return false;
	}
	step(t);
	return true;
}

static bool
ends_word(const char *at)
{
	return *at == '\0' || isspace((unsigned char)*at) ||
	    strchr("={}(),\"'#", *at) != NULL ||
	    (at[0] == '+' && at[1] == '=');
}

static bool
take_word(struct tokens *t, struct builder *b)
{
	while (!ends_word(t->at)) {
		if (t->at[0] == '$' && t->at[1] == '{') {
			if (!take_variable(t, b))
				return false;
			continue;
		}
		builder_put(b, *t->at);
		step(t);
	}
	return true;
}

static void
take_text(struct tokens *t, struct token *token)
{
	struct builder b = { 0 };
	bool	       good = builder_open(&b);

	if (good)
		good = *t->at == '"' || *t->at == '\'' ? take_quoted(t, &b) :
							 take_word(t, &b);
	else
		mistake_add(t->mistakes, t->line, "out of memory");
	token->unset = b.unset;
	if (!builder_close(&b, t->memory, token) && good) {
		mistake_add(t->mistakes, t->line, "out of memory");
		good = false;
	}
	token->kind = good ? TOKEN_TEXT : TOKEN_BAD;
}

void
token_next(struct tokens *t, struct token *token)
{
	static const struct {
		const char *sign;
		enum token_kind kind;
	} signs[] = {
		{ "=", TOKEN_EQUAL }, { "+=", TOKEN_ADD },
		{ ",", TOKEN_COMMA }, { "{", TOKEN_OPEN },
		{ "}", TOKEN_CLOSE }, { "(", TOKEN_PAREN },
		{ ")", TOKEN_PAREN },
	};

	*token = (struct token) { .kind = TOKEN_BAD, .line = t->last };
	if (!skip_blanks(t))
		return;
	if (*t->at == '\0') {
		token->kind = TOKEN_END;
		return;
	}
	token->line = t->last = t->line;
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (strncmp(t->at, signs[i].sign, strlen(signs[i].sign)) ==
		    0) {
			token->kind = signs[i].kind;
			token->text = signs[i].sign;
			t->at += strlen(signs[i].sign);
			return;
		}
	take_text(t, token);
}
