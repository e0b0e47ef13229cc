/*
 * mews/key.h - every key of a fleet's configuration, once.
 *
 * The table has each key's name, type, range, default and field: a new key is
 * one row in key.c, one field in mews/settings.h and one paragraph in
 * mews.conf. key.c is part of the library, for mews_config_set(), and of the
 * parser of mews.conf.
 */
#ifndef MEWS_KEY_H
#define MEWS_KEY_H

#include <mews/settings.h>
#include <stdbool.h>

#define KEY_SECOND 1000ULL
#define KEY_MINUTE (60 * KEY_SECOND)
#define KEY_HOUR   (60 * KEY_MINUTE)
#define KEY_DAY	   (24 * KEY_HOUR)
#define KEY_KB	   1024ULL
#define KEY_MB	   (1024 * KEY_KB)
#define KEY_GB	   (1024 * KEY_MB)
#define KEY_TB	   (1024 * KEY_GB)

enum section_kind {
	SECTION_FILE,	  /* settings outside of any section */
	SECTION_ENDPOINT, /* struct mews_endpoint_config */
	SECTION_GROUP,	  /* struct mews_group_config */
	SECTION_HEALTH,	  /* struct mews_health_config */
	SECTION_HTTP,	  /* of the mews command: its keys are in option.c */
	SECTION_PYTHON,	  /* of the mews command, too */
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

/* The words of a switch, in a list of struct option_choice. */
#define OPTION_SWITCH_WORDS						\
	{ "true", MEWS_SWITCH_ON },					\
	{ "false", MEWS_SWITCH_OFF },					\
	{ "on", MEWS_SWITCH_ON },					\
	{ "off", MEWS_SWITCH_OFF },					\
	{ "yes", MEWS_SWITCH_ON },					\
	{ "no", MEWS_SWITCH_OFF }

struct option {
	enum section_kind section;
	const char *name;
	enum option_type type;
	const char *fallback; /* the default, as written in mews.conf; of a list
				 its only element; "": none. NULL: required */
	size_t field;	      /* offset in the section's structure */
	size_t count_field;   /* of lists: offset of their length */
	size_t size_field;    /* of a lag: offset of its size */
	uint64_t low, high;   /* of numbers, in the unit of the field */
	bool zero;	      /* sizes: 0 is allowed, though below low */
	uint32_t zero_is;     /* what to store for 0, if 0 in the field means
				 the default */
	const struct option_choice *choices; /* all that is allowed; of numbers:
						words allowed too */
};

/* "", "endpoint", "group", "health", "http", "python" */
const char *section_name(enum section_kind kind);
/* Is a section of this kind followed by a name of its own? */
bool section_titled(enum section_kind kind);

/* The keys of endpoints, groups and health. */
const struct option *key_table(size_t *count);
/* NULL: there is none of that name in this kind of section. */
const struct option *key_find(enum section_kind kind, const char *name);

/*
 * Store the value of @text in @field, for all types but texts and lists. False:
 * nothing was stored, and @why says what is wrong and what is allowed.
 */
bool key_convert(const struct option *option, const char *text, void *field,
    char *why, size_t why_size);

#endif
