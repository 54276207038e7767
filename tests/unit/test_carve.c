/* Change sets found in the bytes of a file that nothing else can be believed of. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "node/carve.h"
#include "replication/error.h"
#include "replication/statement.h"
#include "tests/support/lab.h"

#define WINDOW (4u << 20) /* carve.c reads so much at once */

struct bed {
    struct fm_lab_device own, other;
    struct fm_buf bytes;
    char file[64];
};

static int setup(void **state)
{
    struct bed *b = calloc(1, sizeof *b);
    assert_non_null(b);
    fm_lab_device(&b->own, "own");
    fm_lab_device(&b->other, "other");
    fm_buf_init(&b->bytes, 0);
    snprintf(b->file, sizeof b->file, "/tmp/fm-carve-XXXXXX");
    int fd = mkstemp(b->file);
    assert_true(fd >= 0);
    close(fd);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;
    unlink(b->file);
    fm_buf_fini(&b->bytes);
    free(b);
    return 0;
}

static void make(struct fm_lab_set *out, const struct fm_lab_device *by, uint64_t sequence, const struct fm_set_id *prev,
                 uint64_t time)
{
    static const uint8_t item[] = {0x91, 0x01};
    struct fm_span items[] = {fm_span(item, sizeof item)};
    struct fm_set_header header = {.stream = {.incarnation = 5, .lane = 1},
                                   .sequence = sequence,
                                   .has_prev = prev != NULL,
                                   .has_grant = true,
                                   .epoch = 1,
                                   .time = time};
    if (prev != NULL)
        header.prev = *prev;
    fm_lab_set(out, by, header, items, 1, NULL);
}

static void add(struct bed *b, struct fm_span bytes)
{
    assert_int_equal(fm_buf_add(&b->bytes, bytes.data, bytes.len), FM_OK);
}

/* Bytes between, among them beginnings of what is no set. */
static void pad(struct bed *b, size_t len)
{
    static const uint8_t noise[] = {0x93, 0xc4, 0x93, 0xc5, 0xff, 0xff, 0x92, 0xc4, 0x00, 0x9e};
    for (size_t i = 0; i < len; i++)
        add(b, fm_span(&noise[i % sizeof noise], 1));
}

static void carve(struct bed *b, struct fm_carve *c)
{
    static struct fm_mesh_id mesh;
    mesh = fm_lab_mesh();
    FILE *file = fopen(b->file, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(b->bytes.data, 1, b->bytes.len, file), b->bytes.len);
    fclose(file);
    fm_carve_init(c, &b->own.crypto, &mesh);
    assert_int_equal(fm_carve_file(c, b->file, NULL), FM_OK);
    fm_carve_order(c, &b->own.fake.author);
}

static void every_set_is_found_once_wherever_it_lies(void **state)
{
    struct bed *b = *state;
    struct fm_lab_set sets[40];
    struct fm_carve c;
    for (size_t i = 0; i < 40; i++)
        make(&sets[i], &b->other, i + 1, i > 0 ? &sets[i - 1].id : NULL, 100 + i);
    for (size_t i = 40; i-- > 0;) { /* the newest first; some over the edge of a window */
        if (i % 10 == 5)
            pad(b, WINDOW - b->bytes.len % WINDOW - 1 - 40 * (i / 10));
        pad(b, 3);
        add(b, fm_buf_span(&sets[i].bytes));
        add(b, fm_buf_span(&sets[i / 2].bytes));
    }
    carve(b, &c);
    assert_int_equal(c.count, 40);
    assert_int_equal(c.damaged, 0);
    for (size_t i = 0; i < 40; i++) {
        struct fm_buf back;
        fm_buf_init(&back, 0);
        assert_memory_equal(c.at[i].id.b, sets[i].id.b, sizeof sets[i].id.b);
        assert_int_equal(fm_carve_read(&c, &c.at[i], &back), FM_OK);
        assert_true(fm_span_eq(fm_buf_span(&back), fm_buf_span(&sets[i].bytes)));
        fm_buf_fini(&back);
        fm_lab_set_free(&sets[i]);
    }
    fm_carve_fini(&c);
}

static void what_is_flipped_is_no_set(void **state)
{
    struct bed *b = *state;
    struct fm_lab_set set;
    make(&set, &b->other, 1, NULL, 100);
    for (size_t at = 0; at < set.bytes.len; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            struct fm_carve c;
            b->bytes.len = 0;
            add(b, fm_buf_span(&set.bytes));
            b->bytes.data[at] ^= (uint8_t)(1u << bit);
            carve(b, &c);
            assert_int_equal(c.count, 0);
            fm_carve_fini(&c);
        }
    for (size_t len = 0; len < set.bytes.len; len++) {
        struct fm_carve c;
        b->bytes.len = len;
        carve(b, &c);
        assert_int_equal(c.count, 0);
        fm_carve_fini(&c);
    }
    fm_lab_set_free(&set);
}

/* What a turn wrote and did not commit lies on free pages. Taken in beside what took its place, it would be a fork of ours.
 */
static void own_sets_of_a_turn_that_was_cut_off_are_left(void **state)
{
    struct bed *b = *state;
    for (int own = 0; own < 2; own++)
        for (int later = 0; later < 2; later++) {
            const struct fm_lab_device *by = own ? &b->own : &b->other;
            struct fm_lab_set one, ghost, two, three;
            struct fm_carve c;
            b->bytes.len = 0;
            make(&one, by, 1, NULL, 100);
            make(&ghost, by, 2, &one.id, later ? 150 : 110);
            make(&two, by, 2, &one.id, 120);
            make(&three, by, 3, &two.id, 130);
            add(b, fm_buf_span(&three.bytes));
            add(b, fm_buf_span(&ghost.bytes));
            add(b, fm_buf_span(&one.bytes));
            add(b, fm_buf_span(&two.bytes));
            carve(b, &c);
            assert_int_equal(c.count, own ? 3 : 4);
            for (size_t i = 0; own && i < c.count; i++)
                assert_memory_not_equal(c.at[i].id.b, ghost.id.b, sizeof ghost.id.b);
            fm_carve_fini(&c);
            fm_lab_set_free(&one), fm_lab_set_free(&ghost), fm_lab_set_free(&two), fm_lab_set_free(&three);
        }
}

static void statements_come_last(void **state)
{
    struct bed *b = *state;
    struct fm_mesh_id mesh = fm_lab_mesh();
    struct fm_statement s = {.kind = FM_EPOCH_NOTICE, .author = b->other.fake.author, .counter = 1, .epoch = 2};
    struct fm_lab_set set;
    struct fm_buf bytes;
    struct fm_carve c;
    fm_buf_init(&bytes, 0);
    make(&set, &b->other, 1, NULL, 100);
    assert_int_equal(fm_statement_sign(&bytes, &b->other.crypto, &mesh, &s, NULL, 0), FM_OK);
    add(b, fm_buf_span(&bytes));
    add(b, fm_buf_span(&set.bytes));
    carve(b, &c);
    assert_int_equal(c.count, 2);
    assert_true(!c.at[0].statement && c.at[1].statement);
    fm_carve_fini(&c);
    fm_buf_fini(&bytes);
    fm_lab_set_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_set_is_found_once_wherever_it_lies, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_flipped_is_no_set, setup, teardown),
        cmocka_unit_test_setup_teardown(own_sets_of_a_turn_that_was_cut_off_are_left, setup, teardown),
        cmocka_unit_test_setup_teardown(statements_come_last, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
