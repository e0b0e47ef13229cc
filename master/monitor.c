/*
 * monitor.c - the library's monitor in a process of its own.
 *
 * The library wants one descriptor that is readable when it is time to stop: an
 * epoll set of the channel to the master and a signalfd. INT is ignored: a
 * terminal sends it to all processes, and the master acts on it.
 */
#include "monitor.h"

#include <mews.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Readable when it is time to stop; -1: errno says why not. */
static int
stop_fd(int channel)
{
	struct epoll_event readable = { .events = EPOLLIN };
	sigset_t	   mask;
	int		   set, signals;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGQUIT);
	set = epoll_create1(EPOLL_CLOEXEC);
	signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (set == -1 || signals == -1 ||
	    epoll_ctl(set, EPOLL_CTL_ADD, channel, &readable) == -1 ||
	    epoll_ctl(set, EPOLL_CTL_ADD, signals, &readable) == -1)
		return -1;
	return set;
}

int
monitor_run(struct mews_fleet *fleet, const char *instance, int channel,
    const struct log *log)
{
	struct mews_error error = { .status = MEWS_SYSTEM };
	char		  why[sizeof(error.message)];
	int		  stop;

	setproctitle("monitor (%s)", instance);
	/* The end of the channel tells that the master died; SIGCONT wakes a
	 * monitor that was stopped. */
	prctl(PR_SET_PDEATHSIG, SIGCONT);
	if ((stop = stop_fd(channel)) == -1)
		strlcpy(error.message, strerror(errno), sizeof(error.message));
	else if (mews_monitor_run(fleet, stop, &error) == MEWS_OK)
		return 0;
	log_write(log, MEWS_LOG_ERROR, "monitor_failed", "error=%s",
	    logfmt_value(why, sizeof(why), error.message));
	return 1;
}
