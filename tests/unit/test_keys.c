/* Data keys held: sorted by id, whatever the order they come in; the newest is the one to seal under. */
#include "tests/support/lab_three.h"

static struct fm_data_key_id id_of(const struct fm_lab_node *n, const char *name)
{
    struct fm_key key = fm_lab_key(name);
    struct fm_data_key_id id;
    fm_data_key_id_of(&id, &n->device.crypto, &key);
    return id;
}

/* A grant for the node, as decoded, with these keys. */
static struct fm_grant *grant_make(const struct fm_lab_node *n, uint64_t epoch, uint64_t serial, const char *const *names)
{
    struct fm_act *act = fm_lab_grant(&n->device, FM_ROLE_CAMP, serial, names);
    struct fm_grant *grant = malloc(sizeof *grant);
    assert_non_null(grant);
    *grant = act->grant;
    grant->epoch_first = epoch;
    fm_lab_act_free(act); /* its name and bytes are not looked at */
    return grant;
}

static void take_keys(struct fm_lab_node *n, uint64_t epoch, uint64_t serial, const char *const *names, bool want_fresh)
{
    bool fresh = false;
    struct fm_grant *grant = grant_make(n, epoch, serial, names);
    assert_int_equal(fm_keys_take(n->core, grant, &fresh), FM_OK);
    assert_int_equal(fresh, want_fresh);
    free(grant);
}

static void test_they_stand_by_id_in_any_order_of_arrival(void **state)
{
    static const char *const names[3] = {"x", "y", "z"};
    static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    (void)state;
    for (size_t o = 0; o < 6; o++) {
        struct fm_lab_node n;
        fm_lab_open(&n, "keeper", 1);
        for (size_t i = 0; i < 3; i++) {
            const char *const one[] = {names[orders[o][i]], NULL};
            take_keys(&n, 1, 1, one, true);
            take_keys(&n, 1, 1, one, false); /* held already */
        }
        assert_int_equal(n.core->key_count, 3);
        for (size_t i = 0; i < 3; i++) {
            struct fm_data_key_id id = id_of(&n, names[i]);
            struct fm_key key = fm_lab_key(names[i]);
            assert_memory_equal(fm_keys_find(n.core, &id), &key, sizeof key);
            assert_true(i == 0 || fm_id_cmp(&n.core->keys[i - 1].id, &n.core->keys[i].id) < 0);
        }
        struct fm_data_key_id none = id_of(&n, "none");
        assert_null(fm_keys_find(n.core, &none));
        fm_lab_close(&n);
    }
}

/* By epoch, then serial, of the first grant that brought it; of one grant by id. */
static void test_the_newest_come_last(void **state)
{
    static const char *const one[] = {"x", NULL}, *const two[] = {"y", NULL}, *const both[] = {"z", "w", NULL};
    struct fm_lab_node n;
    struct fm_key got[4], want[4];
    (void)state;
    fm_lab_open(&n, "keeper", 1);
    assert_null(fm_keys_best(n.core));
    assert_int_equal(fm_repl_data_keys(n.core, got, 4), 0);
    take_keys(&n, 1, 9, one, true);
    take_keys(&n, 2, 1, two, true); /* a later epoch outweighs the serial */
    take_keys(&n, 1, 5, both, true);
    struct fm_data_key_id z = id_of(&n, "z"), w = id_of(&n, "w");
    bool z_first = fm_id_cmp(&z, &w) < 0;
    want[0] = fm_lab_key(z_first ? "z" : "w");
    want[1] = fm_lab_key(z_first ? "w" : "z");
    want[2] = fm_lab_key("x");
    want[3] = fm_lab_key("y");
    for (size_t room = 0; room <= 4; room++) {
        assert_int_equal(fm_repl_data_keys(n.core, got, room), room);
        assert_memory_equal(got, want + 4 - room, room * sizeof *got);
    }
    assert_memory_equal(&fm_keys_best(n.core)->key, &want[3], sizeof want[3]);
    take_keys(&n, 1, 4, two, false); /* an older grant had it, too: so it is older than all */
    assert_int_equal(fm_repl_data_keys(n.core, got, 4), 4);
    struct fm_key y = want[3];
    memmove(want + 1, want, 3 * sizeof *want);
    want[0] = y;
    assert_memory_equal(got, want, sizeof want);
    take_keys(&n, 3, 9, two, false); /* a newer one changes nothing */
    assert_int_equal(fm_repl_data_keys(n.core, got, 4), 4);
    assert_memory_equal(got, want, sizeof want);
    fm_lab_close(&n);
}

static void test_what_cannot_be_unboxed_or_has_a_false_name_is_no_key(void **state)
{
    static const char *const three_keys[] = {"x", "y", "z", NULL};
    struct fm_lab_node n;
    struct fm_lab_device other;
    bool fresh = false;
    (void)state;
    fm_lab_open(&n, "keeper", 1);
    struct fm_grant *grant = grant_make(&n, 1, 1, three_keys);
    grant->keys[0].sealed[79] ^= 1;
    grant->keys[1].id.b[0] ^= 1;
    assert_int_equal(fm_keys_take(n.core, grant, &fresh), FM_OK);
    assert_true(fresh);
    assert_int_equal(n.core->key_count, 1); /* the third is none the worse for it */
    struct fm_key z = fm_lab_key("z");
    assert_memory_equal(&n.core->keys[0].key, &z, sizeof z);
    fm_lab_device(&other, "other"); /* somebody else's grant */
    grant->author = other.fake.author;
    fresh = false;
    grant->keys[0].sealed[79] ^= 1;
    assert_int_equal(fm_keys_take(n.core, grant, &fresh), FM_OK);
    assert_false(fresh);
    assert_int_equal(n.core->key_count, 1);
    free(grant);
    fm_lab_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_they_stand_by_id_in_any_order_of_arrival),
        cmocka_unit_test(test_the_newest_come_last),
        cmocka_unit_test(test_what_cannot_be_unboxed_or_has_a_false_name_is_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
