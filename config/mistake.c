/*
 * mistake.c - collecting the mistakes of a file, to report them in order.
 */
#include "mistake.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MISTAKES_MAX 1000 /* the most that are reported */

struct mistake {
	struct mistake *next;
	unsigned line;
	char text[];
};

void
mistake_add(struct mistakes *mistakes, unsigned line, const char *format, ...)
{
	struct mistake	**at = &mistakes->first, *mistake;
	char		  text[1024];
	va_list		  args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';	/* a newline of a value in the text */

	/* A mistake that is not kept counts, too: the file is refused. */
	if (mistakes->count++ >= MISTAKES_MAX)
		return;
	mistake = memory_get(&mistakes->memory,
	    sizeof(*mistake) + strlen(text) + 1);
	if (mistake == NULL)
		return;
	mistake->line = line;
	strcpy(mistake->text, text);
	while (*at != NULL && (*at)->line <= line)
		at = &(*at)->next;
	mistake->next = *at;
	*at = mistake;
}

void
mistake_report(const struct mistakes *mistakes, const char *path,
    config_report_fn *report, void *arg)
{
	const struct mistake	*mistake;
	char			 line[4096 + 1024 + 16];

	for (mistake = mistakes->first; mistake != NULL;
	    mistake = mistake->next) {
		if (mistake->line > 0)
			snprintf(line, sizeof(line), "%.4096s:%u: %s", path,
			    mistake->line, mistake->text);
		else
			snprintf(line, sizeof(line), "%.4096s: %s", path,
			    mistake->text);
		report(arg, line);
	}
	if (mistakes->count > 0 && mistakes->first == NULL) {
		snprintf(line, sizeof(line), "%.4096s: out of memory", path);
		report(arg, line);
	}
	if (mistakes->count > MISTAKES_MAX) {
		snprintf(line, sizeof(line), "%.4096s: %zu mistakes more",
		    path, mistakes->count - MISTAKES_MAX);
		report(arg, line);
	}
}

void
mistake_clear(struct mistakes *mistakes)
{
	memory_free(&mistakes->memory);
	mistakes->first = NULL;
	mistakes->count = 0;
}
