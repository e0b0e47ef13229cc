/*
 * settings.c - a configuration that a host sets key by key.
 *
 * A call changes a copy of its section, which is stored if all went well. All
 * texts are copied, and live until the configuration is freed.
 */
#include "base/config.h"
#include "base/status.h"

#include <assert.h>
#include <mews/key.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct piece {
	SLIST_ENTRY(piece) link;
	max_align_t room[];
};

struct settings {
	struct mews_config config; /* first: what the host has */
	struct mews_endpoint_config *endpoints;
	struct mews_group_config *groups;
	SLIST_HEAD(, piece) pieces;
	struct mews_error mistake; /* the first */
};

/* Where a key leads. */
struct place {
	enum section_kind kind;
	char name[MEWS_NAME_MAX + 1]; /* of the endpoint or group */
	const char *key;
};

struct mews_config *
mews_config_new(uint32_t abi)
{
	struct settings	*settings = calloc(1, sizeof(*settings));

	if (settings == NULL)
		return NULL;
	settings->config.abi = abi;
	settings->config.instance = "mews";
	return &settings->config;
}

void
mews_config_free(struct mews_config **config)
{
	struct settings	*settings;
	struct piece	*piece;

	STATUS_NEED_OUT(config);
	settings = (struct settings *)*config;
	*config = NULL;
	if (settings == NULL)
		return;
	while ((piece = SLIST_FIRST(&settings->pieces)) != NULL) {
		SLIST_REMOVE_HEAD(&settings->pieces, link);
		free(piece);
	}
	free(settings->endpoints);
	free(settings->groups);
	free(settings);
}

/* Memory that is freed with the rest, with a copy of @size bytes in it. */
static void *
keep_copy(struct settings *settings, const void *from, size_t size, size_t room)
{
	struct piece	*piece = malloc(sizeof(*piece) + room);

	if (piece == NULL)
		return NULL;
	if (size > 0)
		memcpy(piece->room, from, size);
	SLIST_INSERT_HEAD(&settings->pieces, piece, link);
	return piece->room;
}

/* "group: role, connection_count, ..." */
static void
print_keys(char *text, size_t size, enum section_kind kind)
{
	size_t			 count, length;
	const struct option	*table = key_table(&count);
	const char		*before = ": ";

	length = (size_t)snprintf(text, size, "%s", section_name(kind));
	for (size_t i = 0; i < count && length < size; i++)
		if (table[i].section == kind) {
			length += (size_t)snprintf(text + length,
			    size - length, "%s%s", before, table[i].name);
			before = ", ";
		}
}

/* False: @why says what is wrong with @key. */
static bool
find_place(struct place *place, const char *key, char *why, size_t why_size)
{
	const char	*dot = strchr(key, '.'), *last = strrchr(key, '.');
	size_t		 length = dot == NULL ? 0 : (size_t)(dot - key);

	*place = (struct place) { .kind = SECTION_FILE, .key = key };
	if (dot == NULL)
		return true;
	place->key = last + 1;
	for (int kind = SECTION_FILE + 1; kind < SECTION_HTTP; kind++)
		if (strlen(section_name((enum section_kind)kind)) == length &&
		    strncmp(section_name((enum section_kind)kind), key,
			length) == 0)
			place->kind = (enum section_kind)kind;
	if (place->kind == SECTION_FILE ||
	    section_titled(place->kind) != (dot != last)) {
		snprintf(why, why_size, "a key is endpoint.NAME.KEY, "
		    "group.NAME.KEY, health.KEY, instance, runtime_file, "
		    "queue_memory or workers");
		return false;
	}
	if (dot == last)
		return true;
	length = (size_t)(last - dot - 1);
	if (length <= MEWS_NAME_MAX)
		memcpy(place->name, dot + 1, length);
	if (!config_is_name(place->name)) {
		snprintf(why, why_size, "a name has 1 to %d letters, digits, "
		    "'_', '-' and '.'", MEWS_NAME_MAX);
		return false;
	}
	return true;
}

/* A text, or one more of a list. */
static bool
set_text_option(struct settings *settings, const struct option *option,
    void *base, const char *value, char *why, size_t why_size)
{
	void		*field = (char *)base + option->field;
	size_t		*count, size = strlen(value) + 1;
	const char	*text, **list;

	if (value[0] == '\0') {
		snprintf(why, why_size, "%s is empty", option->name);
		return false;
	}
	why[0] = '\0';
	if ((text = keep_copy(settings, value, size, size)) == NULL)
		return false;
	if (option->type == OPTION_TEXTS) {
		count = (void *)((char *)base + option->count_field);
		memcpy(&list, field, sizeof(list));
		list = keep_copy(settings, list, *count * sizeof(*list),
		    (*count + 1) * sizeof(*list));
		if (list == NULL)
			return false;
		list[(*count)++] = text;
		memcpy(field, &list, sizeof(list));
		return true;
	}
	memcpy(field, &text, sizeof(text));
	return true;
}

/* False: @why says what is wrong; "": there is no memory. */
static bool
set_in(struct settings *settings, const struct place *place, void *base,
    const char *value, char *why, size_t why_size)
{
	const struct option	*option = key_find(place->kind, place->key);
	char			 all[400];

	if (option == NULL) {
		print_keys(all, sizeof(all), place->kind);
		snprintf(why, why_size, "there is no such key; those of %s",
		    all);
		return false;
	}
	if (option->type == OPTION_TEXT || option->type == OPTION_TEXTS)
		return set_text_option(settings, option, base, value, why,
		    why_size);
	/* A lag is a time or a size: clear the one that was set before. */
	if (option->type == OPTION_LAG) {
		memset((char *)base + option->field, 0, sizeof(uint32_t));
		memset((char *)base + option->size_field, 0,
		    sizeof(uint64_t));
	}
	return key_convert(option, value, (char *)base + option->field, why,
	    why_size);
}

