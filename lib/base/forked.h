/*
 * forked.h - is this process a fork's copy of the one that wrote a mark?
 *
 * A mark is a word in a page that the kernel empties in a forked child: to
 * look at it costs less than to ask for the process id. Its owner sets it, to
 * anything but NULL; the child, which finds NULL, may set its own.
 */
#ifndef LIB_BASE_FORKED_H
#define LIB_BASE_FORKED_H

/* A mark, set to @value. NULL: errno tells why. */
const char *volatile *forked_mark(const char *value);
/* Free *mark and set it to NULL; NULL *mark is a no-op. */
void forked_free(const char *volatile **mark);

#endif
