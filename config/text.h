/*
 * text.h - a configuration file as libconfuse can take it.
 */
#ifndef TEXT_H
#define TEXT_H

#include "memory.h"
#include "mistake.h"

#include <stdbool.h>

struct text {
	char *clean;	/* comments blanked out, no line moved */
	unsigned lines; /* the last one that is not blank */
};

/*
 * Read a file. False: it could not be read, or a string, comment or brace is
 * never closed, which leaves the rest without a meaning; a mistake says so.
 */
bool text_read(struct text *text, const char *path, struct memory **memory,
    struct mistakes *mistakes);

#endif
