/*
 * table.h - columns as wide as what stands in them.
 */
#ifndef MASTER_TABLE_H
#define MASTER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12
#define TABLE_CELL_MAX	  40 /* bytes, with the NUL */

/* NULL as the title ends an array of them. */
struct table_column {
	const char *title;
	bool	    right; /* numbers; text stands left */
};

struct table {
	const struct table_column *columns;
	size_t			   column_count;
	size_t			   row_count;
	char (*rows)[TABLE_COLUMNS_MAX][TABLE_CELL_MAX];
};

/** An empty table; end it with table_free(). @columns must outlive it. */
void table_init(struct table *table, const struct table_column *columns);
/** A row more, of empty cells. False: out of memory. */
bool table_add_row(struct table *table);
/** Fill a cell of the last row; what may not be printed becomes "?". */
void table_set(struct table *table, size_t column, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Titles and rows, without blanks at the ends of lines. */
void table_print(const struct table *table, FILE *out);
void table_free(struct table *table);

#endif
