/*
 * input.h - reading from a client; its owner uses server.h.
 */
#ifndef WORKER_HTTP_INPUT_H
#define WORKER_HTTP_INPUT_H

#include "client.h"

/** Read what is there, up to a block. */
void client_receive(struct http_client *client);
/** Begin the exchange of the next head. False: there is no whole head. */
bool client_read_head(struct http_client *client);
/** Hand on a piece of the body. False: there is nothing to read now. */
bool client_read_body(struct http_client *client);
/** The rest of a head, or of a body, will not come. */
void client_cut(struct http_client *client, unsigned status);

#endif
