/*
 * parse.h - what a configuration file says, still as text, with its lines.
 */
#ifndef CONFIG_PARSE_H
#define CONFIG_PARSE_H

#include "mistake.h"
#include "option.h"
#include "text.h"

#include <sys/queue.h>

/* One value: "SQL" in init = {"SQL", ...} */
struct value {
	STAILQ_ENTRY(value) next;
	const char *text;
	const char *written; /* see struct token */
	unsigned line;
};

/* One key of one section. */
struct setting {
	unsigned line; /* of its first value, or of an empty list;
			  0: not written */
	size_t count;
	STAILQ_HEAD(, value) values;
	bool list; /* written with braces */
	bool bad;  /* a mistake was found: say no more about it */
};

struct section {
	STAILQ_ENTRY(section) next;
	enum section_kind kind;
	const char *title;	   /* NULL: this kind has none */
	unsigned line;		   /* where it was opened */
	bool bad;		   /* something is wrong with its title */
	struct setting settings[]; /* by the rows of option_at() */
};

/* Begins as zeroes; ends with memory_free(&parsed->memory). */
struct parsed {
	struct memory *memory;
	STAILQ_HEAD(, section) sections; /* the first is the file itself */
};

/*
 * Parse @text into @parsed. False: there is a syntax error; @parsed holds what
 * came before it.
 */
bool parse_text(struct parsed *parsed, const struct text *text,
    struct mistakes *mistakes);

/* Add an empty section; NULL: out of memory. */
struct section *section_add(struct parsed *parsed, enum section_kind kind,
    const char *title, unsigned line);
struct setting *section_setting(struct section *section,
    const struct option *option);
/* The next section of a kind after @section (NULL: the first) or NULL. */
struct section *section_next(struct parsed *parsed, enum section_kind kind,
    struct section *section);

#endif
