/*
 * fake.h - a server that speaks the protocol, and misbehaves where it is told.
 * Nonsense of any bytes: hostile.h.
 *
 * The server runs in a child and answers each Execute with an empty success,
 * each Sync and each simple query with ReadyForQuery.
 */
#ifndef TESTS_CLUSTER_FAKE_H
#define TESTS_CLUSTER_FAKE_H

#include <netinet/in.h>
#include <sys/types.h>

/*
 * Begin one on a free port. Where SQL contains @victim what stands in @script
 * is said instead of the answer to it, a letter for a message:
 *
 *	Z C D T 1 2 n I s G H W A  as in the protocol, small and well formed
 *	E F	an error, and one that ends the session
 *	!	a message whose length is too long for what follows
 *	?	a message of no known type
 *	-	nothing at all, and no ReadyForQuery either
 *	.	the end of the connection
 *	/	here begins what is said to a simple query, instead of all of it
 */
pid_t fake_start(in_port_t *port, const char *victim, const char *script);

void fake_end(pid_t pid);

#endif
