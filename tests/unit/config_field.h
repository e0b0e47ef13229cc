/*
 * config_field.h - the fields of a configuration as text, by their options.
 */
#ifndef TESTS_UNIT_CONFIG_FIELD_H
#define TESTS_UNIT_CONFIG_FIELD_H

#include "unit.h"

#include "config.h"
#include "option.h"

#include <stdio.h>
#include <string.h>

/* The structure that a section fills: the first endpoint, the first group. */
static inline const char *
base_of(const struct config *config, enum section_kind kind)
{
	switch (kind) {
	case SECTION_HTTP:
		return (const char *)&config->http;
	case SECTION_PYTHON:
		return (const char *)config->python;
	case SECTION_ENDPOINT:
		return (const char *)config->fleet.endpoints;
	case SECTION_GROUP:
		return (const char *)config->fleet.groups;
	case SECTION_HEALTH:
		return (const char *)&config->fleet.health;
	default:
		return (const char *)config;
	}
}

/* A field as text, so that values of all types can stand in one table. */
static inline const char *
field_text(const struct config *config, const struct option *option)
{
	static char	 text[1024];
	const char	*base = base_of(config, option->section);
	const char	*field = base + option->field;
	const char	*string;
	size_t		 count, used = 0;
	uint64_t	 size;
	uint32_t	 number;

	text[0] = '\0';
	memcpy(&count, base + option->count_field, sizeof(count));
	switch (option->type) {
	case OPTION_TEXT:
	case OPTION_PATH:
		memcpy(&string, field, sizeof(string));
		snprintf(text, sizeof(text), "%s", string);
		break;
	case OPTION_SIZE:
		memcpy(&size, field, sizeof(size));
		snprintf(text, sizeof(text), "%llu",
		    (unsigned long long)size);
		break;
	case OPTION_LAG:
		memcpy(&number, field, sizeof(number));
		memcpy(&size, base + option->size_field, sizeof(size));
		snprintf(text, sizeof(text), "%u %llu", number,
		    (unsigned long long)size);
		break;
	case OPTION_TEXTS:
		for (size_t i = 0; i < count; i++)
			used += (size_t)snprintf(text + used,
			    sizeof(text) - used, "<%s>",
			    (*(const char *const *const *)field)[i]);
		break;
	case OPTION_LISTEN:
		for (size_t i = 0; i < count; i++)
			used += (size_t)snprintf(text + used,
			    sizeof(text) - used, "<%s>",
			    (*(const struct config_listen *const *)field)[i]
			    .text);
		break;
	default:
		memcpy(&number, field, sizeof(number));
		snprintf(text, sizeof(text), "%u", number);
	}
	return text;
}

#endif
