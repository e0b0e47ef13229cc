/*
 * load.h - the state of one call of config_load().
 *
 * Private to config.c, load.c and checks.c. No mistake stops the call, so that
 * all are reported at once.
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
	bool host;		/* for a host: without application and user */
	bool monitor;		/* for a monitor alone: without application */
};

/* Note that memory ran out. */
void load_nomem(struct load *load);

/* Put the values of all sections into the configuration. False: out of
 * memory. */
bool load_sections(struct load *load);

#endif
