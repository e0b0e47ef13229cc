/*
 * notify.c - what the master tells systemd: sd_notify(3), without its library.
 */
#include "notify.h"

#include "process.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* "@NAME" is a socket without a file. */
static int
dial(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t		   length = strlen(name);
	int		   fd;

	if ((name[0] != '/' && name[0] != '@') ||
	    length >= sizeof(at.sun_path))
		return -1;
	memcpy(at.sun_path, name, length);
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&at,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
		length)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Half of systemd's watchdog time; 0: it does not watch this process. */
static int64_t
sign_of_life_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");

	if (usec == NULL || (pid != NULL && atol(pid) != getpid()))
		return 0;
	return MAX(strtoll(usec, NULL, 10) / 2000, 0);
}

void
notify_open(struct notify *notify)
{
	const char *name = getenv("NOTIFY_SOCKET");

	*notify = (struct notify) { .fd = name == NULL ? -1 : dial(name) };
	if (notify->fd != -1)
		notify->every_ms = sign_of_life_ms();
}

void
notify_adopt(struct notify *notify, int fd)
{
	*notify = (struct notify) { .fd = fd };
	if (fd != -1)
		notify->every_ms = sign_of_life_ms();
}

void
notify_close(struct notify *notify)
{
	if (notify->fd != -1)
		close(notify->fd);
	notify->fd = -1;
}

void
notify_disown(struct notify *notify)
{
	notify_close(notify);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void tell(const struct notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
tell(const struct notify *notify, const char *format, ...)
{
	char	text[256];
	va_list ap;
	int	length;

	if (notify->fd == -1)
		return;
	va_start(ap, format);
	length = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	send(notify->fd, text, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
notify_serving(struct notify *notify, const char *noun, unsigned serving,
    unsigned count)
{
	const int64_t now = process_now();

	if (serving > 0 && !notify->ready) {
		tell(notify, "READY=1\nMAINPID=%jd", (intmax_t)getpid());
		notify->ready = true;
	}
	if (serving != notify->serving) {
		tell(notify, "STATUS=%u of %u %ss serve", serving, count, noun);
		notify->serving = serving;
	}
	if (notify->every_ms != 0 && now >= notify->beat_at) {
		tell(notify, "WATCHDOG=1");
		notify->beat_at = now + notify->every_ms;
	}
}

void
notify_reloading(struct notify *notify, bool reloading)
{
	if (reloading == notify->reloading || !notify->ready)
		return;
	notify->reloading = reloading;
	if (reloading)
		tell(notify, "RELOADING=1\nMONOTONIC_USEC=%jd",
		    (intmax_t)process_now() * 1000);
	else
		tell(notify, "READY=1");
}

void
notify_pass(struct notify *notify, pid_t pid)
{
	tell(notify, "MAINPID=%jd", (intmax_t)pid);
	notify_close(notify);
	notify->every_ms = 0;
}

void
notify_stopping(struct notify *notify, int64_t patience_ms)
{
	tell(notify, "STOPPING=1\nSTATUS=ends");
	if (patience_ms != PROCESS_NEVER)
		tell(notify, "EXTEND_TIMEOUT_USEC=%jd",
		    (intmax_t)patience_ms * 1000);
}

int
notify_due(const struct notify *notify, int ms)
{
	if (notify->every_ms == 0)
		return ms;
	return (int)MAX(MIN(notify->beat_at - process_now(), ms), 0);
}