static bool
set_fleet(struct settings *settings, const char *key, const char *value,
    char *why, size_t why_size)
{
	static const struct option	texts[] = {
		{ .name = "instance", .type = OPTION_TEXT,
		  .field = offsetof(struct mews_config, instance) },
		{ .name = "runtime_file", .type = OPTION_TEXT,
		  .field = offsetof(struct mews_config, runtime_file) },
	};
	static const struct option	numbers[] = {
		{ .name = "workers", .type = OPTION_COUNT,
		  .low = 1, .high = MEWS_WORKERS_MAX,
		  .field = offsetof(struct mews_config, workers) },
		{ .name = "queue_memory", .type = OPTION_SIZE,
		  .low = KEY_MB, .high = KEY_TB,
		  .field = offsetof(struct mews_config, queue_memory) },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(key, texts[i].name) == 0)
			return set_text_option(settings, &texts[i],
			    &settings->config, value, why, why_size);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (strcmp(key, numbers[i].name) == 0)
			return key_convert(&numbers[i], value,
			    (char *)&settings->config + numbers[i].field, why,
			    why_size);
	snprintf(why, why_size, "there is no such key; those of a fleet: "
	    "instance, runtime_file, workers, queue_memory, "
	    "endpoint.NAME.KEY, group.NAME.KEY, health.KEY");
	return false;
}

static bool
set_endpoint_key(struct settings *settings, const struct place *place,
    const char *value, char *why, size_t why_size)
{
	struct mews_config		*config = &settings->config;
	struct mews_endpoint_config	 changed = { 0 }, *more;
	size_t				 i = 0;

	while (i < config->endpoint_count &&
	    strcmp(config->endpoints[i].name, place->name) != 0)
		i++;
	if (i < config->endpoint_count)
		changed = config->endpoints[i];
	if (!set_in(settings, place, &changed, value, why, why_size))
		return false;
	why[0] = '\0';
	if (i == config->endpoint_count) {
		more = reallocarray(settings->endpoints, i + 1,
		    sizeof(*more));
		if (more == NULL)
			return false;
		settings->endpoints = more;
		config->endpoints = more;
		changed.name = keep_copy(settings, place->name,
		    sizeof(place->name), sizeof(place->name));
		if (changed.name == NULL)
			return false;
		config->endpoint_count++;
	}
	settings->endpoints[i] = changed;
	return true;
}

static bool
set_group(struct settings *settings, const struct place *place,
    const char *value, char *why, size_t why_size)
{
	struct mews_config		*config = &settings->config;
	struct mews_group_config	 changed = { 0 }, *more;
	size_t				 i = 0;

	while (i < config->group_count &&
	    strcmp(config->groups[i].name, place->name) != 0)
		i++;
	if (i < config->group_count)
		changed = config->groups[i];
	if (!set_in(settings, place, &changed, value, why, why_size))
		return false;
	why[0] = '\0';
	if (i == config->group_count) {
		more = reallocarray(settings->groups, i + 1, sizeof(*more));
		if (more == NULL)
			return false;
		settings->groups = more;
		config->groups = more;
		changed.name = keep_copy(settings, place->name,
		    sizeof(place->name), sizeof(place->name));
		if (changed.name == NULL)
			return false;
		config->group_count++;
	}
	settings->groups[i] = changed;
	return true;
}

/* False: @why says what is wrong; "": there is no memory. */
static bool
set_key(struct settings *settings, const char *key, const char *value,
    char *why, size_t why_size)
{
	struct place			place;
	struct mews_health_config	health = settings->config.health;

	if (!find_place(&place, key, why, why_size))
		return false;
	switch (place.kind) {
	case SECTION_ENDPOINT:
		return set_endpoint_key(settings, &place, value, why, why_size);
	case SECTION_GROUP:
		return set_group(settings, &place, value, why, why_size);
	case SECTION_HEALTH:
		if (!set_in(settings, &place, &health, value, why, why_size))
			return false;
		settings->config.health = health;
		return true;
	default:
		return set_fleet(settings, place.key, value, why, why_size);
	}
}

enum mews_status
mews_config_set(struct mews_config *config, const char *key,
    const char *value, struct mews_error *error)
{
	struct settings		*settings = (struct settings *)config;
	struct mews_error	 own = { .status = MEWS_OK };
	char			 why[500] = "";

	assert(config != NULL &&
	    "mews: a configuration is there after mews_config_new()");
	if (key == NULL || value == NULL)
		status_set(&own, MEWS_INVALID, "%.100s: a setting has a key "
		    "and a value", key == NULL ? "NULL" : key);
	else if (set_key(settings, key, value, why, sizeof(why)))
		;
	else if (why[0] == '\0')
		status_set(&own, MEWS_NOMEM, "out of memory");
	else
		status_set(&own, MEWS_INVALID, "%.100s: %s", key, why);
	if (own.status != MEWS_OK && config->mistake == NULL) {
		settings->mistake = own;
		config->mistake = &settings->mistake;
	}
	if (error != NULL)
		*error = own;
	return own.status;
}
