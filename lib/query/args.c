/*
 * args.c - checking and copying the arguments of a query.
 */
#include "query/args.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

const char args_no_memory[] = "out of memory";

/* A mistake in @args of a query that is only described; NULL: none. */
static const char *
description_mistake(const struct statements *statements,
    const struct mews_query_args *args)
{
	if (args->param_count > 0 ||
	    (args->flags & MEWS_QUERY_POSITION) != 0)
		return "a query that is described is not run: it has neither "
		       "parameters nor a position";
	if (args->statement != NULL &&
	    args->statement->statements != statements)
		return "the statement was registered with another pool";
	return NULL;
}

const char *
args_mistake(const struct statements *statements,
    const struct mews_query_args *args)
{
	const struct mews_statement *statement;

	if (args == NULL)
		return "a query needs arguments";
	if ((statement = args->statement) == NULL ? args->sql == NULL :
	    args->sql != NULL)
		return "a query needs a statement or SQL, and not both";
	if ((unsigned)args->param_count > MEWS_PARAMS_MAX ||
	    (args->param_count > 0 && args->params == NULL))
		return "a query has 0 to 65535 parameters";
	if ((args->flags & ~(unsigned)(MEWS_QUERY_BINARY | MEWS_QUERY_ALONE |
	    MEWS_QUERY_POSITION | MEWS_QUERY_DESCRIBE)) != 0)
		return "the flags of a query are MEWS_QUERY_BINARY, "
		       "MEWS_QUERY_ALONE, MEWS_QUERY_POSITION and "
		       "MEWS_QUERY_DESCRIBE";
	if ((args->reserved[0] | args->reserved[1] | args->reserved[2]) != 0)
		return "the reserved members of a query are zero: this "
		       "library knows none of them";
	if ((args->flags & MEWS_QUERY_DESCRIBE) != 0)
		return description_mistake(statements, args);
	if (statement == NULL)
		return NULL;
	if ((args->flags & MEWS_QUERY_BINARY) != 0 && statement->format == 0)
		return "a statement's columns are binary if it was registered "
		       "so: MEWS_QUERY_BINARY goes there";
	if (statement->statements != statements)
		return "the statement was registered with another pool";
	if (statement->type_count != 0 &&
	    statement->type_count != args->param_count)
		return "the statement was registered with types for another "
		       "number of parameters";
	return NULL;
}

/* Does parameter @i have the type that its statement declares? */
static bool
type_fits(const struct mews_query_args *args, int i)
{
	const struct mews_statement *statement = args->statement;

	return args->params[i].type == 0 || statement == NULL ||
	    (statement->types != NULL &&
		statement->types[i] == args->params[i].type);
}

/* Where the parameters of a query go. */
struct room {
	const char **values;
	int *lengths;
	int *formats;
	Oid *types;
	char *bytes;
	char *end; /* of these */
};

enum copied { COPIED, NOT_SHORT, TOO_LARGE, TOO_MUCH, BAD_LENGTH, BAD_TYPE };

/*
 * Copy SQL and parameters. @is_short: expect a statement whose parameters are
 * all inside of their structs; NOT_SHORT: they are not.
 */
