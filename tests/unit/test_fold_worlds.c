/* The fold against the model: its 300 worlds, each record's versions in any order of input. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/doc.h"
#include "replication/fold.h"
#include "tests/support/worlds.h"

#define WORLD_VERSIONS_MAX 128

struct world {
    const json_t *json;
    json_t *ranks, *roles;
    size_t count;
    struct {
        struct fm_version version; /* as the store would give it */
        struct fm_version_id parents[FM_PARENTS_MAX];
        const char *name;
        struct fm_buf document;
    } all[WORLD_VERSIONS_MAX];
};

static bool is_tombstone(json_t *change)
{
    const char *key;
    json_t *value;
    const char *action = fm_world_text(change, "action");
    if (strcmp(action, "undo") != 0)
        return strcmp(action, "delete") == 0;
    json_object_foreach(json_object_get(change, "doc"), key, value) {
        if (strcmp(key, "id") != 0 && strcmp(key, "entityId") != 0 && strcmp(key, "updatedAt") != 0)
            return false;
    }
    return true;
}

/* model/order.py, Versions.allowed */
static bool may(const struct fm_version *v, uint8_t role)
{
    if (v->kind >= FM_KIND_ENTITY || v->action == FM_UNDO || v->parent_count > 1)
        return role == FM_ROLE_COORDINATOR;
    return role != FM_ROLE_ROOT;
}

static size_t world_find(const struct world *w, const char *name)
{
    size_t i = 0;
    while (i < w->count && strcmp(w->all[i].name, name) != 0)
        i++;
    return i;
}

static void world_add(struct world *w, json_t *set, json_t *change, uint32_t index, const char *verdict)
{
    const char *name = fm_world_text(change, "id");
    size_t at = world_find(w, name);
    struct fm_version *v = &w->all[at].version;
    if (at == w->count) {
        json_t *parents = json_object_get(change, "parents");
        assert_true(w->count < WORLD_VERSIONS_MAX);
        w->count++;
        memset(&w->all[at], 0, sizeof(w->all[at]));
        w->all[at].name = name;
        fm_world_version_id(&v->id, w->ranks, name);
        v->kind = (uint8_t)fm_kind_from(fm_span_str(fm_world_text(change, "kind")));
        v->action = (uint8_t)fm_action_from(fm_span_str(fm_world_text(change, "action")));
        fm_world_record_id(&v->record, fm_world_text(change, "rec"));
        v->number = (uint32_t)fm_world_number(change, "version");
        v->time = fm_world_time(set) + index;
        v->tombstone = is_tombstone(change);
        v->parent_count = (uint32_t)json_array_size(parents);
        for (size_t i = 0; i < v->parent_count; i++)
            fm_world_version_id(&w->all[at].parents[i], w->ranks, json_string_value(json_array_get(parents, i)));
        v->parents = w->all[at].parents;
        fm_world_document(&w->all[at].document, json_object_get(change, "doc"));
    }
    const char *grant = fm_world_text(set, "grant");
    struct fm_holder *h = &v->holders[v->holder_count++];
    assert_true(v->time == fm_world_time(set) + index);
    h->index = index;
    h->role = grant ? (uint8_t)fm_world_number(w->roles, grant) : FM_ROLE_ROOT;
    h->counted = strcmp(verdict, "counted") == 0;
    h->live = strcmp(verdict, "void") != 0 && fm_world_number(set, "lane") == 1 && may(v, h->role);
}

static void world_init(struct world *w, const json_t *json)
{
    size_t i, j;
    json_t *set, *change;
    memset(w, 0, sizeof(*w));
    w->json = json;
    w->ranks = fm_world_ranks(json);
    w->roles = fm_world_roles(json);
    json_array_foreach(json_object_get(json, "sets"), i, set) {
        const char *verdict = fm_world_text(json_object_get(json, "verdicts"), fm_world_text(set, "id"));
        if (!verdict)
            continue; /* refused: not held */
        json_array_foreach(json_object_get(set, "changes"), j, change) {
            if (json_object_get(change, "rec"))
                world_add(w, set, change, (uint32_t)j, verdict);
        }
    }
}

static void world_fini(struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        fm_buf_fini(&w->all[i].document);
    json_decref(w->ranks);
    json_decref(w->roles);
}

static const char *world_state(const struct world *w, size_t at)
{
    return json_string_value(json_array_get(json_object_get(json_object_get(w->json, "versions"), w->all[at].name), 0));
}

static size_t world_at(const struct world *w, const struct fm_version_id *id)
{
    size_t i = 0;
    while (i < w->count && !fm_id_eq(&w->all[i].version.id, id))
        i++;
    return i;
}

static int world_stranger(void *ctx, const struct fm_version_id *parent, uint8_t *status)
{
    const struct world *w = ctx;
    size_t at = world_at(w, parent);
    bool waits = at == w->count || strcmp(world_state(w, at), "waiting") == 0;
    *status = waits ? FM_WAITING : FM_STATUS_VOID;
    return 0;
}

static int world_document(void *ctx, const struct fm_version *v, struct fm_span *document)
{
    const struct world *w = ctx;
    size_t at = world_at(w, &v->id);
    assert_true(at < w->count);
    *document = fm_buf_span(&w->all[at].document);
    return 0;
}

