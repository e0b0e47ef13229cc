/*
 * option.h - every key of mews.conf: those of a fleet, which are in mews/key.h,
 * and those of the mews command, which are here.
 *
 * The parser, the checks and the test of mews.conf are driven by these tables:
 * a new key is one row there or here, one field in a structure and one
 * paragraph in mews.conf.
 */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include "config.h"
#include "memory.h"

#include <mews/key.h>

/* All options, from 0 to option_count() - 1. */
size_t option_count(void);
const struct option *option_at(size_t index);
size_t option_index(const struct option *option);
/* NULL: there is none of that name in this kind of section. */
const struct option *option_find(enum section_kind kind, const char *name);
bool option_is_list(const struct option *option);

/* The surroundings of a conversion besides the text. */
struct option_context {
	struct memory **memory; /* texts are copied to it */
	const char *directory;	/* base of relative paths */
};

/*
 * Store the value of @text in @field; not for lists. False: nothing was stored,
 * and @why says what is wrong and what is allowed.
 */
bool option_convert(const struct option *option, const char *text,
    void *field, const struct option_context *context, char *why,
    size_t why_size);

/* @path made absolute, from the context's directory; NULL: out of memory. */
char *option_path(const struct option_context *context, const char *path);

/* Write that @name is unknown in this kind of section, and what may be
 * meant. */
void option_explain_unknown(enum section_kind kind, const char *name,
    char *why, size_t why_size);

#endif
