/* Two stores, table by table: what a reindex makes must be what was there. Numbers that depend on when a set came here
 * (arrivals, change numbers, stamps) are left out. */
#include "store/scrub.h"

static void blank(uint8_t *body, size_t len, size_t from)
{
    if (from + 8 <= len)
        memset(body + from, 0, 8);
}

/* The body without the node's own numbers, in out (room for the longest). */
static struct fm_span masked(enum fm_table table, struct fm_span key, struct fm_span body, uint8_t *out)
{
    struct fm_version v;
    if (body.len > FM_VALUE_VERSION_BYTES_MAX)
        return body;
    memcpy(out, body.data, body.len);
    if (table == FM_TABLE_STREAMS) {
        blank(out, body.len, 0);
    } else if (table == FM_TABLE_HEADS) {
        blank(out, body.len, 0);
        blank(out, body.len, 77);
    } else if (table == FM_TABLE_VERSIONS && fm_value_version_decode(&v, key, body, NULL) == FM_OK) {
        for (uint32_t h = 0; h < v.holder_count; h++)
            blank(out, body.len, 19u + (v.has_by ? 24u : 0u) + 14u * h);
    }
    return fm_span(out, body.len);
}

struct side {
    struct fm_scan scan;
    struct fm_span key, body;
    int error;
};

static void step(struct side *side)
{
    side->error = fm_scan_next(&side->scan, &side->key, &side->body);
}

static int order(const struct side *a, const struct side *b)
{
    if (a->error != FM_OK || b->error != FM_OK)
        return a->error == FM_OK ? -1 : 1;
    return memcmp(a->key.data, b->key.data, a->key.len);
}

/* A row that cannot be read is a problem like any damage. */
static int goes_on(int error)
{
    return error == FM_ENEWER ? FM_OK : fm_scrub_goes_on(error);
}

static int compare_table(struct fm_store *a, struct fm_store *b, enum fm_table table, struct fm_store_verify *v)
{
    uint8_t room_x[FM_VALUE_VERSION_BYTES_MAX], room_y[FM_VALUE_VERSION_BYTES_MAX];
    struct side x, y;
    int error = fm_scan_open(&x.scan, a, table, NULL, 0);
    if (error != FM_OK)
        return error;
    error = fm_scan_open(&y.scan, b, table, NULL, 0);
    if (error != FM_OK) {
        fm_scan_close(&x.scan);
        return error;
    }
    step(&x);
    step(&y);
    while (fm_scan_end(x.error) == FM_OK && fm_scan_end(y.error) == FM_OK && (x.error == FM_OK || y.error == FM_OK)) {
        int first = order(&x, &y);
        v->rows++;
        if (first < 0)
            fm_scrub_say(v, table, x.key, "is only in the first store");
        else if (first > 0)
            fm_scrub_say(v, table, y.key, "is only in the second store");
        else if (!fm_span_eq(masked(table, x.key, x.body, room_x), masked(table, y.key, y.body, room_y)))
            fm_scrub_say(v, table, x.key, "differs");
        if (first <= 0)
            step(&x);
        if (first >= 0)
            step(&y);
    }
    fm_scan_close(&x.scan);
    fm_scan_close(&y.scan);
    if (x.error != FM_ENOTFOUND || y.error != FM_ENOTFOUND)
        fm_scrub_say(v, table, fm_span(NULL, 0), "cannot be walked to its end");
    error = goes_on(x.error);
    return error != FM_OK ? error : goes_on(y.error);
}

int fm_store_compare(struct fm_store *a, struct fm_store *b, struct fm_store_verify *v)
{
    struct fm_sums x = a->now, y = b->now;
    v->problems = v->sets = v->rows = 0;
    for (int t = FM_TABLE_META; t < FM_TABLE_END; t++) {
        enum fm_table table = (enum fm_table)t;
        if (!fm_keys_derived(table) || table == FM_TABLE_CHANGES || table == FM_TABLE_UNCOUNTED)
            continue;
        int error = compare_table(a, b, table, v);
        if (error != FM_OK)
            return error;
    }
    x.store_id = x.changes_id = x.fresh = x.arrival_last = x.change_number = x.stamp = 0;
    y.store_id = y.changes_id = y.fresh = y.arrival_last = y.change_number = y.stamp = 0;
    if (memcmp(&x, &y, sizeof(x)) != 0)
        fm_scrub_say(v, FM_TABLE_META, fm_span_str("sums"), "differs");
    v->sets = x.sets;
    return FM_OK;
}
