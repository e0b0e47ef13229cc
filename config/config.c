/*
 * config.c - from a file to a struct config.
 *
 * The way of a file: text.c reads it, token.c and parse.c note what is
 * written in which line, option.c says what each key takes and where it
 * goes, load.c puts the values there, and checks.c checks what needs more than
 * one value, or the system. Mistakes do not stop any of this, so that all of
 * them are told at once; only after a syntax error nothing is said about what
 * is missing.
 */
#include "config.h"

#include "checks.h"
#include "load.h"
#include "processors.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
load_file(struct load *load)
{
	struct config	*config = load->config;
	uint32_t	 processors;

	if (!load_sections(load)) {
		load_nomem(load);
		return;
	}
	if (config->workers == 0) {
		processors = processors_usable("");
		config->workers = processors > MEWS_WORKERS_MAX ?
		    MEWS_WORKERS_MAX : processors;
	}
	config->fleet.workers = config->workers;
	checks_run(load);
	if (load->complete && config->fleet.instance != NULL &&
	    config->runtime_dir != NULL &&
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
load_for(struct config **out, const char *path, struct load load,
    config_report_fn *report, void *arg)
{
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
	return load_for(out, path, (struct load) { .host = false }, report,
	    arg);
}

bool
config_load_fleet(struct config **out, const char *path,
    config_report_fn *report, void *arg)
{
	return load_for(out, path, (struct load) { .host = true }, report,
	    arg);
}

bool
config_load_monitor(struct config **out, const char *path,
    config_report_fn *report, void *arg)
{
	return load_for(out, path, (struct load) { .monitor = true }, report,
	    arg);
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
