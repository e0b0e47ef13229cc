/*
 * load.h - one call of config_load(): what it reads, and what it makes of that.
 *
 * Private to config.c, load.c and checks.c. Mistakes stop none of it, so that
 * all of them are told at once.
 */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "config.h"
#include "memory.h"
#include "mistake.h"
#include "option.h"
#include "parse.h"
#include "text.h"

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

/* Note that memory ran out. */
void load_nomem(struct load *load);

/* Put the values of all sections into the configuration. False: out of
 * memory. */
bool load_sections(struct load *load);

#endif
