/*
 * techempower.c - the six tests of the TechEmpower framework benchmarks.
 *
 * How an application looks: start() registers statements, request() answers
 * or sends queries, the callbacks of the queries answer. Nothing ever waits.
 * All memory of a request comes from mews_request_alloc(), so there is
 * nothing to free.
 *
 * Needs the groups "read" and "write", and the tables of techempower.sql.
 * The rules: https://github.com/TechEmpower/FrameworkBenchmarks/wiki/
 * Project-Information-Framework-Tests-Overview
 */
#include <mews/app.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORLDS 10000	/* rows of table world, and the largest number */
#define QUERIES_MAX 500 /* in one request, by the rules */
#define IN_FLIGHT 20	/* of these at once, so that one request does not
			   fill the group's queue */

#define JSON "application/json"
#define TEXT "text/plain"
#define HTML "text/html; charset=utf-8"

struct techempower {
	struct mews_group *read, *write;
	struct mews_statement *world, *fortunes, *update;
	uint64_t random;
};

/* 1 to WORLDS. Fast rather than good (xorshift64*). */
static int
random_world(struct techempower *app)
{
	app->random ^= app->random >> 12;
	app->random ^= app->random << 25;
	app->random ^= app->random >> 27;
	return (int)((app->random * 0x2545f4914f6cdd1d >> 33) % WORLDS) + 1;
}

/* The put_ functions write at @at, and return where to go on. */
static char *
put(char *at, const char *text)
{
	return stpcpy(at, text);
}

static char *
put_int(char *at, int value)
{
	struct mews_param	text = mews_param_int_text(value);

	memcpy(at, text.inside, (size_t)text.length);
	return at + text.length;
}

static int
int_at(const PGresult *result, int row, int column)
{
	return atoi(PQgetvalue(result, row, column));
}

static void
out_of_memory(struct mews_request *request)
{
	mews_reply_status(request, MEWS_NOMEM, "");
}

/* One row of table world. */
struct world {
	int id;
	int number;
};

#define INT_MAX_CHARS (sizeof("-2147483648") - 1)
#define WORLD_MAX_CHARS \
	(sizeof("{\"id\":,\"randomNumber\":},") - 1 + 2 * INT_MAX_CHARS)

static char *
put_world(char *at, const struct world *world)
{
	at = put(at, "{\"id\":");
	at = put_int(at, world->id);
	at = put(at, ",\"randomNumber\":");
	at = put_int(at, world->number);
	return put(at, "}");
}

/* Ask for one row of table world, by random. */
static enum mews_status
send_world(struct techempower *app, mews_query_fn *on_world, void *arg)
{
	struct mews_param id = mews_param_int_text(random_world(app));
	struct mews_query_args args = { .statement = app->world,
		.params = &id, .param_count = 1 };

	return mews_query_send(app->read, &args, on_world, arg, NULL);
}

/* The row that came; or what is wrong, and why. */
static enum mews_status
read_world(const struct mews_result *result, struct world *world,
    const char **why)
{
	const PGresult *pg = mews_result_pg(result);

	*why = mews_result_message(result);
	if (mews_result_status(result) != MEWS_OK)
		return mews_result_status(result);
	if (PQntuples(pg) != 1) {
		*why = "table world lacks rows";
		return MEWS_INVALID;
	}
	world->id = int_at(pg, 0, 0);
	world->number = int_at(pg, 0, 1);
	return MEWS_OK;
}

/*
 * /plaintext and /json: no query, so the answer is given at once.
 */

static void
plaintext(struct techempower *app, struct mews_request *request)
{
	static const char body[] = "Hello, World!";

	(void)app;
	mews_reply(request, 200, TEXT, body, sizeof(body) - 1,
	    MEWS_BODY_STATIC);
}

static void
json(struct techempower *app, struct mews_request *request)
{
	const char *message = "Hello, World!";
	char	*body = mews_request_alloc(request, 64), *at;

	(void)app;
	if (body == NULL) {
		out_of_memory(request);
		return;
	}
	at = put(body, "{\"message\":\"");
	at = put(at, message);
	at = put(at, "\"}");
	mews_reply(request, 200, JSON, body, (size_t)(at - body),
	    MEWS_BODY_REQUEST);
}

/*
 * /db: one query.
 */

