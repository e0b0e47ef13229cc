/*
 * pooler.c - see pooler.h.
 */
#include "wire/pooler.h"

#include <string.h>

bool
pooler_is_told(const PGresult *answer)
{
	const char *message = PQresultErrorField(answer,
	    PG_DIAG_MESSAGE_PRIMARY);

	return message != NULL && strstr(message, POOLER_MARK) != NULL;
}
