/*
 * text.c - a configuration file as libconfuse can take it.
 *
 * libconfuse 3.3 counts a comment as several lines and refuses one inside a
 * list; it takes the end of the file for the end of a comment or a section.
 * So comments (#, //, and the kind that this one is) are blanked out before
 * it sees the text, and what is never closed is found here, with the line
 * where it was opened.
 */
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX   (1024 * 1024) /* bytes in a file; a slip beyond that */
#define BRACES_MAX 16		 /* whose lines are remembered */

struct scan {
	char *at;
	unsigned line;
	unsigned depth;			/* braces that are open */
	unsigned opened[BRACES_MAX];	/* the line of each */
	struct mistakes *mistakes;
};

static bool
text_load(struct text *text, const char *path, struct memory **memory,
    struct mistakes *mistakes)
{
	FILE	*file = NULL;
	size_t	 length;
	char	*nul;
	bool	 done = false;

	if ((text->clean = memory_get(memory, TEXT_MAX + 2)) == NULL) {
		mistake_add(mistakes, 1, "out of memory");
		goto done;
	}
	if ((file = fopen(path, "re")) == NULL) {
		mistake_add(mistakes, 1, "cannot be opened: %s",
		    strerror(errno));
		goto done;
	}
	length = fread(text->clean, 1, TEXT_MAX + 1, file);
	if (ferror(file)) {
		mistake_add(mistakes, 1, "cannot be read: %s",
		    strerror(errno));
		goto done;
	}
	if (length > TEXT_MAX) {
		mistake_add(mistakes, 1, "is larger than %d bytes", TEXT_MAX);
		goto done;
	}
	if ((nul = memchr(text->clean, '\0', length)) != NULL) {
		unsigned line = 1;

		for (const char *p = text->clean; p < nul; p++)
			line += *p == '\n';
		mistake_add(mistakes, line,
		    "holds a NUL byte; it must be plain text");
		goto done;
	}
	done = true;
done:
	if (file != NULL)
		fclose(file);
	return done;
}

/* Step over one character. */
static void
scan_step(struct scan *scan)
{
	scan->line += *scan->at == '\n';
	scan->at++;
}

/* Replace what stands before @end by blanks, all but the line ends. */
static void
scan_blank(struct scan *scan, const char *end)
{
	while (scan->at < end) {
		if (*scan->at != '\n')
			*scan->at = ' ';
		scan_step(scan);
	}
}

static bool
scan_comment(struct scan *scan)
{
	const char	*end;

	if (scan->at[0] == '/' && scan->at[1] == '*') {
		if ((end = strstr(scan->at + 2, "*/")) == NULL) {
			mistake_add(scan->mistakes, scan->line,
			    "comment is never closed: */ is missing");
			return false;
		}
		end += 2;
	} else
		end = scan->at + strcspn(scan->at, "\n");
	scan_blank(scan, end);
	return true;
}

/* ${NAME} and ${NAME:-DEFAULT} hold no quotes, braces or comments of ours. */
static bool
scan_variable(struct scan *scan)
{
	size_t	length = strcspn(scan->at, "}\n");

	if (scan->at[length] != '}') {
		mistake_add(scan->mistakes, scan->line,
		    "'${' needs its '}' on the same line");
		return false;
	}
	scan->at += length + 1;
	return true;
}

static bool
scan_string(struct scan *scan)
{
	const char	quote = *scan->at;
	const unsigned	line = scan->line;

	scan_step(scan);
	while (*scan->at != quote && *scan->at != '\0') {
		if (quote == '"' && strncmp(scan->at, "${", 2) == 0) {
			if (!scan_variable(scan))
				return false;
			continue;
		}
		if (*scan->at == '\\' && scan->at[1] != '\0')
			scan_step(scan);
		scan_step(scan);
	}
	if (*scan->at == '\0') {
		mistake_add(scan->mistakes, line,
		    "string is never closed: %c is missing", quote);
		return false;
	}
	scan_step(scan);
	return true;
}

static void
scan_brace(struct scan *scan)
{
	if (*scan->at == '{') {
		if (scan->depth < BRACES_MAX)
			scan->opened[scan->depth] = scan->line;
		scan->depth++;
	} else if (scan->depth > 0)
		scan->depth--;
	scan_step(scan);
}

static bool
scan_text(struct scan *scan)
{
	bool	in_word = false;	/* where / is like any letter */

	while (*scan->at != '\0') {
		const char	*at = scan->at;
		bool		 good = true;

		if (*at == '#' || (!in_word && *at == '/' &&
		    (at[1] == '/' || at[1] == '*')))
			good = scan_comment(scan);
		else if (*at == '"' || *at == '\'')
			good = scan_string(scan);
		else if (strncmp(at, "${", 2) == 0)
			good = scan_variable(scan);
		else if (*at == '{' || *at == '}')
			scan_brace(scan);
		else {
			in_word = strchr(" \t\n\r=()+,*", *at) == NULL;
			scan_step(scan);
			continue;
		}
		if (!good)
			return false;
		in_word = false;
	}
	if (scan->depth > BRACES_MAX)
		scan->depth = BRACES_MAX;
	if (scan->depth > 0) {
		mistake_add(scan->mistakes, scan->opened[scan->depth - 1],
		    "'{' is never closed: '}' is missing");
		return false;
	}
	return true;
}

bool
text_read(struct text *text, const char *path, struct memory **memory,
    struct mistakes *mistakes)
{
	struct scan	scan = { .line = 1, .mistakes = mistakes };
	unsigned	line = 1;

	if (!text_load(text, path, memory, mistakes))
		return false;
	scan.at = text->clean;
	if (!scan_text(&scan))
		return false;

	text->lines = 1;
	for (const char *p = text->clean; *p != '\0'; p++) {
		if (*p == '\n')
			line++;
		else if (*p != ' ' && *p != '\t' && *p != '\r')
			text->lines = line;
	}
	return true;
}
