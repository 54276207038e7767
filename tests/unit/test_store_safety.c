/* What goes wrong under a store: flipped bits, a full map, a second opener, kill -9. What was committed stays. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replication/error.h"
#include "store/base.h"
#include "tests/support/store_both.h"

/* --- damage --- */

static int read_needle(struct fm_store *s, int which, uint64_t arrival, const struct fm_version *v)
{
    const struct fm_port *p = fm_store_port(s);
    struct fm_arena arena = {0};
    struct fm_version *all, one;
    struct fm_set_meta meta;
    struct fm_head head;
    struct fm_key signer = {{9}};
    struct fm_buf out;
    size_t count;
    int error = FM_EINVAL;
    fm_buf_init(&out, 0);
    switch (which) {
    case 0:
        error = p->meta(p->ctx, "clock", &out);
        break;
    case 1:
        error = fm_store_note_get(s, "name", &out);
        break;
    case 2:
        error = p->statement(p->ctx, 1, &signer, &out);
        break;
    case 3:
        error = p->head(p->ctx, v->kind, &v->record, &arena, &head);
        break;
    case 4:
        error = p->versions(p->ctx, v->kind, &v->record, &arena, &all, &count);
        break;
    case 5:
        error = p->version_get(p->ctx, &v->id, &arena, &one);
        break;
    case 6:
    case 7:
    case 8:
        error = p->set_bytes(p->ctx, arrival, &out);
        break;
    case 9:
        error = p->set_next(p->ctx, arrival, &meta);
        break;
    default:
        break;
    }
    fm_buf_fini(&out);
    fm_arena_fini(&arena);
    return error;
}

static void a_flipped_bit_of_a_row_is_said_to_be_damage(void **state)
{
    (void)state;
    static const char needle[] = "a needle of a row, to be found in the file";
    for (int which = 0; which < 10; which++) {
        struct both b;
        struct fm_set_meta meta;
        struct fm_buf bytes;
        struct fm_key signer = {{9}};
        struct fm_span text = fm_span(needle, sizeof(needle) - 1), target = text;
        struct fm_version v = {.kind = FM_KIND_ENTITY, .record = {{1, 2, 3}}, .status = FM_VALID, .number = 1,
                               .holder_count = 1,
                               .verification = 0x1122334455667788, .counted = true, .place = FM_PLACE_WINNER};
        struct fm_head head = {.kind = v.kind, .record = v.record, .shown = true, .user = {"a user of a head"}};
        struct fm_row rows[] = {{.kind = FM_ROW_META, .name = "clock", .bytes = text},
                                {.kind = FM_ROW_STATEMENT, .statement_kind = 1, .signer = signer, .bytes = text},
                                {.kind = FM_ROW_VERSION, .version = &v},
                                {.kind = FM_ROW_HEAD, .head = &head, .changed = true}};
        uint8_t number[8];
        both_open(&b, 20);
        fm_buf_init(&bytes, 0);
        memcpy(v.id.b, "the id of a version 2468", 24);
        head.winner = v.id;
        assert_int_equal(fm_store_begin(b.store, 1), FM_OK);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
            if (i == 0 ? which == 0 : i == 1 ? which == 2 : true)
                assert_int_equal(fm_store_apply(b.store, &rows[i]), FM_OK);
        if (which == 1)
            assert_int_equal(fm_store_note_put(b.store, "name", text), FM_OK);
        assert_int_equal(fm_rows_make_set(&b.rows, apply_both, &b), FM_OK);
        assert_int_equal(fm_store_commit(b.store), FM_OK);
        const struct fm_port *p = fm_store_port(b.store);
        assert_int_equal(p->set_next(p->ctx, 0, &meta), FM_OK);
        assert_int_equal(p->set_bytes(p->ctx, meta.arrival, &bytes), FM_OK);
        assert_int_equal(read_needle(b.store, which, meta.arrival, &v), FM_OK);
        fm_be_put(number, v.verification, 8);
        if (which == 3)
            target = fm_span(head.user.b, 16);
        else if (which == 4 || which == 5)
            target = fm_span(number, 8);
        else if (which == 6) /* the signature */
            target = fm_span(bytes.data + bytes.len - 30, 30);
        else if (which == 7) /* the body */
            target = fm_span(bytes.data + bytes.len - 80, 20);
        else if (which >= 8) /* the header */
            target = fm_span(bytes.data + 10, 20);
        fm_store_close(b.store);
        assert_true(fm_store_dir_damage(&b.dir, target.data, target.len, 2) > 0);
        int error = fm_store_dir_open(&b.dir, &b.store, false, 0);
        if (error != FM_OK)
            fail_msg("case %d: open %d", which, error);
        error = read_needle(b.store, which, meta.arrival, &v);
        if (error != FM_ECORRUPT)
            fail_msg("case %d: %d", which, error);
        struct fm_store_verify verify = {0};
        assert_int_equal(fm_store_scrub(b.store, &verify), FM_OK);
        assert_true(verify.problems > 0);
        fm_buf_fini(&bytes);
        both_close(&b);
    }
}

