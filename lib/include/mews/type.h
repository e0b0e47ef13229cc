/*
 * mews/type.h - values of PostgreSQL's types as values of C, both ways.
 *
 * The helpers of mews/query.h send text, which fits any type that the server
 * expects there. Those below send binary, which fits one type only (four bytes
 * are an int4 and nothing else), and carry that type. SQL that is parsed anew
 * each time takes the types of its parameters. For a registered statement the
 * types are declared once, with mews_statement_register_typed(); a parameter of
 * another type is refused with MEWS_INVALID before anything is sent.
 *
 * Values of columns are read by type and format, text or binary, and never cut
 * or wrapped: a value fits, or the returned enum mews_value says why not.
 */
#ifndef MEWS_TYPE_H
#define MEWS_TYPE_H

#include <mews/query.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* OIDs of types, from src/include/catalog/pg_type.dat; they never change. */
enum mews_type {
	MEWS_TYPE_BOOL = 16,
	MEWS_TYPE_BYTEA = 17,
	MEWS_TYPE_NAME = 19,
	MEWS_TYPE_INT8 = 20,
	MEWS_TYPE_INT2 = 21,
	MEWS_TYPE_INT4 = 23,
	MEWS_TYPE_TEXT = 25,
	MEWS_TYPE_OID = 26,
	MEWS_TYPE_JSON = 114,
	MEWS_TYPE_FLOAT4 = 700,
	MEWS_TYPE_FLOAT8 = 701,
	MEWS_TYPE_INT4_ARRAY = 1007,
	MEWS_TYPE_INT8_ARRAY = 1016,
	MEWS_TYPE_BPCHAR = 1042,
	MEWS_TYPE_VARCHAR = 1043,
	MEWS_TYPE_DATE = 1082,
	MEWS_TYPE_TIMESTAMP = 1114,
	MEWS_TYPE_TIMESTAMPTZ = 1184,
	MEWS_TYPE_NUMERIC = 1700,
	MEWS_TYPE_UUID = 2950,
	MEWS_TYPE_JSONB = 3802
};

/** int2, int4, int8, float4, float8 in binary. */
struct mews_param mews_param_int2(int16_t value);
struct mews_param mews_param_int4(int32_t value);
struct mews_param mews_param_int8(int64_t value);
struct mews_param mews_param_float4(float value);
struct mews_param mews_param_float8(double value);

/** timestamptz in binary. @us: microseconds since 1970-01-01 00:00 UTC. */
struct mews_param mews_param_time(int64_t us);

/* Bytes that an array of @count values of @size bytes each takes. */
#define MEWS_ARRAY_BYTES(count, size) \
	(20 + (size_t)(count) * (4 + (size_t)(size)))

/**
 * int4[] and int8[] in binary, without NULLs: for "= any($1)".
 *
 * @buffer  the caller's, MEWS_ARRAY_BYTES(count, 4 or 8) bytes; filled here,
 *          read when the query is sent.
 * @count   0 or more; an array of less than 2^31 bytes.
 */
struct mews_param mews_param_int4_array(void *buffer, const int32_t *values,
    int32_t count);
struct mews_param mews_param_int8_array(void *buffer, const int64_t *values,
    int32_t count);

/**
 * A value of @type, an OID, as text: NUL-terminated, NULL for SQL NULL; or in
 * its binary form, @length bytes (bytea: the bytes; uuid: its 16). Both are
 * read when the query is sent.
 */
struct mews_param mews_param_as(Oid type, const char *value);
struct mews_param mews_param_binary(Oid type, const void *value,
    int32_t length);

/**
 * Register a statement and the types of its parameters, for the helpers
 * above. Else as mews_statement_register().
 *
 * @types  OIDs, copied: one for each parameter; 0: the server infers it.
 *
 * Queries must bring @type_count parameters. Those without a type of their
 * own (mews_param_text() and the like) go with any.
 */
enum mews_status mews_statement_register_typed(struct mews_statement **out,
    struct mews_pool *pool, const char *name, const char *sql, unsigned flags,
    const Oid *types, int type_count, struct mews_error *error);

/* The outcome of reading a column. Append only, never renumber. */
enum mews_value {
	MEWS_VALUE_OK = 0,
	MEWS_VALUE_NULL = 1,   /* SQL NULL */
	MEWS_VALUE_TYPE = 2,   /* this function does not read its type or
				  format */
	MEWS_VALUE_RANGE = 3,  /* does not fit the C type, or is broken */
	MEWS_VALUE_ABSENT = 4  /* no such row or column */
};

/** The name in lower case ("null"); "?" for a number not known here. */
const char *mews_value_name(enum mews_value value);

/*
 * Each of these reads one column of one row, both counted from 0, sets *out
 * to 0, NULL or false, and to the value only if it returns MEWS_VALUE_OK.
 */

/** int2, int4, int8, oid in either format; numeric in text, if integral. */
enum mews_value mews_result_int64(const struct mews_result *result, int row,
    int column, int64_t *out);
/** As mews_result_int64(), if the value fits. */
enum mews_value mews_result_int32(const struct mews_result *result, int row,
    int column, int32_t *out);

/**
 * float4, float8 and all that mews_result_int64() reads; numeric in text is
 * rounded to the nearest double.
 */
enum mews_value mews_result_double(const struct mews_result *result, int row,
    int column, double *out);

/** bool in either format. */
enum mews_value mews_result_bool(const struct mews_result *result, int row,
    int column, bool *out);

/**
 * A column of any type in text format; in binary format only types that look
 * the same there: text, varchar, char, name, json.
 *
 * @out     NUL-terminated, lives as long as the result.
 * @length  bytes without the NUL; may be NULL.
 */
enum mews_value mews_result_text(const struct mews_result *result, int row,
    int column, const char **out, size_t *length);

/**
 * A column in binary format, of any type, as it came (bytea: the bytes).
 * MEWS_VALUE_TYPE where it is text: ask with MEWS_QUERY_BINARY.
 */
enum mews_value mews_result_bytes(const struct mews_result *result, int row,
    int column, const void **out, size_t *length);

/**
 * timestamptz, timestamp (taken as UTC) and date in binary format.
 *
 * @us  microseconds since 1970-01-01 00:00 UTC. Infinity: MEWS_VALUE_RANGE.
 */
enum mews_value mews_result_time(const struct mews_result *result, int row,
    int column, int64_t *us);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
