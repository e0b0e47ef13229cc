/*
 * result.c - what a callback, or a blocking call, is told.
 */
#include "result.h"

#include <assert.h>
#include <stdlib.h>

static const struct mews_result *
checked(const struct mews_result *result)
{
	assert(result != NULL && (result->magic == RESULT_MAGIC ||
	    result->magic == RESULT_MAGIC_KEPT) &&
	    "mews: a result is good until its callback returns, or until "
	    "mews_result_free()");
	return result;
}

enum mews_status
mews_result_status(const struct mews_result *result)
{
	return checked(result)->status;
}

const PGresult *
mews_result_pg(const struct mews_result *result)
{
	return checked(result)->pg;
}

const char *
mews_result_endpoint(const struct mews_result *result)
{
	const char *endpoint = checked(result)->endpoint;

	return endpoint == NULL ? "" : endpoint;
}

const char *
mews_result_message(const struct mews_result *result)
{
	checked(result);
	if (result->message != NULL)
		return result->message;
	if (result->status == MEWS_OK || result->pg == NULL)
		return "";
	return PQresultErrorMessage(result->pg);
}

const char *
mews_result_sqlstate(const struct mews_result *result)
{
	const char *state = NULL;

	if (checked(result)->pg != NULL)
		state = PQresultErrorField(result->pg, PG_DIAG_SQLSTATE);
	return state == NULL ? "" : state;
}

uint64_t
mews_result_position(const struct mews_result *result)
{
	return checked(result)->position;
}

struct mews_result *
result_keep(struct mews_result *result)
{
	struct mews_result *kept;

	if ((kept = malloc(sizeof(*kept))) == NULL)
		return NULL;
	*kept = *result;
	kept->magic = RESULT_MAGIC_KEPT;
	kept->text = NULL;
	if (result->message != NULL) {
		if ((kept->text = strdup(result->message)) == NULL) {
			free(kept);
			return NULL;
		}
		kept->message = kept->text;
	}
	result->pg = NULL;
	return kept;
}

void
mews_result_free(struct mews_result **result)
{
	if (*result == NULL)
		return;
	assert(checked(*result)->magic == RESULT_MAGIC_KEPT &&
	    "mews: a callback does not free its result, which ends with it");
	PQclear((*result)->pg);
	free((*result)->text);
	(*result)->magic = 0;
	free(*result);
	*result = NULL;
}