/* --- bounds of the disk, of the map, of one at a time --- */

static void a_full_map_is_said_and_loses_nothing(void **state)
{
    (void)state;
    struct both b;
    struct fm_buf before, after;
    struct fm_store_counts counts;
    int error = FM_OK, tries = 0;
    both_open(&b, 30);
    fm_store_close(b.store);
    assert_int_equal(fm_store_dir_open(&b.dir, &b.store, false, (size_t)1 << 20), FM_OK);
    fm_buf_init(&before, 0);
    fm_buf_init(&after, 0);
    struct fm_rows rows;
    do {
        fm_rows_dump(&b.rows, fm_store_port(b.store), &before);
        rows = b.rows;
        struct fm_memory *clone = fm_memory_clone(b.memory);
        assert_int_equal(fm_store_begin(b.store, 1), FM_OK);
        for (int i = 0; i < 200 && error == FM_OK; i++) { /* the memory goes along, to read `before` from */
            struct fm_row row = {.kind = FM_ROW_META, .name = "filler"};
            uint8_t filler[3000] = {(uint8_t)i};
            char name[32];
            snprintf(name, sizeof(name), "filler-%d-%d", tries, i);
            row.name = name;
            row.bytes = fm_span(filler, sizeof(filler));
            error = fm_store_apply(b.store, &row);
        }
        if (error == FM_OK)
            make(&b, 20);
        int rc = fm_store_commit(b.store);
        assert_int_equal(rc, error != FM_OK ? error : rc);
        error = rc;
        if (error != FM_OK) {
            fm_memory_free(b.memory);
            b.memory = clone;
            rows.arena = b.rows.arena;
            b.rows = rows;
            b.rows.port = fm_memory_port(b.memory);
        } else {
            fm_memory_free(clone);
        }
    } while (error == FM_OK && ++tries < 50);
    assert_int_equal(error, FM_EFULL);
    fm_rows_dump(&b.rows, fm_store_port(b.store), &after);
    assert_true(fm_span_eq(fm_buf_span(&before), fm_buf_span(&after)));
    sound(b.store);
    both_reopen(&b); /* with the usual map it goes on */
    fm_rows_dump(&b.rows, fm_store_port(b.store), &after);
    assert_true(fm_span_eq(fm_buf_span(&before), fm_buf_span(&after)));
    make_committed(&b, 100, 2);
    same_answers(&b.rows, fm_store_port(b.store), fm_memory_port(b.memory));
    assert_int_equal(fm_store_counts(b.store, &counts), FM_OK);
    assert_true(counts.map_bytes == (uint64_t)16 << 30);
    sound(b.store);
    fm_buf_fini(&before);
    fm_buf_fini(&after);
    both_close(&b);
}

/* A file that may not grow stands for a disk without room: the child writes until it is told, and exits with
 * what it was told. */
