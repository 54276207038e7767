/* The life of a store in scenes, for test_store_failures.c: what is asked of it, and what it answers when nothing fails.
 * Include cmocka first. */
#ifndef FM_TESTS_STORE_STAGE_H
#define FM_TESTS_STORE_STAGE_H

#include "store/base.h"
#include "tests/support/fail_calls.h"
#include "tests/support/store_both.h"
#include "tests/support/world_sets.h"

#define WORLD 136u      /* of worlds.json: a revocation that takes back what counted; open, replaced and settled conflicts */
#define SETS_BEFORE 12u /* of it, in the store before the turn */
#define LEGAL_MAX 32u
#define ANSWERS_MAX 1024u

struct stage {
    struct fm_world_sets world;
    struct fm_store_dir dir;
    struct fm_store *store;
    struct fm_repl *core;
    struct fm_buf bytes; /* for answers */
    struct fm_arena arena;
    struct fm_buf image; /* of data.mdb, as the scene begins with it; empty: there is none */
    bool counting;       /* the good run: nothing fails, answers and states are written down */
    int answers[ANSWERS_MAX];
    size_t asked;
    uint64_t legal[LEGAL_MAX]; /* the states that commits leave, in order; [0] before the scene */
    size_t legal_count, commits;
    uint64_t failures, syncs; /* syncs: how many of the scene's failures were of a folder */
};

/* --- a store as a number --- */

static inline uint64_t mix(uint64_t sum, const void *data, size_t len)
{
    const uint8_t *b = data;
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ b[i]) * 0x100000001b3u;
    return (sum ^ len) * 0x100000001b3u;
}

static inline uint64_t state_of(struct fm_store *s)
{
    uint64_t sum = 0xcbf29ce484222325u;
    MDB_txn *txn;
    assert_int_equal(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn), 0);
    for (int t = FM_TABLE_META; t < FM_TABLE_END; t++) {
        MDB_cursor *cursor;
        MDB_val key, value;
        assert_int_equal(mdb_cursor_open(txn, s->dbi[t], &cursor), 0);
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
            sum = mix(mix(sum ^ (uint64_t)t, key.mv_data, key.mv_size), value.mv_data, value.mv_size);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return sum;
}

static inline int open_as(struct stage *g, bool create, bool rescue)
{
    static const uint8_t random[32] = {7};
    struct fm_store_options options = {.dir = g->dir.path, .create = create, .rescue = rescue, .map_bytes = (size_t)4 << 20};
    return fm_store_open(&g->store, &options, &g->world.crypto, &g->world.mesh, random);
}

static inline void shut(struct stage *g)
{
    fm_repl_free(g->core);
    fm_store_close(g->store);
    g->core = NULL;
    g->store = NULL;
}

/* --- what a scene is made of --- */

/* A commit that the scene asked for; in the good run its state is written down. */
static inline int committed(struct stage *g, int rc)
{
    if (rc == FM_OK && g->counting) {
        assert_true(g->legal_count < LEGAL_MAX);
        g->legal[g->legal_count++] = state_of(g->store);
    }
    g->commits += rc == FM_OK;
    return rc;
}

static inline int commit(struct stage *g)
{
    return committed(g, fm_store_commit(g->store));
}

/* A question's answer: as in the good run, or the error. */
static inline int answer(struct stage *g, int rc)
{
    assert_true(g->asked < ANSWERS_MAX);
    if (g->counting)
        g->answers[g->asked] = rc;
    int wanted = g->answers[g->asked++];
    if (rc == wanted)
        return FM_OK;
    if (!fault.hit)
        fail_msg("question %zu: %d, not %d", g->asked, rc, wanted);
    return rc;
}

static inline int act(void *ctx, const struct fm_action *action)
{
    struct stage *g = ctx;
    return action->kind == FM_DO_ROW ? fm_store_apply(g->store, &action->row) : FM_OK;
}

static inline int step(struct stage *g, enum fm_event_kind kind, struct fm_span bytes)
{
    struct fm_event event = {.kind = kind, .now_ms = 5000, .steady_ms = 5000, .bytes = bytes};
    struct fm_sink sink = {.ctx = g, .act = act};
    return fm_repl_step(g->core, &event, &sink);
}

static inline void new_core(struct stage *g)
{
    struct fm_self self = {.mesh = g->world.mesh, .incarnation = 77};
    fm_world_author(&self.root, "ROOT");
    fm_world_author(&self.author, "observer");
    self.transport = self.box = self.author;
    self.transport.b[30] = 2;
    self.box.b[30] = 3;
    g->core = fm_repl_new(&self, &g->world.crypto, fm_store_port(g->store));
    assert_non_null(g->core);
}

static inline void start_core(struct stage *g)
{
    new_core(g);
    assert_int_equal(step(g, FM_EVENT_START, fm_span(NULL, 0)), FM_OK);
}

