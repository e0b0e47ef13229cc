/*
 * parse.c - a configuration file through libconfuse.
 *
 * libconfuse is made to see a list of texts in every key, so that it hands
 * over all values with their lines and judges none of them. It stops at the
 * first key that it does not know; such a key is learnt, and the text parsed
 * again, until nothing new turns up. The last pass is the one that counts: it
 * reports the keys that had to be learnt.
 *
 * libconfuse gives its callbacks no pointer of ours. Each section therefore
 * begins with two options that nobody writes: MINE, through which they find
 * their way back, and OPENED, a list with a default: libconfuse parses that
 * when it opens a section, and so tells us the line.
 */
#include "parse.h"

#include <assert.h>
#include <confuse.h>
#include <stdio.h>
#include <string.h>

#define MINE	     "\001"
#define OPENED	     "\002"
#define UNKNOWNS_MAX 100

/* What stands behind an unknown name is found out by trying. */
enum shape { SHAPE_VALUE, SHAPE_TITLED, SHAPE_UNTITLED };

/*
 * A section as libconfuse sees it is known by a number: its section_kind, or
 * SECTION_KINDS and more for the section that an unknown name opens.
 */
struct unknown {
	long within;
	const char *name;
	enum shape shape;
};

struct parse {
	void *self;
	struct parsed *parsed;
	struct mistakes *mistakes;
	const struct text *text;
	const struct option *table;
	size_t table_size;

	cfg_t *cfg;		 /* the section that is open: theirs */
	struct section *section; /* and ours */
	bool value_seen;	 /* by on_value(), not yet by on_valid() */

	struct memory *memory; /* of the names */
	struct unknown unknowns[UNKNOWNS_MAX];
	size_t unknown_count;
	bool again;	/* something was learnt: this pass is void */
	bool explained; /* why it stopped */
};

static struct parse *
parse_of(cfg_t *cfg)
{
	struct parse	*parse = cfg_getptr(cfg, MINE);

	assert(parse->self == parse);
	return parse;
}

static long
section_number(cfg_t *cfg)
{
	return cfg_getopt(cfg, OPENED)->def.number;
}

static void
parse_nomem(struct parse *parse, cfg_t *cfg)
{
	mistake_add(parse->mistakes, (unsigned)cfg->line, "out of memory");
	parse->explained = true;
}

static void
parse_unknown(struct parse *parse, long within, unsigned line,
    const char *name)
{
	char	why[512];

	/* Of an unknown section it is enough to say that it is unknown. */
	if (within >= SECTION_KINDS)
		return;
	option_explain_unknown((enum section_kind)within, name, why,
	    sizeof(why));
	mistake_add(parse->mistakes, line, "%s", why);
}

static void
check_twice(struct parse *parse)
{
	struct section	*section = parse->section, *other = NULL;
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

/* A section begins; opt is OPENED. */
static int
on_opened(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	struct parse	*parse = parse_of(cfg);
	const long	 number = opt->def.number;

	*(const char **)result = text;
	if (number >= SECTION_KINDS) {
		parse_unknown(parse, parse->unknowns[number -
		    SECTION_KINDS].within, (unsigned)cfg->line, cfg->name);
		return 0;
	}
	if (cfg == parse->cfg)
		return 1;	/* somebody wrote a key named OPENED */
	parse->cfg = cfg;
	parse->section = section_add(parse->parsed,
	    (enum section_kind)number, cfg->title, (unsigned)cfg->line);
	if (parse->section == NULL) {
		parse_nomem(parse, cfg);
		return 1;
	}
	check_twice(parse);
	return 0;
}

/* One value of a key that is in the table. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	struct parse		*parse = parse_of(cfg);
	const struct option	*option = &parse->table[opt->def.number];
	struct setting		*setting;
	struct value		*value;

	*(const char **)result = text;
	parse->value_seen = true;
	if (cfg != parse->cfg || option->section != parse->section->kind) {
		/* "health|fall" = 3 */
		mistake_add(parse->mistakes, (unsigned)cfg->line,
		    "%s must be written inside its section", option->name);
		return 0;
	}
	setting = section_setting(parse->section, option);
	if (opt->nvalues == 1 && setting->count > 0) {
		mistake_add(parse->mistakes, (unsigned)cfg->line,
		    "%s is there already, in line %u", option->name,
		    setting->line);
		setting->bad = true;
	}
	if ((value = memory_get(&parse->parsed->memory,
	    sizeof(*value))) == NULL || (value->text =
	    memory_text(&parse->parsed->memory, text)) == NULL) {
		parse_nomem(parse, cfg);
		return 1;
	}
	value->line = (unsigned)cfg->line;
	if (setting->line == 0)
		setting->line = value->line;
	setting->count++;
	STAILQ_INSERT_TAIL(&setting->values, value, next);
	return 0;
}

