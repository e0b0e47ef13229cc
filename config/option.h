/*
 * option.h - every key of the configuration, once.
 *
 * The table says what a key is called, what it takes, what it is when it is
 * not written, and which field it fills. The parser, the checks and the test
 * of mews.conf are driven by it: a new key is one row here, one field in a
 * structure and one paragraph in mews.conf.
 */
#ifndef OPTION_H
#define OPTION_H

#include "config.h"
#include "memory.h"

enum section_kind {
	SECTION_FILE,	  /* what stands outside of any section */
	SECTION_ENDPOINT, /* struct mews_endpoint_config */
	SECTION_GROUP,	  /* struct mews_group_config */
	SECTION_HEALTH,	  /* struct mews_health_config */
	SECTION_KINDS
};

enum option_type {
	OPTION_TEXT,	 /* const char * */
	OPTION_PATH,	 /* const char *, made absolute */
	OPTION_COUNT,	 /* uint32_t */
	OPTION_DURATION, /* uint32_t in ms: "500ms", "10s", "30min", "never" */
	OPTION_SIZE,	 /* uint64_t in bytes: "64MB" */
	OPTION_LAG,	 /* a duration or a size: each has its field */
	OPTION_CHOICE,	 /* an enumeration */
	OPTION_TEXTS,	 /* list: const char *const *, and a size_t */
	OPTION_LISTEN	 /* list: struct config_listen *, and a size_t */
};

struct option_choice {
	const char *word; /* NULL ends the list */
	uint32_t value;
};

struct option {
	enum section_kind section;
	const char *name;
	enum option_type type;
	const char *fallback; /* as one would write it; of a list the only
				 element, "": none. NULL: required */
	size_t field;	      /* offset in the section's structure */
	size_t count_field;   /* of lists: where their length goes */
	size_t size_field;    /* of a lag: where a size goes */
	uint64_t low, high;   /* of numbers, in the unit of the field */
	bool zero;	      /* sizes: 0 is allowed, though below low */
	uint32_t zero_is;     /* what a 0 is stored as, where a 0 in the field
				 would be the default */
	const struct option_choice *choices; /* all that is allowed; of
						numbers: words besides them */
};

/* "", "endpoint", "group", "health" */
const char *section_name(enum section_kind kind);
/* Is a section of this kind followed by a name of its own? */
bool section_titled(enum section_kind kind);

const struct option *option_table(size_t *count);
/* NULL: there is none of that name in this kind of section. */
const struct option *option_find(enum section_kind kind, const char *name);
bool option_is_list(const struct option *option);

/* What conversions need besides the text. */
struct option_context {
	struct memory **memory; /* texts are copied to it */
	const char *directory;	/* what relative paths are relative to */
};

/*
 * Turn a text into the value and store it in @field; not for lists. False:
 * nothing was stored, and @why says what is wrong and what is allowed.
 */
bool option_convert(const struct option *option, const char *text,
    void *field, const struct option_context *context, char *why,
    size_t why_size);

/* A path as it is seen from @directory; NULL: out of memory. */
char *option_path(const struct option_context *context, const char *path);

/* Which key or section was meant by @name in this kind of section? */
void option_explain_unknown(enum section_kind kind, const char *name,
    char *why, size_t why_size);

#endif