/* A turn of these sets, with a statement and a note. */
static inline int turn_of(struct stage *g, size_t from, size_t to)
{
    static const char text[] = "what a peer says of itself";
    struct fm_row row = {
        .kind = FM_ROW_STATEMENT, .statement_kind = 1, .signer = {{9}}, .counter = to, .bytes = fm_span(text, sizeof(text))};
    int rc = fm_store_begin(g->store, 5000);
    if (rc != FM_OK)
        return rc;
    for (size_t i = from; rc == FM_OK && i < to; i++)
        rc = step(g, FM_EVENT_TAKE, fm_buf_span(&g->world.sets[i].bytes));
    if (rc == FM_OK)
        rc = fm_store_apply(g->store, &row);
    for (uint8_t i = 0; rc == FM_OK && from == 0 && i < 3; i++) { /* records that share a name */
        struct fm_head head = {.kind = FM_KIND_LAST + 1, .record = {{i}}, .offline_id = fm_span_str("offline-1")};
        rc = fm_store_apply(g->store, &(struct fm_row){.kind = FM_ROW_HEAD, .head = &head, .changed = true});
    }
    if (rc == FM_OK)
        rc = fm_store_note_put(g->store, "name", fm_span(text, 4 + to));
    if (rc == FM_OK)
        rc = step(g, FM_EVENT_TURN_END, fm_span(NULL, 0));
    if (rc == FM_OK)
        return commit(g);
    fm_store_abort(g->store);
    return rc;
}

/* --- the scenes --- */

static inline void ready(struct stage *g)
{
    assert_int_equal(open_as(g, false, false), FM_OK);
}

static inline void ready_core(struct stage *g)
{
    ready(g);
    start_core(g);
}

static inline int make_store(struct stage *g)
{
    return committed(g, open_as(g, true, false));
}

static inline int open_store(struct stage *g)
{
    return open_as(g, false, false);
}

static inline int rescue_store(struct stage *g)
{
    return open_as(g, false, true);
}

static inline int turn(struct stage *g)
{
    return turn_of(g, SETS_BEFORE, g->world.count);
}

static inline int take_stream(void *arg, const struct fm_stream_row *row)
{
    struct stage *g = arg;
    struct fm_set_meta sets[2];
    size_t count;
    const struct fm_port *p = fm_store_port(g->store);
    int rc = answer(g, p->stream_sets(p->ctx, &row->stream, 0, sets, 2, &count));
    for (size_t i = 0; rc == FM_OK && i < count; i++)
        rc = answer(g, p->set_get(p->ctx, &row->stream, sets[i].sequence, &sets[i].id, &sets[0]));
    return rc;
}

static inline int take_statement(void *arg, struct fm_span bytes)
{
    (void)arg;
    return bytes.len > 0 ? FM_OK : FM_EFORMAT;
}

#define ASK(call)                                                                                                           \
    do {                                                                                                                    \
        rc = answer(g, call);                                                                                               \
        if (rc != FM_OK)                                                                                                    \
            return rc;                                                                                                      \
    } while (0)

/* What the sessions ask for; what the core asks of one record. */
static inline int pull(struct stage *g)
{
    const struct fm_port *p = fm_store_port(g->store);
    struct fm_set_meta meta = {.arrival = 0};
    struct fm_digest sum;
    uint64_t last;
    int rc;
    ASK(p->arrival_last(p->ctx, &last));
    ASK(p->record_sum(p->ctx, &sum));
    ASK(p->stream_each(p->ctx, take_stream, g));
    for (uint64_t next = 0; next <= last; next = meta.arrival + 1) {
        ASK(p->set_next(p->ctx, next, &meta));
        g->bytes.len = 0;
        ASK(p->set_bytes(p->ctx, meta.arrival, &g->bytes));
    }
    ASK(p->set_next(p->ctx, last + 1, &meta));
    ASK(p->statement_each(p->ctx, take_statement, g));
    ASK(p->statement(p->ctx, 1, &(struct fm_key){{9}}, &g->bytes));
    ASK(p->statement(p->ctx, 2, &(struct fm_key){{9}}, &g->bytes));
    ASK(p->meta(p->ctx, FM_META_CLOCK, &g->bytes));
    ASK(p->meta(p->ctx, "none", &g->bytes));
    ASK(fm_store_note_get(g->store, "name", &g->bytes));
    ASK(fm_store_note_get(g->store, "none", &g->bytes));
    return FM_OK;
}

static inline int ask_record(struct stage *g, const struct fm_record_ref *ref)
{
    const struct fm_port *p = fm_store_port(g->store);
    struct fm_arena other = {0};
    struct fm_version *all, one;
    struct fm_record_ref refs[2];
    struct fm_record_id ids[2];
    struct fm_head head;
    size_t count, found;
    int rc;
    fm_arena_fini(&g->arena); /* so that each answer has to ask for memory */
    ASK(p->versions(p->ctx, ref->kind, &ref->record, &g->arena, &all, &count));
    for (size_t i = 0; i < count; i++) {
        ASK(p->version_find(p->ctx, &all[i].id, &refs[0]));
        ASK(p->version_get(p->ctx, &all[i].id, &other, &one));
        fm_arena_fini(&other);
        ASK(p->waits(p->ctx, &all[i].id, refs, 2, &found));
    }
    fm_arena_fini(&g->arena);
    ASK(p->head(p->ctx, ref->kind, &ref->record, &g->arena, &head));
    ASK(p->alias(p->ctx, ref->kind, fm_span_str("offline-1"), &ids[0]));
    ASK(fm_store_namesakes(g->store, ref->kind, fm_span_str("offline-1"), ids, 2, &found));
    ASK(p->by_entity(p->ctx, &head.entity, ref->kind, NULL, ids, 2, &found));
    return FM_OK;
}

