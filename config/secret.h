/*
 * secret.h - finding passwords in a configuration, and who can read them.
 */
#ifndef CONFIG_SECRET_H
#define CONFIG_SECRET_H

#include "parse.h"

/* The line of the first password that is written in the file, not taken from
 * the environment; 0: there is none. */
unsigned secret_line(struct parsed *parsed);

/*
 * The users, besides its owner and root, who can read the file; NULL: nobody.
 *
 * @user, @group  whom the fleet becomes when root starts it.
 */
const char *secret_reader(const struct text *text, const char *user,
    const char *group);

#endif
