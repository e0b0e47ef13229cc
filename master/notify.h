/*
 * notify.h - what the master tells systemd: sd_notify(3), without its library.
 *
 * A datagram for each message, to the socket that NOTIFY_SOCKET names; without
 * it nothing is told. Nobody waits for its reader.
 */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct notify {
	int	 fd;	   /* -1: nobody listens */
	int64_t	 every_ms; /* between two signs of life; 0: none is wanted */
	int64_t	 beat_at;  /* the next; of process_now() */
	unsigned serving;  /* workers, as it was told */
	bool	 ready;	   /* it was told */
	bool	 reloading; /* it was told */
};

/** Find whom to tell, while this user may. */
void notify_open(struct notify *notify);
/** As notify_open(), with what the master that we replace had opened. */
void notify_adopt(struct notify *notify, int fd);
void notify_close(struct notify *notify);
/** In a child: it is not the child that systemd watches. */
void notify_disown(struct notify *notify);

/** @serving of @count processes, each a @noun, are ready; told when it changes,
 * and the first one that is ready makes the service ready. Also a sign of life,
 * where one is due. */
void notify_serving(struct notify *notify, const char *noun, unsigned serving,
    unsigned count);
/** Is a reload under way? Told when that changes, and never before the service
 * is ready. */
void notify_reloading(struct notify *notify, bool reloading);
/** Another process is the service from now on, and tells. */
void notify_pass(struct notify *notify, pid_t pid);
/** The service ends, within @patience_ms; PROCESS_NEVER: some time. */
void notify_stopping(struct notify *notify, int64_t patience_ms);
/** Milliseconds until the next sign of life, at most @ms. */
int notify_due(const struct notify *notify, int ms);

#endif
