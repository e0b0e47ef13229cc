/*
 * limits.c - limits that an operator sets, and effects of time.
 *
 * The functions below replace those of the C library, for libev as well: the
 * tests set the wall clock.
 */
#include "client.h"
#include "server.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define GET(target) "GET " target " HTTP/1.1\r\nHost: test\r\n\r\n"

static struct server server;
static volatile int64_t *jump_s; /* shared: how far the wall clock is ahead */
static volatile int64_t *taken;	 /* shared: allocations of one process */
static volatile pid_t *counted;	 /* shared: the pid of that process; 0: none */

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	long	result = syscall(SYS_clock_gettime, clock, ts);

	if (jump_s != NULL &&
	    (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		ts->tv_sec += *jump_s;
	return (int)result;
}

time_t
time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out != NULL)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

int
gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

static void
start(const struct config_http *http)
{
	struct server_options options = { .http = *http };

	server_start(&server, &options);
}

static int
status_of(int fd)
{
	struct answer answer;

	client_read(fd, "GET", &answer);
	return answer.status;
}

/* Read /big at so many bytes each 20 ms; returns how many bytes came. */
static size_t
read_big(size_t step, bool *reset)
{
	char	bytes[131072];
	size_t	total = 0;
	ssize_t	n = 0;
	int	small = 65536, fd = client_connect(server.port);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	client_say(fd, GET("/big"));
	while (total < TEST_BIG && (n = recv(fd, bytes, step, 0)) > 0) {
		total += (size_t)n;
		usleep(20000);
	}
	*reset = n == -1 && errno == ECONNRESET;
	close(fd);
	return total;
}

START_TEST(a_reader_below_the_least_rate_is_closed)
{
	bool	reset;

	start(&(struct config_http){ .request_timeout = 1000,
	    .min_send_rate = 4 << 20 });
	ck_assert_uint_lt(read_big(2048, &reset), TEST_BIG);
	/* With a reset, the kernel discards the bytes that it had taken. */
	ck_assert(reset);
	client_expect_service(server.port);
	server_stop(&server);
}
END_TEST

START_TEST(a_reader_above_the_least_rate_gets_all)
{
	bool	reset;

	start(&(struct config_http){ .request_timeout = 1000,
	    .min_send_rate = 1024 });
	ck_assert_uint_ge(read_big(131072, &reset), TEST_BIG);
	ck_assert(!reset);
	client_expect_service(server.port);
	server_stop(&server);
}
END_TEST

START_TEST(an_address_has_its_connections_and_no_more)
{
	int	fds[3];

	start(&(struct config_http){ .max_per_client = 2 });
	for (int i = 0; i < 3; i++)
		fds[i] = client_connect(server.port);
	ck_assert_int_eq(status_of(fds[2]), 503);
	close(fds[2]);
	for (int i = 0; i < 2; i++) {
		client_say(fds[i], GET("/now"));
		ck_assert_int_eq(status_of(fds[i]), 200);
	}
	/* A place is free once the worker has noticed that it is. */
	close(fds[0]);
	fds[0] = client_connect(server.port);
	while (client_say(fds[0], GET("/now")), status_of(fds[0]) != 200) {
		close(fds[0]);
		fds[0] = client_connect(server.port);
	}
	close(fds[0]);
	close(fds[1]);
	server_stop(&server);
}
END_TEST

#define SLOW 200

/* Clients that do not close although they were told to. */
START_TEST(a_client_that_does_not_close_keeps_no_others_place)
{
	int64_t	began, shortest = INT64_MAX;
	int	fds[5], next;

	start(&(struct config_http){ .max_connections = 1 });
	for (int i = 0; i < 5; i++) {
		fds[i] = client_connect(server.port);
		client_say(fds[i], "GET /now HTTP/1.1\r\nHost: test\r\n"
		    "Connection: close\r\n\r\n");
		ck_assert_int_eq(status_of(fds[i]), 200);
		began = now_ms();
		next = client_connect(server.port);
		client_say(next, GET("/now"));
		ck_assert_int_eq(status_of(next), 200);
		if (now_ms() - began < shortest)
			shortest = now_ms() - began;
		close(next);
	}
	/* If no client waited, each would keep its place for two seconds. */
	ck_assert_int_lt(shortest, 2000);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	server_stop(&server);
}
END_TEST

