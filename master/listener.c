/*
 * listener.c - the sockets on which the fleet is reached.
 *
 * A unix socket's file outlives a killed process. Before bind(2) it is removed
 * only if it is a socket and no process accepts there. At the end it is removed
 * if it is still the file that this process made.
 */
#include "listener.h"

#include "fail.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <netdb.h>

#define LISTENER_BACKLOG 4096 /* the kernel cuts it to somaxconn */
#define LISTENER_RETRY_MS 50

/* An address that bind(2) takes. */
struct address {
	struct sockaddr_storage store;
	socklen_t		length;
};

/* Make room for all of @config, at least for one. */
static bool
make_room(struct listeners *set, const struct config *config,
    struct mews_error *error)
{
	set->config = config;
	set->count = 0;
	set->fds = calloc(config->listen_count + 1, sizeof(*set->fds));
	set->files = calloc(config->listen_count + 1, sizeof(*set->files));
	return (set->fds != NULL && set->files != NULL) ||
	    fail(error, "out of memory");
}

bool
listeners_init_own(struct listeners *set, const struct config *config,
    struct mews_error *error)
{
	if (!make_room(set, config, error))
		return false;
	for (; set->count < config->listen_count; set->count++)
		set->fds[set->count] = -1;
	return true;
}

bool
listeners_init(struct listeners *set, const struct config *config,
    struct mews_error *error)
{
	if (!make_room(set, config, error))
		return false;
	passed_find(&set->passed);
	for (; set->count < config->listen_count; set->count++)
		set->fds[set->count] = passed_take(&set->passed,
		    &config->listen[set->count]);
	return passed_are_taken(&set->passed, error);
}

/* An address for @where; "*" is IPv6 for both, if there is IPv6. */
static bool
address_tcp(struct address *to, const struct config_listen *where, int family,
    const char **why)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_family = family,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found;
	char		 port[8];
	int		 rc;

	snprintf(port, sizeof(port), "%u", (unsigned)where->port);
	if ((rc = getaddrinfo(where->host, port, &hints, &found)) != 0) {
		*why = gai_strerror(rc);
		return false;
	}
	memcpy(&to->store, found->ai_addr, found->ai_addrlen);
	to->length = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

static bool
address_unix(struct address *to, const char *path, const char **why)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&to->store;

	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	if (strlcpy(un->sun_path, path, sizeof(un->sun_path)) >=
	    sizeof(un->sun_path)) {
		*why = "the path is longer than 107 bytes";
		return false;
	}
	to->length = sizeof(*un);
	return true;
}

static int
listener_socket(const struct address *at)
{
	return socket(at->store.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Is the file at @path a socket on which no process listens any more? */
static bool
unix_is_stale(const struct address *at, const char *path)
{
	struct stat st;
	bool	    stale;
	int	    fd;

	if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode) ||
	    (fd = listener_socket(at)) < 0)
		return false;
	stale = connect(fd, (const struct sockaddr *)&at->store,
		    at->length) != 0 &&
	    errno == ECONNREFUSED;
	close(fd);
	return stale;
}

/* Returns a listening socket, or -1 and errno. */
static int
listener_open(const struct address *at, bool only_v6)
{
	const int one = 1, v6only = only_v6 ? 1 : 0;
	int	  fd, saved;

	if ((fd = listener_socket(at)) < 0)
		return -1;
	if ((at->store.ss_family == AF_UNIX ||
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one,
		    sizeof(one)) == 0) &&
	    (at->store.ss_family != AF_INET6 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only,
		    sizeof(v6only)) == 0) &&
	    bind(fd, (const struct sockaddr *)&at->store, at->length) == 0 &&
	    listen(fd, LISTENER_BACKLOG) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int
listener_open_tcp(const struct config_listen *where, const char **why)
{
	struct address at;
	int	       fd = -1;

	errno = EAFNOSUPPORT;
	if (where->host != NULL)
		return address_tcp(&at, where, AF_UNSPEC, why) ?
		    listener_open(&at, true) : -1;
	if (address_tcp(&at, where, AF_INET6, why))
		fd = listener_open(&at, false);
	if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) &&
	    address_tcp(&at, where, AF_INET, why))
		fd = listener_open(&at, false);
	return fd;
}

/* Make a unix socket to which everybody may connect that its directory lets
 * through. */
static int
listener_open_unix(const struct config_listen *where, const char **why)
{
	struct address at;
	mode_t	       old;
	int	       fd;

	if (!address_unix(&at, where->path, why))
		return -1;
	if (unix_is_stale(&at, where->path))
		unlink(where->path);
	old = umask(0111);
	fd = listener_open(&at, false);
	umask(old);
	return fd;
}

static bool
listener_bind(struct listeners *set, size_t i, uint32_t patience_ms,
    struct mews_error *error)
{
	const struct config_listen *where = &set->config->listen[i];
	const char		   *why = NULL;
	struct stat		    st;
	int			    fd;

