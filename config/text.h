/*
 * text.h - reading a configuration file.
 */
#ifndef CONFIG_TEXT_H
#define CONFIG_TEXT_H

#include "memory.h"
#include "mistake.h"

#include <stdbool.h>
#include <sys/types.h>

struct text {
	const char *bytes; /* ends with a NUL, and holds no other */
	mode_t mode;	   /* of the file, and whose it is */
	uid_t uid;
	gid_t gid;
};

/*
 * Read a file. False, and a mistake says why: it could not be read, or is not a
 * regular file (a FIFO would make the reader wait).
 */
bool text_read(struct text *text, const char *path, struct memory **memory,
    struct mistakes *mistakes);

#endif
