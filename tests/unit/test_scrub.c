/* TESTING A5: one flipped bit anywhere in the store's file is either found by a scrub (or stops the process that reads
 * it), or it lies where nothing is kept, and every answer is as before. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replication/error.h"
#include "tests/support/store_both.h"

#define FLIPS_DEFAULT 1000u /* FM_SCRUB_FLIPS: another number, for a long run */
#define CHILD_S_MAX 30u

/* LMDB may crash on a damaged page; that is an outcome here, not a report worth minutes of symbols. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigfpe=0:handle_sigill=0";
}

static void add(struct fm_buf *out, const void *data, size_t len)
{
    assert_int_equal(fm_buf_add(out, data, len), FM_OK);
}

static void add_number(struct fm_buf *out, uint64_t number)
{
    add(out, &number, sizeof(number));
}

static void dump_changed(struct fm_store *s, struct fm_buf *out)
{
    struct fm_arena arena = {0};
    struct fm_changed changed[16];
    struct fm_head heads[16];
    uint64_t after = 0;
    size_t count;
    int error;
    do {
        error = fm_store_changed(s, after, &arena, changed, 16, &count);
        add_number(out, (uint64_t)(uint32_t)error);
        for (size_t i = 0; i < count; i++) {
            add_number(out, after = changed[i].number);
            add_number(out, changed[i].stamp);
            add(out, changed[i].head.record.b, sizeof(changed[i].head.record.b));
            add(out, changed[i].head.digest.b, sizeof(changed[i].head.digest.b));
        }
    } while (count == 16);
    for (uint64_t stamp = 0; stamp < 14; stamp++) {
        error = fm_store_changed_since(s, stamp, &after);
        add_number(out, (uint64_t)(uint32_t)error);
        add_number(out, after);
    }
    for (uint8_t kind = 0; kind < 12; kind++) {
        error = fm_store_heads(s, kind, NULL, &arena, heads, 16, &count);
        add_number(out, (uint64_t)(uint32_t)error);
        for (size_t i = 0; i < count; i++)
            add(out, heads[i].digest.b, sizeof(heads[i].digest.b));
    }
    fm_arena_fini(&arena);
}

static void dump_queries(struct fm_store *s, struct fm_buf *out)
{
    struct fm_conflict conflicts[16];
    struct fm_set_meta sets[16];
    struct fm_store_counts counts;
    size_t count;
    add_number(out, (uint64_t)(uint32_t)fm_store_counts(s, &counts));
    counts.map_bytes = counts.map_used_bytes = 0;
    add(out, &counts, sizeof(counts));
    for (int open_only = 0; open_only < 2; open_only++) {
        struct fm_conflict_id after = {{0}};
        do {
            add_number(out, (uint64_t)(uint32_t)fm_store_conflicts(s, open_only, &after, conflicts, 16, &count));
            for (size_t i = 0; i < count; i++) {
                after = conflicts[i].id;
                add(out, conflicts[i].id.b, sizeof(after.b));
                add(out, conflicts[i].version.b, sizeof(conflicts[i].version.b));
                add(out, conflicts[i].by.b, sizeof(conflicts[i].by.b));
                add_number(out, (uint64_t)conflicts[i].place << 16 | conflicts[i].cls);
            }
        } while (count == 16);
    }
    uint64_t arrival = 0;
    do {
        add_number(out, (uint64_t)(uint32_t)fm_store_uncounted(s, arrival, sets, 16, &count));
        for (size_t i = 0; i < count; i++)
            add_number(out, arrival = sets[i].arrival);
    } while (count == 16);
    add_number(out, (uint64_t)(uint32_t)fm_store_note_get(s, "name", out));
}

static void dump_all(const struct fm_rows *rows, struct fm_store *s, struct fm_buf *out)
{
    fm_rows_dump(rows, fm_store_port(s), out);
    dump_queries(s, out);
    dump_changed(s, out);
}

enum outcome { REFUSED = 10, FOUND = 11, HARMLESS = 12, MISSED = 13 };

static enum outcome look(struct fm_store_dir *d, const struct fm_rows *rows, const struct fm_buf *good)
{
    struct fm_store_verify v = {0};
    struct fm_store *s;
    struct fm_buf now;
    if (fm_store_dir_open(d, &s, false, 0) != FM_OK)
        return REFUSED;
    if (fm_store_scrub(s, &v) != FM_OK || v.problems > 0)
        return FOUND;
    fm_buf_init(&now, 0);
    dump_all(rows, s, &now);
    return fm_span_eq(fm_buf_span(&now), fm_buf_span(good)) ? HARMLESS : MISSED;
}

static int look_in_child(struct fm_store_dir *d, const struct fm_rows *rows, const struct fm_buf *good)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        int null = open("/dev/null", O_WRONLY);
        setrlimit(RLIMIT_CORE, &none);
        dup2(null, 2);
        dup2(null, 1);
        static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
        for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
            signal(fatal[i], SIG_DFL);
        alarm(CHILD_S_MAX);
        _exit((int)look(d, rows, good));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void flip(int fd, uint64_t bit)
{
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
    byte ^= (uint8_t)(1u << (bit % 8));
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
}

static void a_flipped_bit_is_found_or_changes_no_answer(void **state)
{
    (void)state;
    struct both b;
    struct fm_buf good;
    struct stat st;
    const char *more = getenv("FM_SCRUB_FLIPS");
    unsigned flips = more != NULL ? (unsigned)strtoul(more, NULL, 10) : FLIPS_DEFAULT;
    unsigned refused = 0, found = 0, harmless = 0, died = 0, hung = 0;
    both_open(&b, 100);
    fm_buf_init(&good, 0);
    for (uint64_t turn = 1; turn <= 10; turn++)
        make_committed(&b, 80, turn);
    assert_int_equal(fm_store_begin(b.store, 11), FM_OK);
    assert_int_equal(fm_store_note_put(b.store, "name", fm_span("Camp Bama", 9)), FM_OK);
    assert_int_equal(fm_store_commit(b.store), FM_OK);
    dump_all(&b.rows, b.store, &good);
    sound(b.store);
    fm_store_close(b.store);
    int fd = open(b.dir.data, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    assert_int_equal(look_in_child(&b.dir, &b.rows, &good), HARMLESS);
    for (unsigned i = 0; i < flips; i++) {
        uint64_t bit = fm_rows_random(&b.rows, (uint64_t)st.st_size * 8);
        flip(fd, bit);
        int outcome = look_in_child(&b.dir, &b.rows, &good);
        flip(fd, bit);
        refused += outcome == REFUSED;
        found += outcome == FOUND;
        harmless += outcome == HARMLESS;
        hung += outcome == -SIGALRM;
        died += outcome == 1 || (outcome < 0 && outcome != -SIGALRM); /* 1: stopped by a sanitizer or cmocka */
        if (outcome == MISSED)
            fail_msg("flip %u, bit %llu of byte %llu: no problem found, but other answers", i, (unsigned long long)(bit % 8),
                     (unsigned long long)(bit / 8));
    }
    close(fd);
    print_message("  %u flips in %lld bytes: %u refused, %u found, %u died, %u hung, %u harmless\n", flips,
                  (long long)st.st_size, refused, found, died, hung, harmless);
    assert_int_equal(refused + found + died + hung + harmless, flips);
    assert_true(found > flips / 20);
    assert_int_equal(fm_store_dir_open(&b.dir, &b.store, false, 0), FM_OK);
    sound(b.store);
    fm_buf_fini(&good);
    both_close(&b);
}