START_TEST(half_of_a_request_head_is_not_waited_for_for_ever)
{
	int	fds[SLOW];

	start(&(struct config_http){ .header_timeout = 1000 });
	for (int i = 0; i < SLOW; i++) {
		fds[i] = client_connect(server.port);
		client_say(fds[i], "GET /now HTTP/1.1\r\nHost: te");
	}
	client_expect_service(server.port);
	for (int i = 0; i < SLOW; i++) {
		ck_assert_int_eq(status_of(fds[i]), 408);
		ck_assert(client_sees_end(fds[i], 45000));
		close(fds[i]);
	}
	server_stop(&server);
}
END_TEST

START_TEST(half_of_a_body_is_not_waited_for_for_ever)
{
	int	fd;

	start(&(struct config_http){ .request_timeout = 1000 });
	fd = client_connect(server.port);
	client_say(fd, "POST /echo HTTP/1.1\r\nHost: test\r\n"
	    "Content-Length: 3\r\n\r\nab");
	ck_assert_int_eq(status_of(fd), 408);
	ck_assert(client_sees_end(fd, 45000));
	close(fd);
	server_stop(&server);
}
END_TEST

/* The clock is set while one client is idle and another one sends its body. */
static void
survive_a_jump(int64_t seconds)
{
	int	idle, busy;

	start(&(struct config_http){ .idle_timeout = 60000,
	    .request_timeout = 60000 });
	idle = client_connect(server.port);
	client_say(idle, GET("/now"));
	ck_assert_int_eq(status_of(idle), 200);
	busy = client_connect(server.port);
	client_say(busy, "POST /echo HTTP/1.1\r\nHost: test\r\n"
	    "Content-Length: 3\r\n\r\nab");
	*jump_s += seconds;
	/* Longer than the worker's interval for looking at its clients. */
	ck_assert(!client_sees_end(idle, 2500));
	client_say(idle, GET("/now"));
	ck_assert_int_eq(status_of(idle), 200);
	client_say(busy, "c");
	ck_assert_int_eq(status_of(busy), 200);
	close(idle);
	close(busy);
	server_stop(&server);
}

START_TEST(a_clock_that_is_set_forward_closes_nobody)
{
	survive_a_jump(3600);
}
END_TEST

START_TEST(a_clock_that_is_set_back_closes_nobody)
{
	survive_a_jump(-3600);
}
END_TEST

START_TEST(a_clock_that_is_set_back_lets_nobody_stay)
{
	int	fd;

	start(&(struct config_http){ .idle_timeout = 1000 });
	fd = client_connect(server.port);
	client_say(fd, GET("/now"));
	ck_assert_int_eq(status_of(fd), 200);
	*jump_s -= 3600;
	ck_assert(client_sees_end(fd, 45000));
	close(fd);
	server_stop(&server);
}
END_TEST

#define AT_ONCE 300 /* how many answers */

/* Sanitizers bring an allocator of their own. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

static void
count(void)
{
	if (counted != NULL && *counted != 0 && *counted == getpid())
		++*taken;
}

void *
malloc(size_t size)
{
	count();
	return __libc_malloc(size);
}

void *
calloc(size_t number, size_t size)
{
	count();
	return __libc_calloc(number, size);
}

void *
realloc(void *memory, size_t size)
{
	count();
	return __libc_realloc(memory, size);
}

/* How many blocks the server allocates for @n requests. */
static int64_t
taken_by(int fd, int n)
{
	static const char body[] = "POST /echo HTTP/1.1\r\nHost: test\r\n"
	    "Content-Length: 3\r\n\r\nabc";
	struct answer answer;
	int64_t	before = *taken;

	for (int i = 0; i < n; i++) {
		client_say(fd, i % 2 == 0 ? GET("/now") : body);
		client_read(fd, "GET", &answer);
		ck_assert_int_eq(answer.status, 200);
	}
	return *taken - before;
}

/* How many blocks the server allocates for answers to all of @fds in one
 * turn. */
