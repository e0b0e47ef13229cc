/*
 * key.c - every key of a fleet's configuration, and what its text means.
 *
 * A range here limits a value by itself. What depends on other values is
 * checked by mews_config_check().
 */
#include <mews/key.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define LAG_SIZE_MAX (1024 * KEY_TB) /* bytes of WAL; more is a typing error */

static const struct option_choice role_choices[] = {
	{ "primary", MEWS_GROUP_PRIMARY },
	{ "standby", MEWS_GROUP_STANDBY },
	{ "any", MEWS_GROUP_ANY },
	{ "prefer-standby", MEWS_GROUP_PREFER_STANDBY },
	{ NULL, 0 }
};

static const struct option_choice switch_choices[] = {
	OPTION_SWITCH_WORDS,
	{ NULL, 0 }
};

static const struct option_choice batch_choices[] = {
	OPTION_SWITCH_WORDS,
	{ "auto", MEWS_SWITCH_DEFAULT },
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

static const struct option_choice slow_words[] = {
	{ "off", 0 },
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
#define ENDPOINT_KEY(key, takes)					\
	KEY(SECTION_ENDPOINT, struct mews_endpoint_config, key, #key, takes)
#define GROUP_KEY(key, takes)						\
	KEY(SECTION_GROUP, struct mews_group_config, key, #key, takes)
#define HEALTH_KEY(key, takes)						\
	KEY(SECTION_HEALTH, struct mews_health_config, key, #key, takes)

/* Rows stand in the order in which mews.conf explains the keys. */
static const struct option keys[] = {
	{ ENDPOINT_KEY(conninfo, OPTION_TEXT) },
	{ ENDPOINT_KEY(max_connections, OPTION_COUNT),
	  .fallback = "0", .low = 0, .high = 262143 },
	{ ENDPOINT_KEY(connect_burst, OPTION_COUNT),
	  .fallback = "2", .low = 1, .high = 1000 },
	{ ENDPOINT_KEY(weight, OPTION_COUNT),
	  .fallback = "1", .low = 1, .high = 100 },

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
	  .fallback = "30s", .low = 1, .high = KEY_DAY, .choices = never_word },
	{ GROUP_KEY(acquire_timeout, OPTION_DURATION),
	  .fallback = "5s", .low = 1, .high = KEY_DAY },
	{ GROUP_KEY(queue, OPTION_COUNT),
	  .fallback = "65536", .low = 1, .high = 1000000 },
	{ GROUP_KEY(idle_timeout, OPTION_DURATION),
	  .fallback = "10min", .low = 1, .high = 30 * KEY_DAY,
	  .choices = never_word },
	{ GROUP_KEY(max_lifetime, OPTION_DURATION),
	  .fallback = "1h", .low = 1, .high = 30 * KEY_DAY,
	  .choices = never_word },
	{ GROUP_KEY(max_lag, OPTION_LAG),
	  .fallback = "any", .low = 1, .high = KEY_DAY, .choices = any_word,
	  .size_field = offsetof(struct mews_group_config, max_lag_bytes) },
	{ GROUP_KEY(stall_after, OPTION_DURATION),
	  .fallback = "auto", .low = 1, .high = KEY_MINUTE,
	  .choices = auto_word },
	{ GROUP_KEY(hedge_after, OPTION_DURATION),
	  .fallback = "off", .low = 2, .high = KEY_MINUTE,
	  .choices = hedge_words },
	{ GROUP_KEY(retry_budget, OPTION_COUNT),
	  .fallback = "20", .low = 0, .high = 100, .zero_is = MEWS_FOREVER },
	{ GROUP_KEY(slow_query, OPTION_DURATION),
	  .fallback = "off", .low = 1, .high = KEY_HOUR,
	  .choices = slow_words },
	{ GROUP_KEY(slow_query_parameters, OPTION_CHOICE),
	  .fallback = "false", .choices = switch_choices },
	{ GROUP_KEY(trace_comments, OPTION_CHOICE),
	  .fallback = "false", .choices = switch_choices },
	{ GROUP_KEY(max_result_size, OPTION_SIZE),
	  .fallback = "1GB", .low = KEY_MB, .high = KEY_TB },
	{ GROUP_KEY(session_tmp_buffer, OPTION_SIZE),
	  .fallback = "0B", .low = 800 * KEY_KB, .high = 8 * KEY_TB,
	  .zero = true },
	{ GROUP_KEY(init, OPTION_TEXTS),
	  .fallback = "",
	  .count_field = offsetof(struct mews_group_config, init_count) },

	{ HEALTH_KEY(interval, OPTION_DURATION),
	  .fallback = "1s", .low = 10, .high = KEY_HOUR },
	{ HEALTH_KEY(timeout, OPTION_DURATION),
	  .fallback = "500ms", .low = 1, .high = KEY_MINUTE },
	{ HEALTH_KEY(fall, OPTION_COUNT),
	  .fallback = "2", .low = 1, .high = 15 },
	{ HEALTH_KEY(rise, OPTION_COUNT),
	  .fallback = "1", .low = 1, .high = 15 },
	{ HEALTH_KEY(slow_start, OPTION_DURATION),
	  .fallback = "10s", .low = 0, .high = KEY_HOUR,
	  .zero_is = MEWS_FOREVER },
	{ HEALTH_KEY(resolve, OPTION_DURATION),
	  .fallback = "30s", .low = 100, .high = KEY_DAY },
};

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first: a number is printed in the largest unit that divides it. */
static const struct unit duration_units[] = {
	{ "d", KEY_DAY }, { "h", KEY_HOUR }, { "min", KEY_MINUTE },
	{ "s", KEY_SECOND },
	{ "ms", 1 }, { NULL, 0 }
};

static const struct unit size_units[] = {
	{ "TB", KEY_TB }, { "GB", KEY_GB }, { "MB", KEY_MB },
	{ "kB", KEY_KB }, { "B", 1 },
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
		[SECTION_HTTP] = "http",
		[SECTION_PYTHON] = "python",
	};

	return names[kind];
}

bool
section_titled(enum section_kind kind)
{
	return kind == SECTION_ENDPOINT || kind == SECTION_GROUP;
}

const struct option *
key_table(size_t *count)
{
	*count = ARRAY_SIZE(keys);
	return keys;
}

const struct option *
key_find(enum section_kind kind, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].section == kind && strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

/* The value of the word @text; false: it is not one of the option's. */
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
	    sizeof(enum mews_switch) == sizeof(uint32_t),
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
 * Parse a whole number and a unit; a blank may stand between them. False: @text
 * is something else. A number too large for 64 bits becomes UINT64_MAX, which
 * no range allows.
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

/* The unit tells whether the lag is a duration or a size. */
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
key_convert(const struct option *option, const char *text, void *field,
    char *why, size_t why_size)
{
	switch (option->type) {
	case OPTION_LAG:
		return convert_lag(option, text, field, why, why_size);
	case OPTION_CHOICE:
		return convert_choice(option, text, field, why, why_size);
	default:
		return convert_number(option, text, field, why, why_size);
	}
}
