/*
 * story.h - events of a fleet in plain words.
 */
#ifndef MASTER_STORY_H
#define MASTER_STORY_H

#include <mews/figures.h>
#include <stddef.h>

/**
 * Tell an event as a sentence without its full stop: "b went from up to down:
 * nobody took the connection, or could be reached". One that has no sentence is
 * told by its name and its text.
 *
 * Returns @buffer, which has printable ASCII only, cut to @size.
 */
const char *story_tell(char *buffer, size_t size,
    const struct mews_event *event);

#endif
