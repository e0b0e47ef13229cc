/*
 * resend.h - what becomes of the queries of a connection that was lost.
 *
 * A server runs one Sync segment at a time, and answers all of it or nothing.
 * The reads of the first unanswered segment are suspects: one of them may have
 * ended the session. Each is sent again once at most, hedges included, alone on
 * its connection, so that the next loss has a single suspect. Reads of later
 * segments, which never began, and those of a session that another one's crash
 * ended, are bystanders: sent again as often as the retry budget and their
 * deadline allow.
 */
#ifndef LIB_POOL_RESEND_H
#define LIB_POOL_RESEND_H

#include "wire/conn.h"
#include "pool/group.h"

#define RESEND_SUSPECTED 1 /* suspected more often than this: LOST */

/* Empty the ring of @conn, which is broken: each query waits again, is left to
 * its twin, or ends LOST. */
void resend_all(struct conn *conn);

#endif
