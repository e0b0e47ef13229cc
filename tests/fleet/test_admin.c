/*
 * test_admin.c - the admin address: what it shows, to whom, and how long it
 * lives.
 */
#include "fleet.h"
#include "unit.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static struct fleet fleet[1];
static char	    answer[262144];
static unsigned	    port; /* of the admin address; 0: the address is
			     admin.sock */

static void
start(void)
{
	port = 0;
	fleet_init(fleet, "admin = 'unix:admin.sock'\n");
	fleet_start(fleet);
}

/* Connect to the admin address, and send @request. Returns the socket. */
static int
open_request(const char *request)
{
	struct sockaddr_un path = { .sun_family = AF_UNIX };
	struct sockaddr_in loopback = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(port != 0 ? AF_INET : AF_UNIX,
	    SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(path.sun_path, sizeof(path.sun_path), "%.80s/admin.sock",
	    fleet->dir);
	if (connect(fd, port != 0 ? (struct sockaddr *)&loopback :
		(struct sockaddr *)&path,
		port != 0 ? sizeof(loopback) : sizeof(path)) == 0 &&
	    send(fd, request, strlen(request), MSG_NOSIGNAL) ==
		(ssize_t)strlen(request))
		return fd;
	close(fd);
	return -1;
}

/* Send @request to the admin address and read the whole answer. Returns its
 * status, 0 if there was no answer. */
static int
ask(const char *request)
{
	int	fd = open_request(request), status = 0;
	size_t	length = 0;
	ssize_t	got;

	answer[0] = '\0';
	if (fd == -1)
		return 0;
	while ((got = read(fd, answer + length,
	    sizeof(answer) - 1 - length)) > 0)
		length += (size_t)got;
	answer[length] = '\0';
	close(fd);
	sscanf(answer, "HTTP/1.1 %d", &status);
	return status;
}

/* GET @path, as a client that closes the connection. */
static int
get(const char *path)
{
	char request[256];

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n"
	    "Host: 127.0.0.1:9187\r\nConnection: close\r\n\r\n", path);
	return ask(request);
}

static bool
says(const char *text)
{
	return strstr(answer, text) != NULL;
}

START_TEST(the_admin_address_shows_metrics)
{
	start();
	fleet_wait(get("/metrics") == 200);
	ck_assert_msg(says("Content-Type: text/plain; version=0.0.4"), "%s",
	    answer);
	ck_assert(says("\n# TYPE mews_workers gauge\n"));
	ck_assert(says("\nmews_workers{state=\"ready\"} 2\n"));
	ck_assert(says("\nmews_master_up 1\n"));
	ck_assert(says("mews_endpoint_state{endpoint=\"a\",state=\"down\"} "));
	ck_assert(says("\ndb_client_connections{endpoint=\"a\","
	    "state=\"idle\"} 0\n"));
	ck_assert(!says("\nmews_endpoint_lag_seconds{"));
	ck_assert(says("\nmews_query_batches_total{group=\"read\"} 0\n"));
	ck_assert(says("# TYPE mews_query_ends_total counter\n"));
	ck_assert(!says("# EOF"));
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(fleet_get(fleet, "/"), 200);
	fleet_wait(get("/metrics") == 200 &&
	    says("\nhttp_server_request_duration_seconds_count 3\n"));
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(get("/metrics"), 0);
}
END_TEST

