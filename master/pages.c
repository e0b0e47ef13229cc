/*
 * pages.c - what the admin address answers to which request.
 */
#include "pages.h"

#include "metrics.h"
#include "page_html.h"
#include "status.h"
#include "words.h"

#include <arpa/inet.h>
#include <errno.h>
#include <mews/figures.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HOST_MAX 255

struct page_kind {
	const char *path;
	const char *type;
	void (*print)(const struct pages *pages, struct page *page, FILE *out);
};

/*
 * Pages.
 */

static void
print_metrics(const struct pages *pages, struct page *page, FILE *out)
{
	if (page->open)
		page->type = "application/openmetrics-text; version=1.0.0; "
		    "charset=utf-8";
	if (!metrics_print(pages->view, pages->config, page->open, out))
		page->status = 503;
}

static bool
master_lives(const struct pages *pages)
{
	struct mews_view_fleet fleet;

	mews_view_fleet(pages->view, &fleet, sizeof(fleet));
	return fleet.master_pid > 0 &&
	    (kill(fleet.master_pid, 0) == 0 || errno == EPERM);
}

static void
print_health(const struct pages *pages, struct page *page, FILE *out)
{
	if (master_lives(pages)) {
		fputs("ok\n", out);
		return;
	}
	page->status = 503;
	fputs("the master is dead\n", out);
}

static bool
any_ready(const struct pages *pages)
{
	struct mews_view_fleet	fleet;
	struct mews_view_worker worker;

	mews_view_fleet(pages->view, &fleet, sizeof(fleet));
	for (uint32_t i = 0; i < fleet.slot_count; i++)
		if (mews_view_worker(pages->view, i, &worker,
			sizeof(worker)) && !worker.attached &&
		    worker.state == MEWS_WORKER_READY)
			return true;
	return false;
}

/* Does a worker know an endpoint for that group? */
static bool
is_served(const struct mews_figures *figures, const char *name)
{
	struct mews_figures_group group;

	for (uint32_t i = 0; mews_figures_group(figures, i, &group,
	    sizeof(group)); i++)
		if (strcmp(group.name, name) == 0)
			return group.endpoints > 0;
	return false;
}

static void
miss_group(struct page *page, const char *name, FILE *out)
{
	char	clean[MEWS_NAME_MAX + 1];

	page->status = 503;
	fprintf(out, "group %s has no endpoint\n",
	    words_clean(clean, sizeof(clean), name));
}

/* Without a configuration of workers: the groups of those who attached. */
static void
print_missing(const struct pages *pages, struct page *page, FILE *out)
{
	const struct mews_config *config = pages->config;
	struct mews_figures	 *figures;
	struct mews_figures_group g;

	if (mews_figures_read(&figures, pages->view, NULL) != MEWS_OK) {
		page->status = 503;
		return;
	}
	for (size_t i = 0; config != NULL && i < config->group_count; i++)
		if (!is_served(figures, config->groups[i].name))
			miss_group(page, config->groups[i].name, out);
	for (uint32_t i = 0; config == NULL && mews_figures_group(figures, i,
	    &g, sizeof(g)); i++)
		if (metrics_is_current(NULL, &g) && g.endpoints == 0)
			miss_group(page, g.name, out);
	mews_figures_free(&figures);
}

static void
print_readiness(const struct pages *pages, struct page *page, FILE *out)
{
	if (!master_lives(pages)) {
		page->status = 503;
		fputs("the master is dead\n", out);
	}
	if (pages->config != NULL && !any_ready(pages)) {
		page->status = 503;
		fputs("no worker is ready\n", out);
	} else
		print_missing(pages, page, out);
	if (page->status == 200)
		fputs("ok\n", out);
}

static void
print_status(const struct pages *pages, struct page *page, FILE *out)
{
	(void)page;
	status_print_json(pages->view, out);
}

static void
print_index(const struct pages *pages, struct page *page, FILE *out)
{
	(void)pages;
	(void)page;
	fwrite(page_html, 1, sizeof(page_html), out);
}

#define TEXT "text/plain; charset=utf-8"

static const struct page_kind kinds[] = {
	{ "/", "text/html; charset=utf-8", print_index },
	{ "/live", "text/event-stream", NULL },
	{ "/metrics", "text/plain; version=0.0.4; charset=utf-8",
	  print_metrics },
	{ "/healthz", TEXT, print_health },
	{ "/readyz", TEXT, print_readiness },
	{ "/status.json", "application/json", print_status },
};

