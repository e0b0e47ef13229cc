/*
 * table.c - columns as wide as what stands in them.
 */
#include "table.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#define TABLE_GAP 2 /* blanks between columns */

void
table_init(struct table *table, const struct table_column *columns)
{
	memset(table, 0, sizeof(*table));
	table->columns = columns;
	while (columns[table->column_count].title != NULL)
		table->column_count++;
	assert(table->column_count <= TABLE_COLUMNS_MAX);
}

bool
table_add_row(struct table *table)
{
	void *rows;

	rows = reallocarray(table->rows, table->row_count + 1,
	    sizeof(*table->rows));
	if (rows == NULL)
		return false;
	table->rows = rows;
	memset(table->rows[table->row_count], 0, sizeof(*table->rows));
	table->row_count++;
	return true;
}

void
table_set(struct table *table, size_t column, const char *format, ...)
{
	char   *cell = table->rows[table->row_count - 1][column];
	va_list ap;

	assert(column < table->column_count);
	va_start(ap, format);
	vsnprintf(cell, TABLE_CELL_MAX, format, ap);
	va_end(ap);
	for (; *cell != '\0'; cell++)
		if (!isprint((unsigned char)*cell))
			*cell = '?';
}

static const char *
table_cell(const struct table *table, size_t row, size_t column)
{
	return row == 0 ? table->columns[column].title :
			  table->rows[row - 1][column];
}

/* Blanks are kept until something follows them. */
static void
table_print_row(const struct table *table, size_t row, const int *width,
    FILE *out)
{
	int blanks = 0, fill;

	for (size_t c = 0; c < table->column_count; c++) {
		const char *cell = table_cell(table, row, c);

		fill = width[c] - (int)strlen(cell);
		if (table->columns[c].right)
			blanks += fill;
		if (*cell != '\0') {
			fprintf(out, "%*s%s", blanks, "", cell);
			blanks = 0;
		}
		if (!table->columns[c].right)
			blanks += fill;
		blanks += TABLE_GAP;
	}
	fputc('\n', out);
}

void
table_print(const struct table *table, FILE *out)
{
	int width[TABLE_COLUMNS_MAX] = { 0 };

	for (size_t r = 0; r <= table->row_count; r++)
		for (size_t c = 0; c < table->column_count; c++)
			width[c] = MAX(width[c],
			    (int)strlen(table_cell(table, r, c)));
	for (size_t r = 0; r <= table->row_count; r++)
		table_print_row(table, r, width, out);
}

void
table_free(struct table *table)
{
	free(table->rows);
	table->rows = NULL;
	table->row_count = 0;
}
