/*
 * statement.c - registering SQL; wire/prepared.c prepares it where needed.
 *
 * Learns, too, which SQL that was not registered runs long.
 */
#include "query/statement.h"

#include "base/config.h"
#include "base/status.h"
#include "fleet/fleet.h"
#include "query/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A mistake in what is to be registered; NULL: none. */
static const char *
find_mistake(const struct statements *statements, const char *name,
    const char *sql, unsigned flags, const Oid *types, int type_count)
{
	const struct mews_statement *other;

	if (sql == NULL || sql[0] == '\0')
		return "a statement needs SQL";
	if (strlen(sql) + 4 * MEWS_PARAMS_MAX > QUERY_MESSAGE_MAX)
		return "a server takes no SQL of a gigabyte";
	if ((flags & ~(unsigned)MEWS_QUERY_BINARY) != 0)
		return "the only flag of a statement is MEWS_QUERY_BINARY";
	if (type_count < 0 || type_count > MEWS_PARAMS_MAX ||
	    (type_count > 0 && types == NULL))
		return "a statement has 0 to 65535 parameters, with a type "
		       "for each or without any";
	if (name == NULL)
		return NULL;
	if (!config_is_name(name))
		return "a statement's name has 1 to 31 letters, digits, '_', "
		       "'-' and '.'";
	SLIST_FOREACH (other, &statements->list, link)
		if (strcmp(other->name, name) == 0)
			return "another statement of the pool has that name";
	return NULL;
}

/* A registered statement with the same SQL and types, or NULL. */
static const struct mews_statement *
find_same(const struct statements *statements, uint64_t hash,
    const char *sql, const Oid *types, int type_count)
{
	const struct mews_statement *other;

	SLIST_FOREACH (other, &statements->list, link)
		if (other->hash == hash && other->type_count == type_count &&
		    strcmp(other->sql, sql) == 0 && (type_count == 0 ||
		    memcmp(other->types, types, (size_t)type_count *
			sizeof(Oid)) == 0))
			return other;
	return NULL;
}

static uint32_t
take_statement_number(struct statements *statements)
{
	return statements->spare_count > 0 ?
	    statements->spare[--statements->spare_count] :
	    statements->numbers++;
}

void
statements_open(struct statements *statements, struct mews_pool *pool,
    struct mews_fleet *fleet)
{
	*statements = (struct statements) { .pool = pool, .fleet = fleet };
	SLIST_INIT(&statements->list);
	SLIST_INIT(&statements->dropped);
}

enum mews_status
statement_new(struct mews_statement **out, struct statements *statements,
    const char *name, const char *sql, unsigned flags, const Oid *types,
    int type_count, struct mews_error *error)
{
	struct mews_statement	*statement;
	const struct mews_statement *same;
	const char		*why;
	size_t			 size, room;
	Oid			*copy;

	why = find_mistake(statements, name, sql, flags, types, type_count);
	if (why != NULL)
		return status_set(error, MEWS_INVALID, "%s: %.100s", why,
		    name != NULL ? name : sql != NULL ? sql : "NULL");
	size = strlen(sql) + 1;
	/* The types are aligned for an Oid. */
	room = (sizeof(*statement) + size + sizeof(Oid) - 1) / sizeof(Oid) *
	    sizeof(Oid);
	statement = malloc(room + (size_t)type_count * sizeof(Oid));
	if (statement == NULL)
		return status_set(error, MEWS_NOMEM, "out of memory");
	statement->statements = statements;
	statement->hash = text_hash(sql);
	same = find_same(statements, statement->hash, sql, types, type_count);
	statement->number = same != NULL ? same->number :
	    take_statement_number(statements);
	snprintf(statement->on_server, sizeof(statement->on_server),
	    "mews_%u", statement->number);
	snprintf(statement->name, sizeof(statement->name), "mews_%u",
	    statements->count++);
	if (name != NULL)
		strcpy(statement->name, name);
	statement->dropped = statement->busy = false;
	statement->effect = sql_effect(sql);
	statement->copies = sql_copies(sql);
	statement->answers = 0;
	statement->mean_us = 0;
	statement->usual_us = &statements->usual_us;
	statement->figures = figures_find_statement(
	    fleet_figures(statements->fleet),
	    name != NULL ? name : FIGURES_UNNAMED);
	statement->format = (flags & MEWS_QUERY_BINARY) != 0;
	statement->type_count = type_count;
	statement->types = NULL;
	memcpy(statement->sql, sql, size);
	if (type_count > 0) {
		copy = (Oid *)(void *)((char *)statement + room);
		memcpy(copy, types, (size_t)type_count * sizeof(Oid));
		statement->types = copy;
	}
	SLIST_INSERT_HEAD(&statements->list, statement, link);
	*out = statement;
	return status_set(error, MEWS_OK, "%s", "");
}

void
statement_drop(struct statements *statements,
    struct mews_statement *statement)
{
	SLIST_REMOVE(&statements->list, statement, mews_statement, link);
	SLIST_INSERT_HEAD(&statements->dropped, statement, link);
	statement->dropped = true;
}

bool
statement_is_shared(const struct statements *statements,
    const struct mews_statement *statement)
{
	const struct mews_statement *other;

	SLIST_FOREACH (other, &statements->list, link)
		if (other->number == statement->number)
			return true;
	return false;
}

/* Let @number be used again; without memory it never is. */
static void
give_number(struct statements *statements, uint32_t number)
{
	uint32_t	 room = statements->spare_room * 2 + 16, *more;

	if (statements->spare_count == statements->spare_room) {
		more = reallocarray(statements->spare, room, sizeof(*more));
		if (more == NULL)
			return;
		statements->spare = more;
		statements->spare_room = room;
	}
	statements->spare[statements->spare_count++] = number;
}

void
statement_free(struct statements *statements,
    struct mews_statement *statement, bool forgotten)
{
	const struct mews_statement *other;

	SLIST_REMOVE(&statements->dropped, statement, mews_statement, link);
	SLIST_FOREACH (other, &statements->dropped, link)
		forgotten = forgotten && other->number != statement->number;
	if (forgotten)
		give_number(statements, statement->number);
	free(statement);
}

void
statements_free(struct statements *statements)
{
	struct mews_statement	*statement;

	free(statements->spare);
	while ((statement = SLIST_FIRST(&statements->dropped)) != NULL) {
		SLIST_REMOVE_HEAD(&statements->dropped, link);
		free(statement);
	}
	while ((statement = SLIST_FIRST(&statements->list)) != NULL) {
		SLIST_REMOVE_HEAD(&statements->list, link);
		free(statement);
	}
}

/* FNV-1a, 64 bits, by G. Fowler, L. C. Noll and K.-P. Vo */
uint64_t
text_hash(const char *sql)
{
	uint64_t	hash = 0xcbf29ce484222325;

	for (const char *p = sql; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 0x100000001b3;
	return hash;
}

bool
text_is_slow(const struct statements *statements, uint64_t hash)
{
	const struct slow_text *text =
	    &statements->texts[hash % STATEMENT_TEXTS];

	return text->hash == hash && mean_is_slow(text->mean_us,
	    statements->usual_us);
}

void
text_learn(struct statements *statements, uint64_t hash, float us)
{
	struct slow_text *text = &statements->texts[hash % STATEMENT_TEXTS];
	float		  quick = 0;

	/* Only slow SQL needs a place in the table. */
	if (text->hash != hash && us > STATEMENT_SLOW_US)
		*text = (struct slow_text) { .hash = hash };
	mean_learn(text->hash == hash ? &text->mean_us : &quick,
	    &statements->usual_us, us);
}
