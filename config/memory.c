/*
 * memory.c - allocations that live and end together.
 *
 * A configuration is made piece by piece and freed as a whole, perhaps half
 * made after a mistake: no piece needs an owner of its own.
 */
#include "memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct memory {
	struct memory *next;
	max_align_t room[];
};

void *
memory_get(struct memory **list, size_t size)
{
	struct memory	*piece = calloc(1, sizeof(*piece) + size);

	if (piece == NULL)
		return NULL;
	piece->next = *list;
	*list = piece;
	return piece->room;
}

char *
memory_text(struct memory **list, const char *text)
{
	size_t	 size = strlen(text) + 1;
	char	*copy = memory_get(list, size);

	return copy == NULL ? NULL : memcpy(copy, text, size);
}

char *
memory_format(struct memory **list, const char *format, ...)
{
	va_list	 args;
	char	*text = NULL;
	int	 length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0 ||
	    (text = memory_get(list, (size_t)length + 1)) == NULL)
		return NULL;
	va_start(args, format);
	vsnprintf(text, (size_t)length + 1, format, args);
	va_end(args);
	return text;
}

void
memory_free(struct memory **list)
{
	struct memory	*piece;

	while ((piece = *list) != NULL) {
		*list = piece->next;
		free(piece);
	}
}
