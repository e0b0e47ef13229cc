/*
 * parse.c - what a configuration file says, still as text, with its lines.
 *
 *	file	= { item }
 *	item	= KEY ( "=" | "+=" ) values
 *		| SECTION [ TITLE ] "{" { item } "}"
 *	values	= TEXT | "{" [ TEXT { "," TEXT } [ "," ] ] "}"
 *
 * An unknown key is one mistake, whatever it holds, and reading goes on after
 * it. A syntax error ends reading, as nothing after it has a clear meaning.
 */
#include "parse.h"

#include "token.h"

#include <ctype.h>
#include <string.h>

#define DEPTH_MAX    16	  /* sections inside of each other; known are two */
#define SECTIONS_MAX 1000 /* more is a mistake, and each takes memory */

struct parse {
	struct parsed *parsed;
	struct mistakes *mistakes;
	struct tokens tokens;
	unsigned depth;
	unsigned section_count;
};

/* The meaning of a name in its place. */
struct meaning {
	const struct option *option; /* NULL: it is no key */
	enum section_kind kind;	     /* SECTION_FILE: it is no section */
};

static bool
unexpected(struct parse *parse, const struct token *token)
{
	if (token->kind == TOKEN_END)
		mistake_add(parse->mistakes, token->line,
		    "syntax error: premature end of the file");
	else if (token->kind == TOKEN_CLOSE)
		mistake_add(parse->mistakes, token->line,
		    "syntax error: unexpected closing brace");
	else if (token->kind != TOKEN_BAD)
		mistake_add(parse->mistakes, token->line,
		    "syntax error: unexpected token '%.64s'", token->text);
	return false;
}

static bool
out_of_memory(struct parse *parse)
{
	mistake_add(parse->mistakes, parse->tokens.line, "out of memory");
	return false;
}

static bool
never_closed(struct parse *parse, unsigned opened)
{
	mistake_add(parse->mistakes, opened,
	    "'{' is never closed: '}' is missing");
	return false;
}

/* Report an unknown name. @within NULL: it is inside of an unknown section,
 * which was reported. */
static void
report_unknown(struct parse *parse, const struct section *within,
    const struct token *name)
{
	char	why[512];

	if (within == NULL)
		return;
	option_explain_unknown(within->kind, name->text, why, sizeof(why));
	mistake_add(parse->mistakes, name->line, "%s", why);
}

static struct meaning
find_meaning(const struct section *within, const char *name)
{
	struct meaning meaning = { NULL, SECTION_FILE };

	if (within == NULL)
		return meaning;
	meaning.option = option_find(within->kind, name);
	if (within->kind == SECTION_FILE)
		for (int kind = SECTION_FILE + 1; kind < SECTION_KINDS; kind++)
			if (strcmp(section_name((enum section_kind)kind),
				name) == 0)
				meaning.kind = (enum section_kind)kind;
	return meaning;
}

static void
check_twice(struct parse *parse, struct section *section)
{
	struct section	*other = NULL;
	const char	*title = section->title;

	while ((other = section_next(parse->parsed, section->kind,
	    other)) != section) {
		if (title != NULL && strcmp(other->title, title) != 0)
			continue;
		section->bad = true;
		if (title == NULL)
			mistake_add(parse->mistakes, section->line,
			    "%s is there already, in line %u",
			    section_name(section->kind), other->line);
		else
			mistake_add(parse->mistakes, section->line,
			    "%s \"%.64s\" is there already, in line %u; each "
			    "needs a name of its own",
			    section_name(section->kind), title, other->line);
		return;
	}
}

static bool
add_value(struct parse *parse, struct setting *setting,
    const struct token *token)
{
	struct value *value;

	if (setting == NULL)
		return true;	/* of an unknown key */
	if ((value = memory_get(&parse->parsed->memory, sizeof(*value))) ==
	    NULL)
		return out_of_memory(parse);
	value->text = token->text;
	value->written = token->written;
	value->line = token->line;
	if (setting->line == 0)
		setting->line = value->line;
	setting->bad |= token->unset;
	setting->count++;
	STAILQ_INSERT_TAIL(&setting->values, value, next);
	return true;
}

