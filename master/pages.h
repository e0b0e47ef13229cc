/*
 * pages.h - what the admin address answers to which request.
 */
#ifndef MASTER_PAGES_H
#define MASTER_PAGES_H

#include "http/server.h"

#include <mews/settings.h>

#include <mews/view.h>

#define PAGE_HEADERS 6

/* A kind of page. */
struct page_kind;

/* A request, and its answer. */
struct page {
	const struct page_kind *kind; /* NULL: status says why not */
	bool open;	 /* OpenMetrics was asked for */
	bool live;	 /* its body goes on, see feed.h; there is no other */
	unsigned status; /* 200, or why not */
	const char *type;
	char *body;	 /* to be freed; NULL: out of memory */
	size_t length;
	struct http_header headers[PAGE_HEADERS]; /* up to one without name */
};

/* All that pages are made of. */
struct pages {
	struct mews_view *view;
	const struct mews_config *config; /* of the generation that serves;
					     NULL: there are no workers, only
					     processes that attach */
};

/** Look at a request's head, which lives only until this returns. */
void pages_ask(struct page *page, const struct http_head *head,
    const char *bytes);
/** Make its answer; of a live one all but the body. */
void pages_fill(const struct pages *pages, struct page *page);

#endif