static int64_t
taken_at_once(const int *fds, int count)
{
	struct answer answer;
	int64_t	before = *taken;

	server_freeze(&server);
	for (int i = 0; i < count; i++)
		client_say(fds[i], GET("/later"));
	server_thaw(&server);
	for (int i = 0; i < count; i++) {
		client_read(fds[i], "GET", &answer);
		ck_assert_int_eq(answer.status, 200);
	}
	return *taken - before;
}

/* A pool that dials, and lists of a loop that grow, allocate in a few rounds;
 * requests that allocated would do so in each round. */
START_TEST(a_request_takes_no_memory_of_the_heap)
{
	int64_t	seen;
	int	fd, fds[AT_ONCE];

	start(&(struct config_http){ .max_connections = AT_ONCE + 8 });
	fd = client_connect(server.port);
	taken_by(fd, 100);
	*counted = server.pid;
	for (int i = 0; i < 100 && taken_by(fd, 10) != 0; i++)
		ck_assert_int_lt(i, 99);
	/* More answers in one turn than the worker keeps blocks for. */
	for (int i = 0; i < AT_ONCE; i++)
		fds[i] = client_connect(server.port);
	taken_at_once(fds, AT_ONCE);
	for (int i = 0; i < 20 && taken_at_once(fds, AT_ONCE) != 0; i++)
		ck_assert_int_lt(i, 19);
	for (int i = 0; i < AT_ONCE; i++)
		close(fds[i]);
	/* A connection allocates, which shows that the server's allocations are
	 * counted. */
	seen = *taken;
	client_expect_service(server.port);
	ck_assert_int_gt(*taken, seen);
	*counted = 0;
	close(fd);
	server_stop(&server);
}
END_TEST
#endif

#define IDLE 5000

START_TEST(five_thousand_idle_clients_cost_nothing)
{
	static int fds[IDLE];
	struct rlimit files;
	int	count = IDLE;
	long	before;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < IDLE + 200)
		count = (int)files.rlim_cur - 200;
	start(&(struct config_http){ .max_connections = IDLE + 100 });
	client_expect_service(server.port);
	before = server_resident_kb(&server);
	for (int i = 0; i < count; i++) {
		fds[i] = client_connect(server.port);
		client_say(fds[i], GET("/now"));
		ck_assert_int_eq(status_of(fds[i]), 200);
	}
	/* One kB for each; a sanitizer's own memory is not counted here. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
	ck_assert_int_le(server_resident_kb(&server) - before, count + 1024);
#else
	(void)before;
#endif
	server_expect_idle(&server);
	client_expect_service(server.port);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	server_stop(&server);
}
END_TEST

static Suite *
limits_suite(void)
{
	Suite	*suite = suite_create("limits");
	TCase	*sizes = unit_case(suite, "rates and numbers");
	TCase	*times = unit_case(suite, "times");

	jump_s = mmap(NULL, sizeof(*jump_s), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	taken = mmap(NULL, sizeof(*taken), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	counted = mmap(NULL, sizeof(*counted), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (jump_s == MAP_FAILED || taken == MAP_FAILED ||
	    counted == MAP_FAILED)
		exit(1);
	tcase_set_timeout(sizes, 180);
	tcase_add_test(sizes, a_reader_below_the_least_rate_is_closed);
	tcase_add_test(sizes, a_reader_above_the_least_rate_gets_all);
	tcase_add_test(sizes, an_address_has_its_connections_and_no_more);
	tcase_add_test(sizes, five_thousand_idle_clients_cost_nothing);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
	tcase_add_test(sizes, a_request_takes_no_memory_of_the_heap);
#endif
	tcase_set_timeout(times, 180);
	tcase_add_test(times,
	    a_client_that_does_not_close_keeps_no_others_place);
	tcase_add_test(times,
	    half_of_a_request_head_is_not_waited_for_for_ever);
	tcase_add_test(times, half_of_a_body_is_not_waited_for_for_ever);
	tcase_add_test(times, a_clock_that_is_set_forward_closes_nobody);
	tcase_add_test(times, a_clock_that_is_set_back_closes_nobody);
	tcase_add_test(times, a_clock_that_is_set_back_lets_nobody_stay);
	return suite;
}

UNIT_MAIN(limits_suite)
