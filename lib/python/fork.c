/*
 * fork.c - how often this process is the child of one that had this module.
 *
 * A host that embeds the interpreter may fork without telling Python; then the
 * hooks of os.register_at_fork() do not run.
 */
#include "binding.h"

#include <pthread.h>

unsigned	fork_count;

static void
in_child(void)
{
	fork_count++;
}

bool
fork_catch(void)
{
	if (pthread_atfork(NULL, NULL, in_child) == 0)
		return true;
	PyErr_NoMemory();
	return false;
}
