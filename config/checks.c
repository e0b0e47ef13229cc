/*
 * checks.c - checks that need more than one value, or the system: the user, the
 * application, the directories, and what the library says of it all.
 *
 * option.c checks values by themselves.
 */
#include "checks.h"

#include "destination.h"
#include "listen.h"
#include "place.h"
#include "secret.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PYTHON_APP "mews-python.so"

/* A key outside of any section, if it was written and has no mistake yet. */
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

static unsigned
line_of(struct load *load, const char *name)
{
	struct section	*file = STAILQ_FIRST(&load->parsed.sections);

	return setting_line(section_setting(file,
	    option_find(SECTION_FILE, name)));
}

static void
note_lines(struct load *load)
{
	struct section	*http = section_next(&load->parsed, SECTION_HTTP, NULL);
	struct setting	*setting;

	load->config->user_line = line_of(load, "user");
	load->config->runtime_dir_line = line_of(load, "runtime_dir");
	load->config->instance_line = line_of(load, "instance");
	load->config->workers_line = line_of(load, "workers");
	if (http == NULL)
		return;
	setting = section_setting(http,
	    option_find(SECTION_HTTP, "max_connections"));
	load->config->http_line = setting->line > 0 ? setting->line :
	    http->line;
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

/* Find an application of mews' own, which lies where mews is installed. */
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

/* Warn of a group with fewer connections than servers: a worker leaves some
 * servers without work. */
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

/* Refuse an admin address that others can reach, unless that is wanted. */
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

void
checks_run(struct load *load)
{
	note_lines(load);
	check_instance(load);
	check_admin(load);
	check_log(load);
	if (!load->host) {
		check_user(load);
		check_runtime_dir(load);
	}
	if (!load->host && !load->monitor)
		check_app(load);
	if (!load->complete)
		return;
	if (!load->host && load->mistakes.count == 0)
		warn_of_secrets(load);
	if (!load->host && !load->monitor && load->mistakes.count == 0)
		warn_of_few_connections(load);
	load->config->fleet.abi = MEWS_ABI;
	mews_config_check(&load->config->fleet, on_fleet_mistake, load);
}
