/*
 * environment.c - which variables of libpq's are set, which are refused and
 * why.
 */
#include "base/environment.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char each_session[] = "every session would begin with it; use "
    "init of a group, or options in a conninfo";

static const struct {
	const char *name;
	const char *allowed; /* a value that changes nothing, or NULL */
	const char *why;
} refused[] = {
	{ "PGTARGETSESSIONATTRS", "any", "the role of a group chooses the "
	    "server" },
	{ "PGHOSTADDR", NULL, "every endpoint would be at that address" },
	{ "PGOPTIONS", NULL, each_session },
	{ "PGSERVICE", NULL, "every endpoint would take what it lacks from "
	    "there; use service in a conninfo" },
	{ "PGDATESTYLE", "default", each_session },
	{ "PGTZ", "default", each_session },
	{ "PGGEQO", "default", each_session },
};

#define REFUSED (sizeof(refused) / sizeof(refused[0]))

/* Variables that stand for no option of a conninfo, but change a login or the
 * language of its messages. */
static const char *const others[] = {
	"PGREQUIRESSL", "PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR",
	"PGOAUTHDEBUG",
};

static bool
is_set(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0';
}

static bool
is_refused(size_t i)
{
	return is_set(refused[i].name) && (refused[i].allowed == NULL ||
	    strcmp(getenv(refused[i].name), refused[i].allowed) != 0);
}

const char *
environment_refused(size_t index, const char **why)
{
	for (size_t i = 0; i < REFUSED; i++)
		if (is_refused(i) && index-- == 0) {
			*why = refused[i].why;
			return refused[i].name;
		}
	return NULL;
}

static bool
is_variable_listed(const char *name)
{
	for (size_t i = 0; i < REFUSED; i++)
		if (strcmp(refused[i].name, name) == 0)
			return true;
	return false;
}

/* Append @name, if it is set and fills in. */
static void
list_set(char *names, size_t size, const char *name)
{
	size_t	length = strlen(names);

	if (is_set(name) && !is_variable_listed(name))
		snprintf(names + length, size - length, "%s%s",
		    length == 0 ? "" : ",", name);
}

bool
environment_names(char *names, size_t size)
{
	PQconninfoOption *options = PQconndefaults();

	names[0] = '\0';
	for (const PQconninfoOption *o = options;
	    o != NULL && o->keyword != NULL; o++)
		if (o->envvar != NULL)
			list_set(names, size, o->envvar);
	PQconninfoFree(options);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		list_set(names, size, others[i]);
	return names[0] != '\0';
}
