/* Acts of membership: one form of bytes each, every bound, and ids that hang on mesh and bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/act.h"
#include "replication/change.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "tests/support/fake_crypto.h"

static const struct fm_mesh_id mesh = {{7}};
static struct fm_act in, out; /* large: off the stack */

static void fill(uint8_t *b, size_t len, uint8_t from)
{
    for (size_t i = 0; i < len; i++)
        b[i] = (uint8_t)(from + i);
}

static void sample_grant(struct fm_grant *g, uint32_t keys)
{
    memset(g, 0, sizeof *g);
    fill(g->author.b, 32, 1);
    fill(g->transport.b, 32, 2);
    fill(g->box.b, 32, 3);
    g->name = fm_span_str("Camp Bama");
    g->role = FM_ROLE_CAMP;
    g->epoch_first = 1;
    g->epoch_last = UINT64_MAX;
    g->serial = 300;
    g->flags = FM_GRANT_MAY_INVITE;
    g->key_count = keys;
    for (uint32_t i = 0; i < keys; i++) {
        fill(g->keys[i].id.b, 16, (uint8_t)i);
        fill(g->keys[i].sealed, 80, (uint8_t)(i + 1));
    }
}

/* encode -> decode -> encode; leaves the decoded act in `out`. */
static int there_and_back(struct fm_buf *bytes)
{
    struct fm_crypto c = fm_fake_crypto();
    struct fm_buf again;
    bytes->len = 0;
    int rc = fm_act_encode(bytes, &in);
    if (rc != FM_OK)
        return rc;
    assert_int_equal(fm_item_kind(fm_buf_span(bytes)), in.kind);
    rc = fm_act_decode(&out, &c, &mesh, fm_buf_span(bytes));
    if (rc != FM_OK)
        return rc;
    fm_buf_init(&again, 0);
    assert_int_equal(fm_act_encode(&again, &out), FM_OK);
    assert_true(fm_span_eq(fm_buf_span(&again), fm_buf_span(bytes)));
    fm_buf_fini(&again);
    return FM_OK;
}

static void refuse_cuts(struct fm_buf *bytes)
{
    struct fm_crypto c = fm_fake_crypto();
    for (size_t cut = 0; cut < bytes->len; cut++) {
        uint8_t *copy = malloc(cut == 0 ? 1 : cut);
        memcpy(copy, bytes->data, cut);
        assert_int_equal(fm_act_decode(&out, &c, &mesh, fm_span(copy, cut)), FM_EFORMAT);
        free(copy);
    }
    assert_int_equal(fm_buf_add(bytes, "\x01", 1), FM_OK);
    assert_int_equal(fm_act_decode(&out, &c, &mesh, fm_buf_span(bytes)), FM_EFORMAT);
}

static void grants_come_back(void **state)
{
    struct fm_crypto c = fm_fake_crypto();
    struct fm_buf grant, bytes;
    (void)state;
    fm_buf_init(&bytes, 0);
    for (uint32_t keys = 0; keys <= FM_GRANT_DATA_KEYS_MAX; keys += 32) {
        static struct fm_grant g, direct;
        sample_grant(&g, keys);
        fm_buf_init(&grant, 0);
        assert_int_equal(fm_grant_encode(&grant, &g), FM_OK);
        in = (struct fm_act){.kind = FM_ACT_GRANT, .grant = {.bytes = fm_buf_span(&grant)}};
        assert_int_equal(there_and_back(&bytes), FM_OK);
        assert_true(fm_id_eq(&out.grant.author, &g.author) && fm_id_eq(&out.grant.transport, &g.transport));
        assert_true(fm_id_eq(&out.grant.box, &g.box) && fm_span_eq(out.grant.name, g.name));
        assert_int_equal(out.grant.role, g.role);
        assert_true(out.grant.epoch_first == 1 && out.grant.epoch_last == UINT64_MAX && out.grant.serial == 300);
        assert_int_equal(out.grant.flags, g.flags);
        assert_int_equal(out.grant.key_count, keys);
        assert_memory_equal(out.grant.keys, g.keys, sizeof g.keys);
        assert_int_equal(fm_grant_decode(&direct, &c, &mesh, fm_buf_span(&grant)), FM_OK);
        assert_true(fm_id_eq(&direct.id, &out.grant.id) && fm_span_eq(direct.bytes, fm_buf_span(&grant)));
        assert_int_equal(fm_grant_decode(&direct, &c, &(struct fm_mesh_id){{8}}, fm_buf_span(&grant)), FM_OK);
        assert_false(fm_id_eq(&direct.id, &out.grant.id)); /* another mesh, another id */
        struct fm_buf again;
        fm_buf_init(&again, 0);
        assert_int_equal(fm_grant_encode(&again, &direct), FM_OK);
        assert_true(fm_span_eq(fm_buf_span(&again), fm_buf_span(&grant)));
        fm_buf_fini(&again);
        if (keys == 32)
            refuse_cuts(&bytes);
        fm_buf_fini(&grant);
    }
    fm_buf_fini(&bytes);
}

