/* Any bytes as a table: the rows that are read, written again with every cell in quotes, read as the same rows. */
#include "node/csv.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"

static void quote(struct fm_buf *out, const char *const *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(fm_buf_add(out, i == 0 ? "\"" : ",\"", i == 0 ? 1 : 2) == FM_OK);
        for (const char *at = cells[i]; *at != '\0'; at++)
            FUZZ_CHECK(fm_buf_add(out, *at == '"' ? "\"\"" : at, *at == '"' ? 2 : 1) == FM_OK);
        FUZZ_CHECK(fm_buf_add(out, "\"", 1) == FM_OK);
    }
    FUZZ_CHECK(fm_buf_add(out, "\n", 1) == FM_OK);
}

static size_t newlines(const uint8_t *data, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        n += data[i] == '\n';
    return n;
}

static void read_again(struct fm_buf *rows)
{
    struct fm_buf again;
    struct fm_csv csv;
    FILE *in = fmemopen(rows->data, rows->len, "rb");
    FUZZ_CHECK(in != NULL && fm_csv_open(&csv, in) == FM_OK);
    fm_buf_init(&again, 0);
    quote(&again, csv.names, csv.column_count);
    while (fm_csv_next(&csv) == FM_OK)
        quote(&again, csv.cells, csv.column_count);
    fuzz_same(&again, fm_buf_span(rows));
    fm_csv_close(&csv);
    (void)fclose(in);
}

FUZZ_TARGET(16, 1 << 17)
{
    struct fm_csv csv;
    struct fm_buf rows;
    size_t lines = newlines(data, size) + 1, row = 0;
    int rc;
    FILE *in = size == 0 ? NULL : fmemopen((void *)(uintptr_t)data, size, "rb");
    if (in == NULL)
        return 0;
    rc = fm_csv_open(&csv, in);
    FUZZ_CHECK(rc == FM_OK || rc == FM_EFORMAT || rc == FM_ELIMIT);
    if (rc == FM_OK) {
        FUZZ_CHECK(csv.column_count >= 1 && csv.column_count <= FM_CSV_COLUMNS_MAX);
        fm_buf_init(&rows, 0);
        quote(&rows, csv.names, csv.column_count);
        while ((rc = fm_csv_next(&csv)) == FM_OK) {
            FUZZ_CHECK(csv.row_cap <= FM_CSV_ROW_BYTES_MAX && csv.line <= lines);
            for (size_t i = 0; i < csv.column_count; i++)
                FUZZ_CHECK(strlen(csv.cells[i]) <= size);
            size_t i = row++ % csv.column_count; /* each in its turn: the search for a name is a walk */
            FUZZ_CHECK(fm_csv_cell(&csv, csv.names[i]) == csv.cells[i]);
            quote(&rows, csv.cells, csv.column_count);
        }
        FUZZ_CHECK(rc == FM_ENOTFOUND || rc == FM_EFORMAT || rc == FM_ELIMIT);
        read_again(&rows);
        fm_buf_fini(&rows);
    }
    fm_csv_close(&csv);
    (void)fclose(in);
    return 0;
}
