/*
 * logs.c - where the master and its children write their logs.
 */
#include "logs.h"

#include "fail.h"
#include "handover.h"
#include "parts.h"

#include <stdlib.h>
#include <string.h>

static bool
refuse(const struct config *config, const char *why, const char *user,
    struct mews_error *error)
{
	return fail_at(error, config->path, config->log_line,
	    "log = file:%s: %s (as user %s)", config->log_path, why, user);
}

bool
logs_check(const struct config *config, const char *user,
    struct mews_error *error)
{
	const char *why;

	return config->log != CONFIG_LOG_FILE ||
	    output_check_file(config->log_path, &why) ||
	    refuse(config, why, user, error);
}

static struct logs_place *
find(struct master *m, enum config_log where, const char *path)
{
	struct logs_place *place;

	LIST_FOREACH(place, &m->logs, entry)
		if (place->where == where && (where != CONFIG_LOG_FILE ||
			strcmp(place->output.path, path) == 0))
			break;
	return place;
}

static bool
open_place(struct master *m, struct logs_place *place,
    const struct config *config, struct mews_error *error)
{
	struct log  log = { .where = place->where };
	const char *why;

	if (place->where != CONFIG_LOG_FILE)
		log_open(&log, &place->output);
	else if (!output_open_file(&place->output, config->log_path, &why))
		return refuse(config, why, m->user.name, error);
	LIST_INSERT_HEAD(&m->logs, place, entry);
	return true;
}

static bool
set(struct master *m, struct log *log, const struct config *config,
    enum config_log where, struct mews_error *error)
{
	struct logs_place *place = find(m, where, config->log_path);

	if (place == NULL) {
		if ((place = calloc(1, sizeof(*place))) == NULL)
			return fail(error, "out of memory");
		place->where = where;
		if (!open_place(m, place, config, error)) {
			free(place);
			return false;
		}
	}
	log->where = where;
	log->level = config->log_level;
	log->output = &place->output;
	return true;
}

bool
logs_begin(struct master *m, struct mews_error *error)
{
	LIST_INIT(&m->logs);
	return set(m, &m->log, m->config, m->config->log == CONFIG_LOG_FILE ?
	    CONFIG_LOG_STDERR : m->config->log, error);
}

bool
logs_set(struct master *m, struct log *log, const struct config *config,
    struct mews_error *error)
{
	return set(m, log, config, config->log, error);
}

void
logs_renew(struct master *m)
{
	struct logs_place *place;
	const char	  *why;
	char		   path[512];

	/* Workers of the master that was replaced may still drain. */
	if (m->handover != NULL)
		handover_send(m->handover->channel, "logs");
	LIST_FOREACH(place, &m->logs, entry) {
		if (place->where != CONFIG_LOG_FILE)
			continue;
		logfmt_value(path, sizeof(path), place->output.path);
		if (output_renew(&place->output, &why))
			log_write(&m->log, MEWS_LOG_INFO, "log_reopened",
			    "path=%s", path);
		else
			log_write(&m->log, MEWS_LOG_ERROR, "log_not_reopened",
			    "path=%s error=\"%s\" action=old_one_goes_on",
			    path, why);
	}
}

static bool
is_used(const struct master *m, const struct logs_place *place)
{
	const struct generation *g;

	TAILQ_FOREACH(g, &m->generations, entry)
		if (g->log.output == &place->output)
			return true;
	return m->log.output == &place->output;
}

static void
drop(struct logs_place *place)
{
	LIST_REMOVE(place, entry);
	output_close(&place->output);
	free(place);
}

void
logs_drop_unused(struct master *m)
{
	struct logs_place *place, *next;

	LIST_FOREACH_SAFE(place, &m->logs, entry, next)
		if (place->where == CONFIG_LOG_FILE && !is_used(m, place))
			drop(place);
}

void
logs_end(struct master *m)
{
	while (!LIST_EMPTY(&m->logs))
		drop(LIST_FIRST(&m->logs));
}