/* Parse a list after its "{"; @setting NULL: keep nothing. */
static bool
parse_list(struct parse *parse, struct setting *setting, unsigned opened)
{
	struct token token;

	for (;;) {
		token_next(&parse->tokens, &token);
		if (token.kind == TOKEN_CLOSE)
			return true;
		if (token.kind == TOKEN_END)
			return never_closed(parse, opened);
		if (token.kind != TOKEN_TEXT)
			return unexpected(parse, &token);
		if (!add_value(parse, setting, &token))
			return false;
		token_next(&parse->tokens, &token);
		if (token.kind == TOKEN_CLOSE)
			return true;
		if (token.kind == TOKEN_END)
			return never_closed(parse, opened);
		if (token.kind != TOKEN_COMMA)
			return unexpected(parse, &token);
	}
}

/* Is it a list whose default is empty? */
static bool
may_be_empty(const struct option *option)
{
	return option_is_list(option) && option->fallback != NULL &&
	    option->fallback[0] == '\0';
}

/* Parse values after a "=" or "+="; @option NULL: an unknown key's. */
static bool
parse_values(struct parse *parse, struct section *section,
    const struct option *option, const struct token *name, bool more)
{
	struct setting	*setting = NULL;
	struct token	 token;

	if (option == NULL)
		report_unknown(parse, section, name);
	else
		setting = section_setting(section, option);
	if (setting != NULL && setting->line > 0 && !more) {
		mistake_add(parse->mistakes, name->line,
		    "%s is there already, in line %u", option->name,
		    setting->line);
		setting->bad = true;
	}
	token_next(&parse->tokens, &token);
	if (token.kind == TOKEN_TEXT)
		return add_value(parse, setting, &token);
	if (token.kind != TOKEN_OPEN)
		return unexpected(parse, &token);
	if (!parse_list(parse, setting, token.line))
		return false;
	if (setting == NULL)
		return true;
	setting->list = true;
	if (setting->line == 0)
		setting->line = name->line;
	if (setting->count == 0 && !may_be_empty(option)) {
		mistake_add(parse->mistakes, name->line, "%s needs %s value",
		    option->name, option_is_list(option) ? "at least one" :
		    "one");
		setting->bad = true;
	}
	return true;
}

static bool
parse_body(struct parse *parse, struct section *section, unsigned opened);

/* Parse a section after its "{"; @kind SECTION_FILE: it is unknown. */
static bool
parse_section(struct parse *parse, enum section_kind kind, const char *title,
    unsigned opened)
{
	struct section *section = NULL;
	bool		done;

	if (kind != SECTION_FILE) {
		if (++parse->section_count > SECTIONS_MAX) {
			mistake_add(parse->mistakes, opened,
			    "there are more than %d sections", SECTIONS_MAX);
			return false;
		}
		section = section_add(parse->parsed, kind, title, opened);
		if (section == NULL)
			return out_of_memory(parse);
		check_twice(parse, section);
	}
	if (parse->depth == DEPTH_MAX) {
		mistake_add(parse->mistakes, opened,
		    "syntax error: more than %d sections inside of each "
		    "other", DEPTH_MAX);
		return false;
	}
	parse->depth++;
	done = parse_body(parse, section, opened);
	parse->depth--;
	return done;
}

/* Report a token that is misplaced behind the name of a key or section. */
static bool
misplaced(struct parse *parse, const struct section *within,
    const struct meaning *meaning, const struct token *name,
    const struct token *token)
{
	if (token->kind == TOKEN_BAD)
		return false;
	if (meaning->option != NULL)
		mistake_add(parse->mistakes, name->line, "syntax error: "
		    "missing equal sign after '%.64s'", name->text);
	else if (meaning->kind != SECTION_FILE &&
	    section_titled(meaning->kind) && token->kind == TOKEN_OPEN)
		mistake_add(parse->mistakes, name->line, "syntax error: "
		    "missing title of section '%.64s'", name->text);
	else if (meaning->kind != SECTION_FILE)
		mistake_add(parse->mistakes, name->line, "syntax error: "
		    "missing opening brace of section '%.64s'", name->text);
	else if (within != NULL && isalpha((unsigned char)name->text[0]))
		report_unknown(parse, within, name);
	else
		return unexpected(parse, token);
	return false;
}

