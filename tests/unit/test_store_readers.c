/* Whoever reads a damaged row is told "damaged" or "written by a newer version", never something else; and nothing is
 * written over what does not fit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/store_edit.h"

static int take_row(void *arg, const struct fm_stream_row *row)
{
    (void)arg;
    return row->tip_count > 0 ? FM_OK : FM_EFORMAT;
}

static int take_bytes(void *arg, struct fm_span bytes)
{
    (void)arg;
    (void)bytes;
    return FM_OK;
}

/* By everybody who reads a row of this table, this one among them. */
#define MANY 200

static uint64_t number_of(const struct row *row)
{
    return fm_keys_read_number(fm_span(row->key.b, row->key.len));
}

static struct fm_record_ref record_of(const struct row *row)
{
    return fm_keys_read_record(fm_span(row->key.b, row->key.len), 0);
}

static int read_meta(struct fm_store *s, const struct row *row)
{
    const struct fm_port *p = fm_store_port(s);
    char name[FM_ROW_KEY_BYTES_MAX + 1] = "";
    struct fm_buf out;
    fm_buf_init(&out, 0);
    memcpy(name, row->key.b + 1, row->key.len - 1);
    int rc = p->meta(p->ctx, name, &out);
    fm_buf_fini(&out);
    return rc;
}

static int read_log(struct fm_store *s, const struct row *row)
{
    const struct fm_port *p = fm_store_port(s);
    struct fm_set_meta meta;
    struct fm_buf out;
    fm_buf_init(&out, 0);
    int rc = p->set_bytes(p->ctx, number_of(row), &out);
    assert_int_equal(p->set_next(p->ctx, number_of(row), &meta), rc);
    fm_buf_fini(&out);
    return rc;
}

static int read_streams(struct fm_store *s, const struct row *row)
{
    const struct fm_port *p = fm_store_port(s);
    struct fm_set_meta meta, metas[MANY];
    size_t count;
    int rc = FM_OK;
    (void)row;
    for (uint64_t number = 1; rc == FM_OK; number = meta.arrival + 1) {
        rc = p->set_next(p->ctx, number, &meta);
        rc = rc == FM_OK ? p->stream_sets(p->ctx, &meta.stream, 0, metas, MANY, &count) : rc;
        rc = rc == FM_OK ? p->set_get(p->ctx, &meta.stream, meta.sequence, &meta.id, &metas[0]) : rc;
    }
    return rc == FM_ENOTFOUND ? FM_OK : rc;
}

static int read_tips(struct fm_store *s, const struct row *row)
{
    const struct fm_port *p = fm_store_port(s);
    (void)row;
    return p->stream_each(p->ctx, take_row, NULL);
}

static int read_versions(struct fm_store *s, const struct row *row)
{
    const struct fm_port *p = fm_store_port(s);
    struct fm_record_ref ref = record_of(row);
    struct fm_arena arena = {0};
    struct fm_version *all;
    size_t count;
    int rc = p->versions(p->ctx, ref.kind, &ref.record, &arena, &all, &count);
    fm_arena_fini(&arena);
    return rc;
}

static int read_ids(struct fm_store *s, const struct row *row)
{
    const struct fm_port *p = fm_store_port(s);
    struct fm_arena arena = {0};
    struct fm_version_id id;
    struct fm_version one;
    memcpy(id.b, row->key.b, sizeof(id.b));
    int rc = p->version_get(p->ctx, &id, &arena, &one);
    fm_arena_fini(&arena);
    return rc;
}

static int read_heads(struct fm_store *s, const struct row *row)
{
    const struct fm_port *p = fm_store_port(s);
    struct fm_record_ref ref = record_of(row);
    struct fm_arena arena = {0};
    struct fm_head head, heads[MANY];
    size_t count;
    int rc = p->head(p->ctx, ref.kind, &ref.record, &arena, &head);
    assert_int_equal(fm_store_heads(s, ref.kind, NULL, &arena, heads, MANY, &count), rc);
    fm_arena_fini(&arena);
    return rc;
}

static int read_changes(struct fm_store *s, const struct row *row)
{
    struct fm_changed changed[3];
    struct fm_arena arena = {0};
    size_t count;
    int rc = fm_store_changed(s, number_of(row) - 1, &arena, changed, 3, &count);
    fm_arena_fini(&arena);
    return rc;
}

static int read_by_entity(struct fm_store *s, const struct row *row)
{
    const struct fm_port *p = fm_store_port(s);
    struct fm_record_id entity, ids[MANY];
    size_t count;
    memcpy(entity.b, row->key.b, sizeof(entity.b));
    return p->by_entity(p->ctx, &entity, row->key.b[16], NULL, ids, MANY, &count);
}

static int read_aliases(struct fm_store *s, const struct row *row)
{
    struct fm_duplicate twins[MANY];
    size_t count;
    (void)row;
    return fm_store_duplicates(s, NULL, twins, MANY, &count);
}