/* The scrub's own look-outs, one by one: a row that is right in itself but not beside the others. */
static void rows_that_do_not_fit_each_other_are_found(void **state)
{
    (void)state;
    struct both b;
    struct fm_store_verify v = {0};
    both_open(&b, 101);
    make_committed(&b, 200, 1);
    sound(b.store);
    struct fm_head lost = {.kind = FM_KIND_ENTITY, .record = {{0xfe}}, .shown = true, .winner = {{0xfd}}};
    struct fm_stream_row stream = {.stream = {.incarnation = 1}, .tip_count = 1, .tips = {{.sequence = 3}}};
    struct fm_version v1 = {.kind = FM_KIND_ENTITY, .record = {{0xfc}}, .status = FM_VALID, .number = 1, .holder_count = 1};
    const struct fm_row rows[] = {{.kind = FM_ROW_HEAD, .head = &lost}, {.kind = FM_ROW_STREAM, .stream = &stream},
                                  {.kind = FM_ROW_VERSION, .version = &v1}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(fm_store_begin(b.store, 2), FM_OK);
        assert_int_equal(fm_store_apply(b.store, &rows[i]), FM_OK);
        assert_int_equal(fm_store_scrub(b.store, &v), FM_OK); /* within the open transaction */
        assert_int_equal(v.problems, 1);
        fm_store_abort(b.store);
        assert_int_equal(fm_store_scrub(b.store, &v), FM_OK);
        assert_int_equal(v.problems, 0);
    }
    assert_true(v.sets > 10 && v.rows > 200);
    both_close(&b);
}

