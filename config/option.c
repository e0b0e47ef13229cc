/*
 * option.c - every key of the configuration, and what its text means.
 *
 * Ranges are those within which a value makes sense by itself. What depends
 * on other values is left to mews_config_check().
 */
#include "option.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define SECOND	1000ULL
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)
#define KB	1024ULL
#define MB	(1024 * KB)
#define GB	(1024 * MB)
#define TB	(1024 * GB)

#define LAG_SIZE_MAX (1024 * TB) /* bytes of WAL; more is a slip */

static const struct option_choice log_choices[] = {
	{ "stderr", CONFIG_LOG_STDERR },
	{ "syslog", CONFIG_LOG_SYSLOG },
	{ NULL, 0 }
};

static const struct option_choice log_level_choices[] = {
	{ "debug", MEWS_DEBUG },
	{ "info", MEWS_INFO },
	{ "warning", MEWS_WARNING },
	{ "error", MEWS_ERROR },
	{ NULL, 0 }
};

static const struct option_choice role_choices[] = {
	{ "primary", MEWS_GROUP_PRIMARY },
	{ "standby", MEWS_GROUP_STANDBY },
	{ "any", MEWS_GROUP_ANY },
	{ "prefer-standby", MEWS_GROUP_PREFER_STANDBY },
	{ NULL, 0 }
};

static const struct option_choice switch_choices[] = {
	{ "true", MEWS_ON },
	{ "false", MEWS_OFF },
	{ "on", MEWS_ON },
	{ "off", MEWS_OFF },
	{ "yes", MEWS_ON },
	{ "no", MEWS_OFF },
	{ NULL, 0 }
};

static const struct option_choice batch_choices[] = {
	{ "true", MEWS_ON },
	{ "false", MEWS_OFF },
	{ "on", MEWS_ON },
	{ "off", MEWS_OFF },
	{ "yes", MEWS_ON },
	{ "no", MEWS_OFF },
	{ "auto", MEWS_DEFAULT },
	{ NULL, 0 }
};

static const struct option_choice never_word[] = {
	{ "never", MEWS_FOREVER },
	{ NULL, 0 }
};

static const struct option_choice any_word[] = {
	{ "any", 0 },
	{ NULL, 0 }
};

static const struct option_choice auto_word[] = {
	{ "auto", 0 },
	{ NULL, 0 }
};

static const struct option_choice hedge_words[] = {
	{ "auto", MEWS_HEDGE_AUTO },
	{ "off", 0 },
	{ NULL, 0 }
};

#define KEY(kind, structure, member, key, takes)			\
	.section = kind, .name = key, .type = takes,			\
	.field = offsetof(structure, member)
#define FILE_KEY(key, takes, member)					\
	KEY(SECTION_FILE, struct config, member, key, takes)
