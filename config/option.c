/*
 * option.c - the keys of the mews command, and how one is found.
 */
#include "option.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static const struct option_choice log_level_choices[] = {
	{ "debug", MEWS_LOG_DEBUG },
	{ "info", MEWS_LOG_INFO },
	{ "warning", MEWS_LOG_WARNING },
	{ "error", MEWS_LOG_ERROR },
	{ NULL, 0 }
};

static const struct option_choice switch_choices[] = {
	OPTION_SWITCH_WORDS,
	{ NULL, 0 }
};

static const struct option_choice python_choices[] = {
	{ "wsgi", CONFIG_PYTHON_WSGI },
	{ "webapp", CONFIG_PYTHON_WEBAPP },
	{ NULL, 0 }
};

static const struct option_choice never_word[] = {
	{ "never", MEWS_FOREVER },
	{ NULL, 0 }
};

#define KEY(kind, structure, member, key, takes)			\
	.section = kind, .name = key, .type = takes,			\
	.field = offsetof(structure, member)
#define FILE_KEY(key, takes, member)					\
	KEY(SECTION_FILE, struct config, member, key, takes)
#define HTTP_KEY(key, takes)						\
	KEY(SECTION_HTTP, struct config_http, key, #key, takes)
#define PYTHON_KEY(key, takes)						\
	KEY(SECTION_PYTHON, struct config_python, key, #key, takes)

/* In the order in which mews.conf explains them. */
static const struct option options[] = {
	{ FILE_KEY("instance", OPTION_TEXT, fleet.instance),
	  .fallback = "mews" },
	{ FILE_KEY("app", OPTION_PATH, app), .fallback = "" },
	{ FILE_KEY("workers", OPTION_COUNT, workers),
	  .fallback = "0", .low = 0, .high = MEWS_WORKERS_MAX },
	{ FILE_KEY("listen", OPTION_LISTEN, listen),
	  .fallback = "127.0.0.1:8080",
	  .count_field = offsetof(struct config, listen_count) },
	{ FILE_KEY("admin", OPTION_LISTEN, admin), .fallback = "",
	  .count_field = offsetof(struct config, admin_count) },
	{ FILE_KEY("admin_public", OPTION_CHOICE, admin_public),
	  .fallback = "false", .choices = switch_choices },
	{ FILE_KEY("queue_memory", OPTION_SIZE, fleet.queue_memory),
	  .fallback = "64MB", .low = KEY_MB, .high = KEY_TB },
	{ FILE_KEY("user", OPTION_TEXT, user),
	  .fallback = "nobody" },
	{ FILE_KEY("runtime_dir", OPTION_PATH, runtime_dir),
	  .fallback = "/run/mews" },
	{ FILE_KEY("log", OPTION_TEXT, log_text), .fallback = "stderr" },
	{ FILE_KEY("log_level", OPTION_CHOICE, log_level),
	  .fallback = "info", .choices = log_level_choices },
	{ FILE_KEY("graceful_timeout", OPTION_DURATION, graceful_timeout),
	  .fallback = "30s", .low = 1, .high = KEY_DAY, .choices = never_word },
	{ FILE_KEY("worker_timeout", OPTION_DURATION, worker_timeout),
	  .fallback = "30s", .low = KEY_SECOND, .high = KEY_DAY,
	  .choices = never_word },
	{ FILE_KEY("max_requests", OPTION_COUNT, max_requests),
	  .fallback = "0", .low = 0, .high = 1000000000 },
	{ FILE_KEY("max_memory", OPTION_SIZE, max_memory),
	  .fallback = "0B", .low = KEY_MB, .high = KEY_TB, .zero = true },

	{ HTTP_KEY(max_connections, OPTION_COUNT),
	  .fallback = "8192", .low = 1, .high = 1000000 },
	{ HTTP_KEY(max_per_client, OPTION_COUNT),
	  .fallback = "0", .low = 0, .high = 1000000 },
	{ HTTP_KEY(header_timeout, OPTION_DURATION),
	  .fallback = "10s", .low = KEY_SECOND, .high = KEY_HOUR },
	{ HTTP_KEY(idle_timeout, OPTION_DURATION),
	  .fallback = "75s", .low = KEY_SECOND, .high = KEY_DAY },
	{ HTTP_KEY(request_timeout, OPTION_DURATION),
	  .fallback = "30s", .low = KEY_SECOND, .high = KEY_DAY },
	{ HTTP_KEY(max_header_size, OPTION_SIZE),
	  .fallback = "16kB", .low = KEY_KB, .high = KEY_MB },
	{ HTTP_KEY(max_body_size, OPTION_SIZE),
	  .fallback = "1MB", .low = 1, .high = KEY_GB, .zero = true },
	{ HTTP_KEY(min_receive_rate, OPTION_SIZE),
	  .fallback = "4kB", .low = 1, .high = KEY_GB, .zero = true },
	{ HTTP_KEY(min_send_rate, OPTION_SIZE),
	  .fallback = "4kB", .low = 1, .high = KEY_GB, .zero = true },
	{ HTTP_KEY(expose_errors, OPTION_CHOICE),
	  .fallback = "false", .choices = switch_choices },

	{ PYTHON_KEY(module, OPTION_TEXT) },
	{ PYTHON_KEY(kind, OPTION_CHOICE),
	  .fallback = "wsgi", .choices = python_choices },
	{ PYTHON_KEY(path, OPTION_PATH), .fallback = "." },
	{ PYTHON_KEY(virtualenv, OPTION_PATH), .fallback = "" },
};

/* Are the keys of a section of @kind in the table above? */
static bool
is_command(enum section_kind kind)
{
	return kind == SECTION_FILE || kind == SECTION_HTTP ||
	    kind == SECTION_PYTHON;
}

size_t
option_count(void)
{
	size_t	count;

	key_table(&count);
	return ARRAY_SIZE(options) + count;
}

const struct option *
option_at(size_t index)
{
	size_t	count;

	return index < ARRAY_SIZE(options) ? &options[index] :
	    key_table(&count) + index - ARRAY_SIZE(options);
}

size_t
option_index(const struct option *option)
{
	size_t	count;

	return is_command(option->section) ?
	    (size_t)(option - options) :
	    ARRAY_SIZE(options) + (size_t)(option - key_table(&count));
}

const struct option *
option_find(enum section_kind kind, const char *name)
{
	if (!is_command(kind))
		return key_find(kind, name);
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

static_assert(sizeof(enum config_python_kind) == sizeof(uint32_t) &&
    sizeof(enum mews_log_level) == sizeof(uint32_t),
    "a choice is stored as a uint32_t");

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

bool
option_convert(const struct option *option, const char *text, void *field,
    const struct option_context *context, char *why, size_t why_size)
{
	assert(!option_is_list(option));
	if (option->type == OPTION_TEXT || option->type == OPTION_PATH)
		return convert_text(option, text, field, context, why,
		    why_size);
	return key_convert(option, text, field, why, why_size);
}

/* The distance of two words: letters to insert, remove or replace. */
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

/* The @index-th name allowed in a section of this kind: keys, then sections. */
static const char *
section_word(enum section_kind kind, size_t index)
{
	for (size_t i = 0; i < option_count(); i++)
		if (option_at(i)->section == kind && index-- == 0)
			return option_at(i)->name;
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

	for (size_t i = 0; i < option_count(); i++)
		if (strcmp(option_at(i)->name, name) == 0) {
			snprintf(why, why_size, "; it belongs %s%s",
			    option_at(i)->section == SECTION_FILE ?
			    "outside of any section" : "into ",
			    section_name(option_at(i)->section));
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
