/*
 * token.h - the words and signs of a configuration file, with their lines.
 *
 *	word		up to a blank or one of = { } ( ) , " ' # or +=
 *	"text"		with \n, \t, \\, \", \101, \x41, and a line that goes
 *			on behind a backslash
 *	'text' as it is, except \' and \\ ${NAME} in a word or "text": from the
 *	environment ${NAME:-TEXT} the same; TEXT if that is not set, or empty #
 *	and // a comment up to the end of the line slash star a comment up to
 *	star slash
 */
#ifndef CONFIG_TOKEN_H
#define CONFIG_TOKEN_H

#include "memory.h"
#include "mistake.h"

#include <stdbool.h>

enum token_kind {
	TOKEN_TEXT,  /* a word or a quoted text */
	TOKEN_EQUAL, /* = */
	TOKEN_ADD,   /* += */
	TOKEN_COMMA,
	TOKEN_OPEN,  /* { */
	TOKEN_CLOSE, /* } */
	TOKEN_PAREN, /* ( or ): always a mistake */
	TOKEN_END,   /* of the file */
	TOKEN_BAD    /* a mistake was added; nothing can follow */
};

#define TOKEN_VARIABLE '\001'

struct token {
	enum token_kind kind;
	unsigned line;	     /* where it begins; of TOKEN_END: where the last
				token began */
	const char *text;    /* TOKEN_TEXT: its meaning; else the sign itself */
	const char *written; /* TOKEN_TEXT: the same, TOKEN_VARIABLE in place
				of what came from the environment */
	bool unset;	     /* a variable in it is not set: a mistake */
};

/* Where a reader is. */
struct tokens {
	const char *at; /* set to the text, before the first token_next() */
	unsigned line;	/* set to 1 */
	unsigned last;	/* line of the last token */
	struct memory **memory; /* texts live there */
	struct mistakes *mistakes;
};

void token_next(struct tokens *tokens, struct token *token);

#endif