static int fill_up(struct fm_store_dir *d)
{
    const struct fm_port *p;
    struct fm_store *s;
    struct fm_buf out;
    struct stat st;
    uint8_t filler[3000] = {0};
    int error = FM_OK, after;
    fm_buf_init(&out, 0);
    if (fm_store_dir_open(d, &s, false, 0) != FM_OK || stat(d->data, &st) != 0)
        return 1;
    const struct rlimit limit = {(rlim_t)st.st_size + 200000, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    p = fm_store_port(s);
    for (int i = 0; i < 1000 && error == FM_OK; i++) {
        char name[32];
        snprintf(name, sizeof(name), "filler-%d", i);
        struct fm_row row = {.kind = FM_ROW_META, .name = name, .bytes = fm_span(filler, sizeof(filler))};
        error = fm_store_begin(s, 1);
        for (int n = 0; n < 3 && error == FM_OK; n++) {
            snprintf(name, sizeof(name), "filler-%d-%d", i, n);
            error = fm_store_apply(s, &row);
        }
        after = fm_store_commit(s);
        error = error == FM_OK ? after : error;
    }
    after = p->meta(p->ctx, "no such name", &out);
    fm_store_close(s);
    if (error == FM_EDISKFULL && after == FM_ENOTFOUND)
        return 0;
    return error == FM_EIO && after == FM_EIO && fm_store_dir_open(d, &s, false, 0) == FM_OK ? 0 : 2; /* a short write */
}

static void a_full_disk_is_said_and_loses_nothing(void **state)
{
    (void)state;
    struct both b;
    int status;
    both_open(&b, 31);
    make_committed(&b, 100, 1);
    fm_store_close(b.store);
    pid_t child = fork();
    if (child == 0)
        _exit(fill_up(&b.dir));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(fm_store_dir_open(&b.dir, &b.store, false, 0), FM_OK);
    same_answers(&b.rows, fm_store_port(b.store), fm_memory_port(b.memory));
    sound(b.store);
    make_committed(&b, 100, 2);
    same_answers(&b.rows, fm_store_port(b.store), fm_memory_port(b.memory));
    both_close(&b);
}

static void one_store_is_opened_once(void **state)
{
    (void)state;
    struct both b;
    struct fm_store *second = NULL;
    both_open(&b, 40);
    assert_int_equal(fm_store_dir_open(&b.dir, &second, true, 0), FM_EBUSY);
    make_committed(&b, 10, 1); /* the refused one took no lock away (TRAPS L9) */
    assert_int_equal(fm_store_dir_open(&b.dir, &second, false, 0), FM_EBUSY);
    pid_t child = fork();
    if (child == 0)
        _exit(fm_store_dir_open(&b.dir, &second, false, 0) == FM_EBUSY ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    both_reopen(&b);
    same_answers(&b.rows, fm_store_port(b.store), fm_memory_port(b.memory));
    both_close(&b);
}

static void what_is_not_there_is_made_only_if_asked(void **state)
{
    (void)state;
    struct fm_store_dir d;
    struct fm_store *s = NULL;
    struct stat st;
    char lock[300];
    fm_store_dir_make(&d);
    assert_int_equal(fm_store_dir_open(&d, &s, false, 0), FM_ENOTFOUND);
    snprintf(lock, sizeof(lock), "%s/lock", d.path);
    assert_int_not_equal(stat(lock, &st), 0);
    FILE *torn = fopen(d.data, "wb"); /* a creation that was cut short */
    assert_non_null(torn);
    fputs("torn", torn);
    fclose(torn);
    assert_int_equal(fm_store_dir_open(&d, &s, false, 0), FM_ENOTFOUND);
    assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK);
    struct fm_store_id id = fm_store_id(s);
    uint64_t changes = fm_store_changes_id(s);
    fm_store_close(s);
    assert_int_equal(fm_store_dir_open(&d, &s, true, 0), FM_OK); /* there already: kept */
    struct fm_store_id again = fm_store_id(s);
    assert_true(fm_id_eq(&id, &again) && changes == fm_store_changes_id(s) && changes != 0);
    fm_store_close(s);
    assert_int_equal(stat(d.data, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    fm_store_dir_remove(&d);
}

/* A row of the store's own, written past it. */
static void write_own_row(struct fm_store_dir *d, const char *name, struct fm_span body, bool damaged)
{
    struct fm_row_key key;
    uint8_t value[600];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    assert_true(fm_keys_name(&key, FM_KEYS_SPACE_STORE, name));
    fm_value_seal(&d->crypto, FM_TABLE_META, &key, body, value);
    value[1] ^= damaged;
    MDB_val k = {.mv_size = key.len, .mv_data = key.b}, v = {.mv_size = body.len + FM_VALUE_OVERHEAD, .mv_data = value};
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, FM_TABLE_END), 0);
    assert_int_equal(mdb_env_open(env, d->path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, fm_keys_table_name(FM_TABLE_META), 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void a_newer_format_is_refused_and_never_guessed_at(void **state)
{
    (void)state;
    static const struct {
        uint8_t format[4];
        bool damaged;
        int error;
    } cases[] = {{{0, 0, 0, FM_STORE_FORMAT + 1}, false, FM_ENEWER}, {{1, 0, 0, 0}, false, FM_ENEWER},
                 {{0, 0, 0, 0}, false, FM_ECORRUPT}, {{0, 0, 0, FM_STORE_FORMAT}, true, FM_ECORRUPT},
                 {{0, 0, 0, FM_STORE_FORMAT}, false, FM_OK}};
    struct both b;
    both_open(&b, 41);
    fm_store_close(b.store);
    b.store = NULL;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_own_row(&b.dir, "format", fm_span(cases[i].format, 4), cases[i].damaged);
        assert_int_equal(fm_store_dir_open(&b.dir, &b.store, true, 0), cases[i].error);
    }
    both_close(&b);
}

static void damaged_running_numbers_keep_nobody_from_the_log(void **state)
{
    (void)state;
    uint8_t zeros[FM_SUMS_BYTES] = {0}, random[32] = {1};
    struct fm_buf before, after;
    struct both b;
    uint64_t last = 0;
    both_open(&b, 42);
    fm_buf_init(&before, 0);
    fm_buf_init(&after, 0);
    make_committed(&b, 80, 1);
    const struct fm_port *p = fm_store_port(b.store);
    assert_int_equal(p->set_bytes(p->ctx, 1, &before), FM_OK);
    fm_store_close(b.store);
    write_own_row(&b.dir, "sums", fm_span(zeros, sizeof(zeros)), true);
    assert_int_equal(fm_store_dir_open(&b.dir, &b.store, false, 0), FM_ECORRUPT);
    struct fm_store_options options = {.dir = b.dir.path, .rescue = true};
    assert_int_equal(fm_store_open(&b.store, &options, &b.dir.crypto, &b.dir.mesh, random), FM_OK);
    p = fm_store_port(b.store);
    assert_int_equal(p->arrival_last(p->ctx, &last), FM_OK);
    assert_true(last == b.rows.arrival || last + 1 == b.rows.arrival); /* or the last one is reserved */
    assert_int_equal(p->set_bytes(p->ctx, 1, &after), FM_OK);
    assert_true(fm_span_eq(fm_buf_span(&before), fm_buf_span(&after)));
    assert_true(incomplete(b.store));
    assert_int_equal(fm_store_begin(b.store, 1), FM_OK);
    assert_int_equal(fm_store_clear_derived(b.store), FM_OK);
    assert_int_equal(fm_store_commit(b.store), FM_OK);
    both_reopen(&b);
    fm_buf_fini(&before);
    fm_buf_fini(&after);
    both_close(&b);
}

/* --- TESTING A1: nothing acknowledged is lost --- */

static int apply_store(void *ctx, const struct fm_row *row)
{
    return fm_store_apply(ctx, row);
}

/* Commits without end; after each, one byte into the pipe: it is the acknowledgement. */
static void commit_for_ever(struct fm_store_dir *d, uint64_t from, int pipe_fd)
{
    struct fm_store *s;
    struct fm_rows rows;
    if (fm_store_dir_open(d, &s, false, 0) != FM_OK)
        _exit(3);
    fm_rows_init(&rows, &d->crypto, fm_store_port(s), from * 31 + 5);
    for (uint64_t n = from + 1;; n++) {
        uint8_t number[8];
        char name[32];
        fm_be_put(number, n, 8);
        snprintf(name, sizeof(name), "n-%llu", (unsigned long long)n);
        if (fm_store_begin(s, n) != FM_OK)
            _exit(4);
        struct fm_row row = {.kind = FM_ROW_META, .name = "last", .bytes = fm_span(number, 8)};
        int error = fm_store_apply(s, &row);
        row.name = name;
        error = error == FM_OK ? fm_store_apply(s, &row) : error;
        rows.versions = (uint32_t)n * 8;
        for (int i = 0; i < 4 && error == FM_OK; i++) {
            error = fm_rows_make_version(&rows, apply_store, s);
            fm_arena_reset(&rows.arena);
        }
        if (error != FM_OK || fm_store_commit(s) != FM_OK)
            _exit(5);
        if (write(pipe_fd, number, 8) != 8)
            _exit(6);
    }
}

static uint64_t last_committed(struct fm_store *s)
{
    const struct fm_port *p = fm_store_port(s);
    struct fm_buf out;
    fm_buf_init(&out, 0);
    int error = p->meta(p->ctx, "last", &out);
    uint64_t n = error == FM_OK ? fm_be_get(out.data, 8) : 0;
    for (uint64_t i = 1; i <= n; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n-%llu", (unsigned long long)i);
        assert_int_equal(p->meta(p->ctx, name, &out), FM_OK);
    }
    fm_buf_fini(&out);
    return n;
}

static void no_kill_takes_away_what_was_acknowledged(void **state)
{
    (void)state;
    struct both b;
    uint64_t known = 0, commits = 0;
    both_open(&b, 90);
    fm_store_close(b.store);
    for (unsigned kill_number = 0; kill_number < 50; kill_number++) {
        int ends[2], status;
        uint8_t number[8];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            commit_for_ever(&b.dir, known, ends[1]);
        }
        close(ends[1]);
        uint64_t acknowledged = known;
        unsigned wait_for = 1 + kill_number % 7;
        while (wait_for-- > 0 && read(ends[0], number, 8) == 8)
            acknowledged = fm_be_get(number, 8);
        usleep((kill_number * 7919u) % 3000u);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        while (read(ends[0], number, 8) == 8)
            acknowledged = fm_be_get(number, 8);
        close(ends[0]);
        assert_int_equal(fm_store_dir_open(&b.dir, &b.store, false, 0), FM_OK);
        known = last_committed(b.store);
        assert_true(known >= acknowledged); /* a commit whose acknowledgement was cut is there too */
        commits += acknowledged > 0;
        if (kill_number % 10 == 9)
            sound(b.store);
        fm_store_close(b.store);
    }
    assert_int_equal(commits, 50);
    assert_int_equal(fm_store_dir_open(&b.dir, &b.store, false, 0), FM_OK);
    both_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_bit_of_a_row_is_said_to_be_damage),
        cmocka_unit_test(a_full_map_is_said_and_loses_nothing),
        cmocka_unit_test(a_full_disk_is_said_and_loses_nothing),
        cmocka_unit_test(one_store_is_opened_once), cmocka_unit_test(what_is_not_there_is_made_only_if_asked),
        cmocka_unit_test(a_newer_format_is_refused_and_never_guessed_at),
        cmocka_unit_test(damaged_running_numbers_keep_nobody_from_the_log),
        cmocka_unit_test(no_kill_takes_away_what_was_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
