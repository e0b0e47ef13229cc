/*
 * mews/character.h - which bytes are printable characters of UTF-8.
 */
#ifndef MEWS_CHARACTER_H
#define MEWS_CHARACTER_H

#include <stddef.h>

/** Bytes of the character at @text, which ends in a NUL; 0: a control
 * character, the NUL, or not UTF-8. */
size_t character_length(const char *text);

/** The length, @length at most, up to which @text is whole characters. */
size_t character_whole(const char *text, size_t length);

#endif
