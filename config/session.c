/*
 * session.c - see session.h.
 */
#include "session.h"

#include <string.h>

static const char *const session[] = {
	"SET datestyle = 'ISO'", "SET intervalstyle = 'postgres'",
	"SET bytea_output = 'hex'", "SET extra_float_digits = 1",
};
#define SESSION (sizeof(session) / sizeof(session[0]))

/* Behind a group's own init, which may have set another. */
static const char encoding_again[] = "SET client_encoding = 'UTF8'";

bool
session_for_python(struct mews_config *config, struct memory **memory)
{
	struct mews_group_config *groups;
	const char		**texts;

	groups = memory_get(memory, config->group_count * sizeof(*groups));
	if (groups == NULL)
		return false;
	for (size_t i = 0; i < config->group_count; i++) {
		groups[i] = config->groups[i];
		texts = memory_get(memory,
		    (SESSION + groups[i].init_count + 1) * sizeof(*texts));
		if (texts == NULL)
			return false;
		memcpy(texts, session, sizeof(session));
		for (size_t k = 0; k < groups[i].init_count; k++)
			texts[SESSION + k] = groups[i].init[k];
		if (groups[i].init_count > 0)
			texts[SESSION + groups[i].init_count++] =
			    encoding_again;
		groups[i].init = texts;
		groups[i].init_count += SESSION;
	}
	config->client_encoding = "UTF8";
	config->groups = groups;
	return true;
}