	if (set->fds[i] >= 0)
		return true; /* adopted */
	for (;;) {
		fd = where->path != NULL ? listener_open_unix(where, &why) :
					   listener_open_tcp(where, &why);
		if (fd >= 0 || why != NULL || errno != EADDRINUSE ||
		    patience_ms < LISTENER_RETRY_MS)
			break;
		usleep(LISTENER_RETRY_MS * 1000);
		patience_ms -= LISTENER_RETRY_MS;
	}
	if (fd < 0)
		return fail_at(error, set->config->path, where->line,
		    "cannot listen on %s: %s", where->text,
		    why != NULL ? why : strerror(errno));
	if (where->path != NULL && lstat(where->path, &st) == 0) {
		set->files[i].dev = st.st_dev;
		set->files[i].ino = st.st_ino;
	}
	set->fds[i] = fd;
	return true;
}

bool
listeners_bind(struct listeners *set, enum listener_kind kind,
    uint32_t patience_ms, struct mews_error *error)
{
	for (size_t i = 0; i < set->count; i++)
		if ((set->config->listen[i].path != NULL) ==
			(kind == LISTENER_UNIX) && set->fds[i] == -1 &&
		    !listener_bind(set, i, patience_ms, error))
			return false;
	return true;
}

void
listeners_take(struct listeners *set, struct passed *passed)
{
	for (size_t i = 0; i < set->count; i++)
		set->fds[i] = passed_take(passed, &set->config->listen[i]);
}

void
listeners_own(struct listeners *set)
{
	const char *path;
	struct stat st;

	for (size_t i = 0; i < set->count; i++) {
		path = set->config->listen[i].path;
		if (path == NULL || lstat(path, &st) != 0)
			continue;
		set->files[i].dev = st.st_dev;
		set->files[i].ino = st.st_ino;
	}
}

void
listeners_adopt(struct listeners *set, const struct listeners *from)
{
	for (size_t i = 0; i < set->count; i++)
		for (size_t k = 0; k < from->count; k++)
			if (strcmp(set->config->listen[i].text,
				from->config->listen[k].text) == 0) {
				set->fds[i] = from->fds[k];
				set->files[i] = from->files[k];
			}
}

static bool
has_fd(const struct listeners *set, int fd)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->fds[i] == fd)
			return true;
	return false;
}

void
listeners_drop(struct listeners *set, const struct listeners *kept)
{
	for (size_t i = 0; i < set->count; i++)
		if (has_fd(kept, set->fds[i]))
			set->fds[i] = -1;
	listeners_close(set);
}

void
listeners_disown_others(struct listeners *set, const struct listeners *kept)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->fds[i] >= 0 && !has_fd(kept, set->fds[i]))
			close(set->fds[i]);
}

/* Are both paths the same, apart from slashes at the end? */
static bool
is_path(const char *a, const char *b)
{
	size_t length = strlen(a), other = strlen(b);

	while (length > 1 && a[length - 1] == '/')
		length--;
	while (other > 1 && b[other - 1] == '/')
		other--;
	return length == other && memcmp(a, b, length) == 0;
}

/* NULL, or why bind(2) would fail. The runtime directory may be missing: it is
 * made before. */
static const char *
unix_refusal(const struct config *config, const struct config_listen *where)
{
	struct address at;
	const char    *why = NULL;
	char	       directory[sizeof(((struct sockaddr_un *)0)->sun_path)];

	if (!address_unix(&at, where->path, &why))
		return why;
	if (access(where->path, F_OK) == 0 && !unix_is_stale(&at, where->path))
		return strerror(EADDRINUSE);
	strlcpy(directory, where->path, sizeof(directory));
	*strrchr(directory, '/') = '\0';
	if (directory[0] != '\0' && access(directory, W_OK | X_OK) != 0 &&
	    !(errno == ENOENT && is_path(directory, config->runtime_dir)))
		return strerror(errno);
	return NULL;
}

bool
listeners_check_unix(const struct config *config, struct mews_error *error)
{
	const char *why;

	for (size_t i = 0; i < config->listen_count; i++)
		if (config->listen[i].path != NULL &&
		    (why = unix_refusal(config, &config->listen[i])) != NULL)
			return fail_at(error, config->path,
			    config->listen[i].line, "cannot listen on %s: %s",
			    config->listen[i].text, why);
	return true;
}

void
listeners_disown(struct listeners *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->fds[i] >= 0)
			close(set->fds[i]);
	set->count = 0;
}

void
listeners_close(struct listeners *set)
{
	const char *path;
	struct stat st;

	for (size_t i = 0; i < set->count; i++) {
		if (set->fds[i] < 0)
			continue;
		path = set->config->listen[i].path;
		if (path != NULL && lstat(path, &st) == 0 &&
		    st.st_dev == set->files[i].dev &&
		    st.st_ino == set->files[i].ino)
			unlink(path);
		close(set->fds[i]);
		set->fds[i] = -1;
	}
	free(set->fds);
	free(set->files);
	memset(set, 0, sizeof(*set));
}