/* Called after each value, and once more for a closing brace. */
static int
on_valid(cfg_t *cfg, cfg_opt_t *opt)
{
	struct parse	*parse = parse_of(cfg);

	if (!parse->value_seen && cfg == parse->cfg)
		section_setting(parse->section,
		    &parse->table[opt->def.number])->list = true;
	parse->value_seen = false;
	return 0;
}

static int
on_unknown_value(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	*(const char **)result = text;
	if (opt->nvalues == 1)
		parse_unknown(parse_of(cfg), section_number(cfg),
		    (unsigned)cfg->line, opt->name);
	return 0;
}

/* Somebody wrote a key named MINE. */
static int
on_mine(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	(void)cfg;
	(void)opt;
	(void)text;
	(void)result;
	return 1;
}

/* The line of NAME = {}, which no callback is told of. */
static unsigned
empty_list_line(const struct parse *parse, const char *name, unsigned line)
{
	const char	*p = parse->text->clean;

	for (unsigned i = 1; i < line && *p != '\0'; p++)
		i += *p == '\n';
	while ((p = strstr(p, name)) != NULL) {
		const char *after = p + strlen(name);

		after += strspn(after, " \t+=");
		if (*after == '{') {
			after++;
			after += strspn(after, " \t\r\n");
			if (*after == '}')
				break;
		}
		p++;
	}
	if (p == NULL)
		return line;
	line = 1;
	for (const char *q = parse->text->clean; q < p; q++)
		line += *q == '\n';
	return line;
}

/* At the end of a section: only a list of texts may be empty. */
static void
check_empty_lists(struct parse *parse, cfg_t *cfg, unsigned line)
{
	const long	 number = section_number(cfg);

	for (cfg_opt_t *opt = cfg->opts; opt->name != NULL; opt++) {
		const struct option	*option;
		struct setting		*setting;
		unsigned		 at;

		if (opt->type != CFGT_STR || opt->nvalues > 0 ||
		    (opt->flags & CFGF_MODIFIED) == 0)
			continue;
		at = empty_list_line(parse, opt->name, line);
		if (opt->def.number < 0) {
			parse_unknown(parse, number, at, opt->name);
			continue;
		}
		option = &parse->table[opt->def.number];
		setting = section_setting(parse->section, option);
		if (option->type == OPTION_TEXTS && setting->count == 0)
			continue;
		mistake_add(parse->mistakes, at, "%s needs %s value",
		    option->name, option_is_list(option) ? "at least one" :
		    "one");
		setting->bad = true;
	}
}

/* A section ends; cfg is the one that it stands in. */
static int
on_closed(cfg_t *cfg, cfg_opt_t *opt)
{
	struct parse	*parse = parse_of(cfg);

	(void)opt;
	check_empty_lists(parse, parse->cfg, parse->section->line);
	parse->cfg = cfg;
	parse->section = STAILQ_FIRST(&parse->parsed->sections);
	return 0;
}

static struct unknown *
unknown_find(struct parse *parse, long within, const char *name)
{
	for (size_t i = 0; i < parse->unknown_count; i++)
		if (parse->unknowns[i].within == within &&
		    strcmp(parse->unknowns[i].name, name) == 0)
			return &parse->unknowns[i];
	return NULL;
}

static bool
unknown_learn(struct parse *parse, long within, const char *name)
{
	struct unknown	*unknown = &parse->unknowns[parse->unknown_count];

	if (parse->unknown_count == UNKNOWNS_MAX ||
	    (unknown->name = memory_text(&parse->memory, name)) == NULL)
		return false;
	unknown->within = within;
	unknown->shape = SHAPE_VALUE;
	parse->unknown_count++;
	return true;
}

/* libconfuse says why it stops, right before it does. */
static void
on_error(cfg_t *cfg, const char *format, va_list args)
{
	struct parse	*parse = parse_of(cfg);
	struct unknown	*unknown = NULL;
	const long	 within = section_number(cfg);
	const char	*name = NULL;
	unsigned	 line = (unsigned)cfg->line;
	char		 text[256];
	va_list		 copy;

	if (strstr(format, "option '%s'") != NULL ||
	    strstr(format, "section '%s'") != NULL) {
		va_copy(copy, args);
		name = va_arg(copy, const char *);
		va_end(copy);
		unknown = unknown_find(parse, within, name);
	}
	if (strcmp(format, "no such option '%s'") == 0 && unknown == NULL &&
	    unknown_learn(parse, within, name)) {
		parse->again = true;
	} else if (unknown != NULL && unknown->shape != SHAPE_UNTITLED &&
	    strncmp(format, "missing", strlen("missing")) == 0 &&
	    strstr(format, "brace") == NULL) {
		unknown->shape++;
		parse->again = true;
	} else if (unknown != NULL && within < SECTION_KINDS) {
		/* Nothing that it could be fits what follows it. */
		parse_unknown(parse, within, line, name);
		parse->explained = true;
	} else {
		if (line > parse->text->lines)
			line = parse->text->lines;
		vsnprintf(text, sizeof(text), format, args);
		mistake_add(parse->mistakes, line, "syntax error: %s", text);
		parse->explained = true;
	}
}

