/*
 * result.c - what a callback, or a blocking call, is told.
 */
#include "query/result.h"

#include "base/memory.h"
#include "base/status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct mews_result *
checked_result(const struct mews_result *result)
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
	return checked_result(result)->status;
}

PGresult *
mews_result_pg(const struct mews_result *result)
{
	return checked_result(result)->pg;
}

const char *
mews_result_endpoint(const struct mews_result *result)
{
	const char *endpoint = checked_result(result)->endpoint;

	return endpoint == NULL ? "" : endpoint;
}

const char *
mews_result_message(const struct mews_result *result)
{
	struct mews_result *filled = (struct mews_result *)(uintptr_t)result;

	checked_result(result);
	if (result->message != NULL)
		return result->message;
	if (result->status == MEWS_OK || result->pg == NULL)
		return "";
	if (result->text != NULL)
		return result->text;
	filled->text = strdup(PQresultErrorMessage(result->pg));
	if (filled->text == NULL)
		return "out of memory for the reason";
	status_fold(filled->text);
	return filled->text;
}

const char *
mews_result_sqlstate(const struct mews_result *result)
{
	const char *state = NULL;

	if (checked_result(result)->pg != NULL)
		state = PQresultErrorField(result->pg, PG_DIAG_SQLSTATE);
	return state == NULL ? "" : state;
}

uint64_t
mews_result_position(const struct mews_result *result)
{
	return checked_result(result)->position;
}

void
result_keep(struct mews_result *kept, struct mews_result *result)
{
	*kept = *result;
	kept->magic = RESULT_MAGIC_KEPT;
	kept->text = NULL;
	if (result->message != NULL) {
		kept->text = strdup(result->message);
		kept->message = kept->text != NULL ? kept->text :
		    "out of memory for the reason";
	}
	result->pg = NULL;
}

void
mews_result_free(struct mews_result **result)
{
	void   *lid = NULL;
	bool	large;

	STATUS_NEED_OUT(result);
	if (*result == NULL)
		return;
	assert(checked_result(*result)->magic == RESULT_MAGIC_KEPT &&
	    "mews: a callback does not free its result, which ends with it");
	large = PQresultMemorySize((*result)->pg) > MEMORY_LARGE;
	if (large)
		lid = memory_lid();
	PQclear((*result)->pg);
	if (large)
		memory_trim(lid);
	free((*result)->text);
	(*result)->magic = 0;
	free(*result);
	*result = NULL;
}
