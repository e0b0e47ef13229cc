/*
 * step.h - stop a process between any two of its instructions.
 *
 * A race that needs luck on many processors becomes a certainty: the child does
 * one thing, instruction by instruction, and at a chosen instruction the parent
 * does another, or kills it.
 */
#ifndef TESTS_UNIT_STEP_H
#define TESTS_UNIT_STEP_H

#include "inside.h"

#include <signal.h>
#include <sys/ptrace.h>

/* Sanitizers make many instructions of one; with them the child is stopped at
 * some only. */
#ifdef __SANITIZE_ADDRESS__
#define STEP_STRIDE 19
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STEP_STRIDE 19
#endif
#endif
#ifndef STEP_STRIDE
#define STEP_STRIDE 1
#endif

/* The child's marks: where the interesting part begins and ends. */
struct step {
	_Atomic int inside;
	_Atomic int done;
};

/* Can a child be traced here? qemu's user mode cannot. */
static inline bool
step_possible(void)
{
	int	status;
	pid_t	child = fork();

	if (child == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0);
	return child != -1 && waitpid(child, &status, 0) == child &&
	    WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Fork a child that has done @prepare(), which may be NULL, and stands before
 * @work(). */
static inline pid_t
step_child(struct step *step, void (*prepare)(void), void (*work)(void))
{
	int	status;
	pid_t	child;

	atomic_store(&step->inside, 0);
	atomic_store(&step->done, 0);
	child = fork();
	ck_assert_int_ne(child, -1);
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1)
			_exit(1);
		if (prepare != NULL)
			prepare();
		raise(SIGSTOP);
		atomic_store(&step->inside, 1);
		work();
		atomic_store(&step->done, 1);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSTOPPED(status));
	return child;
}

/* Run @count instructions of the work itself; false: the work ended before. */
static inline bool
step_on(struct step *step, pid_t child, int count)
{
	int	status;

	while (count > 0 && atomic_load(&step->done) == 0) {
		ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL),
		    0);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFSTOPPED(status));
		count -= atomic_load(&step->inside);
	}
	return atomic_load(&step->done) == 0;
}

/* Let the child run to its end. */
static inline void
step_end(pid_t child)
{
	ck_assert_int_eq(ptrace(PTRACE_DETACH, child, NULL, NULL), 0);
	wait_children(&child, 1);
}

static inline void
step_kill(pid_t child)
{
	int	status;

	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status));
}

#endif