#define ENDPOINT_KEY(key, takes)					\
	KEY(SECTION_ENDPOINT, struct mews_endpoint_config, key, #key, takes)
#define GROUP_KEY(key, takes)						\
	KEY(SECTION_GROUP, struct mews_group_config, key, #key, takes)
#define HEALTH_KEY(key, takes)						\
	KEY(SECTION_HEALTH, struct mews_health_config, key, #key, takes)

/* In the order in which mews.conf explains them. */
static const struct option options[] = {
	{ FILE_KEY("instance", OPTION_TEXT, fleet.instance),
	  .fallback = "mews" },
	{ FILE_KEY("app", OPTION_PATH, app) },
	{ FILE_KEY("workers", OPTION_COUNT, workers),
	  .fallback = "0", .low = 0, .high = MEWS_WORKERS_MAX },
	{ FILE_KEY("listen", OPTION_LISTEN, listen),
	  .fallback = "127.0.0.1:8080",
	  .count_field = offsetof(struct config, listen_count) },
	{ FILE_KEY("user", OPTION_TEXT, user),
	  .fallback = "nobody" },
	{ FILE_KEY("runtime_dir", OPTION_PATH, runtime_dir),
	  .fallback = "/run/mews" },
	{ FILE_KEY("log", OPTION_CHOICE, log),
	  .fallback = "stderr", .choices = log_choices },
	{ FILE_KEY("log_level", OPTION_CHOICE, log_level),
	  .fallback = "info", .choices = log_level_choices },
	{ FILE_KEY("graceful_timeout", OPTION_DURATION, graceful_timeout),
	  .fallback = "30s", .low = 1, .high = DAY, .choices = never_word },
	{ FILE_KEY("worker_timeout", OPTION_DURATION, worker_timeout),
	  .fallback = "30s", .low = SECOND, .high = DAY,
	  .choices = never_word },

	{ ENDPOINT_KEY(conninfo, OPTION_TEXT) },
	{ ENDPOINT_KEY(max_connections, OPTION_COUNT),
	  .fallback = "0", .low = 0, .high = 262143 },
	{ ENDPOINT_KEY(connect_burst, OPTION_COUNT),
	  .fallback = "2", .low = 1, .high = 1000 },

	{ GROUP_KEY(role, OPTION_CHOICE),
	  .fallback = "any", .choices = role_choices },
	{ GROUP_KEY(connection_count, OPTION_COUNT),
	  .fallback = "4", .low = 1, .high = MEWS_CONNECTIONS_MAX },
	{ GROUP_KEY(min_connections, OPTION_COUNT),
	  .fallback = "0", .low = 0, .high = MEWS_CONNECTIONS_MAX },
	{ GROUP_KEY(autocommit, OPTION_CHOICE),
	  .fallback = "true", .choices = switch_choices },
	{ GROUP_KEY(pipeline, OPTION_COUNT),
	  .fallback = "64", .low = 1, .high = 10000 },
	{ GROUP_KEY(batch, OPTION_CHOICE),
	  .fallback = "auto", .choices = batch_choices },
	{ GROUP_KEY(query_timeout, OPTION_DURATION),
	  .fallback = "30s", .low = 1, .high = DAY, .choices = never_word },
	{ GROUP_KEY(acquire_timeout, OPTION_DURATION),
	  .fallback = "5s", .low = 1, .high = DAY },
	{ GROUP_KEY(queue, OPTION_COUNT),
	  .fallback = "1024", .low = 1, .high = 1000000 },
	{ GROUP_KEY(idle_timeout, OPTION_DURATION),
	  .fallback = "10min", .low = 1, .high = 30 * DAY,
	  .choices = never_word },
	{ GROUP_KEY(max_lifetime, OPTION_DURATION),
	  .fallback = "1h", .low = 1, .high = 30 * DAY,
	  .choices = never_word },
	{ GROUP_KEY(max_lag, OPTION_LAG),
	  .fallback = "any", .low = 1, .high = DAY, .choices = any_word,
	  .size_field = offsetof(struct mews_group_config, max_lag_bytes) },
	{ GROUP_KEY(stall_after, OPTION_DURATION),
	  .fallback = "auto", .low = 1, .high = MINUTE,
	  .choices = auto_word },
	{ GROUP_KEY(hedge_after, OPTION_DURATION),
	  .fallback = "off", .low = 2, .high = MINUTE,
	  .choices = hedge_words },
	{ GROUP_KEY(retry_budget, OPTION_COUNT),
	  .fallback = "20", .low = 0, .high = 100, .zero_is = MEWS_FOREVER },
	{ GROUP_KEY(session_tmp_buffer, OPTION_SIZE),
	  .fallback = "0B", .low = 800 * KB, .high = 8 * TB, .zero = true },
	{ GROUP_KEY(init, OPTION_TEXTS),
	  .fallback = "",
	  .count_field = offsetof(struct mews_group_config, init_count) },

	{ HEALTH_KEY(interval, OPTION_DURATION),
	  .fallback = "1s", .low = 10, .high = HOUR },
	{ HEALTH_KEY(timeout, OPTION_DURATION),
	  .fallback = "500ms", .low = 1, .high = MINUTE },
	{ HEALTH_KEY(fall, OPTION_COUNT),
	  .fallback = "2", .low = 1, .high = 15 },
	{ HEALTH_KEY(rise, OPTION_COUNT),
	  .fallback = "1", .low = 1, .high = 15 },
	{ HEALTH_KEY(slow_start, OPTION_DURATION),
	  .fallback = "10s", .low = 0, .high = HOUR, .zero_is = MEWS_FOREVER },
	{ HEALTH_KEY(resolve, OPTION_DURATION),
	  .fallback = "30s", .low = 100, .high = DAY },
};

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest that divides a number is the one to print it in. */
static const struct unit duration_units[] = {
	{ "d", DAY }, { "h", HOUR }, { "min", MINUTE }, { "s", SECOND },
	{ "ms", 1 }, { NULL, 0 }
};

static const struct unit size_units[] = {
	{ "TB", TB }, { "GB", GB }, { "MB", MB }, { "kB", KB }, { "B", 1 },
	{ NULL, 0 }
};

static const struct unit count_units[] = { { "", 1 }, { NULL, 0 } };

const char *
section_name(enum section_kind kind)
{
	static const char *const names[SECTION_KINDS] = {
		[SECTION_FILE] = "",
		[SECTION_ENDPOINT] = "endpoint",
		[SECTION_GROUP] = "group",
		[SECTION_HEALTH] = "health",
	};

	return names[kind];
}

bool
section_titled(enum section_kind kind)
{
	return kind == SECTION_ENDPOINT || kind == SECTION_GROUP;
}

const struct option *
option_table(size_t *count)
{
	*count = ARRAY_SIZE(options);
	return options;
}

const struct option *
option_find(enum section_kind kind, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].section == kind &&
		    strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

bool
option_is_list(const struct option *option)
{
	return option->type == OPTION_TEXTS || option->type == OPTION_LISTEN;
}

char *
option_path(const struct option_context *context, const char *path)
{
	if (path[0] == '/')
		return memory_text(context->memory, path);
	return memory_format(context->memory, "%s/%s", context->directory,
	    path);
}

static bool
convert_text(const struct option *option, const char *text, void *field,
    const struct option_context *context, char *why, size_t why_size)
{
	char	*copy;

	if (text[0] == '\0') {
		snprintf(why, why_size, "%s is empty", option->name);
		return false;
	}
	if (option->type == OPTION_PATH)
		copy = option_path(context, text);
	else
		copy = memory_text(context->memory, text);
	if (copy == NULL) {
		snprintf(why, why_size, "out of memory");
		return false;
	}
	memcpy(field, &copy, sizeof(copy));
	return true;
}

/* The value of a word; false: it is none of them. */
static bool
find_choice(const struct option *option, const char *text, uint32_t *value)
{
	const struct option_choice	*choice = option->choices;

	for (; choice != NULL && choice->word != NULL; choice++)
		if (strcmp(text, choice->word) == 0) {
			*value = choice->value;
			return true;
		}
	return false;
}

static bool
convert_choice(const struct option *option, const char *text, void *field,
    char *why, size_t why_size)
{
	const struct option_choice	*choice;
	char				 words[160] = "";
	size_t				 length = 0;
	uint32_t			 value;

	static_assert(sizeof(enum mews_group_role) == sizeof(uint32_t) &&
	    sizeof(enum mews_switch) == sizeof(uint32_t) &&
	    sizeof(enum mews_log_level) == sizeof(uint32_t) &&
	    sizeof(enum config_log) == sizeof(uint32_t),
	    "a choice is stored as a uint32_t");

	if (find_choice(option, text, &value)) {
		memcpy(field, &value, sizeof(value));
		return true;
	}
	for (choice = option->choices; choice->word != NULL; choice++)
		length += (size_t)snprintf(words + length,
		    sizeof(words) - length, "%s%s", length > 0 ? ", " : "",
		    choice->word);
	snprintf(why, why_size, "%s = '%.64s' is none of %s", option->name,
	    text, words);
	return false;
}

/* 90000, duration_units: "90s" */
static void
print_number(char *buffer, size_t size, uint64_t number,
    const struct unit *units)
{
	while (number % units->factor != 0 ||
	    (number == 0 && units[1].name != NULL))
		units++;
	snprintf(buffer, size, "%" PRIu64 "%s", number / units->factor,
	    units->name);
}

/*
 * A whole number and a unit; a blank may stand between them. False: it is
 * not that. Too large for 64 bits is UINT64_MAX, which no range allows.
 */
static bool
parse_number(const char *text, const struct unit *units, uint64_t *number)
{
	uint64_t	value = 0;
	bool		huge = false;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *text - '0', &value))
			huge = true;
	if (*text == ' ')
		text++;
	while (units->name != NULL && strcmp(units->name, text) != 0)
		units++;
	if (units->name == NULL)
		return false;
	if (__builtin_mul_overflow(value, units->factor, &value))
		huge = true;
	*number = huge ? UINT64_MAX : value;
	return true;
}

/* "1ms to 1d or never" */
static void
print_range(char *buffer, size_t size, const struct option *option,
    const struct unit *units)
{
	const struct option_choice	*word = option->choices;
	char				 low[32], high[32];
	size_t				 length;

	print_number(low, sizeof(low), option->low, units);
	print_number(high, sizeof(high), option->high, units);
	length = (size_t)snprintf(buffer, size, "%s to %s%s", low, high,
	    option->zero ? " or 0B" : "");
	for (; word != NULL && word->word != NULL; word++)
		length += (size_t)snprintf(buffer + length, size - length,
		    " or %s", word->word);
}

static bool
convert_number(const struct option *option, const char *text, void *field,
    char *why, size_t why_size)
{
	const struct unit	*units = count_units;
	const char		*shape = "a whole number";
	char			 range[128];
	uint64_t		 number;
	uint32_t		 word;

	if (option->type == OPTION_DURATION) {
		units = duration_units;
		shape = "a duration: a whole number with ms, s, min, h or d, "
		    "as in 500ms";
	} else if (option->type == OPTION_SIZE) {
		units = size_units;
		shape = "a size: a whole number with B, kB, MB, GB or TB, "
		    "as in 64MB";
	}
	print_range(range, sizeof(range), option, units);

	if (find_choice(option, text, &word)) {
		number = word;
	} else if (!parse_number(text, units, &number)) {
		snprintf(why, why_size, "%s = '%.64s' is not %s; %s",
		    option->name, text, shape, range);
		return false;
	} else if ((number < option->low || number > option->high) &&
	    !(option->zero && number == 0)) {
		snprintf(why, why_size, "%s = %.64s is out of range: %s",
		    option->name, text, range);
		return false;
	} else if (number == 0 && option->zero_is != 0)
		number = option->zero_is;
	if (option->type == OPTION_SIZE) {
		memcpy(field, &number, sizeof(number));
	} else {
		uint32_t small = (uint32_t)number;

		memcpy(field, &small, sizeof(small));
	}
	return true;
}

/* The unit tells which of the two it is. */
static bool
convert_lag(const struct option *option, const char *text, void *field,
    char *why, size_t why_size)
{
	struct option	half = *option;
	uint64_t	number;
	uint32_t	word;

	half.type = OPTION_DURATION;
	if (parse_number(text, size_units, &number)) {
		half.type = OPTION_SIZE;
		half.low = 1;
		half.high = LAG_SIZE_MAX;
		field = (char *)field + option->size_field - option->field;
	} else if (!parse_number(text, duration_units, &number) &&
	    !find_choice(option, text, &word)) {
		snprintf(why, why_size, "%s = '%.64s' is neither a duration "
		    "nor a size, as in 5s or 16MB, nor any", option->name,
		    text);
		return false;
	}
	return convert_number(&half, text, field, why, why_size);
}

bool
option_convert(const struct option *option, const char *text, void *field,
    const struct option_context *context, char *why, size_t why_size)
{
	assert(!option_is_list(option));
	switch (option->type) {
	case OPTION_COUNT:
	case OPTION_DURATION:
	case OPTION_SIZE:
		return convert_number(option, text, field, why, why_size);
	case OPTION_LAG:
		return convert_lag(option, text, field, why, why_size);
	case OPTION_CHOICE:
		return convert_choice(option, text, field, why, why_size);
	default:
		return convert_text(option, text, field, context, why,
		    why_size);
	}
}

/* Letters to insert, remove or replace until one word is the other. */
static size_t
word_distance(const char *a, const char *b)
{
	size_t	row[64], length = strlen(b);

	if (length >= ARRAY_SIZE(row) || strlen(a) >= ARRAY_SIZE(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t	diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < length; j++) {
			size_t	best = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j + 1] + 1 < best)
				best = row[j + 1] + 1;
			row[j + 1] = best;
		}
	}
	return row[length];
}

