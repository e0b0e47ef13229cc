/*
 * config.c - from a file to a struct config.
 *
 * The way of a file: text.c reads it, token.c and parse.c note what is
 * written in which line, option.c says what each key takes and where it
 * goes. Here the values are put there, and everything is checked that needs
 * more than one value or the system. Mistakes do not stop any of this, so
 * that all of them are told at once; only after a syntax error nothing is
 * said about what is missing.
 */
#include "config.h"
#include "destination.h"
#include "listen.h"
#include "place.h"
#include "mistake.h"
#include "option.h"
#include "parse.h"
#include "processors.h"
#include "secret.h"
#include "session.h"
#include "text.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PYTHON_APP "mews-python.so"

/* One call of config_load(). */
struct load {
	struct config *config;
	struct memory *memory;	/* of the configuration; the rest is ours */
	struct option_context context;
	struct memory *scratch;
	struct text text;
	struct parsed parsed;
	struct mistakes mistakes;
	bool complete;		/* no syntax error: all was seen */
	bool host;		/* for a host: no application, no user */
};

static void
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

/* Put what was written, or the default, where the table says. */
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
		    !(load->host && is_app(option_at(i))))
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

/* A section without a name. A file without it is as one with an empty one. */
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

/* The section that may be missing altogether. */
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
	return load->host ||
	    session_for_python(&config->fleet, &load->memory);
}

/* A key outside of any section, if there is something left to check. */
static struct setting *
file_setting(struct load *load, const char *name)
{
	struct section	*file = STAILQ_FIRST(&load->parsed.sections);
	struct setting	*setting = section_setting(file,
			    option_find(SECTION_FILE, name));

	return setting->bad ? NULL : setting;
}

static unsigned
setting_line(const struct setting *setting)
{
	return setting->line > 0 ? setting->line : 1;
}

/* "name" or "name:group"; the group is split off. */
static void
check_user(struct load *load)
{
	struct config	*config = load->config;
	struct setting	*setting = file_setting(load, "user");
	char		*user, *colon;

	if (setting == NULL)
		return;
	if ((user = memory_text(&load->memory, config->user)) == NULL) {
		load_nomem(load);
		return;
	}
	config->user = user;
	if ((colon = strchr(user, ':')) != NULL) {
		*colon = '\0';
		config->group = colon + 1;
	}
	if (getpwnam(user) == NULL)
		mistake_add(&load->mistakes, setting_line(setting),
		    "user = '%.64s': there is no such user; allowed is NAME "
		    "or NAME:GROUP", user);
	if (config->group != NULL && getgrnam(config->group) == NULL)
		mistake_add(&load->mistakes, setting_line(setting),
		    "user: there is no group '%.64s'; allowed is NAME or "
		    "NAME:GROUP", config->group);
}

/* Applications of mews itself are where it is installed, beside no file. */
static bool
find_app(struct load *load, struct setting *setting)
{
	struct config	*config = load->config;
	const char	*name = PYTHON_APP;

	if (setting->count == 0 && config->python == NULL) {
		mistake_add(&load->mistakes, 1,
		    "app is missing; it has no default");
		return false;
	}
	if (setting->count > 0) {
		name = STAILQ_FIRST(&setting->values)->text;
		if (strchr(name, '/') != NULL ||
		    access(config->app, F_OK) == 0)
			return true;
	}
	config->app = memory_format(&load->memory, "%s/%s", MEWS_APP_DIR,
	    name);
	if (config->app == NULL)
		load_nomem(load);
	return config->app != NULL;
}

static void
check_app(struct load *load)
{
	struct config	*config = load->config;
	struct setting	*setting = file_setting(load, "app");
	struct stat	 status;

	if (setting == NULL || (setting->count == 0 && !load->complete) ||
	    !find_app(load, setting))
		return;
	config->app_line = setting_line(setting);
	if (stat(config->app, &status) == -1 ||
	    access(config->app, R_OK) == -1)
		mistake_add(&load->mistakes, config->app_line,
		    "app = '%.500s' cannot be read: %s; it must be a shared "
		    "object, by its path, or by its name beside this file or "
		    "in " MEWS_APP_DIR, config->app, strerror(errno));
	else if (!S_ISREG(status.st_mode))
		mistake_add(&load->mistakes, config->app_line,
		    "app = '%.500s' is not a file; it must be a shared object",
		    config->app);
}