static cfg_opt_t *
make_section(struct parse *parse, struct memory **memory, long number);

static bool
make_subsection(struct parse *parse, struct memory **memory, cfg_opt_t *opt,
    const char *name, long number, bool titled)
{
	*opt = (cfg_opt_t)CFG_SEC(name, NULL,
	    CFGF_MULTI | (titled ? CFGF_TITLE : 0));
	if (number < SECTION_KINDS)
		opt->validcb = on_closed;
	opt->subopts = make_section(parse, memory, number);
	return opt->subopts != NULL;
}

/* The options of one section, those inside of it included. */
static cfg_opt_t *
make_section(struct parse *parse, struct memory **memory, long number)
{
	const size_t	 most = 2 + parse->table_size + SECTION_KINDS +
	    parse->unknown_count + 1;
	cfg_opt_t	*opts = memory_get(memory, most * sizeof(*opts));
	cfg_opt_t	*opt = opts;

	if (opts == NULL)
		return NULL;
	*opt = (cfg_opt_t)CFG_PTR_CB(MINE, NULL, CFGF_NODEFAULT, on_mine,
	    NULL);
	opt++->simple_value.ptr = &parse->self;
	*opt = (cfg_opt_t)CFG_STR_LIST_CB(OPENED, NULL, CFGF_NONE, on_opened);
	if (number != SECTION_FILE && (opt->def.parsed =
	    memory_text(memory, "{opened}")) == NULL)
		return NULL;
	opt++->def.number = number;

	for (size_t i = 0; i < parse->table_size; i++)
		if (parse->table[i].section == (enum section_kind)number) {
			*opt = (cfg_opt_t)CFG_STR_LIST_CB(parse->table[i].name,
			    NULL, CFGF_NODEFAULT, on_value);
			opt->validcb = on_valid;
			opt++->def.number = (long)i;
		}
	if (number == SECTION_FILE)
		for (int kind = SECTION_FILE + 1; kind < SECTION_KINDS; kind++)
			if (!make_subsection(parse, memory, opt++,
			    section_name((enum section_kind)kind), kind,
			    section_titled((enum section_kind)kind)))
				return NULL;

	for (size_t i = 0; i < parse->unknown_count; i++) {
		const struct unknown	*unknown = &parse->unknowns[i];

		if (unknown->within != number)
			continue;
		if (unknown->shape == SHAPE_VALUE) {
			*opt = (cfg_opt_t)CFG_STR_LIST_CB(unknown->name, NULL,
			    CFGF_NODEFAULT, on_unknown_value);
			opt++->def.number = -1;
		} else if (!make_subsection(parse, memory, opt++,
		    unknown->name, SECTION_KINDS + (long)i,
		    unknown->shape == SHAPE_TITLED))
			return NULL;
	}
	*opt = (cfg_opt_t)CFG_END();
	return opts;
}

/* From the beginning, with all that was learnt so far. */
static bool
parse_pass(struct parse *parse)
{
	struct memory	*memory = NULL;
	cfg_opt_t	*opts;
	cfg_t		*cfg = NULL;
	bool		 done = false;

	memory_free(&parse->parsed->memory);
	STAILQ_INIT(&parse->parsed->sections);
	mistake_clear(parse->mistakes);
	parse->again = parse->explained = parse->value_seen = false;

	if ((opts = make_section(parse, &memory, SECTION_FILE)) == NULL ||
	    (parse->section = section_add(parse->parsed, SECTION_FILE,
	    NULL, 1)) == NULL || (cfg = cfg_init(opts, CFGF_NONE)) == NULL) {
		mistake_add(parse->mistakes, 1, "out of memory");
		goto done;
	}
	parse->cfg = cfg;
	cfg_set_error_function(cfg, on_error);
	if (cfg_parse_buf(cfg, parse->text->clean) != CFG_SUCCESS) {
		if (!parse->again && !parse->explained)
			mistake_add(parse->mistakes, (unsigned)cfg->line,
			    "syntax error");
		goto done;
	}
	check_empty_lists(parse, cfg, 1);
	done = true;
done:
	cfg_free(cfg);
	memory_free(&memory);
	return done;
}

bool
parse_text(struct parsed *parsed, const struct text *text,
    struct mistakes *mistakes)
{
	struct parse	 parse = {
		.parsed = parsed,
		.mistakes = mistakes,
		.text = text,
	};
	bool		 done;

	parse.self = &parse;
	parse.table = option_table(&parse.table_size);
	do
		done = parse_pass(&parse);
	while (parse.again);
	memory_free(&parse.memory);
	return done;
}

struct section *
section_add(struct parsed *parsed, enum section_kind kind, const char *title,
    unsigned line)
{
	struct section	*section;
	size_t		 count;

	option_table(&count);
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
	size_t	count;

	return &section->settings[option - option_table(&count)];
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
