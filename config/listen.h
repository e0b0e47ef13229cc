/*
 * listen.h - parsing addresses to listen on.
 */
#ifndef CONFIG_LISTEN_H
#define CONFIG_LISTEN_H

#include "option.h"

/*
 * "127.0.0.1:80", "[::1]:80", "*:80", "unix:PATH". False: @why says what is
 * wrong and what is allowed.
 * @name is the option's.
 */
bool listen_parse(struct config_listen *listen, const char *name,
    const char *text, const struct option_context *context, char *why,
    size_t why_size);
/* Can the address be reached only from this host? */
bool listen_is_local(const struct config_listen *listen);
/* Would both bind the same address? */
bool listen_equal(const struct config_listen *a,
    const struct config_listen *b);

#endif