static inline enum copied
copy_to(struct query *query, const struct mews_query_args *args,
    const struct room *room, bool is_short)
{
	char	*p = room->bytes;
	uint8_t	 binary = 0;
	Oid	 typed = 0;

	query->statement = args->statement;
	if (is_short && args->statement == NULL)
		return NOT_SHORT;
	if (args->statement == NULL) {
		size_t	size = strlen(args->sql) + 1;

		if (size > (size_t)(room->end - p))
			return TOO_LARGE;
		query->sql = memcpy(p, args->sql, size);
		query->format = (args->flags & MEWS_QUERY_BINARY) != 0;
		p += size;
	}
	query->param_count = args->param_count;
	for (int i = 0; i < args->param_count; i++) {
		const struct mews_param *from = &args->params[i];
		int32_t			 length = from->length;

		room->lengths[i] = length;
		room->formats[i] = from->format;
		room->values[i] = NULL;
		binary |= from->format;
		typed |= from->type;
		if (length <= 0 && (length < 0 || from->value == NULL)) {
			if (length < -1)
				return BAD_LENGTH;
			continue;
		}
		if (from->value == NULL && length > PARAM_INSIDE)
			return BAD_LENGTH;
		/* Text ends with a NUL, for libpq. */
		if (length >= room->end - p)
			return TOO_LARGE;
		if (is_short && from->value != NULL)
			return NOT_SHORT;
		if (from->value != NULL)
			memcpy(p, from->value, (size_t)length);
		else	/* always the same size, so that it is quick */
			memcpy(p, from->inside, PARAM_INSIDE);
		room->values[i] = p;
		p += length;
		*p++ = '\0';
	}
	query->values = room->values;
	query->lengths = room->lengths;
	/* libpq's default, shorter on the wire, is all text. */
	if (binary != 0)
		query->formats = room->formats;
	if (typed != 0) {
		query->types = room->types;
		for (int i = 0; i < args->param_count; i++) {
			room->types[i] = args->params[i].type;
			if (!type_fits(args, i))
				return BAD_TYPE;
		}
	}
	return COPIED;
}

/* Copy parameters that do not fit inside. TOO_LARGE: no memory for them. */
static enum copied
copy_outside(struct query *query, const struct mews_query_args *args)
{
	size_t		count = (size_t)args->param_count, bytes = 0, sql = 0;
	struct room	room;

	if (args->sql != NULL)
		sql = strlen(args->sql) + 1;
	for (size_t i = 0; i < count; i++)
		if (args->params[i].length >= 0)
			bytes += (size_t)args->params[i].length + 1;
	/* Parse has a type for each parameter, Bind a format and a length. */
	if (sql + 4 * count > QUERY_MESSAGE_MAX ||
	    bytes + 6 * count > QUERY_MESSAGE_MAX)
		return TOO_MUCH;
	bytes += sql;
	query->outside = count * (sizeof(char *) + 2 * sizeof(int) +
	    sizeof(Oid)) + bytes + (size_t)QUERY_SLACK;
	/* Queries behind that many bytes would wait for them: go the slow
	 * lane. */
	query->slow = query->odd = query->outside > MEMORY_LARGE;
	if ((query->memory = malloc(query->outside)) == NULL) {
		query->outside = 0;
		return TOO_LARGE;
	}
	room.values = query->memory;
	room.lengths = (int *)(room.values + count);
	room.formats = room.lengths + count;
	room.types = (Oid *)(room.formats + count);
	room.bytes = (char *)(room.types + count);
	room.end = room.bytes + bytes;
	return copy_to(query, args, &room, false);
}

/* Copy into the query itself. */
static inline enum copied
copy_inside(struct query *query, const struct mews_query_args *args,
    bool is_short)
{
	const struct room room = {
		query->inline_values, query->inline_lengths,
		query->inline_formats, query->inline_types,
		query->inline_bytes, query->inline_bytes + QUERY_INLINE_BYTES,
	};

	return args->param_count > QUERY_INLINE_PARAMS ? TOO_LARGE :
	    copy_to(query, args, &room, is_short);
}

static enum copied __attribute__((noinline))
copy_any(struct query *query, const struct mews_query_args *args)
{
	enum copied	copied = copy_inside(query, args, false);

	return copied == TOO_LARGE ? copy_outside(query, args) : copied;
}

const char *
args_copy(struct query *query, const struct mews_query_args *args)
{
	enum copied	copied = copy_inside(query, args, true);

	if (copied == NOT_SHORT || copied == TOO_LARGE)
		copied = copy_any(query, args);
	switch (copied) {
	case COPIED:
		return NULL;
	case BAD_LENGTH:
		return "a parameter's length is -1 (NULL) or more, and 27 at "
		       "most where it has no value and its bytes are inside";
	case TOO_MUCH:
		return "SQL, or parameters, of more than a gigabyte: a server "
		       "takes no message of that size";
	case BAD_TYPE:
		return "a parameter has another type than the statement "
		       "declares: see mews_statement_register_typed()";
	default:
		return args_no_memory;
	}
}