START_TEST(openmetrics_is_shown_to_who_asks_for_it)
{
	start();
	fleet_wait(ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
	    "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n"
	    "Connection: close\r\n\r\n") == 200);
	ck_assert(says("Content-Type: application/openmetrics-text; "
	    "version=1.0.0; charset=utf-8\r\n"));
	ck_assert(says("\n# TYPE mews_query_ends counter\n"));
	ck_assert(says("\nmews_query_ends_total{group=\"read\","
	    "status=\"OK\"} "));
	ck_assert_str_eq(answer + strlen(answer) - 6, "# EOF\n");
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* Requests, the status of each answer, and a text that the answer contains. */
static const struct {
	const char *request;
	int status;
	const char *text;
} requests[] = {
	{ "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", 200,
	  "script-src 'sha256-" },
	{ "GET / HTTP/1.1\r\nHost: [::1]:9187\r\n", 200, "<!DOCTYPE html>" },
	{ "GET / HTTP/1.1\r\nHost: LOCALHOST:80\r\n", 200, "" },
	{ "GET / HTTP/1.0\r\n", 200, "" },
	{ "GET /healthz HTTP/1.1\r\nHost: [::1]\r\n", 200, "\r\n\r\nok\n" },
	{ "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n", 200, "text/plain" },
	{ "GET /status.json HTTP/1.1\r\nHost: localhost\r\n", 200,
	  "{\"instance\":\"test\"" },
	/* A page of another site, whose name resolves to this machine. */
	{ "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n", 421, "name" },
	{ "GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example:9187\r\n", 421, "" },
	{ "GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n", 421, "" },
	/* The host of an absolute target counts, not that of Host. */
	{ "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n", 421, "" },
	{ "GET HTTP://localhost:9187/healthz HTTP/1.1\r\n"
	  "Host: evil.example\r\n", 200, "\r\n\r\nok\n" },
	{ "GET http://[::1]:9187 HTTP/1.1\r\nHost: a\r\n", 200,
	  "<!DOCTYPE html>" },
	{ "GET http://evil.example/ HTTP/1.0\r\n", 421, "" },
	{ "GET http://me@localhost/ HTTP/1.1\r\nHost: localhost\r\n", 400, "" },
	{ "GET http:///healthz HTTP/1.1\r\nHost: localhost\r\n", 400, "" },
	/* Only HTTP/1.0 goes without a Host. */
	{ "GET /healthz HTTP/1.1\r\n", 400, "" },
	{ "GET /healthz HTTP/1.1\r\nHost:\r\n", 400, "" },
	{ "GET /healthz HTTP/1.0\r\nHost: evil.example\r\n", 421, "" },
	{ "GET / HTTP/1.1\r\nHost: LocalHost.:9187\r\n", 200, "" },
	{ "GET / HTTP/1.1\r\nHost: localhost..\r\n", 421, "" },
	{ "GET / HTTP/1.1\r\nHost: localhost.evil\r\n", 421, "" },
	{ "GET / HTTP/1.1\r\nHost: evil.localhost\r\n", 421, "" },
	{ "GET / HTTP/1.1\r\nHost: 127.0.0.1.\r\n", 421, "" },
	{ "GET / HTTP/1.1\r\nHost: 2130706433\r\n", 421, "" },
	{ "GET / HTTP/1.1\r\nHost: [::1\r\n", 400, "" },
	{ "GET / HTTP/1.1\r\nHost: [::1].evil.example\r\n", 400, "" },
	{ "GET / HTTP/1.1\r\nHost: [::ffff:127.0.0.1]\r\n", 200, "" },
	{ "HEAD /live HTTP/1.1\r\nHost: localhost\r\n", 200,
	  "text/event-stream" },
	{ "GET /live HTTP/1.1\r\nHost: evil.example\r\n", 421,
	  "default-src 'none'" },
	{ "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n", 405,
	  "Allow: GET, HEAD" },
	{ "PUT /metrics HTTP/1.1\r\nHost: localhost\r\n", 405, "" },
	{ "GET /nothing HTTP/1.1\r\nHost: localhost\r\n", 404, "" },
	{ "GET /../etc/passwd HTTP/1.1\r\nHost: localhost\r\n", 404, "" },
	{ "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400, "" },
	{ "nonsense\r\n", 400, "" },
	/* The body is what check_requests() adds; as a chunk it is bad. */
	{ "GET / HTTP/1.0\r\nContent-Length: 21\r\n\r\n", 200, "" },
	{ "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
	  "chunked\r\n\r\n", 400, "" },
};

/* Send all requests to the admin address of the fleet. */
static void
check_requests(void)
{
	char request[512];

	fleet_wait(get("/healthz") == 200);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		snprintf(request, sizeof(request), "%sConnection: close\r\n"
		    "\r\n", requests[i].request);
		ck_assert_msg(ask(request) == requests[i].status &&
		    says(requests[i].text), "%s: %.300s", requests[i].request,
		    answer);
	}
}

