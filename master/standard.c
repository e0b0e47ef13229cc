/*
 * standard.c - standard output and error that never block a child.
 */
#include "standard.h"

#include "log.h"

#include <fcntl.h>
#include <unistd.h>

void
standard_open(struct standard *standard)
{
	standard->output = output_reopen(STDOUT_FILENO);
	standard->error = output_reopen(STDERR_FILENO);
}

static void
take(int own, int fd)
{
	if (own != -1)
		dup2(own, fd);
	else if (log_is_journal(fd))
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void
standard_take(struct standard *standard)
{
	take(standard->output, STDOUT_FILENO);
	take(standard->error, STDERR_FILENO);
	standard_close(standard);
}

void
standard_keep_error(void)
{
	const int own = output_reopen(STDERR_FILENO);

	take(own, STDERR_FILENO);
	if (own != -1)
		close(own);
}

void
standard_close(struct standard *standard)
{
	if (standard->output != -1)
		close(standard->output);
	if (standard->error != -1)
		close(standard->error);
	standard->output = standard->error = -1;
}
