/*
 * spool.c - long bodies wait in a file until the client has sent all of them.
 *
 * An application reads its input without a pause, so the body must be there;
 * otherwise a slow client would stop the worker.
 */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define SPOOLED_BYTES 65536 /* a shorter body is kept in memory */

struct spool {
	struct host *host;
	int file;
	Py_ssize_t length;
};

bool
spool_wants(const struct host *host, const struct mews_request *request)
{
	const char	*text = mews_request_header(request, "Content-Length");
	uint64_t	 length = text == NULL ? 0 : strtoull(text, NULL, 10);

	/* The worker refuses a body that is too long. */
	return length > SPOOLED_BYTES && length <= host->body_limit;
}

static bool
write_all(int file, const char *bytes, size_t length)
{
	ssize_t	n;

	while (length > 0) {
		n = write(file, bytes, length);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		length -= (size_t)n;
	}
	return true;
}

static void
serve(struct spool *spool, struct mews_request *request)
{
	PyObject	*input;

	if (lseek(spool->file, 0, SEEK_SET) == -1)
		input = PyErr_SetFromErrno(PyExc_OSError);
	else
		input = PyFile_FromFd(spool->file, NULL, "rb", -1, NULL, NULL,
		    NULL, 1);
	if (input == NULL) {
		close(spool->file);
		exception_answer(spool->host, request);
	} else
		spool->host->serve(spool->host, request, input,
		    spool->length);
}

/* A mews_body_fn: append to the file, and serve at the end. */
static void
on_piece(void *arg, struct mews_request *request, enum mews_status status,
    const char *bytes, size_t length)
{
	struct spool	*spool = arg;

	if (status == MEWS_OK && length == 0)
		serve(spool, request);
	else if (status != MEWS_OK) {
		close(spool->file);
		mews_reply(request, 400, NULL, NULL, 0, MEWS_BODY_STATIC);
	} else if (!write_all(spool->file, bytes, length)) {
		PyErr_SetFromErrno(PyExc_OSError);
		close(spool->file);
		exception_answer(spool->host, request);
	} else {
		spool->length += (Py_ssize_t)length;
		mews_request_read(request, on_piece, spool);
	}
}

void
spool_begin(struct host *host, struct mews_request *request)
{
	struct spool	*spool = mews_request_alloc(request, sizeof(*spool));
	const char	*directory = getenv("TMPDIR");

	if (spool == NULL) {
		PyErr_NoMemory();
		exception_answer(host, request);
		return;
	}
	*spool = (struct spool) { .host = host };
	spool->file = open(directory == NULL ? "/tmp" : directory,
	    O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (spool->file == -1) {
		PyErr_SetFromErrno(PyExc_OSError);
		exception_answer(host, request);
		return;
	}
	mews_request_read(request, on_piece, spool);
}