static int read_conflicts(struct fm_store *s, const struct row *row)
{
    struct fm_conflict conflicts[MANY], conflict;
    struct fm_conflict_id id;
    size_t count;
    memcpy(id.b, row->key.b, sizeof(id.b));
    int rc = fm_store_conflict(s, &id, &conflict);
    assert_int_equal(fm_store_conflicts(s, false, NULL, conflicts, MANY, &count), rc);
    return rc;
}

static int read_open(struct fm_store *s, const struct row *row)
{
    struct fm_conflict conflicts[MANY];
    size_t count;
    (void)row;
    return fm_store_conflicts(s, true, NULL, conflicts, MANY, &count);
}

static int read_waits(struct fm_store *s, const struct row *row)
{
    const struct fm_port *p = fm_store_port(s);
    struct fm_record_ref refs[MANY];
    struct fm_version_id id;
    size_t count;
    memcpy(id.b, row->key.b, sizeof(id.b));
    return p->waits(p->ctx, &id, refs, MANY, &count);
}

static int read_touched(struct fm_store *s, const struct row *row)
{
    const struct fm_port *p = fm_store_port(s);
    struct fm_record_ref refs[MANY];
    size_t count;
    (void)row;
    return p->touched(p->ctx, refs, MANY, &count);
}

static int read_statements(struct fm_store *s, const struct row *row)
{
    const struct fm_port *p = fm_store_port(s);
    struct fm_key signer;
    struct fm_buf out;
    fm_buf_init(&out, 0);
    memcpy(signer.b, row->key.b + 1, sizeof(signer.b));
    int rc = p->statement(p->ctx, row->key.b[0], &signer, &out);
    assert_int_equal(p->statement_each(p->ctx, take_bytes, NULL), rc);
    fm_buf_fini(&out);
    return rc;
}

static int read_notes(struct fm_store *s, const struct row *row)
{
    char name[FM_ROW_KEY_BYTES_MAX + 1] = "";
    struct fm_buf out;
    fm_buf_init(&out, 0);
    memcpy(name, row->key.b, row->key.len);
    int rc = fm_store_note_get(s, name, &out);
    fm_buf_fini(&out);
    return rc;
}

static int read_uncounted(struct fm_store *s, const struct row *row)
{
    struct fm_set_meta metas[MANY];
    size_t count;
    return fm_store_uncounted(s, number_of(row) - 1, metas, MANY, &count);
}

static int (*const readers[FM_TABLE_END])(struct fm_store *s, const struct row *row) = {
    [FM_TABLE_META] = read_meta,
    [FM_TABLE_LOG] = read_log,
    [FM_TABLE_STREAMS] = read_streams,
    [FM_TABLE_TIPS] = read_tips,
    [FM_TABLE_VERSIONS] = read_versions,
    [FM_TABLE_IDS] = read_ids,
    [FM_TABLE_HEADS] = read_heads,
    [FM_TABLE_CHANGES] = read_changes,
    [FM_TABLE_BY_ENTITY] = read_by_entity,
    [FM_TABLE_ALIASES] = read_aliases,
    [FM_TABLE_CONFLICTS] = read_conflicts,
    [FM_TABLE_OPEN] = read_open,
    [FM_TABLE_WAITS] = read_waits,
    [FM_TABLE_TOUCHED] = read_touched,
    [FM_TABLE_STATEMENTS] = read_statements,
    [FM_TABLE_NOTES] = read_notes,
    [FM_TABLE_UNCOUNTED] = read_uncounted,
};

static int read_row(struct fm_store *s, const struct row *row)
{
    return readers[row->table](s, row);
}

static void whoever_reads_a_damaged_row_is_told(void **state)
{
    (void)state;
    struct both b;
    store_with_all(&b);
    struct fm_store *s = b.store;
    for (int t = FM_TABLE_META; t < FM_TABLE_END; t++) {
        struct row row = {.len = 0};
        const char *name = fm_keys_table_name((enum fm_table)t);
        assert_int_equal(fm_store_begin(s, 1000), FM_OK);
        assert_true(find(s, (enum fm_table)t, t == FM_TABLE_META ? is_cores : NULL, &row));
        assert_int_equal(read_row(s, &row), FM_OK);
        put_value(s, &row, FM_VALUE_FORMAT, 1);
        if (read_row(s, &row) != FM_ECORRUPT)
            fail_msg("%s: a wrong check", name);
        put_value(s, &row, FM_VALUE_FORMAT + 1, 0);
        if (read_row(s, &row) != (t == FM_TABLE_LOG ? FM_ECORRUPT : FM_ENEWER))
            fail_msg("%s: a newer format", name);
        const struct fm_span few = fm_span("12345678", 8);
        assert_int_equal(fm_txn_put_parts(s, (enum fm_table)t, &row.key, &few, 1, 0), FM_OK);
        if (read_row(s, &row) != FM_ECORRUPT)
            fail_msg("%s: shorter than a check", name);
        if (row.len > 3 && t != FM_TABLE_META && t != FM_TABLE_NOTES && t != FM_TABLE_LOG) { /* these hold any bytes */
            row.len = 3;
            put(s, &row);
            if (read_row(s, &row) != FM_ECORRUPT)
                fail_msg("%s: cut short", name);
        }
        fm_store_abort(s);
    }
    both_close(&b);
}

