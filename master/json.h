/*
 * json.h - values of JSON.
 */
#ifndef MASTER_JSON_H
#define MASTER_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** A string, in ASCII whatever @text holds. */
void json_string(FILE *out, const char *text);
/** ,"name":value where it is known, else ,"name":null */
void json_known(FILE *out, const char *name, int64_t value, bool known);

#endif
