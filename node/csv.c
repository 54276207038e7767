#include "node/csv.h"

#include <stdlib.h>
#include <string.h>

#include "replication/error.h"

static int row_add(struct fm_csv *csv, size_t *len, char c)
{
    if (*len + 1 >= csv->row_cap) {
        size_t cap = csv->row_cap == 0 ? 4096 : 2 * csv->row_cap;
        char *more = cap > FM_CSV_ROW_BYTES_MAX ? NULL : realloc(csv->row_text, cap);
        if (more == NULL)
            return cap > FM_CSV_ROW_BYTES_MAX ? FM_ELIMIT : FM_ENOMEM;
        csv->row_text = more;
        csv->row_cap = cap;
    }
    csv->row_text[(*len)++] = c;
    return FM_OK;
}

/* Reads one row into row_text, its cells one after the other, each ended by a NUL. */
static int read_row(struct fm_csv *csv, size_t *count)
{
    size_t len = 0, quoted_len = 0; /* up to the last quote that closed */
    bool quoted = false, was_quoted = false, any = false;
    int rc = FM_OK, c;
    *count = 0;
    csv->line++;
    while (rc == FM_OK && (c = fgetc(csv->in)) != EOF) {
        any = true;
        if (quoted && c == '"') {
            int next = fgetc(csv->in);
            if (next == '"') {
                rc = row_add(csv, &len, '"');
                continue;
            }
            quoted = false;
            was_quoted = true;
            quoted_len = len;
            if (next != EOF)
                ungetc(next, csv->in);
        } else if (quoted) {
            csv->line += c == '\n';
            rc = c == '\0' ? FM_EFORMAT : row_add(csv, &len, (char)c);
        } else if (c == '"' && !was_quoted && (len == 0 || csv->row_text[len - 1] == '\0')) {
            quoted = true;
        } else if (c == ',' || c == '\n') {
            if (c == '\n' && len > quoted_len && csv->row_text[len - 1] == '\r')
                len--; /* the line's end; in quotes it is the cell's */
            rc = row_add(csv, &len, '\0');
            was_quoted = false;
            if (++*count > FM_CSV_COLUMNS_MAX)
                return FM_ELIMIT;
            if (c == '\n')
                return rc;
        } else {
            rc = c == '\0' ? FM_EFORMAT : row_add(csv, &len, (char)c);
        }
    }
    if (rc != FM_OK || !any)
        return rc != FM_OK ? rc : FM_ENOTFOUND;
    if (quoted)
        return FM_EFORMAT;
    if (++*count > FM_CSV_COLUMNS_MAX) /* the last line may have no end */
        return FM_ELIMIT;
    return row_add(csv, &len, '\0');
}

static void split(const char *text, const char **cells, size_t count)
{
    for (size_t i = 0; i < count && i < FM_CSV_COLUMNS_MAX; i++) {
        cells[i] = text;
        text += strlen(text) + 1;
    }
}

int fm_csv_open(struct fm_csv *csv, FILE *in)
{
    *csv = (struct fm_csv){.in = in};
    int first = fgetc(in);
    if (first == 0xef) { /* a byte order mark, as spreadsheets write it */
        if (fgetc(in) != 0xbb || fgetc(in) != 0xbf)
            return FM_EFORMAT;
    } else if (first != EOF) {
        ungetc(first, in);
    }
    int rc = read_row(csv, &csv->column_count);
    if (rc != FM_OK)
        return rc == FM_ENOTFOUND ? FM_EFORMAT : rc;
    csv->names_text = csv->row_text;
    csv->row_text = NULL;
    csv->row_cap = 0;
    split(csv->names_text, csv->names, csv->column_count);
    for (size_t i = 0; i < csv->column_count; i++)
        for (size_t k = 0; k < i || csv->names[i][0] == '\0'; k++)
            if (csv->names[i][0] == '\0' || strcmp(csv->names[i], csv->names[k]) == 0)
                return FM_EFORMAT;
    return FM_OK;
}

int fm_csv_next(struct fm_csv *csv)
{
    size_t count;
    int rc;
    do {
        rc = read_row(csv, &count);
    } while (rc == FM_OK && count == 1 && csv->row_text[0] == '\0'); /* an empty line */
    if (rc == FM_OK && count != csv->column_count)
        rc = FM_EFORMAT;
    if (rc == FM_OK)
        split(csv->row_text, csv->cells, count);
    return rc;
}

const char *fm_csv_cell(const struct fm_csv *csv, const char *column)
{
    for (size_t i = 0; i < csv->column_count; i++)
        if (strcmp(csv->names[i], column) == 0)
            return csv->cells[i];
    return NULL;
}

void fm_csv_close(struct fm_csv *csv)
{
    free(csv->names_text);
    free(csv->row_text);
    *csv = (struct fm_csv){0};
}
