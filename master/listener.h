/*
 * listener.h - the sockets on which the fleet is reached.
 *
 * Bound once by the master, inherited by every worker. A unix socket is made by
 * the user who serves, who can therefore remove it.
 */
#ifndef MASTER_LISTENER_H
#define MASTER_LISTENER_H

#include "config.h"
#include "passed.h"

#include <mews/status.h>
#include <sys/types.h>

/* One per config->listen, in its order. */
struct listeners {
	const struct config *config;
	int	*fds;	 /* listening, non-blocking; -1: not bound */
	struct {
		dev_t dev; /* of a unix socket's file, to know it again */
		ino_t ino;
	} *files;
	size_t	 count;
	struct passed passed; /* taken instead of binding */
};

enum listener_kind { LISTENER_TCP, LISTENER_UNIX };

/** Make room for all addresses of @config, and take the sockets that were
 * passed on; binds nothing yet. */
bool listeners_init(struct listeners *set, const struct config *config,
    struct mews_error *error);

/** As listeners_init(), for addresses that are never passed on. */
bool listeners_init_own(struct listeners *set, const struct config *config,
    struct mews_error *error);

/**
 * Bind and listen on all addresses of one kind.
 *
 * @patience_ms  how long to try again while an address is taken: workers of a
 *               killed master need a moment to end.
 * @error        names the place in the configuration.
 */
bool listeners_bind(struct listeners *set, enum listener_kind kind,
    uint32_t patience_ms, struct mews_error *error);

/** Take the sockets that another master passed on; their files are not ours
 * yet. */
void listeners_take(struct listeners *set, struct passed *passed);
/** The files of all unix sockets are ours to remove. */
void listeners_own(struct listeners *set);

/** Take over from @from the sockets of addresses in both. */
void listeners_adopt(struct listeners *set, const struct listeners *from);
/** Close what @kept does not listen on, and remove its unix sockets. */
void listeners_drop(struct listeners *set, const struct listeners *kept);
/** In a child that serves @kept: close its copies of the others in @set. */
void listeners_disown_others(struct listeners *set,
    const struct listeners *kept);

/** Could this process make the unix sockets of @config? Does not make them. */
bool listeners_check_unix(const struct config *config,
    struct mews_error *error);

/** Close all, and remove the unix sockets that are still ours. */
void listeners_close(struct listeners *set);
/** In a child that serves nobody: close the copies, leave the files. */
void listeners_disown(struct listeners *set);

#endif
