/*
 * handover.c - what an old master passes to the new one that replaces it.
 */
#include "handover.h"

#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Descriptors, separated by commas; returns how many. */
static size_t
read_fds(int *fds, size_t room, const char *text)
{
	size_t count = 0;
	char  *end;

	while (*text != '\0' && count < room) {
		fds[count] = (int)strtol(text, &end, 10);
		fcntl(fds[count++], F_SETFD, FD_CLOEXEC);
		if (*end != ',')
			break;
		text = end + 1;
	}
	return count;
}

static void
read_line(struct handover *h, const char *key, const char *value)
{
	const struct {
		const char  *key;
		const char **text;
		unsigned    *number;
	} fields[] = {
		{ "instance", &h->instance, NULL },
		{ "runtime_dir", &h->runtime_dir, NULL },
		{ "user", &h->user, NULL },
		{ "group", &h->group, NULL },
		{ "configured", NULL, &h->configured },
		{ "workers", NULL, &h->workers },
		{ "slots", NULL, &h->slots },
		{ "living", NULL, &h->living },
		{ "generation", NULL, &h->number },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(fields[i].key, key) != 0)
			continue;
		else if (fields[i].text != NULL)
			*fields[i].text = value;
		else
			*fields[i].number = (unsigned)strtoul(value, NULL, 10);
	if (strcmp(key, "endpoint") == 0 && h->told_count < MEWS_ENDPOINTS_MAX)
		h->told[h->told_count++] = value;
	else if (strcmp(key, "made_dir") == 0)
		h->made_dir = strcmp(value, "1") == 0;
	else if (strcmp(key, "channel") == 0)
		read_fds(&h->channel, 1, value);
	else if (strcmp(key, "pid_file") == 0)
		read_fds(&h->pid_file, 1, value);
	else if (strcmp(key, "notify") == 0)
		read_fds(&h->notify, 1, value);
	else if (strcmp(key, "history") == 0)
		read_fds(&h->history, 1, value);
	else if (strcmp(key, "sockets") == 0)
		h->sockets.count = (int)read_fds(h->sockets.fds, PASSED_MAX,
		    value);
	else if (strcmp(key, "wakes") == 0)
		h->wake_count = read_fds(h->wakes, HANDOVER_WAKES, value);
}

bool
handover_find(struct handover *h, struct mews_error *error)
{
	const char *text = getenv("MEWS_UPGRADE");
	char	   *line, *rest, *value;

	*h = (struct handover) { .channel = -1, .pid_file = -1, .notify = -1,
		.history = -1, .instance = "", .runtime_dir = "", .user = "",
		.group = "" };
	if (text == NULL)
		return true;
	h->text = rest = strdup(text);
	h->wakes = calloc(HANDOVER_WAKES, sizeof(int));
	unsetenv("MEWS_UPGRADE");
	if (h->text == NULL || h->wakes == NULL)
		return fail(error, "out of memory");
	while ((line = strsep(&rest, "\n")) != NULL)
		if ((value = strchr(line, '=')) != NULL) {
			*value = '\0';
			read_line(h, line, value + 1);
		}
	if (h->channel == -1 || h->pid_file == -1 || h->slots == 0)
		return fail(error, "MEWS_UPGRADE in the environment is "
		    "incomplete");
	return true;
}

void
handover_free(struct handover *h)
{
	if (h->channel != -1)
		close(h->channel);
	h->channel = -1;
	if (h->history != -1)
		close(h->history);
	h->history = -1;
	free(h->wakes);
	free(h->text);
	h->wakes = NULL;
	h->text = NULL;
}

void
handover_send(int channel, const char *format, ...)
{
	char	text[HANDOVER_TEXT];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (channel != -1)
		send(channel, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool
handover_is_idle(int channel)
{
	int bytes = 0;

	return channel != -1 && ioctl(channel, SIOCOUTQ, &bytes) == 0 &&
	    bytes == 0;
}

int
handover_receive(int channel, char text[HANDOVER_TEXT])
{
	ssize_t got;

	do
		got = recv(channel, text, HANDOVER_TEXT - 1, MSG_DONTWAIT);
	while (got == -1 && errno == EINTR);
	if (got == -1 && errno == EAGAIN)
		return 0;
	if (got <= 0)
		return -1;
	text[got] = '\0';
	return 1;
}
