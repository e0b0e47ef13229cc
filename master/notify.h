/*
 * notify.h - what the master tells systemd: sd_notify(3), without its library.
 *
 * A datagram for each message, to the socket that NOTIFY_SOCKET names, without
 * waiting for its reader; without that variable nothing is sent.
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

/** Connect to the socket, while this user is allowed to. */
void notify_open(struct notify *notify);
/** As notify_open(), with the socket of the master that is replaced. */
void notify_adopt(struct notify *notify, int fd);
void notify_close(struct notify *notify);
/** In a child, which systemd does not watch: close the socket. */
void notify_disown(struct notify *notify);

/** Tell that @serving of @count processes, each a @noun, are ready, if that
 * changed; the first one makes the service ready. Also sends a sign of life if
 * one is due. */
void notify_serving(struct notify *notify, const char *noun, unsigned serving,
    unsigned count);
/** Tell whether a reload is under way, if that changed; never before the
 * service is ready. */
void notify_reloading(struct notify *notify, bool reloading);
/** Tell that process @pid is the service from now on. */
void notify_pass(struct notify *notify, pid_t pid);
/** Tell that the service ends, within @patience_ms; PROCESS_NEVER: some
 * time. */
void notify_stopping(struct notify *notify, int64_t patience_ms);
/** Milliseconds until the next sign of life, at most @ms. */
int notify_due(const struct notify *notify, int ms);

#endif