static void two_stores_that_differ_in_one_row_are_told_apart(void **state)
{
    (void)state;
    struct both a, b;
    struct fm_store_verify v = {0};
    both_open(&a, 102);
    both_open(&b, 102);
    for (uint64_t turn = 1; turn < 5; turn++) { /* the same rows under other clocks */
        make_committed(&a, 100, turn);
        make_committed(&b, 100, turn * 1000);
    }
    assert_int_equal(fm_store_compare(a.store, b.store, &v), FM_OK);
    assert_int_equal(v.problems, 0);
    assert_true(v.rows > 200 && v.sets > 50);
    struct fm_row touch = {.kind = FM_ROW_TOUCH, .record_kind = 1, .record = {{5}}, .present = true};
    for (int side = 0; side < 2; side++) {
        struct fm_store *s = side == 0 ? a.store : b.store;
        assert_int_equal(fm_store_begin(s, 9), FM_OK);
        assert_int_equal(fm_store_apply(s, &touch), FM_OK);
        assert_int_equal(fm_store_compare(a.store, b.store, &v), FM_OK);
        assert_int_equal(v.problems, 1);
        fm_store_abort(s);
    }
    assert_int_equal(fm_store_begin(a.store, 9), FM_OK);
    make(&a, 10);
    assert_int_equal(fm_store_commit(a.store), FM_OK);
    assert_int_equal(fm_store_compare(a.store, b.store, &v), FM_OK);
    assert_true(v.problems > 1);
    both_close(&a);
    both_close(&b);
}

/* LMDB's two first pages name the last two commits; with a damaged number it would go one commit back and say nothing. */
static void no_flip_of_a_commit_number_goes_unnoticed(void **state)
{
    (void)state;
    struct both b;
    both_open(&b, 103);
    for (uint64_t turn = 1; turn <= 4; turn++) {
        make_committed(&b, 5, turn);
        fm_store_close(b.store);
        int fd = open(b.dir.data, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        for (uint64_t page = 0; page < 2; page++)
            for (uint64_t bit = 0; bit < 64; bit++) {
                uint64_t at = (page * (uint64_t)sysconf(_SC_PAGESIZE) + 144) * 8 + bit;
                flip(fd, at);
                assert_int_equal(fm_store_dir_open(&b.dir, &b.store, false, 0), FM_ECORRUPT);
                flip(fd, at);
            }
        close(fd);
        assert_int_equal(fm_store_dir_open(&b.dir, &b.store, false, 0), FM_OK);
    }
    both_close(&b);
}

/* LMDB would ask for as large a map, and the store would say that there is no memory. */
static void a_last_page_far_behind_the_end_is_damage(void **state)
{
    (void)state;
    struct both b;
    both_open(&b, 104);
    make_committed(&b, 5, 1);
    fm_store_close(b.store);
    int fd = open(b.dir.data, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (uint64_t bit = 19; bit < 64; bit++) {
        int said[2];
        for (uint64_t page = 0; page < 2; page++) {
            uint64_t at = (page * (uint64_t)sysconf(_SC_PAGESIZE) + 136) * 8 + bit;
            flip(fd, at);
            said[page] = fm_store_dir_open(&b.dir, &b.store, false, 0);
            if (said[page] == FM_OK)
                fm_store_close(b.store);
            flip(fd, at);
        }
        assert_true((said[0] == FM_ECORRUPT && said[1] == FM_OK) || (said[0] == FM_OK && said[1] == FM_ECORRUPT));
    }
    close(fd);
    assert_int_equal(fm_store_dir_open(&b.dir, &b.store, false, 0), FM_OK);
    both_close(&b);
}

/* The second meta page is looked for where the first one's page size says. */
static void a_page_size_that_leads_out_of_the_file_is_damage(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1u << 30};
    enum { PAGE_BYTES = 40 };
    struct both b;
    both_open(&b, 105);
    make_committed(&b, 5, 1);
    for (size_t i = 0; i < 2; i++) {
        uint32_t size;
        fm_store_close(b.store);
        int fd = open(b.dir.data, O_RDWR | O_CLOEXEC);
        assert_int_equal(pread(fd, &size, sizeof(size), PAGE_BYTES), sizeof(size));
        assert_int_equal(pwrite(fd, &sizes[i], sizeof(size), PAGE_BYTES), sizeof(size));
        assert_int_equal(fm_store_dir_open(&b.dir, &b.store, false, 0), FM_ECORRUPT);
        assert_int_equal(pwrite(fd, &size, sizeof(size), PAGE_BYTES), sizeof(size));
        close(fd);
        assert_int_equal(fm_store_dir_open(&b.dir, &b.store, false, 0), FM_OK);
    }
    both_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_do_not_fit_each_other_are_found),
        cmocka_unit_test(two_stores_that_differ_in_one_row_are_told_apart),
        cmocka_unit_test(no_flip_of_a_commit_number_goes_unnoticed),
        cmocka_unit_test(a_last_page_far_behind_the_end_is_damage),
        cmocka_unit_test(a_page_size_that_leads_out_of_the_file_is_damage),
        cmocka_unit_test(a_flipped_bit_is_found_or_changes_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
