/*
 * server.h - a server on a unix socket, in the process of the target: what it
 * answers is well formed until its script says otherwise.
 *
 * The script is bytes. Each message of a client takes one of them, and what
 * that needs; its lowest bits say what is done with the good answer:
 *
 *	0 1 2	it is sent
 *	3	one byte of it is another: where, which
 *	4	a message is sent in its place: type, length, body
 *	5	bytes are sent in its place: length, bytes
 *	6	it is cut off, and the connection with it: where
 *	7	a message is sent behind it: type, length, body
 *
 * Behind the end of the script all is well.
 */
#ifndef TESTS_FUZZ_SERVER_H
#define TESTS_FUZZ_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Listen at DIRECTORY/.s.PGSQL.5432; call it once. */
void server_listen(const char *directory);

/* Begin anew, without clients, with this script. */
void server_begin(const uint8_t *script, size_t size);

/* Accept, read and answer all that there is; true if there was something. */
bool server_turn(void);

/* Close all clients. */
void server_end(void);

#endif
