/*
 * mews/wait.h - blocking calls, where signals and threads come in between.
 *
 * Blocking are all functions whose name ends in _run, and mews_pool_turn(). A
 * signal handler that runs meanwhile does not end them: poll(2) that fails with
 * EINTR is called again. mews_pool_interrupt() in the handler ends them.
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
 * it returns MEWS_CANCELED. What it waited for is given up, as by
 * mews_query_cancel(): where the result names an endpoint the outcome is
 * unknown, and the server still finishes it. The pool, and a lease, stay
 * usable: what is sent next over the lease is answered behind that.
 *
 * Async signal safe, and for any thread. A no-op in a fork's copy. The pool is
 * to be open: a handler that may run later is told so by its host.
 */
void mews_pool_interrupt(struct mews_pool *pool);

/**
 * The host's own poll(2), in which blocking calls wait: as that one, with the
 * same results. It may release a lock, or run what the host does on signals. It
 * must not call the pool, but for mews_pool_interrupt().
 *
 * @timeout_ms  0 too: then nothing waits.
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
 * May this thread use the pool? For bindings of languages whose programs are
 * to be refused, not ended by the assertion that any other call makes.
 *
 * Returns MEWS_OK, or MEWS_INVALID, and @error says why: another thread's, a
 * fork's copy, in its own end, or NULL.
 */
enum mews_status mews_pool_check(const struct mews_pool *pool,
    struct mews_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
