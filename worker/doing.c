/*
 * doing.c - logging what a stuck worker is doing.
 *
 * The handler calls more than signal-safety(7) allows: it may wait for a lock
 * of the C library that the code it interrupted holds. The process is stuck
 * anyway, and its master soon kills it.
 */
#include "doing.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/param.h>
#include <time.h>
#include <unistd.h>

#define FRAMES	 20
#define HANDLERS 2 /* frames of the handler's own */

static struct {
	struct log log;
	const char *what;      /* NULL: the loop */
	struct timespec since; /* of what */
	char method[16], path[160]; /* of the last request */
	char statement[160];
} doing;

void
doing_call(const char *what)
{
	doing.what = what;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &doing.since);
}

static void
copy_part(char *to, size_t size, const char *from)
{
	size_t length = strnlen(from, size - 1);

	memcpy(to, from, length);
	to[length] = '\0';
}

void
doing_request(const char *method, const char *path)
{
	copy_part(doing.method, sizeof(doing.method), method);
	copy_part(doing.path, sizeof(doing.path), path);
	doing.statement[0] = '\0';
}

void
doing_statement(const char *text)
{
	copy_part(doing.statement, sizeof(doing.statement), text);
}

static int64_t
since_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)(now.tv_sec - doing.since.tv_sec) * 1000 +
	    (now.tv_nsec - doing.since.tv_nsec) / 1000000;
}

/* Write one frame: the name of the function, or else of the file, and the
 * offset. */
static size_t
add_frame(char *text, size_t size, const char *address)
{
	Dl_info	    info;
	const char *name, *slash;
	const void *base;
	int	    length;

	if (dladdr(address, &info) == 0 || info.dli_fname == NULL)
		return (size_t)MAX(snprintf(text, size, "? "), 0);
	name = info.dli_sname;
	base = info.dli_saddr;
	if (name == NULL) {
		/* The name of the program itself is the process' title. */
		slash = strrchr(info.dli_fname, '/');
		name = slash != NULL ? slash + 1 : "mews";
		base = info.dli_fbase;
	}
	length = snprintf(text, size, "%s+0x%tx ", name,
	    address - (const char *)base);
	return length > 0 ? (size_t)length : 0;
}

static const char *
stack(char *text, size_t size)
{
	void  *frames[FRAMES];
	size_t used = 0;
	int    count = backtrace(frames, FRAMES);

	text[0] = '\0';
	for (int i = HANDLERS; i < count && used < size; i++)
		used += add_frame(text + used, size - used, frames[i]);
	return text;
}

static void
on_question(int signal, siginfo_t *info, void *context)
{
	const int saved = errno;
	char	  text[1000], quoted[1100], path[400], statement[400];

	(void)signal;
	(void)context;
	if (info->si_pid != getppid())
		return;
	log_write(&doing.log, MEWS_LOG_ERROR, "worker_stuck",
	    "in=%s for_ms=%jd method=%s path=%s statement=%s stack=%s",
	    doing.what != NULL ? doing.what : "loop", (intmax_t)since_ms(),
	    doing.method, logfmt_value(path, sizeof(path), doing.path),
	    logfmt_value(statement, sizeof(statement), doing.statement),
	    logfmt_value(quoted, sizeof(quoted), stack(text, sizeof(text))));
	errno = saved;
}

void
doing_start(const struct log *log)
{
	struct sigaction action = { .sa_sigaction = on_question,
		.sa_flags = SA_SIGINFO | SA_RESTART };
	void		*frame;

	doing.log = *log;
	doing_call(NULL);
	/* The first call loads a library, which a handler should not. */
	backtrace(&frame, 1);
	sigaction(DOING_SIGNAL, &action, NULL);
}
