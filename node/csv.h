/* A table of comma-separated values (RFC 4180), a row at a time; the first row names the columns. */
#ifndef FM_NODE_CSV_H
#define FM_NODE_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define FM_CSV_COLUMNS_MAX 512
#define FM_CSV_ROW_BYTES_MAX (1024 * 1024)

struct fm_csv {
    FILE *in;                            /* borrowed */
    char *names_text, *row_text;
    size_t row_cap;
    const char *names[FM_CSV_COLUMNS_MAX], *cells[FM_CSV_COLUMNS_MAX];
    size_t column_count;
    size_t line;                         /* of the row last read */
};
/* Reads the column names. 0, FM_EFORMAT (no header, a column without a name or twice), FM_ELIMIT, FM_ENOMEM. */
int fm_csv_open(struct fm_csv *csv, FILE *in);
/* The next row into cells (borrowed until the next call). 0, FM_ENOTFOUND (no more), FM_EFORMAT (a row of another length or
 * a quote left open: line says where), FM_ELIMIT, FM_ENOMEM. */
int fm_csv_next(struct fm_csv *csv);
/* The cell of a column; NULL: no such column. */
const char *fm_csv_cell(const struct fm_csv *csv, const char *column);
void fm_csv_close(struct fm_csv *csv);

#endif