static void
db_answer(void *arg, const struct mews_result *result)
{
	struct mews_request *request = arg;
	struct world world;
	const char *why;
	enum mews_status status = read_world(result, &world, &why);
	char	*body;

	mews_reply_endpoint(request, result);
	if (status != MEWS_OK) {
		mews_reply_status(request, status, why);
		return;
	}
	if ((body = mews_request_alloc(request, WORLD_MAX_CHARS + 1)) == NULL) {
		out_of_memory(request);
		return;
	}
	mews_reply(request, 200, JSON, body,
	    (size_t)(put_world(body, &world) - body), MEWS_BODY_REQUEST);
}

static void
db(struct techempower *app, struct mews_request *request)
{
	enum mews_status status = send_world(app, db_answer, request);

	if (status != MEWS_OK)
		mews_reply_status(request, status,
		    mews_group_message(app->read));
}

/*
 * /queries and /updates: many queries, one answer. The batch counts what is
 * in flight; whoever ends the last of it goes on.
 */

struct batch {
	struct techempower *app;
	struct mews_request *request;
	bool update; /* write them back when all are read */
	int wanted, sent, ended;
	enum mews_status status; /* of the first query that failed */
	char message[200];
	int row_count;
	struct world rows[];
};

static void
batch_fail(struct batch *batch, enum mews_status status, const char *message)
{
	if (batch->status != MEWS_OK)
		return;
	batch->status = status;
	snprintf(batch->message, sizeof(batch->message), "%s", message);
}

static void
batch_answer(struct batch *batch)
{
	struct mews_request *request = batch->request;
	char	*body, *at;

	if (batch->status != MEWS_OK) {
		mews_reply_status(request, batch->status, batch->message);
		return;
	}
	body = mews_request_alloc(request,
	    sizeof("[]") + (size_t)batch->row_count * WORLD_MAX_CHARS);
	if (body == NULL) {
		out_of_memory(request);
		return;
	}
	at = put(body, "[");
	for (int i = 0; i < batch->row_count; i++) {
		if (i > 0)
			at = put(at, ",");
		at = put_world(at, &batch->rows[i]);
	}
	at = put(at, "]");
	mews_reply(request, 200, JSON, body, (size_t)(at - body),
	    MEWS_BODY_REQUEST);
}

static void
on_updated(void *arg, const struct mews_result *result)
{
	struct batch *batch = arg;

	if (mews_result_status(result) != MEWS_OK) {
		mews_reply_failure(batch->request, result);
		return;
	}
	mews_reply_endpoint(batch->request, result);
	batch_answer(batch);
}

static int
compare_ids(const void *a, const void *b)
{
	return ((const struct world *)a)->id - ((const struct world *)b)->id;
}

/* New numbers for all rows, written with one statement in the order of the
 * ids: two requests that wait for each other's rows would be a deadlock. */
static void
batch_update(struct batch *batch)
{
	struct techempower *app = batch->app;
	struct world *row = batch->rows, *end = row + batch->row_count;
	size_t	 room = sizeof("{}") +
	    (size_t)batch->row_count * (INT_MAX_CHARS + 1);
	char	*ids = mews_request_alloc(batch->request, 2 * room);
	char	*numbers, *id_at, *number_at;
	enum mews_status status;

	if (ids == NULL) {
		out_of_memory(batch->request);
		return;
	}
	numbers = ids + room;
	id_at = put(ids, "{");
	number_at = put(numbers, "{");
	qsort(row, (size_t)batch->row_count, sizeof(*row), compare_ids);
	for (; row < end; row++) {
		if (row > batch->rows && row->id == row[-1].id) {
			row->number = row[-1].number;
			continue;	/* one row came twice */
		}
		row->number = random_world(app);
		if (row > batch->rows) {
			id_at = put(id_at, ",");
			number_at = put(number_at, ",");
		}
		id_at = put_int(id_at, row->id);
		number_at = put_int(number_at, row->number);
	}
	put(id_at, "}");
	put(number_at, "}");

	struct mews_param params[] = { mews_param_text(ids),
		mews_param_text(numbers) };
	struct mews_query_args args = { .statement = app->update,
		.params = params, .param_count = 2 };

	status = mews_query_send(app->write, &args, on_updated, batch, NULL);
	if (status != MEWS_OK)
		mews_reply_status(batch->request, status,
		    mews_group_message(app->write));
}