/* The instance names files in the runtime directory. */
static void
check_instance(struct load *load)
{
	struct setting	*setting = file_setting(load, "instance");

	if (setting != NULL && load->config->fleet.instance[0] == '.')
		mistake_add(&load->mistakes, setting_line(setting),
		    "instance = '%.64s' must not begin with a dot",
		    load->config->fleet.instance);
}

static void load_warn(struct load *load, unsigned line, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

static void
load_warn(struct load *load, unsigned line, const char *format, ...)
{
	struct config	*config = load->config;
	char		 text[512];
	const char	*warning;
	va_list		 args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	warning = memory_format(&load->memory, "%s:%u: warning: %s",
	    config->path, line, text);
	if (warning == NULL)
		load_nomem(load);
	else if (config->warning_count < CONFIG_WARNINGS_MAX)
		config->warnings[config->warning_count++] = warning;
}

static void
warn_of_secrets(struct load *load)
{
	const char	*reader = secret_reader(&load->text,
			    load->config->user, load->config->group);
	const unsigned	 line = secret_line(&load->parsed);

	if (line != 0 && reader != NULL)
		load_warn(load, line, "there is a password here, and %s can "
		    "read this file; chmod 600 and chown it, or take the "
		    "password from a variable or .pgpass", reader);
}

/* A connection leads to one server: with fewer than servers, a worker leaves
 * some of them without work. */
static void
warn_of_few_connections(struct load *load)
{
	const struct mews_config *fleet = &load->config->fleet;
	struct section		 *section = NULL;

	for (size_t i = 0; i < fleet->group_count; i++) {
		const struct mews_group_config *group = &fleet->groups[i];
		size_t servers = group->role == MEWS_GROUP_PRIMARY ? 1 :
		    group->role == MEWS_GROUP_ANY ? fleet->endpoint_count :
						    fleet->endpoint_count - 1;

		section = section_next(&load->parsed, SECTION_GROUP, section);
		if (group->connection_count < servers)
			load_warn(load, section->line, "group \"%s\" has "
			    "connection_count = %u, for up to %zu servers: "
			    "each worker leaves some without work",
			    group->name, group->connection_count, servers);
	}
}

static void
check_runtime_dir(struct load *load)
{
	struct setting	*setting = file_setting(load, "runtime_dir");
	char		 why[600];

	if (setting != NULL && !place_is_good(load->config->runtime_dir, why,
	    sizeof(why)))
		mistake_add(&load->mistakes, setting_line(setting),
		    "runtime_dir = %s", why);
}

static void
check_log(struct load *load)
{
	struct setting	*setting = file_setting(load, "log");
	char		 why[300];

	if (setting == NULL)
		return;
	load->config->log_line = setting_line(setting);
	if (!destination_parse(load->config, &load->context, why,
	    sizeof(why)))
		mistake_add(&load->mistakes, setting_line(setting), "%s", why);
}

/* The address shows all to whoever reaches it. */
static void
check_admin(struct load *load)
{
	const struct config	*config = load->config;

	for (size_t i = 0; i < config->admin_count; i++)
		if (config->admin_public != MEWS_SWITCH_ON &&
		    !listen_is_local(&config->admin[i]))
			mistake_add(&load->mistakes, config->admin[i].line,
			    "admin = '%.200s' is open to other hosts; it must "
			    "be a loopback address or unix:PATH, unless "
			    "admin_public = true", config->admin[i].text);
}

/* Report a mistake that the library found, with the line of its setting. */
static void
on_fleet_mistake(void *arg, const struct mews_config_mistake *mistake)
{
	struct load		*load = arg;
	struct section		*section = NULL;
	struct setting		*setting;
	const struct option	*option = NULL;
	enum section_kind	 kind = SECTION_FILE;
	const char		*field = mistake->field;
	int			 index = 0;
	unsigned		 line;
	bool			 named;

	if (mistake->endpoint >= 0) {
		kind = SECTION_ENDPOINT;
		index = mistake->endpoint;
	} else if (mistake->group >= 0) {
		kind = SECTION_GROUP;
		index = mistake->group;
	} else if (field != NULL && option_find(kind, field) == NULL &&
	    option_find(SECTION_HEALTH, field) != NULL)
		kind = SECTION_HEALTH;
	do
		section = section_next(&load->parsed, kind, section);
	while (index-- > 0);

	line = section->line;
	if (field != NULL && (option = option_find(kind, field)) != NULL) {
		setting = section_setting(section, option);
		if (setting->bad)
			return;
		if (setting->line > 0)
			line = setting->line;
	} else if (section->bad)
		return;
	named = option == NULL || strstr(mistake->text, field) != NULL;
	mistake_add(&load->mistakes, line, "%s%s%s%s%s",
	    section_name(kind), kind == SECTION_FILE ? "" : ": ",
	    named ? "" : field, named ? "" : ": ", mistake->text);
}

static void
load_file(struct load *load)
{
	struct config	*config = load->config;
	struct section	*file = STAILQ_FIRST(&load->parsed.sections);
	uint32_t	 processors;

	load_section(load, file, config);
	if (!load_endpoints(load) || !load_groups(load) ||
	    !load_only(load, SECTION_HTTP, &load->config->http) ||
	    !load_python(load) ||
	    !load_only(load, SECTION_HEALTH, &load->config->fleet.health)) {
		load_nomem(load);
		return;
	}
	if (config->workers == 0) {
		processors = processors_usable("");
		config->workers = processors > MEWS_WORKERS_MAX ?
		    MEWS_WORKERS_MAX : processors;
	}
	check_instance(load);
	check_admin(load);
	check_log(load);
	if (!load->host) {
		check_user(load);
		check_app(load);
		check_runtime_dir(load);
	}
	if (!load->complete)
		return;
	if (!load->host && load->mistakes.count == 0) {
		warn_of_secrets(load);
		warn_of_few_connections(load);
	}

	config->fleet.abi = MEWS_ABI;
	config->fleet.workers = config->workers;
	mews_config_check(&config->fleet, on_fleet_mistake, load);
	if (config->fleet.instance != NULL && config->runtime_dir != NULL &&
	    (config->fleet.runtime_file = memory_format(&load->memory,
	    "%s/%s.segment", config->runtime_dir,
	    config->fleet.instance)) == NULL)
		load_nomem(load);
}

/* The file's own path, and the directory that others are relative to. */
static bool
load_path(struct load *load, const char *path)
{
	struct option_context	 here = { .memory = &load->memory };
	char			*directory, *cwd = NULL;

	if (path[0] != '/' && (cwd = getcwd(NULL, 0)) == NULL)
		return false;
	here.directory = cwd;
	load->config->path = option_path(&here, path);
	free(cwd);
	if (load->config->path == NULL || (directory =
	    memory_text(&load->memory, load->config->path)) == NULL)
		return false;
	*strrchr(directory, '/') = '\0';
	load->context.directory = directory;
	load->context.memory = &load->memory;
	return true;
}

static bool
load_for(struct config **out, const char *path, bool host,
    config_report_fn *report, void *arg)
{
	struct load	load = { .host = host };
	bool		done = false;

	*out = NULL;
	if ((load.config = memory_get(&load.memory,
	    sizeof(*load.config))) == NULL || !load_path(&load, path)) {
		load_nomem(&load);
		goto done;
	}
	if (!text_read(&load.text, path, &load.scratch, &load.mistakes))
		goto done;
	load.complete = parse_text(&load.parsed, &load.text, &load.mistakes);
	load_file(&load);
	done = load.mistakes.count == 0;
done:
	mistake_report(&load.mistakes, path, report, arg);
	mistake_clear(&load.mistakes);
	memory_free(&load.parsed.memory);
	memory_free(&load.scratch);
	if (done) {
		load.config->memory = load.memory;
		*out = load.config;	/* the caller owns it now */
	} else
		memory_free(&load.memory);
	return done;
}

bool
config_load(struct config **out, const char *path, config_report_fn *report,
    void *arg)
{
	return load_for(out, path, false, report, arg);
}

bool
config_load_fleet(struct config **out, const char *path,
    config_report_fn *report, void *arg)
{
	return load_for(out, path, true, report, arg);
}

void
config_free(struct config **config)
{
	struct memory	*memory;

	if (*config == NULL)
		return;
	memory = (*config)->memory;
	*config = NULL;
	memory_free(&memory);	/* the structure is part of it */
}
