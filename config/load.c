/*
 * load.c - storing what was written, or the default, as option.c's table says.
 */
#include "load.h"

#include "listen.h"
#include "option.h"
#include "session.h"

#include <string.h>

void
load_nomem(struct load *load)
{
	mistake_add(&load->mistakes, 1, "out of memory");
}

static void
load_texts(struct load *load, struct setting *setting,
    const struct option *option, const char ***texts, size_t *count)
{
	struct value	*value;

	if ((*texts = memory_get(&load->memory,
	    setting->count * sizeof(**texts))) == NULL) {
		load_nomem(load);
		return;
	}
	STAILQ_FOREACH(value, &setting->values, next) {
		if (value->text[0] == '\0') {
			mistake_add(&load->mistakes, value->line,
			    "%s holds an empty text", option->name);
			setting->bad = true;
		}
		if (((*texts)[*count] = memory_text(&load->memory,
		    value->text)) == NULL) {
			load_nomem(load);
			return;
		}
		(*count)++;
	}
}

static void
load_listen(struct load *load, struct setting *setting,
    const char *name, struct config_listen **listens, size_t *count)
{
	struct config_listen	*listen;
	struct value		*value;
	char			 why[512];

	if ((*listens = memory_get(&load->memory,
	    setting->count * sizeof(**listens))) == NULL) {
		load_nomem(load);
		return;
	}
	STAILQ_FOREACH(value, &setting->values, next) {
		listen = &(*listens)[*count];
		listen->line = value->line;
		if (!listen_parse(listen, name, value->text, &load->context,
		    why, sizeof(why))) {
			mistake_add(&load->mistakes, value->line, "%s", why);
			continue;
		}
		for (size_t i = 0; i < *count; i++)
			if (listen_equal(&(*listens)[i], listen)) {
				mistake_add(&load->mistakes, value->line,
				    "%s = '%.200s' is there already, in line "
				    "%u", name, value->text,
				    (*listens)[i].line);
				break;
			}
		(*count)++;
	}
}

/* Store what was written, or the default. */
static void
load_setting(struct load *load, struct section *section,
    const struct option *option, void *base)
{
	struct setting	*setting = section_setting(section, option);
	struct value	 fallback = { .text = option->fallback };
	void		*field = (char *)base + option->field;
	char		 why[512];

	if (setting->bad)
		return;
	if (setting->count == 0 && option->fallback == NULL) {
		setting->bad = true;
		if (load->complete)
			mistake_add(&load->mistakes, section->line,
			    "%s%s%s is missing; it has no default",
			    section_name(section->kind),
			    section->kind == SECTION_FILE ? "" : ": ",
			    option->name);
		return;
	}
	if (setting->count == 0 && option->fallback[0] != '\0') {
		fallback.line = section->line;
		STAILQ_INSERT_TAIL(&setting->values, &fallback, next);
		setting->count = 1;
	}

	if (option_is_list(option)) {
		size_t	*count = (void *)((char *)base + option->count_field);

		if (setting->count == 0)
			return;
		if (option->type == OPTION_LISTEN)
			load_listen(load, setting, option->name, field, count);
		else
			load_texts(load, setting, option, field, count);
	} else if (setting->count == 0 && !setting->list) {
		return;
	} else if (setting->list || setting->count > 1) {
		mistake_add(&load->mistakes, setting->line,
		    "%s takes one value, not a list", option->name);
		setting->bad = true;
	} else if (!option_convert(option,
	    STAILQ_FIRST(&setting->values)->text, field, &load->context, why,
	    sizeof(why))) {
		mistake_add(&load->mistakes,
		    STAILQ_FIRST(&setting->values)->line, "%s", why);
		setting->bad = true;
	}
	if (STAILQ_FIRST(&setting->values) == &fallback)
		STAILQ_INIT(&setting->values);
}

static bool
is_app(const struct option *option)
{
	return option == option_find(SECTION_FILE, "app");
}

static void
load_section(struct load *load, struct section *section, void *base)
{
	for (size_t i = 0; i < option_count(); i++)
		if (option_at(i)->section == section->kind &&
		    !((load->host || load->monitor) && is_app(option_at(i))))
			load_setting(load, section, option_at(i), base);
}

static size_t
count_sections(struct load *load, enum section_kind kind)
{
	struct section	*section = NULL;
	size_t		 count = 0;

	while ((section = section_next(&load->parsed, kind, section)) != NULL)
		count++;
	return count;
}

static bool
load_endpoints(struct load *load)
{
	struct mews_config		*fleet = &load->config->fleet;
	struct mews_endpoint_config	*endpoint;
	struct section			*section = NULL;
	size_t				 count;

	count = count_sections(load, SECTION_ENDPOINT);
	if ((endpoint = memory_get(&load->memory,
	    count * sizeof(*endpoint))) == NULL)
		return false;
	fleet->endpoints = endpoint;
	fleet->endpoint_count = count;
	while ((section = section_next(&load->parsed, SECTION_ENDPOINT,
	    section)) != NULL) {
		if ((endpoint->name = memory_text(&load->memory,
		    section->title)) == NULL)
			return false;
		load_section(load, section, endpoint++);
	}
	return true;
}

static bool
load_groups(struct load *load)
{
	struct mews_config		*fleet = &load->config->fleet;
	struct mews_group_config	*group;
	struct section			*section = NULL;
	size_t				 count;

	count = count_sections(load, SECTION_GROUP);
	if ((group = memory_get(&load->memory,
	    count * sizeof(*group))) == NULL)
		return false;
	fleet->groups = group;
	fleet->group_count = count;
	while ((section = section_next(&load->parsed, SECTION_GROUP,
	    section)) != NULL) {
		if ((group->name = memory_text(&load->memory,
		    section->title)) == NULL)
			return false;
		load_section(load, section, group++);
	}
	return true;
}

/* Load a section without a name. If it is missing, all its defaults hold. */
static bool
load_only(struct load *load, enum section_kind kind, void *structure)
{
	struct section	*section = NULL;

	if (section_next(&load->parsed, kind, NULL) == NULL &&
	    section_add(&load->parsed, kind, NULL, 1) == NULL)
		return false;
	while ((section = section_next(&load->parsed, kind, section)) != NULL)
		load_section(load, section, structure);
	return true;
}

/* Load the python section, which may be missing altogether. */
static bool
load_python(struct load *load)
{
	struct config	*config = load->config;
	struct section	*section = section_next(&load->parsed,
			    SECTION_PYTHON, NULL);

	if (section == NULL)
		return true;
	if ((config->python = memory_get(&load->memory,
	    sizeof(*config->python))) == NULL)
		return false;
	load_section(load, section, config->python);
	return load->host || load->monitor ||
	    session_for_python(&config->fleet, &load->memory);
}

bool
load_sections(struct load *load)
{
	struct config	*config = load->config;

	load_section(load, STAILQ_FIRST(&load->parsed.sections), config);
	return load_endpoints(load) && load_groups(load) &&
	    load_only(load, SECTION_HTTP, &config->http) &&
	    load_python(load) &&
	    load_only(load, SECTION_HEALTH, &config->fleet.health);
}
