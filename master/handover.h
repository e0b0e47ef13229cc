/*
 * handover.h - what an old master passes to the new one that replaces it.
 *
 * In the environment, as MEWS_UPGRADE: a line KEY=VALUE each. Descriptors are
 * inherited by their numbers. On a socket between both, a message each:
 *
 *	new: mistake TEXT	it cannot; TEXT is for who asked
 *	new: apart		its segment is one of its own, as the version
 *				of the old master's is another
 *	new: ready		each of its workers is
 *	old: go			take over; from here on nobody gives up
 *	old: no			given up: end, and touch nothing
 *	new: serves TEXT	it did: pid file, addresses, segment are its own
 *	old: monitor		our monitor ended: start yours
 *	new: logs		open the logs anew, for those who still drain
 *	new: stop		the fleet stops: TERM
 *	new: quit		the same at once: QUIT
 *	old: endpoint TEXT	to one that is apart, all the time: what is
 *				known of an endpoint, see mews_fleet_tell()
 *
 * A message that is not known is left out.
 *
 * Its end means that the other one ended. Before "serves" that tells the old
 * master nothing of a child, of whose end the system tells it, but of a sibling
 * (see upgrade.h) it is all that it hears.
 */
#ifndef MASTER_HANDOVER_H
#define MASTER_HANDOVER_H

#include "passed.h"

#include <mews/status.h>

#define HANDOVER_TEXT 1024 /* bytes of a message, with its NUL */
#define HANDOVER_WAKES (MEWS_SLOTS_MAX + 1)

struct handover {
	int channel; /* -1: nobody passes anything */
	int pid_file;
	int notify; /* connected to who watches the service; -1: nobody */
	int history; /* of the admin process, see history.h; -1: none */
	struct passed sockets; /* that listen */
	int *wakes;	       /* of the fleet, see mews_fleet_adopt() */
	size_t wake_count;
	const char *instance, *runtime_dir, *user, *group; /* ""; not set */
	unsigned configured, workers; /* as written, and as signals made it */
	unsigned slots, living;	      /* of the segment; of these, in use */
	unsigned number;	      /* of the generation that serves */
	bool made_dir;
	/* Of endpoints, as it forked: mews_fleet_tell(). */
	const char *told[MEWS_ENDPOINTS_MAX];
	size_t told_count;
	char *text; /* that these point into */
};

/** Is a master replaced by us? Its descriptors are closed by exec. False:
 * @error, if it cannot be understood, else ->channel is -1. */
bool handover_find(struct handover *handover, struct mews_error *error);
void handover_free(struct handover *handover);

/** Send a message; a peer that is gone is told nothing. */
void handover_send(int channel, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Were all messages taken? For what is sent all the time, so that it never
 * stands in the way of the others. */
bool handover_is_idle(int channel);
/** The next message. 1: @text; 0: there is none now; -1: the peer is gone. */
int handover_receive(int channel, char text[HANDOVER_TEXT]);

#endif
