/*
 * rows.h - raw requests and what they mean: the contract of worker/http/.
 */
#ifndef TESTS_FRONT_ROWS_H
#define TESTS_FRONT_ROWS_H

#include <stddef.h>

#define ROW_HEAD_MAX 512  /* bytes of a head, for the limit of this table */
#define ROW_BODY_MAX 1000 /* bytes of a body, likewise */

/*
 * The meaning of the bytes, requests divided by " | ":
 *
 *	GET /path		method and path, decoded
 *	GET / p=1		and the first parameter p
 *	GET / x=1		and the first header X
 *	GET / host=a		the host, if there is a header Show-Host
 *	POST / [abc]		and the body
 *	GET / close		the last of its connection
 *	400			refused, and the connection closed
 *	...			good so far, and more must come
 */
struct row {
	const char *name;
	const char *bytes;
	size_t length;
	const char *meaning;
};

extern const struct row rows[];
extern const size_t row_count;

#endif