static void on_row(void *arg, const struct mews_result *result);

/* Send more, or go on if nothing is in flight any more. */
static void
batch_run(struct batch *batch)
{
	enum mews_status status;

	while (batch->status == MEWS_OK && batch->sent < batch->wanted &&
	    batch->sent - batch->ended < IN_FLIGHT) {
		status = send_world(batch->app, on_row, batch);
		if (status != MEWS_OK)
			batch_fail(batch, status,
			    mews_group_message(batch->app->read));
		else
			batch->sent++;
	}
	if (batch->ended < batch->sent)
		return;
	if (batch->update && batch->status == MEWS_OK)
		batch_update(batch);
	else
		batch_answer(batch);
}

static void
on_row(void *arg, const struct mews_result *result)
{
	struct batch *batch = arg;
	const char *why;
	enum mews_status status =
	    read_world(result, &batch->rows[batch->row_count], &why);

	batch->ended++;
	mews_reply_endpoint(batch->request, result);
	if (status == MEWS_OK)
		batch->row_count++;
	else
		batch_fail(batch, status, why);
	batch_run(batch);
}

/* The rules: 1 if it is missing, no integer or too small; 500 at most. */
static int
query_count(const struct mews_request *request)
{
	const char *text = mews_request_param(request, "queries");
	char	*end;
	long	 count;

	if (text == NULL)
		return 1;
	count = strtol(text, &end, 10);
	if (*end != '\0' || count < 1)
		return 1;
	return count > QUERIES_MAX ? QUERIES_MAX : (int)count;
}

static void
batch_start(struct techempower *app, struct mews_request *request, bool update)
{
	int	count = query_count(request);
	struct batch *batch = mews_request_alloc(request,
	    sizeof(*batch) + (size_t)count * sizeof(batch->rows[0]));

	if (batch == NULL) {
		out_of_memory(request);
		return;
	}
	*batch = (struct batch){ .app = app, .request = request,
		.update = update, .wanted = count };
	batch_run(batch);
}

static void
queries(struct techempower *app, struct mews_request *request)
{
	batch_start(app, request, false);
}

static void
updates(struct techempower *app, struct mews_request *request)
{
	batch_start(app, request, true);
}

/*
 * /fortunes: a page made of all rows of a table, and one more.
 */

struct fortune {
	int id;
	const char *message;
};

static const char page_begin[] = "<!DOCTYPE html><html><head>"
    "<title>Fortunes</title></head><body><table>"
    "<tr><th>id</th><th>message</th></tr>";
static const char page_end[] = "</table></body></html>";

#define FORTUNE_MAX_CHARS \
	(sizeof("<tr><td></td><td></td></tr>") - 1 + INT_MAX_CHARS)
#define ESCAPED_MAX_CHARS (sizeof("&quot;") - 1) /* of one character */

static int
compare_messages(const void *a, const void *b)
{
	return strcmp(((const struct fortune *)a)->message,
	    ((const struct fortune *)b)->message);
}

static char *
put_escaped(char *at, const char *text)
{
	for (; *text != '\0'; text++)
		switch (*text) {
		case '&':
			at = put(at, "&amp;");
			break;
		case '<':
			at = put(at, "&lt;");
			break;
		case '>':
			at = put(at, "&gt;");
			break;
		case '"':
			at = put(at, "&quot;");
			break;
		case '\'':
			at = put(at, "&#39;");
			break;
		default:
			*at++ = *text;
		}
	return at;
}

