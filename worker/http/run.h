/*
 * run.h - the steps of a client, and its end.
 */
#ifndef WORKER_HTTP_RUN_H
#define WORKER_HTTP_RUN_H

#include "client.h"

/** Do all that can be done now. Frees the client if that was its end. */
void client_run(struct http_client *client);
/** Close it if it is at its end, else wait for what can be done next. */
void client_settle(struct http_client *client);
void client_close(struct http_client *client);

#endif
