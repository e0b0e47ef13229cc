/*
 * stay.h - telling clients that stay from clients that only pass.
 *
 * A client is young until it asks a second time, or was connected for a while:
 * then it has settled. A client that says that it will not ask again is
 * neither.
 */
#ifndef WORKER_HTTP_STAY_H
#define WORKER_HTTP_STAY_H

#include "client.h"

void stay_init(struct http_server *server);
/** The client was accepted. */
void stay_begin(struct http_client *client);
/** The head of one of the client's requests was read. */
void stay_asked(struct http_client *client);
/** The client will get no more than what was written, or its connection is
 * closed; a second call is a no-op. */
void stay_end(struct http_client *client);

#endif
