/*
 * mews/wait.h - blocking calls, where signals and threads come in between.
 *
 * All functions whose name ends in _run block, and so does mews_pool_turn(). A
 * signal alone does not end them: poll(2) is called again after EINTR. Call
 * mews_pool_interrupt() in the signal's handler to end them.
 */
#ifndef MEWS_WAIT_H
#define MEWS_WAIT_H

#include <mews/pool.h>
#include <mews/status.h>
#include <poll.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * End the blocking call that waits now, or else the next one that has to wait:
 * it returns MEWS_CANCELED. Its query is given up, as by mews_query_cancel():
 * if the result names an endpoint the outcome is unknown, and the server still
 * finishes the query. The pool and a lease stay usable; on the lease the server
 * answers the next query after that one.
 *
 * Async signal safe, and for any thread. A no-op in a fork's copy. The pool
 * must be open: the host keeps its handler from calling this after
 * mews_pool_close().
 */
void mews_pool_interrupt(struct mews_pool *pool);

/**
 * The host's own poll(2), in which blocking calls wait: with the arguments and
 * results of poll(2). It may release a lock, or act on signals. It must call
 * nothing of the pool except mews_pool_interrupt().
 *
 * @timeout_ms  0 too: then do not wait.
 */
typedef int mews_poll_fn(void *arg, struct pollfd *fds, nfds_t count,
    int timeout_ms);

/**
 * Wait by @fn from now on; NULL: by poll(2) again.
 *
 * Returns MEWS_OK, or MEWS_INVALID in a fork's copy.
 */
enum mews_status mews_pool_set_poll(struct mews_pool *pool, mews_poll_fn *fn,
    void *arg);

/**
 * May this thread use the pool? For bindings of other languages, whose programs
 * should see an error where every other call fails an assertion.
 *
 * Returns MEWS_OK, or MEWS_INVALID, and @error says why: the pool is another
 * thread's, a fork's copy, closing, or NULL.
 */
enum mews_status mews_pool_check(const struct mews_pool *pool,
    struct mews_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