/* All that may stand in a section of this kind: keys first, then sections. */
static const char *
section_word(enum section_kind kind, size_t index)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].section == kind && index-- == 0)
			return options[i].name;
	if (kind == SECTION_FILE && index + 1 < SECTION_KINDS)
		return section_name((enum section_kind)(index + 1));
	return NULL;
}

void
option_explain_unknown(enum section_kind kind, const char *name, char *why,
    size_t why_size)
{
	const char	*in = kind == SECTION_FILE ? "" : " in ";
	const char	*word, *nearest = NULL;
	size_t		 distance, least = strlen(name) / 3;
	int		 length;

	if (least == 0)
		least = 1;
	length = snprintf(why, why_size, "unknown key '%.64s'%s%s", name, in,
	    section_name(kind));
	why += length;
	why_size -= (size_t)length;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strcmp(options[i].name, name) == 0) {
			snprintf(why, why_size, "; it belongs %s%s",
			    options[i].section == SECTION_FILE ?
			    "outside of any section" : "into ",
			    section_name(options[i].section));
			return;
		}
	for (size_t i = SECTION_FILE + 1; i < SECTION_KINDS; i++)
		if (kind != SECTION_FILE && strcmp(name,
		    section_name((enum section_kind)i)) == 0) {
			snprintf(why, why_size, "; it belongs outside of any "
			    "section: is a '}' missing?");
			return;
		}
	for (size_t i = 0; (word = section_word(kind, i)) != NULL; i++)
		if ((distance = word_distance(name, word)) <= least &&
		    (nearest == NULL || distance < least)) {
			least = distance;
			nearest = word;
		}
	if (nearest != NULL) {
		snprintf(why, why_size, "; did you mean '%s'?", nearest);
		return;
	}
	for (size_t i = 0; (word = section_word(kind, i)) != NULL; i++) {
		length = snprintf(why, why_size, "%s%s",
		    i == 0 ? "; allowed: " : ", ", word);
		if (length < 0 || (size_t)length >= why_size)
			return;
		why += length;
		why_size -= (size_t)length;
	}
}
