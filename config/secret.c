/*
 * secret.c - finding passwords in a configuration, and who can read them.
 */
#include "secret.h"

#include "token.h"

#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Is it an option that libpq marks as secret: password, sslpassword, and what
 * later versions add? */
static bool
is_secret(const PQconninfoOption *option)
{
	return strchr(option->dispchar, '*') != NULL;
}

/* Does @conninfo hold a password? */
static bool
has_password(const char *conninfo)
{
	PQconninfoOption *all = PQconninfoParse(conninfo, NULL), *one;
	const char	  variable[] = { TOKEN_VARIABLE, '\0' };
	bool		  found = false;

	for (one = all; one != NULL && one->keyword != NULL; one++)
		found |= is_secret(one) && one->val != NULL &&
		    one->val[strspn(one->val, variable)] != '\0';
	PQconninfoFree(all);
	return found;
}

unsigned
secret_line(struct parsed *parsed)
{
	const struct option *conninfo = option_find(SECTION_ENDPOINT,
				"conninfo");
	struct section	    *section = NULL;
	struct value	    *value;

	while ((section = section_next(parsed, SECTION_ENDPOINT, section)) !=
	    NULL)
		STAILQ_FOREACH(value,
		    &section_setting(section, conninfo)->values, next)
			if (has_password(value->written))
				return value->line;
	return 0;
}

/* Is @user, whose own group is @own, a member of @gid? */
static bool
in_group(const char *user, gid_t own, gid_t gid)
{
	gid_t groups[256];
	int   count = 256;

	if (getgrouplist(user, own, groups, &count) == -1)
		return own == gid;
	for (int i = 0; i < count; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

const char *
secret_reader(const struct text *text, const char *user, const char *group)
{
	const struct passwd *pw;
	const struct group  *gr;
	gid_t		     gid;

	if ((text->mode & S_IROTH) != 0)
		return "every user";
	if (geteuid() != 0 || (pw = getpwnam(user)) == NULL || pw->pw_uid == 0)
		return NULL;
	gid = pw->pw_gid;
	if (group != NULL && (gr = getgrnam(group)) != NULL)
		gid = gr->gr_gid;
	if ((text->uid == pw->pw_uid && (text->mode & S_IRUSR) != 0) ||
	    ((text->mode & S_IRGRP) != 0 && in_group(user, gid, text->gid)))
		return user;
	return NULL;
}
