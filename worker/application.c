/*
 * application.c - load the shared object that answers requests, and tell it
 * what is configured for it.
 *
 * Loaded by each worker, after the fork and without privileges: the master
 * runs none of its code, and a new worker gets what the file holds by then.
 * The object is never unloaded, as something of it may still be in use.
 */
#include "config.h"
#include "worker.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Name @path in the error, unless dlerror()'s text begins with it. */
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
	else if (app->abi < MEWS_APP_ABI_OLDEST ||
	    app->abi > MEWS_APP_ABI) {
		snprintf(text, sizeof(text),
		    "was built for version %u of mews/app.h, this mews serves "
		    "%u to %u; %s", app->abi, (unsigned)MEWS_APP_ABI_OLDEST,
		    (unsigned)MEWS_APP_ABI, app->abi > MEWS_APP_ABI ?
		    "install a newer one" : "build it anew");
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

bool
application_check(const struct mews_app *app, const struct config *config,
    struct mews_error *error)
{
	*error = (struct mews_error) { .message = "" };
	return app->abi < 3 || app->check == NULL ||
	    app->check((const void *)config, error) == MEWS_OK;
}

/* struct mews_options is struct config, of which an application sees only what
 * mews_option() returns. */
const char *
mews_option(const struct mews_options *options, const char *name)
{
	const struct config *config = (const void *)options;
	const struct config_python *python = config->python;

	if (python == NULL)
		return NULL;
	if (strcmp(name, "python.module") == 0)
		return python->module;
	if (strcmp(name, "python.kind") == 0)
		return python->kind == CONFIG_PYTHON_WSGI ? "wsgi" : "webapp";
	if (strcmp(name, "python.path") == 0)
		return python->path;
	return strcmp(name, "python.virtualenv") == 0 ? python->virtualenv :
	    NULL;
}