struct item {
    const char *bytes;
    size_t len;
};
#define I(b) {b, sizeof(b) - 1}
#define B16 "0123456789abcdef"
#define B32 B16 B16
#define B64 B32 B32
#define ID "\xc4\x20" B32
#define BOX "\xc4\x50" B64 B16

static void pack_items(struct fm_buf *buf, const struct item *items, uint32_t count)
{
    struct fm_pack p;
    fm_pack_init(&p, buf);
    fm_pack_array(&p, count);
    for (uint32_t i = 0; i < count; i++)
        fm_pack_raw(&p, fm_span(items[i].bytes, items[i].len));
    assert_int_equal(p.error, FM_OK);
}

static void each_field_of_a_grant_has_its_bounds(void **state)
{
    static const struct item good[10] = {I(ID), I(ID), I(ID), I("\xa4name"), I("\x03"), I("\x01"), I("\x09"), I("\x01"),
        I("\x00"), I("\x90")};
    static const struct {
        int at;
        struct item item;
        int rc;
    } cases[] = {
        {0, I("\xc4\x1f" B16 "0123456789abcde"), FM_EFORMAT}, {1, I("\xc4\x21" B32 "x"), FM_EFORMAT},
        {2, I("\xc0"), FM_EFORMAT},
        {3, I("\xa0"), FM_OK}, {3, I("\xd9\x40" B64), FM_OK}, {3, I("\xd9\x41" B64 "x"), FM_ELIMIT},
        {3, I("\xa1\xff"), FM_EFORMAT},
        {3, I("\xa1\x00"), FM_EFORMAT}, {3, I("\xc4\x01n"), FM_EFORMAT},
        {4, I("\x00"), FM_EFORMAT}, {4, I("\x01"), FM_EFORMAT}, {4, I("\x02"), FM_OK}, {4, I("\x04"), FM_OK},
        {4, I("\x05"), FM_ELIMIT},
        {5, I("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), FM_OK}, {5, I("\xff"), FM_EFORMAT},
        {6, I("\xcc\x09"), FM_EFORMAT}, {7, I("\xc0"), FM_EFORMAT},
        {8, I("\x03"), FM_OK}, {8, I("\x04"), FM_ELIMIT}, {8, I("\xc2"), FM_EFORMAT},
        {9, I("\x91\x92\xc4\x10" B16 BOX), FM_OK}, {9, I("\x91\x91\xc4\x10" B16), FM_EFORMAT},
        {9, I("\x91\x92\xc4\x0f" "0123456789abcde" BOX), FM_EFORMAT},
        {9, I("\x91\x92\xc4\x10" B16 "\xc4\x4f" B64 "0123456789abcde"), FM_EFORMAT}, {9, I("\xc0"), FM_EFORMAT},
        {9, I("\xdc\x00\x00"), FM_EFORMAT},
    };
    static struct fm_grant g;
    struct fm_crypto c = fm_fake_crypto();
    struct fm_buf buf;
    (void)state;
    fm_buf_init(&buf, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct item items[10];
        memcpy(items, good, sizeof items);
        items[cases[i].at] = cases[i].item;
        buf.len = 0;
        pack_items(&buf, items, 10);
        int rc = fm_grant_decode(&g, &c, &mesh, fm_buf_span(&buf));
        if (rc != cases[i].rc)
            fail_msg("case %zu, field %d: %d", i, cases[i].at, rc);
    }
    struct item more[11];
    memcpy(more, good, sizeof good);
    more[10] = good[5];
    for (uint32_t n = 9; n <= 11; n++) {
        buf.len = 0;
        pack_items(&buf, more, n);
        assert_int_equal(fm_grant_decode(&g, &c, &mesh, fm_buf_span(&buf)), n == 10 ? FM_OK : FM_EFORMAT);
    }
    for (uint32_t n = FM_GRANT_DATA_KEYS_MAX - 1; n <= FM_GRANT_DATA_KEYS_MAX + 1; n++) {
        struct fm_pack p;
        buf.len = 0;
        pack_items(&buf, good, 10);
        buf.len--; /* the empty list of keys */
        fm_pack_init(&p, &buf);
        fm_pack_array(&p, n);
        for (uint32_t i = 0; i < n; i++)
            fm_pack_raw(&p, fm_span("\x92\xc4\x10" B16 BOX, 1 + 18 + 82));
        assert_int_equal(fm_grant_decode(&g, &c, &mesh, fm_buf_span(&buf)), n > FM_GRANT_DATA_KEYS_MAX ? FM_ELIMIT : FM_OK);
    }
    fm_buf_fini(&buf);
}

static void revocations_come_back(void **state)
{
    struct fm_buf bytes;
    (void)state;
    fm_buf_init(&bytes, 0);
    for (int way = 0; way < 4; way++) {
        in = (struct fm_act){.kind = FM_ACT_REVOKE, .targets_grant = way & 1,
            .cut_count = way & 2 ? FM_CUT_STREAMS_MAX : (uint32_t)way};
        fill(in.targets_grant ? in.revoked.b : in.node.b, 32, 9);
        for (uint32_t i = 0; i < in.cut_count; i++) {
            in.cuts[i] = (struct fm_cut){.incarnation = UINT64_MAX - i, .lane = i & 1, .sequence = i + 1};
            fill(in.cuts[i].set.b, 32, (uint8_t)i);
        }
        assert_int_equal(there_and_back(&bytes), FM_OK);
        assert_int_equal(out.targets_grant, in.targets_grant);
        assert_true(fm_id_eq(&out.node, &in.node) && fm_id_eq(&out.revoked, &in.revoked));
        assert_int_equal(out.cut_count, in.cut_count);
        for (uint32_t i = 0; i < in.cut_count; i++) {
            assert_true(out.cuts[i].incarnation == in.cuts[i].incarnation && out.cuts[i].sequence == in.cuts[i].sequence);
            assert_true(out.cuts[i].lane == in.cuts[i].lane && fm_id_eq(&out.cuts[i].set, &in.cuts[i].set));
        }
        if (way == 1)
            refuse_cuts(&bytes);
    }
    fm_buf_fini(&bytes);
}

static void adoptions_come_back(void **state)
{
    struct fm_buf bytes;
    (void)state;
    fm_buf_init(&bytes, 0);
    for (uint32_t n = 0; n <= FM_ADOPT_SETS_MAX; n += n < 2 ? 1 : 127) {
        in = (struct fm_act){.kind = FM_ACT_ADOPT, .adopt_count = n};
        for (uint32_t i = 0; i < n; i++) {
            in.adopts[i] = (struct fm_adopted){.stream = {.incarnation = i, .lane = i & 1}, .sequence = FM_TIME_MAX - i};
            fill(in.adopts[i].stream.author.b, 32, (uint8_t)i);
            fill(in.adopts[i].set.b, 32, (uint8_t)(i + 1));
        }
        assert_int_equal(there_and_back(&bytes), FM_OK);
        assert_int_equal(out.adopt_count, n);
        for (uint32_t i = 0; i < n; i++) {
            assert_true(fm_stream_eq(&out.adopts[i].stream, &in.adopts[i].stream));
            assert_true(out.adopts[i].sequence == in.adopts[i].sequence && fm_id_eq(&out.adopts[i].set, &in.adopts[i].set));
        }
        if (n == 1)
            refuse_cuts(&bytes);
    }
    fm_buf_fini(&bytes);
}

static void acts_in_another_form_are_refused(void **state)
{
    static const struct {
        struct item item;
        int rc;
    } cases[] = {
        {I("\x90"), FM_EFORMAT}, {I("\xc0"), FM_EFORMAT}, {I("\x92\x01\x90"), FM_EFORMAT},
        {I("\x92\xcc\x7f\x90"), FM_EFORMAT},
        {I("\x92\xcc\x83\x90"), FM_EFORMAT}, {I("\x92\xcd\x01\x82\x90"), FM_ELIMIT},
        {I("\x92\xcc\x82\x90"), FM_OK}, {I("\x93\xcc\x82\x90\x90"), FM_EFORMAT}, {I("\x91\xcc\x82"), FM_EFORMAT},
        {I("\x92\xcc\x82\xc0"), FM_EFORMAT},
        {I("\x92\xcc\x82\x91\x95" ID "\x01\x01\x01" ID), FM_OK},
        {I("\x92\xcc\x82\x91\x95" ID "\x01\x01\x00" ID), FM_EFORMAT},
        {I("\x92\xcc\x82\x91\x95" ID "\x01\x02\x01" ID), FM_ELIMIT},
        {I("\x92\xcc\x82\x91\x94" ID "\x01\x01\x01"), FM_EFORMAT},
        {I("\x92\xcc\x82\x91\x95" ID "\x01\x01\xcf\x80\x00\x00\x00\x00\x00\x00\x00" ID), FM_ELIMIT},
        {I("\x94\xcc\x81\x00" ID "\x90"), FM_OK}, {I("\x94\xcc\x81\x01" ID "\x90"), FM_OK},
        {I("\x94\xcc\x81\x02" ID "\x90"), FM_ELIMIT},
        {I("\x94\xcc\x81\xc2" ID "\x90"), FM_EFORMAT}, {I("\x94\xcc\x81\x00\xc4\x10" B16 "\x90"), FM_EFORMAT},
        {I("\x93\xcc\x81\x00" ID), FM_EFORMAT},
        {I("\x94\xcc\x81\x00" ID "\x91\x94\x01\x00\x01" ID), FM_OK},
        {I("\x94\xcc\x81\x00" ID "\x91\x94\x01\x00\x00" ID), FM_EFORMAT},
        {I("\x94\xcc\x81\x00" ID "\x91\x94\x01\x02\x01" ID), FM_ELIMIT},
        {I("\x94\xcc\x81\x00" ID "\x91\x93\x01\x00\x01"), FM_EFORMAT},
        {I("\x94\xcc\x81\x00" ID "\x91\x94\x01\x00\xcc\x01" ID), FM_EFORMAT},
        {I("\x92\xcc\x82\x92\x95" ID "\x01\x01\x00" ID "\x95" ID "\x01\x01\x01" ID), FM_EFORMAT}, /* the first of two */
        {I("\x94\xcc\x81\x00" ID "\x92\x94\x01\x00\x00" ID "\x94\x01\x00\x01" ID), FM_EFORMAT},
        {I("\x92\xcc\x80\xc4\x00"), FM_EFORMAT}, {I("\x92\xcc\x80\x90"), FM_EFORMAT},
        {I("\x93\xcc\x80\xc4\x00\xc0"), FM_EFORMAT},
    };
    struct fm_crypto c = fm_fake_crypto();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc = fm_act_decode(&out, &c, &mesh, fm_span(cases[i].item.bytes, cases[i].item.len));
        if (rc != cases[i].rc)
            fail_msg("case %zu: %d, not %d", i, rc, cases[i].rc);
    }
}

static void lists_are_bounded(void **state)
{
    static const struct {
        const char *head;
        size_t head_len;
        struct item one;
        uint32_t max;
    } lists[] = {
        {"\x94\xcc\x81\x00" ID, 38, I("\x94\x01\x00\x01" ID), FM_CUT_STREAMS_MAX},
        {"\x92\xcc\x82", 3, I("\x95" ID "\x01\x01\x01" ID), FM_ADOPT_SETS_MAX},
    };
    struct fm_crypto c = fm_fake_crypto();
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (uint32_t n = lists[i].max - 1; n <= lists[i].max + 1; n++) {
            struct fm_buf buf;
            struct fm_pack p;
            fm_buf_init(&buf, 0);
            fm_pack_init(&p, &buf);
            fm_pack_raw(&p, fm_span(lists[i].head, lists[i].head_len));
            fm_pack_array(&p, n);
            for (uint32_t k = 0; k < n; k++)
                fm_pack_raw(&p, fm_span(lists[i].one.bytes, lists[i].one.len));
            assert_int_equal(fm_act_decode(&out, &c, &mesh, fm_buf_span(&buf)), n > lists[i].max ? FM_ELIMIT : FM_OK);
            fm_buf_fini(&buf);
        }
    }
    static struct fm_grant g;
    struct fm_buf buf;
    static const char long_name[FM_NAME_BYTES_MAX + 2] = {0};
    fm_buf_init(&buf, 0);
    sample_grant(&g, 1);
    g.name = fm_span(long_name, FM_NAME_BYTES_MAX + 1);
    assert_int_equal(fm_grant_encode(&buf, &g), FM_ELIMIT);
    assert_int_equal(buf.len, 0);
    in = (struct fm_act){.kind = FM_ACT_GRANT};
    uint8_t *big = calloc(1, FM_CHANGE_BYTES_MAX + 1);
    in.grant.bytes = fm_span(big, FM_CHANGE_BYTES_MAX);
    assert_int_equal(fm_act_encode(&buf, &in), FM_ELIMIT);
    assert_int_equal(buf.len, 0);
    assert_int_equal(fm_act_decode(&out, &c, &mesh, fm_span(big, FM_CHANGE_BYTES_MAX + 1)), FM_ELIMIT);
    free(big);
    sample_grant(&g, 2);
    assert_int_equal(fm_grant_encode(&buf, &g), FM_OK);
    buf.data[buf.len - 2 * 101] = 0x93; /* the first of two keys has three parts */
    assert_int_equal(fm_grant_decode(&g, &c, &mesh, fm_buf_span(&buf)), FM_EFORMAT);
    fm_buf_fini(&buf);
}

