/*
 * application.c - load the shared object that answers requests.
 *
 * Loaded once, by the master before it forks, so a bad one is found before
 * anything runs and its code is shared by all workers. It is never unloaded:
 * nobody could know that nothing of it is in use any more.
 */
#include "worker.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* What dlerror() says begins with the path, most of the time. */
static bool
refuse(struct mews_error *error, const char *path, const char *why)
{
	bool named = strncmp(why, path, strlen(path)) == 0;

	error->status = MEWS_INVALID;
	snprintf(error->message, sizeof(error->message), "%s%s%s",
	    named ? "" : path, named ? "" : ": ", why);
	return false;
}

bool
application_load(const char *path, const struct mews_app **out,
    struct mews_error *error)
{
	const struct mews_app *app;
	const char *why;
	char text[128];
	void *object;

	*out = NULL;
	if ((object = dlopen(path, RTLD_NOW | RTLD_LOCAL)) == NULL) {
		why = dlerror();
		return refuse(error, path,
		    why == NULL ? "cannot be loaded" : why);
	}
	if ((app = dlsym(object, "mews_app")) == NULL)
		why = "exports no object mews_app; see mews/app.h";
	else if (app->abi != MEWS_APP_ABI) {
		snprintf(text, sizeof(text),
		    "was built for version %u of mews/app.h, this is %u; "
		    "build it anew", app->abi, (unsigned)MEWS_APP_ABI);
		why = text;
	} else if (app->name == NULL || app->name[0] == '\0')
		why = "mews_app has no name";
	else if (app->request == NULL)
		why = "mews_app has no function request";
	else {
		*out = app;
		return true;
	}
	dlclose(object);
	return refuse(error, path, why);
}