/* Parse one item, after its name. */
static bool
parse_item(struct parse *parse, struct section *within,
    const struct token *name)
{
	const struct meaning	meaning = find_meaning(within, name->text);
	const bool		section = meaning.option == NULL;
	const bool		unknown = section &&
				    meaning.kind == SECTION_FILE;
	const char	       *title = NULL;
	struct token		token, first;

	token_next(&parse->tokens, &token);
	if (token.kind == TOKEN_EQUAL || token.kind == TOKEN_ADD) {
		if (unknown && within != NULL &&
		    iscntrl((unsigned char)name->text[0]))
			return unexpected(parse, &token);
		if (section && !unknown)
			return misplaced(parse, within, &meaning, name,
			    &token);
		return parse_values(parse, within, meaning.option, name,
		    token.kind == TOKEN_ADD);
	}
	first = token;
	if (token.kind == TOKEN_TEXT && section &&
	    (unknown || section_titled(meaning.kind))) {
		title = token.text;
		token_next(&parse->tokens, &token);
	}
	if (token.kind != TOKEN_OPEN || !section ||
	    (!unknown && section_titled(meaning.kind) && title == NULL))
		return misplaced(parse, within, &meaning, name,
		    title == NULL ? &first : &token);
	if (unknown)
		report_unknown(parse, within, name);
	return parse_section(parse, meaning.kind, title, token.line);
}

/* Parse all items up to the end of a section that was opened in line @opened,
 * or of the file (0). @section NULL: it is unknown, keep nothing. */
static bool
parse_body(struct parse *parse, struct section *section, unsigned opened)
{
	struct token token;

	for (;;) {
		token_next(&parse->tokens, &token);
		if (token.kind == TOKEN_END)
			return opened == 0 || never_closed(parse, opened);
		if (token.kind == TOKEN_CLOSE && opened != 0)
			return true;
		if (token.kind != TOKEN_TEXT)
			return unexpected(parse, &token);
		if (!parse_item(parse, section, &token))
			return false;
	}
}

bool
parse_text(struct parsed *parsed, const struct text *text,
    struct mistakes *mistakes)
{
	struct parse	parse = {
		.parsed = parsed,
		.mistakes = mistakes,
		.tokens = { .at = text->bytes, .line = 1, .last = 1,
		    .memory = &parsed->memory, .mistakes = mistakes },
	};
	struct section *file;

	STAILQ_INIT(&parsed->sections);
	file = section_add(parsed, SECTION_FILE, NULL, 1);
	return file != NULL ? parse_body(&parse, file, 0) :
			      out_of_memory(&parse);
}

struct section *
section_add(struct parsed *parsed, enum section_kind kind, const char *title,
    unsigned line)
{
	struct section	*section;
	size_t		 count = option_count();

	section = memory_get(&parsed->memory, sizeof(*section) +
	    count * sizeof(section->settings[0]));
	if (section == NULL || (title != NULL && (section->title =
	    memory_text(&parsed->memory, title)) == NULL))
		return NULL;
	section->kind = kind;
	section->line = line;
	for (size_t i = 0; i < count; i++)
		STAILQ_INIT(&section->settings[i].values);
	STAILQ_INSERT_TAIL(&parsed->sections, section, next);
	return section;
}

struct setting *
section_setting(struct section *section, const struct option *option)
{
	return &section->settings[option_index(option)];
}

struct section *
section_next(struct parsed *parsed, enum section_kind kind,
    struct section *section)
{
	section = section == NULL ? STAILQ_FIRST(&parsed->sections) :
	    STAILQ_NEXT(section, next);
	while (section != NULL && section->kind != kind)
		section = STAILQ_NEXT(section, next);
	return section;
}