static void a_full_buffer_is_told_and_nothing_added(void **state)
{
    static struct fm_grant g;
    struct fm_buf grant;
    (void)state;
    sample_grant(&g, 1);
    fm_buf_init(&grant, 0);
    assert_int_equal(fm_grant_encode(&grant, &g), FM_OK);
    for (size_t max = 1; max <= grant.len + 8; max++) {
        struct fm_buf small;
        fm_buf_init(&small, max);
        assert_int_equal(fm_buf_add(&small, "x", 1), FM_OK);
        assert_int_equal(fm_grant_encode(&small, &g), max > grant.len ? FM_OK : FM_ELIMIT);
        assert_int_equal(small.len, max > grant.len ? grant.len + 1 : 1);
        for (uint8_t kind = FM_ACT_GRANT; kind <= FM_ACT_ADOPT; kind++) {
            in = (struct fm_act){.kind = kind, .grant = {.bytes = fm_buf_span(&grant)}, .cut_count = 2, .adopt_count = 2};
            small.len = 1;
            int rc = fm_act_encode(&small, &in);
            assert_true(rc == FM_OK ? small.len > 1 : rc == FM_ELIMIT && small.len == 1);
        }
        fm_buf_fini(&small);
    }
    fm_buf_fini(&grant);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grants_come_back),
        cmocka_unit_test(each_field_of_a_grant_has_its_bounds),
        cmocka_unit_test(revocations_come_back),
        cmocka_unit_test(adoptions_come_back),
        cmocka_unit_test(acts_in_another_form_are_refused),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(a_full_buffer_is_told_and_nothing_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