static const char *state_name(const struct fm_version *v)
{
    switch ((enum fm_status)v->status) {
    case FM_VALID:
        return v->counted ? "counted" : "quarantined";
    case FM_STATUS_VOID:
        return "void";
    case FM_WAITING:
        return "waiting";
    case FM_UNKNOWN:
        return "unknown";
    }
    return "?";
}

static void check_versions(const struct world *w, const struct fm_version *versions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = world_at(w, &versions[i].id);
        json_t *want = json_object_get(json_object_get(w->json, "versions"), w->all[at].name);
        assert_string_equal(state_name(&versions[i]), world_state(w, at));
        if (versions[i].status == FM_VALID)
            assert_int_equal(versions[i].settlement, json_integer_value(json_array_get(want, 1)));
        assert_int_equal(versions[i].status == FM_STATUS_VOID, versions[i].why != FM_WHY_NONE);
        assert_int_equal(versions[i].counted, versions[i].place != FM_PLACE_NONE);
    }
}

static const json_t *wanted(const struct world *w, const struct fm_version *v)
{
    size_t i;
    json_t *record;
    json_array_foreach(json_object_get(w->json, "records"), i, record) {
        struct fm_record_id id;
        fm_world_record_id(&id, fm_world_text(record, "rec"));
        if (fm_id_eq(&id, &v->record) && fm_kind_from(fm_span_str(fm_world_text(record, "kind"))) == v->kind)
            return record;
    }
    return NULL;
}

static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* fm_fold_base: alike from both sides, on the line the older one, and for an open head what its class was taken against. */
static void check_bases(const struct world *w, struct fm_version *versions, size_t count, struct fm_version **order,
                        size_t order_count, struct fm_arena *arena)
{
    for (size_t i = 0; i < order_count; i++) {
        for (size_t j = 0; j <= i; j++) {
            struct fm_version *base, *other;
            assert_int_equal(fm_fold_base(versions, count, order[i], order[j], arena, &base), 0);
            assert_int_equal(fm_fold_base(versions, count, order[j], order[i], arena, &other), 0);
            assert_ptr_equal(base, other);
            assert_true(!base || fm_version_cmp(order[i], base) <= 0);
            if (i == j || (j == 0 && order[i]->place == FM_PLACE_LINE))
                assert_ptr_equal(base, order[i]);
            if (j > 0 || order[i]->place != FM_PLACE_OPEN || order[i]->cls == FM_CLASS_DELETE)
                continue;
            struct fm_span docs[3] = {{NULL, 0}};
            world_document((void *)(uintptr_t)w, order[0], &docs[0]);
            world_document((void *)(uintptr_t)w, order[i], &docs[1]);
            if (base)
                world_document((void *)(uintptr_t)w, base, &docs[2]);
            assert_int_equal(fm_doc_class(docs[2], docs[0], docs[1]), order[i]->cls);
        }
    }
}

/* Folds every record of the world, its versions shuffled. */
static size_t fold_world(const struct world *w, uint64_t *random)
{
    bool done[WORLD_VERSIONS_MAX] = {false};
    const struct fm_fold_port port = {.ctx = (void *)(uintptr_t)w, .stranger = world_stranger, .document = world_document};
    struct fm_arena arena = {NULL};
    size_t shown = 0;
    for (size_t i = 0; i < w->count; i++) {
        struct fm_version versions[WORLD_VERSIONS_MAX], **order;
        size_t count = 0, order_count;
        for (size_t j = i; j < w->count && !done[i]; j++)
            if (w->all[j].version.kind == w->all[i].version.kind && fm_id_eq(&w->all[j].version.record, &w->all[i].version.record))
                versions[count++] = w->all[j].version;
        if (count == 0)
            continue;
        for (size_t j = 0; j < w->count; j++)
            done[j] = done[j] || (w->all[j].version.kind == versions[0].kind &&
                                  fm_id_eq(&w->all[j].version.record, &versions[0].record));
        for (size_t j = count - 1; j > 0 && *random; j--) {
            size_t k = draw(random) % (j + 1);
            struct fm_version swap = versions[j];
            versions[j] = versions[k];
            versions[k] = swap;
        }
        assert_int_equal(fm_fold(versions, count, &port, &arena, &order, &order_count), 0);
        check_versions(w, versions, count);
        const json_t *want = wanted(w, &versions[0]);
        assert_int_equal(want != NULL, order_count != 0);
        char why[256] = "";
        if (want && !fm_world_record_agrees(w->ranks, want, order, order_count, why))
            fail_msg("world %d: %s", (int)fm_world_number(w->json, "seed"), why);
        check_bases(w, versions, count, order, order_count, &arena);
        shown += want != NULL;
        fm_arena_reset(&arena);
    }
    fm_arena_fini(&arena);
    return shown;
}

static void test_the_models_worlds_in_any_order(void **state)
{
    json_t *worlds = fm_worlds_load(), *json;
    uint64_t random = 0;
    size_t i;
    (void)state;
    assert_int_equal(json_array_size(worlds), 300);
    json_array_foreach(worlds, i, json) {
        static struct world w;
        world_init(&w, json);
        for (uint64_t round = 0; round < 4; round++) {
            random = round ? i * 31 + round : 0; /* 0: not shuffled */
            assert_int_equal(fold_world(&w, &random), json_array_size(json_object_get(json, "records")));
        }
        world_fini(&w);
    }
    json_decref(worlds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_models_worlds_in_any_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
