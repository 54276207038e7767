/* The store at its bounds: names, lists' ends, turns without rows, records that share a name, folders of odd names, stores
 * that were half made. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replication/error.h"
#include "store/base.h"
#include "tests/support/store_both.h"

/* --- numbers --- */

static void every_number_of_lmdb_is_one_of_ours(void **state)
{
    (void)state;
    static const struct {
        int rc, error;
        bool dead;
    } cases[] = {{0, FM_OK, false},
                 {MDB_NOTFOUND, FM_ENOTFOUND, false},
                 {MDB_KEYEXIST, FM_EINVAL, false},
                 {MDB_MAP_FULL, FM_EFULL, false},
                 {MDB_TXN_FULL, FM_EFULL, false},
                 {ENOSPC, FM_EDISKFULL, false},
                 {EDQUOT, FM_EDISKFULL, false},
                 {EFBIG, FM_EDISKFULL, false},
                 {ENOMEM, FM_ENOMEM, false},
                 {MDB_CORRUPTED, FM_ECORRUPT, false},
                 {MDB_PAGE_NOTFOUND, FM_ECORRUPT, false},
                 {MDB_CURSOR_FULL, FM_ECORRUPT, false},
                 {MDB_INCOMPATIBLE, FM_ECORRUPT, false},
                 {MDB_INVALID, FM_ECORRUPT, false},
                 {MDB_VERSION_MISMATCH, FM_ENEWER, false},
                 {MDB_BAD_TXN, FM_ESTORE, false},
                 {EIO, FM_EIO, true},
                 {MDB_PANIC, FM_ESTORE, true},
                 {MDB_READERS_FULL, FM_ESTORE, true},
                 {EACCES, FM_ESTORE, true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fm_store s = {.dead = FM_OK};
        assert_int_equal(fm_txn_error(&s, cases[i].rc), cases[i].error);
        assert_int_equal(s.dead, cases[i].dead ? cases[i].error : FM_OK);
    }
    assert_int_equal(fm_env_errno(EFBIG), FM_EDISKFULL);
    assert_int_equal(fm_env_errno(EROFS), FM_EIO);
}

static void zeros_first(void *ctx, uint8_t *out, size_t out_len, const struct fm_span *parts, size_t count)
{
    unsigned *asked = ctx;
    (void)parts;
    (void)count;
    memset(out, (*asked)++ == 0 ? 0 : 5, out_len);
}

static void a_fresh_id_is_never_0(void **state)
{
    (void)state;
    unsigned asked = 0;
    const struct fm_crypto crypto = {.ctx = &asked, .hash = zeros_first};
    struct fm_store s = {.crypto = &crypto};
    assert_true(fm_sums_fresh(&s) == 0x0505050505050505u);
    assert_int_equal(asked, 2);
}

/* --- opening --- */

static void a_folder_is_synced_whatever_its_name_looks_like(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int error;
    } cases[] = {{"name", FM_OK},   {"name/", FM_OK},     {"/tmp", FM_OK},
                 {"/tmp/", FM_OK},  {"/", FM_OK},         {"///", FM_OK},
                 {"/tmp/a", FM_OK}, {"/tmp/a///", FM_OK}, {"/no such folder/a", FM_EIO}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(fm_env_sync_parent(cases[i].path), cases[i].error);
}

static void what_is_in_the_way_of_a_store_is_no_store(void **state)
{
    (void)state;
    struct fm_store_dir d;
    struct fm_store *s;
    MDB_env *env;
    MDB_txn *txn;
    struct stat st;
    fm_store_dir_make(&d);
    FILE *file = fopen(d.data, "wb"); /* a file where its folder should be */
    assert_non_null(file);
    fclose(file);
    struct fm_store_options options = {.dir = d.data};
    assert_int_equal(fm_store_open(&s, &options, &d.crypto, &d.mesh, (const uint8_t[32]){1}), FM_ENOTFOUND);
    options.create = true;
    assert_int_equal(fm_store_open(&s, &options, &d.crypto, &d.mesh, (const uint8_t[32]){1}), FM_ESTORE);
    unlink(d.data);

    assert_int_equal(mdb_env_create(&env), 0); /* LMDB's file, and nothing in it */
    assert_int_equal(mdb_env_open(env, d.path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    assert_int_equal(stat(d.data, &st), 0);
    assert_int_equal(fm_store_dir_open(&d, &s, false, 0), FM_ENOTFOUND);
    assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
    fm_store_close(s);
    fm_store_dir_remove(&d);
}

static void write_own_row(struct fm_store_dir *d, const char *name, struct fm_span body)
{
    struct fm_row_key key;
    struct fm_store *s;
    assert_int_equal(fm_store_dir_open(d, &s, false, 0), FM_OK);
    assert_true(fm_keys_name(&key, FM_KEYS_SPACE_STORE, name));
    assert_int_equal(fm_store_begin(s, 1), FM_OK);
    assert_int_equal(fm_txn_put(s, FM_TABLE_META, &key, body, 0), FM_OK);
    assert_int_equal(fm_txn_commit(s), FM_OK);
    fm_store_close(s);
}

/* A file with commits, and none of our tables: somebody else's, or what damage left. */
static void a_file_of_lmdb_without_our_tables_is_no_store(void **state)
{
    (void)state;
    struct fm_store_dir d;
    struct fm_store *store;
    MDB_env *env;
    MDB_val key = {.mv_size = 1, .mv_data = "k"}, value = key;
    fm_store_dir_make(&d);
    assert_int_equal(mkdir(d.path, 0700) == 0 || errno == EEXIST, 1);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, d.path, 0, 0600), 0);
    for (int turn = 0; turn < 2; turn++) {
        MDB_txn *txn;
        MDB_dbi all;
        assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
        assert_int_equal(mdb_dbi_open(txn, NULL, 0, &all), 0);
        assert_int_equal(turn == 0 ? mdb_put(txn, all, &key, &value, 0) : mdb_del(txn, all, &key, NULL), 0);
        assert_int_equal(mdb_txn_commit(txn), 0);
    }
    mdb_env_close(env);
    assert_int_equal(fm_store_dir_open(&d, &store, false, 0), FM_ENOTFOUND);
    fm_store_dir_remove(&d);
}

static void lost_numbers_are_rescued_from_any_log(void **state)
{
    (void)state;
    struct fm_store_dir d;
    struct fm_store *s;
    uint64_t last;
    struct fm_store_options options = {.dir = d.path, .rescue = true};
    fm_store_dir_make(&d);
    assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
    fm_store_close(s);
    write_own_row(&d, "sums", fm_span("?", 1));
    assert_int_equal(fm_store_dir_open(&d, &s, false, 0), FM_ECORRUPT);
    assert_int_equal(fm_store_open(&s, &options, &d.crypto, &d.mesh, (const uint8_t[32]){1}), FM_OK); /* an empty one */
    const struct fm_port *p = fm_store_port(s);
    assert_int_equal(p->arrival_last(p->ctx, &last), FM_OK);
    assert_int_equal(last, 0);
    assert_int_equal(fm_store_begin(s, 1), FM_OK); /* one whose last key is no arrival */
    MDB_val key = {.mv_size = 9, .mv_data = "123456789"}, value = {.mv_size = 1, .mv_data = "x"};
    assert_int_equal(mdb_put(s->txn, s->dbi[FM_TABLE_LOG], &key, &value, 0), 0);
    assert_int_equal(fm_txn_commit(s), FM_OK);
    fm_store_close(s);
    assert_int_equal(fm_store_open(&s, &options, &d.crypto, &d.mesh, (const uint8_t[32]){1}), FM_OK);
    p = fm_store_port(s);
    assert_int_equal(p->arrival_last(p->ctx, &last), FM_OK);
    assert_int_equal(last, 0);
    assert_true(says(s, "cannot be walked to its end"));
    fm_store_close(s);
    fm_store_dir_remove(&d);
}

static void a_format_number_of_another_length_is_damage(void **state)
{
    (void)state;
    struct fm_store_dir d;
    struct fm_store *s;
    fm_store_dir_make(&d);
    assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
    fm_store_close(s);
    write_own_row(&d, "format", fm_span("123", 3));
    assert_int_equal(fm_store_dir_open(&d, &s, false, 0), FM_ECORRUPT);
    fm_store_dir_remove(&d);
}

/* --- turns and lists --- */

static void a_turn_without_rows_commits_nothing(void **state)
{
    (void)state;
    struct both b;
    MDB_envinfo before, after;
    both_open(&b, 200);
    assert_int_equal(mdb_env_info(b.store->env, &before), 0);
    assert_false(fm_store_dirty(b.store));
    assert_int_equal(fm_store_dirty_bytes(b.store), 0);
    assert_int_equal(fm_store_begin(b.store, 1), FM_OK);
    assert_false(fm_store_dirty(b.store));
    assert_int_equal(fm_store_commit(b.store), FM_OK);
    assert_int_equal(mdb_env_info(b.store->env, &after), 0);
    assert_int_equal(before.me_last_txnid, after.me_last_txnid);
    assert_int_equal(fm_store_begin(b.store, 1), FM_OK);
    assert_int_equal(fm_store_note_put(b.store, "name", fm_span("x", 1)), FM_OK);
    assert_true(fm_store_dirty(b.store));
    assert_true(fm_store_dirty_bytes(b.store) > 0);
    assert_int_equal(fm_store_commit(b.store), FM_OK);
    assert_int_equal(mdb_env_info(b.store->env, &after), 0);
    assert_int_equal(before.me_last_txnid + 1, after.me_last_txnid);
    both_close(&b);
}

static int stop_at_once(void *arg, struct fm_span bytes)
{
    (void)bytes;
    ++*(unsigned *)arg;
    return 7;
}

static void lists_end_where_they_are_told_to(void **state)
{
    (void)state;
    struct both b;
    struct fm_record_id id;
    struct fm_set_meta meta;
    struct fm_buf out;
    char name[70];
    size_t count = 9;
    unsigned taken = 0;
    both_open(&b, 201);
    fm_buf_init(&out, 0);
    make_committed(&b, 120, 1);
    const struct fm_port *p = fm_store_port(b.store);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(p->statement_each(p->ctx, stop_at_once, &taken), 7);
    assert_int_equal(taken, 1);
    assert_int_equal(p->alias(p->ctx, FM_KIND_ENTITY, fm_span(NULL, 0), &id), FM_ENOTFOUND);
    assert_int_equal(p->alias(p->ctx, FM_KIND_ENTITY, fm_span(name, FM_OFFLINE_ID_BYTES_MAX + 1), &id), FM_ENOTFOUND);
    assert_int_equal(p->alias(p->ctx, FM_KIND_ENTITY, fm_span(name, FM_OFFLINE_ID_BYTES_MAX), &id), FM_ENOTFOUND);
    assert_int_equal(p->meta(p->ctx, "", &out), FM_ENOTFOUND);
    assert_int_equal(p->meta(p->ctx, name, &out), FM_ENOTFOUND);
    assert_int_equal(fm_store_note_get(b.store, name, &out), FM_ENOTFOUND);
    assert_int_equal(fm_store_namesakes(b.store, FM_KIND_ENTITY, fm_span(NULL, 0), &id, 1, &count), FM_OK);
    assert_int_equal(count, 0);
    assert_int_equal(fm_store_uncounted(b.store, UINT64_MAX, &meta, 1, &count), FM_OK);
    assert_int_equal(count, 0);
    fm_buf_fini(&out);
    both_close(&b);
}

static void show(struct fm_store *s, uint8_t kind, uint8_t record, const char *offline_id)
{
    struct fm_head head = {.kind = kind, .record = {{record}}, .offline_id = fm_span_str(offline_id), .has_user = true};
    assert_int_equal(fm_store_apply(s, &(struct fm_row){.kind = FM_ROW_HEAD, .head = &head}), FM_OK);
}

static void records_that_share_a_name_are_told_of_page_by_page(void **state)
{
    (void)state;
    struct fm_store_dir d;
    struct fm_store *s;
    struct fm_duplicate twins[4], after;
    struct fm_record_id ids[4];
    size_t count, seen = 0;
    fm_store_dir_make(&d);
    assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
    assert_int_equal(fm_store_begin(s, 1), FM_OK);
    for (uint8_t record = 1; record <= 5; record++)
        show(s, FM_KIND_ENTITY, record, record == 4 ? "other" : "same");
    show(s, FM_KIND_ASSESSMENT, 1, "same"); /* a name is a kind's own */
    assert_int_equal(fm_store_commit(s), FM_OK);
    assert_int_equal(fm_store_namesakes(s, FM_KIND_ENTITY, fm_span_str("same"), ids, 3, &count), FM_OK);
    assert_true(count == 3 && ids[0].b[0] == 1 && ids[1].b[0] == 2 && ids[2].b[0] == 3);
    assert_int_equal(fm_store_namesakes(s, FM_KIND_ENTITY, fm_span_str("none"), ids, 3, &count), FM_OK);
    assert_int_equal(count, 0);
    do {
        assert_int_equal(fm_store_duplicates(s, seen == 0 ? NULL : &after, twins, 1, &count), FM_OK);
        if (count == 0)
            break;
        static const uint8_t records[] = {2, 3, 5}, others[] = {1, 2, 3};
        assert_true(twins[0].kind == FM_KIND_ENTITY && twins[0].record.b[0] == records[seen] &&
                    twins[0].other.b[0] == others[seen]);
        after = twins[0];
    } while (++seen < 4);
    assert_int_equal(seen, 3);
    sound(s);
    fm_store_close(s);
    fm_store_dir_remove(&d);
}

static void a_conflict_entry_follows_each_part_of_its_version(void **state)
{
    (void)state;
    struct fm_store_dir d;
    struct fm_store *s;
    struct fm_conflict_id id;
    struct fm_conflict entry;
    struct fm_version steps[5] = {{.kind = FM_KIND_ENTITY,
                                   .status = FM_VALID,
                                   .counted = true,
                                   .number = 1,
                                   .holder_count = 1,
                                   .place = FM_PLACE_OPEN,
                                   .cls = 1}};
    fm_store_dir_make(&d);
    assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
    steps[1] = steps[0];
    steps[1].has_by = true; /* each step changes one thing */
    steps[2] = steps[1];
    steps[2].by.b[0] = 9;
    steps[3] = steps[2];
    steps[3].cls = 2;
    steps[4] = steps[3];
    steps[4].place = FM_PLACE_SETTLED;
    fm_conflict_id_of(&id, &d.crypto, steps[0].kind, &steps[0].record, &steps[0].id);
    for (size_t i = 0; i < 5; i++) {
        const struct fm_version *v = &steps[i];
        struct fm_row row = {.kind = FM_ROW_VERSION, .version = v, .before = i > 0 ? v - 1 : NULL};
        assert_int_equal(fm_store_begin(s, 1), FM_OK);
        assert_int_equal(fm_store_apply(s, &row), FM_OK);
        assert_int_equal(fm_store_commit(s), FM_OK);
        assert_int_equal(fm_store_conflict(s, &id, &entry), FM_OK);
        assert_true(entry.place == v->place && entry.cls == v->cls && entry.has_by == v->has_by &&
                    entry.by.b[0] == v->by.b[0]);
    }
    fm_store_close(s);
    fm_store_dir_remove(&d);
}

static void a_record_of_too_many_versions_is_over_a_limit(void **state)
{
    (void)state;
    struct fm_store_dir d;
    struct fm_store *s;
    struct fm_arena arena = {0};
    struct fm_version v = {.kind = FM_KIND_ENTITY, .status = FM_VALID, .holder_count = 1}, *all;
    uint8_t body[FM_VALUE_VERSION_BYTES_MAX];
    size_t len = fm_value_version_encode(body, &v), count;
    fm_store_dir_make(&d);
    assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
    const struct fm_port *p = fm_store_port(s);
    assert_int_equal(fm_store_begin(s, 1), FM_OK);
    for (uint32_t i = 0; i <= FM_RECORD_VERSIONS_MAX; i++) {
        fm_be_put(v.id.b, i, 8);
        struct fm_row_key key = fm_keys_version(&v);
        assert_int_equal(fm_txn_put(s, FM_TABLE_VERSIONS, &key, fm_span(body, len), 0), FM_OK);
        if (i + 2 < FM_RECORD_VERSIONS_MAX)
            continue;
        int error = p->versions(p->ctx, v.kind, &v.record, &arena, &all, &count);
        assert_int_equal(error, i < FM_RECORD_VERSIONS_MAX ? FM_OK : FM_ELIMIT);
        assert_int_equal(count, i < FM_RECORD_VERSIONS_MAX ? i + 1 : FM_RECORD_VERSIONS_MAX);
        fm_arena_fini(&arena);
    }
    fm_store_abort(s);
    fm_store_close(s);
    fm_store_dir_remove(&d);
}

static void at(void *ctx, uint64_t done, uint64_t total)
{
    uint64_t *calls = ctx;
    assert_true(done <= total && total > 1024);
    calls[0]++;
    calls[1] = done == total;
}

static void a_scrub_tells_how_far_it_is_and_not_more_than_people_read(void **state)
{
    (void)state;
    struct fm_store_dir d;
    struct fm_store *s;
    uint64_t calls[2] = {0};
    struct heard h = {.what = "does not fit its check"};
    struct fm_store_verify v = {.ctx = &h, .say = hear, .progress = {.ctx = calls, .at = at}};
    fm_store_dir_make(&d);
    assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
    assert_int_equal(fm_store_begin(s, 1), FM_OK);
    for (unsigned i = 0; i < 2100; i++) {
        struct fm_row_key key;
        char name[20];
        const struct fm_span no_check = fm_span("0123456789", 10);
        snprintf(name, sizeof(name), "note-%u", i);
        fm_keys_name(&key, 0, name);
        assert_int_equal(fm_txn_put_parts(s, FM_TABLE_NOTES, &key, &no_check, 1, 0), FM_OK);
    }
    assert_int_equal(fm_store_scrub(s, &v), FM_OK);
    assert_true(v.problems == 2100 && h.times == 1000);
    assert_true(calls[0] == 3 && calls[1] == 1);
    v.progress.at = NULL;
    assert_int_equal(fm_store_scrub(s, &v), FM_OK);
    fm_store_abort(s);
    fm_store_close(s);
    fm_store_dir_remove(&d);
}

/* --- two stores --- */

static void rows_that_cannot_be_compared_differ(void **state)
{
    (void)state;
    static const struct {
        enum fm_table table;
        size_t len;
        const char *what;
    } cases[] = {{FM_TABLE_STREAMS, 7, "differs"},
                 {FM_TABLE_HEADS, 84, "differs"},
                 {FM_TABLE_VERSIONS, 20, "differs"},
                 {FM_TABLE_TIPS, 2500, "differs"}};
    static const uint8_t zeros[2500];
    struct both a, b;
    both_open(&a, 202);
    both_open(&b, 202);
    make_committed(&a, 60, 1);
    make_committed(&b, 60, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (uint8_t newer = 0; newer < 2; newer++) {
            struct heard h = {.what = newer ? "cannot be walked to its end" : cases[i].what};
            struct fm_store_verify v = {.ctx = &h, .say = hear};
            struct fm_span key, body;
            struct fm_scan scan;
            assert_int_equal(fm_store_begin(b.store, 2), FM_OK);
            assert_int_equal(fm_scan_open(&scan, b.store, cases[i].table, NULL, 0), FM_OK);
            assert_int_equal(fm_scan_next(&scan, &key, &body), FM_OK);
            struct fm_row_key first = fm_keys_copy(key);
            fm_scan_close(&scan);
            if (newer) { /* as a newer program would write it: another format byte under a right check */
                uint8_t value[11] = {FM_VALUE_FORMAT + 1, 7, 7}, table = (uint8_t)cases[i].table, hash[16];
                const struct fm_span parts[] = {fm_span(&table, 1), fm_span(first.b, first.len), fm_span(value, 3)};
                b.store->crypto->hash(b.store->crypto->ctx, hash, sizeof(hash), parts, 3);
                memcpy(value + 3, hash, 8);
                const struct fm_span whole = fm_span(value, sizeof(value));
                assert_int_equal(fm_txn_put_parts(b.store, cases[i].table, &first, &whole, 1, 0), FM_OK);
            } else {
                assert_int_equal(fm_txn_put(b.store, cases[i].table, &first, fm_span(zeros, cases[i].len), 0), FM_OK);
            }
            assert_int_equal(fm_store_compare(a.store, b.store, &v), FM_OK);
            assert_true(h.said);
            assert_int_equal(fm_store_compare(b.store, a.store, &v), FM_OK);
            fm_store_abort(b.store);
        }
    both_close(&a);
    both_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_lmdb_is_one_of_ours),
        cmocka_unit_test(a_fresh_id_is_never_0),
        cmocka_unit_test(a_folder_is_synced_whatever_its_name_looks_like),
        cmocka_unit_test(what_is_in_the_way_of_a_store_is_no_store),
        cmocka_unit_test(a_file_of_lmdb_without_our_tables_is_no_store),
        cmocka_unit_test(lost_numbers_are_rescued_from_any_log),
        cmocka_unit_test(a_format_number_of_another_length_is_damage),
        cmocka_unit_test(a_turn_without_rows_commits_nothing),
        cmocka_unit_test(lists_end_where_they_are_told_to),
        cmocka_unit_test(records_that_share_a_name_are_told_of_page_by_page),
        cmocka_unit_test(a_conflict_entry_follows_each_part_of_its_version),
        cmocka_unit_test(a_record_of_too_many_versions_is_over_a_limit),
        cmocka_unit_test(a_scrub_tells_how_far_it_is_and_not_more_than_people_read),
        cmocka_unit_test(rows_that_cannot_be_compared_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