/*
 * Requests.
 */

static bool
span_is(const struct http_span *span, const char *bytes, const char *text)
{
	return span->length == strlen(text) &&
	    memcmp(bytes + span->at, text, span->length) == 0;
}

/* Is @host @name? In any case, and with the dot of the root or without. */
static bool
is_name(const char *host, const char *name)
{
	size_t	length = strlen(name);

	return length > 0 && strncasecmp(host, name, length) == 0 &&
	    strcmp(host + length, host[length] == '.' ? "." : "") == 0;
}

/* An address in numbers, "localhost", or our own name; with a port or not. The
 * host of an absolute target counts, not that of Host. */
static bool
is_our_host(const char *bytes, const struct http_span *span)
{
	char		host[HOST_MAX + 1], own[HOST_MAX + 1] = "", *end;
	struct in6_addr address;

	/* Only HTTP/1.0 goes without one, and no browser. */
	if (span->length == 0)
		return true;
	if (span->length > HOST_MAX)
		return false;
	memcpy(host, bytes + span->at, span->length);
	host[span->length] = '\0';
	if (host[0] == '[') {
		if ((end = strchr(host, ']')) == NULL)
			return false;
		*end = '\0';
		return inet_pton(AF_INET6, host + 1, &address) == 1;
	}
	if ((end = strrchr(host, ':')) != NULL)
		*end = '\0';
	gethostname(own, HOST_MAX);
	return inet_pton(AF_INET, host, &address) == 1 ||
	    is_name(host, "localhost") || is_name(host, own);
}

static bool
asks_for_openmetrics(const struct http_head *head, const char *bytes)
{
	static const char wanted[] = "application/openmetrics-text";

	for (unsigned i = 0; i < head->field_count; i++) {
		const struct http_span *name = &head->fields[i].name;
		const struct http_span *value = &head->fields[i].value;

		if (name->length == 6 &&
		    strncasecmp(bytes + name->at, "accept", 6) == 0 &&
		    memmem(bytes + value->at, value->length, wanted,
			sizeof(wanted) - 1) != NULL)
			return true;
	}
	return false;
}

void
pages_ask(struct page *page, const struct http_head *head, const char *bytes)
{
	page->status = 404;
	if (!is_our_host(bytes, &head->host)) {
		page->status = 421;
		return;
	}
	if (!head->is_head && !span_is(&head->method, bytes, "GET")) {
		page->status = 405;
		return;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (span_is(&head->path, bytes, kinds[i].path) ||
		    (i == 0 && head->path.length == 0)) {
			page->kind = &kinds[i];
			page->status = 200;
			page->live = kinds[i].print == NULL &&
			    !head->is_head;
		}
	page->open = asks_for_openmetrics(head, bytes);
}

static const char *
refusal_text(unsigned status)
{
	switch (status) {
	case 405:
		return "GET and HEAD only\n";
	case 421:
		return "this Host is no name of this server: use its address\n";
	default:
		return "there is no such page\n";
	}
}

static void
set_headers(struct page *page)
{
	const struct http_header headers[PAGE_HEADERS] = {
		{ .name = "Cache-Control", .value = "no-store" },
		{ .name = "X-Content-Type-Options", .value = "nosniff" },
		{ .name = "Referrer-Policy", .value = "no-referrer" },
		{ .name = "Content-Security-Policy",
		  .value = page->kind == &kinds[0] ? PAGE_HTML_POLICY :
		      "default-src 'none'; frame-ancestors 'none'" },
		{ .name = page->status == 405 ? "Allow" : NULL,
		  .value = "GET, HEAD" },
	};

	memcpy(page->headers, headers, sizeof(headers));
}

void
pages_fill(const struct pages *pages, struct page *page)
{
	FILE	*out;

	set_headers(page);
	page->type = page->kind == NULL ? TEXT : page->kind->type;
	if (page->live || (out = open_memstream(&page->body,
	    &page->length)) == NULL)
		return;
	if (page->kind == NULL)
		fputs(refusal_text(page->status), out);
	else if (page->kind->print != NULL)
		page->kind->print(pages, page, out);
	if (fclose(out) != 0) {
		free(page->body);
		page->body = NULL;
	}
}