START_TEST(requests_are_answered_or_refused)
{
	start();
	check_requests();
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(requests_over_tcp_are_answered_too)
{
	char line[64];

	port = fleet_free_port();
	snprintf(line, sizeof(line), "admin = '127.0.0.1:%u'\n", port);
	fleet_init(fleet, line);
	fleet_start(fleet);
	check_requests();
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(get("/healthz"), 0);
}
END_TEST

START_TEST(readiness_names_what_is_missing)
{
	start();
	/* The only endpoint is a closed port. */
	fleet_wait(get("/readyz") == 503 && says("group read has no endpoint"));
	ck_assert(!says("no worker"));
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* The pid of the admin process, from its answer. */
static pid_t
admin_pid(void)
{
	const char *at;

	return get("/healthz") != 200 ||
	    (at = strstr(answer, "Mews-Worker: ")) == NULL ? 0 :
	    (pid_t)atoi(at + strlen("Mews-Worker: "));
}

START_TEST(an_admin_process_that_dies_is_started_anew)
{
	pid_t	first, next = 0;

	start();
	fleet_wait((first = admin_pid()) > 0);
	ck_assert_int_eq(kill(first, SIGKILL), 0);
	fleet_wait((next = admin_pid()) > 0 && next != first);
	fleet_wait(fleet_logged(fleet, "event=admin_exited") == 1);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	fleet_wait(!fleet_is_alive(next));
}
END_TEST

/* The first @events that an open page is told; "" if there was no answer. */
static void
follow(int events)
{
	/* HTTP/1.0, so that no chunks' frames are in between. */
	int	    fd = open_request("GET /live HTTP/1.0\r\n\r\n");
	const char *end;
	size_t	    length = 0;
	ssize_t	    got = fd == -1 ? 0 : 1;
	int	    seen = 0;

	answer[0] = '\0';
	while (seen < events && got > 0) {
		got = read(fd, answer + length, sizeof(answer) - 1 - length);
		length += got > 0 ? (size_t)got : 0;
		answer[length] = '\0';
		end = answer;
		for (seen = 0; (end = strstr(end, "]}\n\n")) != NULL; end++)
			seen++;
	}
	close(fd);
}

/* The first second of the history that a new page is told; 0: none. */
static unsigned
first_second(void)
{
	static const char key[] = "\"history\":{\"from\":";
	const char *at;

	follow(1);
	return (at = strstr(answer, key)) == NULL ? 0 :
	    (unsigned)strtoul(at + sizeof(key) - 1, NULL, 10);
}

START_TEST(an_open_page_is_told_of_each_second)
{
	unsigned first, second;
	const char *at;

	start();
	fleet_wait(first_second() > 0 && says("\"whole\":true"));
	ck_assert(says("\"name\":\"a\",\"state\":\""));
	ck_assert(says("\"lines_lost\":0.0,"));
	follow(3);
	ck_assert_msg((at = strstr(answer, "\"whole\":false")) != NULL, "%s",
	    answer);
	ck_assert(strstr(at + 1, "\"whole\":false") != NULL);
	ck_assert_int_eq(sscanf(strstr(at, "\"history\":"),
	    "\"history\":{\"from\":%u,\"to\":%u", &first, &second), 2);
	ck_assert_uint_eq(first, second);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(the_history_outlives_the_admin_process)
{
	unsigned first;
	pid_t	 dead, next = 0;

	start();
	fleet_wait((dead = admin_pid()) > 0);
	fleet_wait((first = first_second()) > 0 && says("\"waiting\":[0"));
	ck_assert_int_eq(kill(dead, SIGKILL), 0);
	fleet_wait((next = admin_pid()) > 0 && next != dead);
	/* An admin process that is about to end may have answered. */
	fleet_wait(first_second() == first);
	fleet_signal(fleet, SIGHUP);
	fleet_wait((dead = admin_pid()) > 0 && dead != next);
	fleet_wait(first_second() == first);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(the_history_survives_an_upgrade)
{
	unsigned first, now = 0;

	/* A new master becomes this test's child when the one before ends. */
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	start();
	fleet_wait((first = first_second()) > 0 && says("\"waiting\":[0"));
	fleet_upgrade(fleet);
	fleet_follow(fleet);
	fleet_wait((now = first_second()) > 0);
	ck_assert_uint_eq(now, first);
	ck_assert_int_eq(fleet_logged(fleet, "event=history_not_taken"), 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static bool
status_says(const char *text)
{
	struct said said;

	mews(&said, "status", "-c", fleet->config, NULL);
	return strstr(said.out, text) != NULL;
}

/* Send a signal to all children of the master but @spared. */
static void
signal_others(pid_t spared, int number)
{
	pid_t	pids[FLEET_WORKERS_MAX];
	int	count = fleet_workers(fleet, pids);

	for (int i = 0; i < count; i++)
		if (pids[i] != spared)
			kill(pids[i], number);
}

START_TEST(workers_and_a_master_that_hang_are_seen)
{
	pid_t	admin, monitor;

	start();
	fleet_wait((admin = admin_pid()) > 0);
	fleet_wait((monitor = fleet_monitor(fleet)) > 0);
	signal_others(admin, SIGSTOP);
	kill(monitor, SIGSTOP);
	kill(fleet->master, SIGSTOP);
	ck_assert_int_eq(get("/metrics"), 200);
	ck_assert(says("mews_worker_heartbeat_age_seconds{worker=\"0\"} "));
	fleet_wait(status_says(" SILENT for "));
	ck_assert(status_says("2 ready, 2 SILENT\n"));
	kill(fleet->master, SIGCONT);
	kill(monitor, SIGCONT);
	signal_others(admin, SIGCONT);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

static void
reload(const char *from, const char *to)
{
	struct said said;

	fleet_edit(fleet, from, to);
	mews(&said, "reload", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s%s", said.err,
	    fleet_log_text(fleet));
}

START_TEST(a_reload_moves_ends_and_begins_the_admin_process)
{
	char  first[64], second[64];
	pid_t admin;

	port = fleet_free_port();
	snprintf(first, sizeof(first), "admin = '127.0.0.1:%u'\n", port);
	fleet_init(fleet, first);
	fleet_start(fleet);
	fleet_wait(get("/readyz") == 503);
	reload(first, "admin = 'unix:admin.sock'\n");
	fleet_wait(get("/readyz") == 0);
	port = 0;
	fleet_wait((admin = admin_pid()) > 0);
	reload("admin = 'unix:admin.sock'\n", "# none\n");
	fleet_wait(get("/readyz") == 0);
	fleet_wait(!fleet_is_alive(admin));
	port = fleet_free_port();
	snprintf(second, sizeof(second), "admin = '127.0.0.1:%u'\n", port);
	reload("# none\n", second);
	fleet_wait(get("/healthz") == 200);
	/* No admin process ended unasked. */
	ck_assert_int_eq(fleet_logged(fleet, "event=admin_exited"), 0);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

START_TEST(the_admin_process_ends_with_its_master)
{
	pid_t	admin;

	fleet_ignore_leaks();
	start();
	fleet_wait((admin = admin_pid()) > 0);
	kill(fleet->master, SIGKILL);
	fleet_wait(!fleet_is_alive(admin));
}
END_TEST

START_TEST(an_address_that_is_open_to_others_is_refused)
{
	struct said said;

	fleet_init(fleet, "admin = '*:9187'\n");
	mews(&said, "check", "-c", fleet->config, NULL);
	ck_assert_int_ne(said.status, 0);
	ck_assert_msg(strstr(said.err, "is open to other hosts") != NULL ||
	    strstr(said.out, "is open to other hosts") != NULL, "%s%s",
	    said.out, said.err);
	fleet_init(fleet, "admin = '*:9187'\nadmin_public = true\n");
	mews(&said, "check", "-c", fleet->config, NULL);
	ck_assert_msg(said.status == 0, "%s%s", said.out, said.err);
}
END_TEST

static bool
events_say(const char *text)
{
	struct said said;

	mews(&said, "events", "-c", fleet->config, NULL);
	return said.status == 0 && strstr(said.out, text) != NULL;
}

START_TEST(the_admin_address_shows_events)
{
	pid_t	worker;

	start();
	fleet_wait(events_say(" warning endpoint endpoint=a from="));
	fleet_wait((worker = fleet_get_worker(fleet)) > 0);
	kill(worker, SIGKILL);
	fleet_wait(events_say(" warning worker_exited worker="));
	fleet_wait(get("/metrics") == 200 &&
	    says("\nmews_process_ends_total{reason=\"killed\"} 1\n"));
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert(!events_say(""));
}
END_TEST

/* How often @text is in what mews events prints. */
static int
events_count(const char *text)
{
	struct said said;
	int	    count = 0;

	mews(&said, "events", "-c", fleet->config, NULL);
	for (const char *at = said.out; (at = strstr(at, text)) != NULL; at++)
		count++;
	return count;
}

/* The only endpoint is a closed port: each process may tell of it once. */
START_TEST(an_outage_does_not_drive_its_beginning_out_of_the_events)
{
	start();
	fleet_wait(fleet_logged(fleet, "event=probe_failed") >= 5);
	ck_assert_int_ge(events_count(" probe_failed "), 1);
	ck_assert_int_le(events_count(" probe_failed "), 3);
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
}
END_TEST

/* Run mews with these arguments; its output goes to @path. */
static pid_t
run_to(const char *path, const char *command, const char *option)
{
	pid_t	pid = fork();

	if (pid != 0)
		return pid;
	if (freopen(path, "w", stdout) == NULL)
		_exit(127);
	execl(getenv("MEWS"), "mews", command, option, "-c", fleet->config,
	    (char *)NULL);
	_exit(127);
}

static bool
file_has(const char *path, const char *text, int times)
{
	static char bytes[65536];
	FILE	   *in = fopen(path, "r");
	const char *at = bytes;

	if (in == NULL)
		return false;
	bytes[fread(bytes, 1, sizeof(bytes) - 1, in)] = '\0';
	fclose(in);
	while (times > 0 && (at = strstr(at, text)) != NULL) {
		at++;
		times--;
	}
	return times == 0;
}

START_TEST(a_follower_hears_of_events_until_the_end)
{
	pid_t	worker, events, status;
	char	heard[320], seen[320];
	int	how;

	start();
	snprintf(heard, sizeof(heard), "%.250s/heard", fleet->dir);
	snprintf(seen, sizeof(seen), "%.250s/seen", fleet->dir);
	events = run_to(heard, "events", "-f");
	status = run_to(seen, "status", "--watch");
	fleet_wait(file_has(heard, " endpoint endpoint=a ", 1));
	fleet_wait(file_has(seen, "fleet test: master ", 2));
	fleet_wait((worker = fleet_get_worker(fleet)) > 0);
	kill(worker, SIGKILL);
	fleet_wait(file_has(heard, " worker_exited ", 1));
	ck_assert_int_eq(fleet_end(fleet, SIGTERM), 0);
	ck_assert_int_eq(waitpid(events, &how, 0), events);
	ck_assert(WIFEXITED(how) && WEXITSTATUS(how) == 0);
	/* The fleet has ended, so status fails. */
	ck_assert_int_eq(waitpid(status, &how, 0), status);
	ck_assert(WIFEXITED(how) && WEXITSTATUS(how) == 1);
}
END_TEST

static Suite *
admin_suite(void)
{
	Suite *suite = suite_create("admin");
	TCase *tcase = unit_case(suite, "admin");

	tcase_set_timeout(tcase, 180);
	tcase_add_unchecked_fixture(tcase, fleet_make_base,
	    fleet_remove_base);
	tcase_add_test(tcase, the_admin_address_shows_metrics);
	tcase_add_test(tcase, openmetrics_is_shown_to_who_asks_for_it);
	tcase_add_test(tcase, requests_are_answered_or_refused);
	tcase_add_test(tcase, requests_over_tcp_are_answered_too);
	tcase_add_test(tcase, a_reload_moves_ends_and_begins_the_admin_process);
	tcase_add_test(tcase, readiness_names_what_is_missing);
	tcase_add_test(tcase, an_admin_process_that_dies_is_started_anew);
	tcase_add_test(tcase, an_open_page_is_told_of_each_second);
	tcase_add_test(tcase, the_history_outlives_the_admin_process);
	tcase_add_test(tcase, the_history_survives_an_upgrade);
	tcase_add_test(tcase, workers_and_a_master_that_hang_are_seen);
	tcase_add_test(tcase, the_admin_process_ends_with_its_master);
	tcase_add_test(tcase, an_address_that_is_open_to_others_is_refused);
	tcase_add_test(tcase, the_admin_address_shows_events);
	tcase_add_test(tcase,
	    an_outage_does_not_drive_its_beginning_out_of_the_events);
	tcase_add_test(tcase, a_follower_hears_of_events_until_the_end);
	return suite;
}

UNIT_MAIN(admin_suite)