/* What people ask for. */
static inline int browse(struct stage *g)
{
    struct fm_conflict conflicts[3], one;
    struct fm_changed changed[4];
    struct fm_store_counts counts;
    struct fm_set_meta sets[3];
    struct fm_record_ref refs[2];
    struct fm_duplicate twins[2];
    uint64_t after = 0;
    size_t count;
    bool rebuilding;
    int rc;
    fm_arena_reset(&g->arena);
    const struct fm_port *p = fm_store_port(g->store);
    ASK(fm_store_counts(g->store, &counts));
    ASK(fm_store_incomplete(g->store, &rebuilding));
    ASK(fm_store_changed_since(g->store, 1, &after));
    do {
        ASK(fm_store_changed(g->store, after, &g->arena, changed, 4, &count));
        for (size_t i = 0; i < count; i++) {
            struct fm_record_ref ref = {.kind = changed[i].head.kind, .record = changed[i].head.record};
            after = changed[i].number;
            ASK(ask_record(g, &ref));
        }
    } while (count == 4);
    for (uint8_t kind = 0; kind < 6; kind++) {
        struct fm_head heads[2];
        ASK(fm_store_heads(g->store, kind, NULL, &g->arena, heads, 2, &count));
    }
    for (int open_only = 0; open_only < 2; open_only++) {
        ASK(fm_store_conflicts(g->store, open_only, NULL, conflicts, 3, &count));
        for (size_t i = 0; i < count; i++)
            ASK(fm_store_conflict(g->store, &conflicts[i].id, &one));
    }
    ASK(fm_store_conflict(g->store, &(struct fm_conflict_id){{1}}, &one));
    ASK(fm_store_uncounted(g->store, 0, sets, 3, &count));
    ASK(fm_store_duplicates(g->store, NULL, twins, 1, &count));
    ASK(fm_store_duplicates(g->store, twins, twins + 1, 1, &count));
    ASK(p->touched(p->ctx, refs, 2, &count));
    return FM_OK;
}

/* Damage is a problem; what fails otherwise is an error. */
static inline int told(struct stage *g, int rc, const struct fm_store_verify *v)
{
    if (g->counting)
        assert_int_equal(v->problems, 0);
    return rc == FM_OK && v->problems > 0 && fault.code == FM_ECORRUPT ? FM_ECORRUPT : rc;
}

static inline int scrub(struct stage *g)
{
    struct fm_store_verify v = {0};
    int rc = fm_store_scrub(g->store, &v);
    if (rc == FM_OK && v.problems > 0 && fault.error == MDB_BAD_TXN) /* in one long look only a damaged page brings that */
        return fault.code;
    return told(g, rc, &v);
}

static inline int compare(struct stage *g)
{
    struct fm_store_verify v = {0};
    int rc = fm_store_compare(g->store, g->store, &v);
    return told(g, rc, &v);
}

static inline int backup(struct stage *g)
{
    char file[400], part[410];
    snprintf(file, sizeof(file), "%s/copy", g->dir.path);
    snprintf(part, sizeof(part), "%s.part", file);
    int rc = fm_store_backup(g->store, file);
    int64_t left = fault.left;
    fault.left = -1; /* no half of it is left behind */
    assert_int_equal(access(part, F_OK), -1);
    assert_true(rc != FM_OK || access(file, F_OK) == 0);
    (void)unlink(file);
    fault.left = left;
    return rc;
}

static inline int reindex(struct stage *g)
{
    struct fm_event event = {.now_ms = 6000, .steady_ms = 6000};
    struct fm_sink sink = {.ctx = g, .act = act};
    uint64_t from = 1;
    int rc = fm_store_begin(g->store, 6000);
    if (rc == FM_OK)
        rc = fm_store_clear_derived(g->store);
    if (rc == FM_OK)
        rc = commit(g);
    while (rc == FM_OK && from != 0) {
        rc = fm_store_begin(g->store, 6000);
        if (rc == FM_OK)
            rc = fm_repl_reindex(g->core, &event, &sink, &from, 7);
        if (rc == FM_OK)
            rc = commit(g);
    }
    if (rc != FM_OK)
        fm_store_abort(g->store);
    return rc;
}

static inline void ready_to_reindex(struct stage *g)
{
    ready(g);
    new_core(g);
}

static inline int restored(struct stage *g)
{
    int rc = fm_store_begin(g->store, 6000);
    if (rc == FM_OK)
        rc = fm_store_restored(g->store);
    if (rc == FM_OK)
        return commit(g);
    fm_store_abort(g->store);
    return rc;
}

#endif
