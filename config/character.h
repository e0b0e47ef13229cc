/*
 * character.h - which bytes are characters that a terminal only shows.
 */
#ifndef CONFIG_CHARACTER_H
#define CONFIG_CHARACTER_H

#include <stddef.h>

/** Bytes of the character at @text, which ends in a NUL; 0: a control
 * character, the NUL, or no UTF-8. */
size_t character_length(const char *text);

#endif
