/*
 * privileges.c - becoming a user with fewer rights.
 *
 * Order matters: groups first, as only root may change them; the user last;
 * then look whether it is true. The supplementary groups are those that the
 * user has in group(5), never root's.
 *
 * HOME follows, because libpq looks there for .pgpass and certificates, and
 * fails if it may not look into root's.
 */
#include "privileges.h"

#include "fail.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define UNPRIVILEGED_USER "nobody"

bool
privileges_find(struct privileges *who, const struct config *config,
    struct mews_error *error)
{
	const char	    *name = config->user;
	const struct passwd *pw;
	const struct group  *gr;

	memset(who, 0, sizeof(*who));
	if (geteuid() != 0) {
		who->uid = geteuid();
		who->gid = getegid();
		pw = getpwuid(who->uid);
		strlcpy(who->name, pw != NULL ? pw->pw_name : "this user",
		    sizeof(who->name));
		return true;
	}
	if (name == NULL)
		name = UNPRIVILEGED_USER;
	errno = 0;
	if ((pw = getpwnam(name)) == NULL)
		return fail(error, "user %s: %s", name,
		    errno != 0 ? strerror(errno) : "there is no such user");
	who->uid = pw->pw_uid;
	who->gid = pw->pw_gid;
	strlcpy(who->name, name, sizeof(who->name));
	strlcpy(who->home, pw->pw_dir, sizeof(who->home));
	if (config->group != NULL) {
		errno = 0;
		if ((gr = getgrnam(config->group)) == NULL)
			return fail(error, "group %s: %s", config->group,
			    errno != 0 ? strerror(errno) :
					 "there is no such group");
		who->gid = gr->gr_gid;
	}
	who->drop = who->uid != 0;
	return true;
}

/* Are all three user ids as they should be, and root out of reach? */
static bool
privileges_are_gone(const struct privileges *who)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	if (getresuid(&ruid, &euid, &suid) != 0 ||
	    getresgid(&rgid, &egid, &sgid) != 0)
		return false;
	return ruid == who->uid && euid == who->uid && suid == who->uid &&
	    rgid == who->gid && egid == who->gid && sgid == who->gid &&
	    setuid(0) != 0;
}

bool
privileges_drop(const struct privileges *who, struct mews_error *error)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return fail(error, "no_new_privs: %s", strerror(errno));
	if (!who->drop)
		return true;
	if (initgroups(who->name, who->gid) != 0 ||
	    setresgid(who->gid, who->gid, who->gid) != 0 ||
	    setresuid(who->uid, who->uid, who->uid) != 0)
		return fail(error, "cannot become user %s: %s", who->name,
		    strerror(errno));
	if (!privileges_are_gone(who))
		return fail(error, "cannot become user %s: still root",
		    who->name);
	if (setenv("HOME", who->home, 1) != 0 ||
	    setenv("USER", who->name, 1) != 0 ||
	    setenv("LOGNAME", who->name, 1) != 0)
		return fail(error, "environment of user %s: %s", who->name,
		    strerror(errno));
	return true;
}
