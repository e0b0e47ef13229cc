/*
 * explain.c - mews explain: why is a server in its state, and what is next?
 *
 * Asks nobody, as mews status: all is read from the segment, and the rules of
 * health from the configuration, if there is one.
 */
#include "explain.h"

#include "instance.h"
#include "reasons.h"

#include <string.h>

bool
explain_print(const struct explain_args *args, FILE *out,
    struct mews_error *error)
{
	struct mews_view      *view;
	struct mews_view_fleet fleet;
	char		       instance[MEWS_NAME_MAX + 1] = "";
	uint32_t	       index = 0, end;
	bool		       ok = true;

	if (args->instance != NULL)
		strlcpy(instance, args->instance, sizeof(instance));
	if (!instance_open(&view, &fleet, args->runtime_dir, instance, error))
		return false;
	end = fleet.endpoint_count;
	if (args->endpoint != NULL) {
		ok = instance_endpoint(view, args->endpoint, &index, error);
		end = ok ? index + 1 : 0;
	}
	for (; index < end; index++)
		reasons_print(view, index, args->health, out);
	mews_view_close(&view);
	return ok && instance_lives(&fleet, args->runtime_dir, error);
}