/* A row that names another one, which is not there. */
static void a_row_that_leads_nowhere_is_damage_to_its_reader(void **state)
{
    (void)state;
    static const struct {
        enum fm_table lost, read;
    } cases[] = {{FM_TABLE_LOG, FM_TABLE_UNCOUNTED},     {FM_TABLE_STREAMS, FM_TABLE_LOG},
                 {FM_TABLE_STREAMS, FM_TABLE_UNCOUNTED}, {FM_TABLE_LOG, FM_TABLE_STREAMS},
                 {FM_TABLE_VERSIONS, FM_TABLE_IDS},      {FM_TABLE_HEADS, FM_TABLE_CHANGES},
                 {FM_TABLE_CONFLICTS, FM_TABLE_OPEN}};
    struct both b;
    store_with_all(&b);
    struct fm_store *s = b.store;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct row row, lost;
        assert_int_equal(fm_store_begin(s, 1000), FM_OK);
        assert_true(find(s, cases[i].read, NULL, &row));
        assert_int_equal(read_row(s, &row), FM_OK);
        uint64_t sets = s->now.sets;
        while (find(s, cases[i].lost, NULL, &lost))
            assert_int_equal(fm_txn_del(s, cases[i].lost, &lost.key, true), FM_OK);
        if (cases[i].lost == FM_TABLE_LOG && cases[i].read == FM_TABLE_STREAMS) { /* found by its key alone */
            struct fm_set_meta meta;
            assert_int_equal(fm_sets_meta_of(s, fm_span(row.key.b, row.key.len), fm_span(row.body, 3), &meta), FM_ECORRUPT);
            assert_int_equal(fm_sets_meta_of(s, fm_span(row.key.b, row.key.len), fm_span(row.body, row.len), &meta),
                             FM_ECORRUPT);
        } else if (read_row(s, &row) != FM_ECORRUPT) {
            fail_msg("case %zu", i);
        }
        assert_true(s->now.sets == sets);
        fm_store_abort(s);
    }
    both_close(&b);
}

/* --- who writes over it --- */

static void what_does_not_fit_what_is_stored_is_not_written(void **state)
{
    (void)state;
    struct both b;
    struct row row;
    struct fm_set_meta meta;
    struct fm_head head = {.kind = FM_KIND_ENTITY, .record = {{0xfe}}};
    struct fm_row head_row = {.kind = FM_ROW_HEAD, .head = &head, .head_before = &head};
    char long_name[80];
    store_with_all(&b);
    struct fm_store *s = b.store;
    const struct fm_port *p = fm_store_port(s);
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* a head that is not held, one that is damaged */
    assert_int_equal(fm_store_apply(s, &head_row), FM_EINVAL);
    fm_store_abort(s);
    assert_int_equal(fm_store_begin(s, 1000), FM_OK);
    assert_true(find(s, FM_TABLE_HEADS, NULL, &row));
    put_value(s, &row, FM_VALUE_FORMAT, 1);
    head.kind = row.key.b[0];
    memcpy(head.record.b, row.key.b + 1, sizeof(head.record.b));
    assert_int_equal(fm_store_apply(s, &head_row), FM_ECORRUPT);
    assert_int_equal(fm_store_note_put(s, long_name, fm_span("x", 1)), FM_ECORRUPT); /* the first error stands */
    assert_int_equal(fm_store_commit(s), FM_ECORRUPT);

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* a verdict over a damaged row, over none */
    assert_int_equal(p->set_next(p->ctx, 1, &meta), FM_OK);
    struct fm_row verdict = {.kind = FM_ROW_VERDICT, .meta = &meta};
    assert_true(find(s, FM_TABLE_STREAMS, NULL, &row));
    while (find(s, FM_TABLE_STREAMS, NULL, &row))
        assert_int_equal(fm_txn_del(s, FM_TABLE_STREAMS, &row.key, true), FM_OK);
    assert_int_equal(fm_store_apply(s, &verdict), FM_ECORRUPT);
    fm_store_abort(s);

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* bytes that are no set */
    assert_int_equal(fm_store_apply(s, &(struct fm_row){.kind = FM_ROW_SET, .meta = &meta, .bytes = fm_span("x", 1)}),
                     FM_EFORMAT);
    fm_store_abort(s);

    assert_int_equal(fm_store_begin(s, 1000), FM_OK); /* names */
    assert_int_equal(fm_store_note_put(s, "", fm_span("x", 1)), FM_EINVAL);
    assert_int_equal(fm_store_note_put(s, "good", fm_span("x", 1)), FM_EINVAL);
    assert_int_equal(fm_store_commit(s), FM_EINVAL);
    assert_int_equal(fm_store_begin(s, 1000), FM_OK);
    assert_int_equal(fm_store_note_put(s, long_name, fm_span("x", 1)), FM_EINVAL);
    fm_store_abort(s);
    sound(s);
    both_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_reads_a_damaged_row_is_told),
        cmocka_unit_test(a_row_that_leads_nowhere_is_damage_to_its_reader),
        cmocka_unit_test(what_does_not_fit_what_is_stored_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