static void
fortunes_answer(void *arg, const struct mews_result *result)
{
	struct mews_request *request = arg;
	const PGresult *pg = mews_result_pg(result);
	struct fortune *rows;
	size_t	 count, room;
	char	*body, *at;

	if (mews_result_status(result) != MEWS_OK) {
		mews_reply_failure(request, result);
		return;
	}
	count = (size_t)PQntuples(pg) + 1;
	rows = mews_request_alloc(request, count * sizeof(*rows));
	if (rows == NULL) {
		out_of_memory(request);
		return;
	}
	for (size_t i = 0; i < count - 1; i++) {
		rows[i].id = int_at(pg, (int)i, 0);
		rows[i].message = PQgetvalue(pg, (int)i, 1);
	}
	rows[count - 1].id = 0;
	rows[count - 1].message = "Additional fortune added at request time.";
	qsort(rows, count, sizeof(*rows), compare_messages);

	room = sizeof(page_begin) + sizeof(page_end);
	for (size_t i = 0; i < count; i++)
		room += FORTUNE_MAX_CHARS +
		    ESCAPED_MAX_CHARS * strlen(rows[i].message);
	if ((body = mews_request_alloc(request, room)) == NULL) {
		out_of_memory(request);
		return;
	}
	at = put(body, page_begin);
	for (size_t i = 0; i < count; i++) {
		at = put(at, "<tr><td>");
		at = put_int(at, rows[i].id);
		at = put(at, "</td><td>");
		at = put_escaped(at, rows[i].message);
		at = put(at, "</td></tr>");
	}
	at = put(at, page_end);
	mews_reply_endpoint(request, result);
	mews_reply(request, 200, HTML, body, (size_t)(at - body),
	    MEWS_BODY_REQUEST);
}

static void
fortunes(struct techempower *app, struct mews_request *request)
{
	struct mews_query_args args = { .statement = app->fortunes };
	enum mews_status status =
	    mews_query_send(app->read, &args, fortunes_answer, request, NULL);

	if (status != MEWS_OK)
		mews_reply_status(request, status,
		    mews_group_message(app->read));
}

/*
 * The application.
 */

static const struct route {
	const char *path;
	void (*answer)(struct techempower *app, struct mews_request *request);
} routes[] = {
	{ "/plaintext", plaintext },
	{ "/json", json },
	{ "/db", db },
	{ "/queries", queries },
	{ "/updates", updates },
	{ "/fortunes", fortunes },
};

static void
techempower_request(void *state, struct mews_request *request)
{
	static const char not_found[] = "no such page\n";
	static const char not_allowed[] = "only GET and HEAD\n";
	const char *path = mews_request_path(request);
	const char *method = mews_request_method(request);
	const struct route *route = NULL;

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(path, routes[i].path) == 0)
			route = &routes[i];
	if (route == NULL)
		mews_reply(request, 404, TEXT, not_found,
		    sizeof(not_found) - 1, MEWS_BODY_STATIC);
	else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		mews_reply_header(request, "Allow", "GET, HEAD");
		mews_reply(request, 405, TEXT, not_allowed,
		    sizeof(not_allowed) - 1, MEWS_BODY_STATIC);
	} else
		route->answer(state, request);
}

static enum mews_status
techempower_start(struct mews_worker *worker, void **state,
    struct mews_error *error)
{
	struct mews_pool *pool = mews_worker_pool(worker);
	struct techempower *app = calloc(1, sizeof(*app));
	enum mews_status status;

	if (app == NULL)
		return MEWS_NOMEM;
	arc4random_buf(&app->random, sizeof(app->random));
	app->random |= 1;	/* never zero */
	app->read = mews_pool_group(pool, "read");
	app->write = mews_pool_group(pool, "write");
	if (app->read == NULL || app->write == NULL) {
		snprintf(error->message, sizeof(error->message),
		    "techempower needs the groups \"read\" and \"write\"");
		free(app);
		return MEWS_INVALID;
	}
	if ((status = mews_statement_register(&app->world, pool, NULL,
		 "SELECT id, randomnumber FROM world WHERE id = $1", 0,
		 NULL)) ||
	    (status = mews_statement_register(&app->fortunes, pool, NULL,
		 "SELECT id, message FROM fortune", 0, NULL)) ||
	    (status = mews_statement_register(&app->update, pool, NULL,
		 "UPDATE world w SET randomnumber = v.r FROM "
		 "(SELECT * FROM unnest($1::int[], $2::int[]) AS v(id, r)"
		 " ORDER BY id) v WHERE w.id = v.id",
		 0, NULL))) {
		snprintf(error->message, sizeof(error->message),
		    "cannot register a statement");
		free(app);
		return status;
	}
	*state = app;
	return MEWS_OK;
}

static void
techempower_stop(void *state)
{
	free(state);
}

const struct mews_app mews_app = {
	.abi = MEWS_APP_ABI,
	.name = "techempower",
	.start = techempower_start,
	.request = techempower_request,
	.stop = techempower_stop,
};
