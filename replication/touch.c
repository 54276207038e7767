#include "replication/inner.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/fold.h"

struct fm_touch {
    struct fm_arena arena;    /* of the fold that runs */
    struct fm_refs marks;     /* of this step */
    struct fm_refs disputed;  /* of this turn */
    unsigned folds;           /* of this turn */
};

struct fm_touch *fm_touch_new(void)
{
    struct fm_touch *t = calloc(1, sizeof *t);
    if (t != NULL)
        t->disputed.once = true;
    return t;
}

void fm_touch_free(struct fm_touch *t)
{
    if (t == NULL)
        return;
    fm_arena_fini(&t->arena);
    fm_refs_fini(&t->marks);
    fm_refs_fini(&t->disputed);
    free(t);
}

bool fm_touch_pending(const struct fm_repl *r)
{
    return r->touch->marks.next < r->touch->marks.count;
}

void fm_touch_turn(struct fm_repl *r)
{
    r->touch->folds = 0;
    fm_refs_reset(&r->touch->disputed);
    r->touch->disputed.salt = r->touch->marks.salt;
}

int fm_touch_add(struct fm_repl *r, uint8_t kind, const struct fm_record_id *record)
{
    struct fm_refs *marks = &r->touch->marks;
    if (marks->count == 0)
        marks->salt = fm_be_get(r->event->seed, 8);
    return fm_refs_add(marks, &(struct fm_record_ref){.kind = kind, .record = *record});
}

/* --- the fold of one record --- */

/* A parent that is no version of this record. One that is not folded yet has no status; its record is marked, and what
 * waits for it is folded after it. */
static int stranger(void *ctx, const struct fm_version_id *parent, uint8_t *status)
{
    struct fm_repl *r = ctx;
    struct fm_version v;
    int rc = r->port->version_get(r->port->ctx, parent, &r->touch->arena, &v);
    if (rc != FM_OK && rc != FM_ENOTFOUND)
        return rc;
    bool known = rc == FM_OK && (v.status == FM_VALID || v.status == FM_STATUS_VOID);
    *status = known ? FM_STATUS_VOID : FM_WAITING;
    return FM_OK;
}

/* Copied: the fold keeps several, and the cache of opened sets may drop one. */
static int document(void *ctx, const struct fm_version *v, struct fm_span *out)
{
    struct fm_repl *r = ctx;
    struct fm_span borrowed, actor;
    int rc = fm_repl_document(r, v, &borrowed, &actor);
    if (rc != FM_OK)
        return fm_emit_fatal(rc) ? rc : FM_ECORRUPT; /* what counts was read before */
    *out = fm_span(fm_arena_copy(&r->touch->arena, borrowed), borrowed.len);
    return out->data != NULL ? FM_OK : FM_ENOMEM;
}

static bool is_final(uint8_t status)
{
    return status == FM_VALID || status == FM_STATUS_VOID;
}

static bool folded_same(const struct fm_version *a, const struct fm_version *b)
{
    return a->status == b->status && a->why == b->why && a->counted == b->counted && a->settlement == b->settlement &&
           a->place == b->place && a->cls == b->cls && a->has_by == b->has_by && (!a->has_by || fm_id_eq(&a->by, &b->by));
}

static int emit_wait(struct fm_repl *r, const struct fm_record_ref *ref, const struct fm_version_id *parent, bool present)
{
    struct fm_row row = {.kind = FM_ROW_WAIT, .record_kind = ref->kind, .record = ref->record, .waits_for = *parent,
                         .present = present};
    return fm_emit_row(r, &row);
}

/* Will this status stand whatever comes? Not if no live set holds the version, or one of its ancestors: the twin of a fork
 * may still give it life, and so make it wait. */
static bool is_settled(uint8_t status, uint8_t why)
{
    return status == FM_VALID || (status == FM_STATUS_VOID && why != FM_WHY_SET && why != FM_WHY_LANE && why != FM_WHY_ROLE &&
                                  why != FM_WHY_PARENT);
}

/* Does it hang on others what this version is? */
static bool hangs(uint8_t status, uint8_t why)
{
    return status == FM_WAITING || (status == FM_STATUS_VOID && why == FM_WHY_PARENT);
}

/* A record waits for each parent of a version that hangs on others, if that parent is held nowhere, or in another record
 * and not settled: a function of the sets alone. fresh: it did not hang before, so the rows for what is not held are missing;
 * those for another record's are always written again, as end_waiting takes them away. */
static int start_waiting(struct fm_repl *r, const struct fm_record_ref *ref, const struct fm_version *v, bool fresh)
{
    for (uint32_t i = 0; i < v->parent_count; i++) {
        struct fm_version parent;
        int rc = r->port->version_get(r->port->ctx, &v->parents[i], &r->touch->arena, &parent);
        if (rc != FM_OK && rc != FM_ENOTFOUND)
            return rc;
        bool here = rc == FM_OK && parent.kind == ref->kind && fm_id_eq(&parent.record, &ref->record);
        if (rc == FM_OK ? here || is_settled(parent.status, parent.why) : !fresh)
            continue;
        rc = emit_wait(r, ref, &v->parents[i], true);
        if (rc != FM_OK)
            return rc;
    }
    return FM_OK;
}

/* This version came to its own record and waits itself: the record need not wait for it. */
static int came_here(struct fm_repl *r, const struct fm_record_ref *ref, const struct fm_version_id *id)
{
    struct fm_record_ref any;
    size_t count;
    int rc = r->port->waits(r->port->ctx, id, &any, 1, &count);
    return rc != FM_OK || count == 0 ? rc : emit_wait(r, ref, id, false);
}

/* This version's status is another one: whoever waits for it is folded again, and then waits on if need be. */
static int end_waiting(struct fm_repl *r, const struct fm_record_ref *ref, const struct fm_version_id *id)
{
    struct fm_record_ref waiting[16];
    size_t count;
    for (;;) {
        int rc = r->port->waits(r->port->ctx, id, waiting, sizeof waiting / sizeof waiting[0], &count);
        if (rc != FM_OK || count == 0)
            return rc;
        for (size_t i = 0; rc == FM_OK && i < count; i++) {
            rc = emit_wait(r, &waiting[i], id, false);
            bool here = waiting[i].kind == ref->kind && fm_id_eq(&waiting[i].record, &ref->record);
            if (rc == FM_OK && !here)
                rc = fm_touch_add(r, waiting[i].kind, &waiting[i].record);
        }
        if (rc != FM_OK)
            return rc;
    }
}

/* Writes what the fold changed. before, head_before: NULL if there is no such row yet. */
static int write_fold(struct fm_repl *r, const struct fm_record_ref *ref, struct fm_version *versions,
                      const struct fm_version *before, size_t count, struct fm_version **order, size_t order_count,
                      const struct fm_head *head_before)
{
    for (size_t i = 0; i < count; i++) {
        struct fm_version *v = &versions[i];
        uint8_t was = before != NULL ? before[i].status : 0, was_why = before != NULL ? before[i].why : FM_WHY_NONE;
        int rc = FM_OK;
        if (before == NULL || !folded_same(v, &before[i])) {
            struct fm_row row = {.kind = FM_ROW_VERSION, .version = v, .before = before != NULL ? &before[i] : NULL};
            rc = fm_emit_row(r, &row);
        }
        if (rc == FM_OK && hangs(v->status, v->why))
            rc = start_waiting(r, ref, v, !hangs(was, was_why));
        if (rc == FM_OK && (is_final(v->status) != is_final(was) ||
                            is_settled(v->status, v->why) != is_settled(was, was_why)))
            rc = end_waiting(r, ref, &v->id);
        else if (rc == FM_OK && was == 0)
            rc = came_here(r, ref, &v->id);
        if (rc != FM_OK)
            return rc;
    }
    struct fm_head head;
    int rc = fm_head_of(r, &r->touch->arena, ref, versions, count, order, order_count, head_before, &head);
    if (rc != FM_OK)
        return rc;
    bool changed = head_before == NULL ? head.shown : !fm_head_same(head_before, &head);
    if (head_before == NULL || changed || !fm_id_eq(&head_before->digest, &head.digest)) {
        struct fm_row row = {.kind = FM_ROW_HEAD, .head = &head, .head_before = head_before, .changed = changed};
        rc = fm_emit_row(r, &row);
    }
    if (rc == FM_OK && head.open > 0)
        rc = fm_refs_add(&r->touch->disputed, ref);
    return rc;
}

/* More than FM_RECORD_VERSIONS_MAX versions: one record must not stop a node, and what it showed last hangs on the order in
 * which they came (law 2). So it shows nothing, for ever, on every node that holds as many; no honest node gets it there
 * (FM_RECORD_VERSIONS_WRITE_MAX). Its versions stay held, and their rows as they were last folded. */
static int close_full(struct fm_repl *r, const struct fm_record_ref *ref, const struct fm_head *head_before)
{
    struct fm_head head;
    int rc = fm_head_of(r, &r->touch->arena, ref, NULL, 0, NULL, 0, head_before, &head);
    if (rc != FM_OK)
        return rc;
    head.versions = FM_RECORD_VERSIONS_MAX + 1;
    bool changed = head_before != NULL && head_before->shown;
    struct fm_row row = {.kind = FM_ROW_HEAD, .head = &head, .head_before = head_before, .changed = changed};
    return fm_emit_row(r, &row);
}

static int fold(struct fm_repl *r, const struct fm_record_ref *ref)
{
    struct fm_touch *t = r->touch;
    struct fm_fold_port port = {.ctx = r, .kind_last = r->self.kind_last, .stranger = stranger, .document = document};
    struct fm_version *versions, *before, **order;
    struct fm_head head;
    size_t count, order_count;
    t->folds++;
    fm_arena_reset(&t->arena);
    int rc = r->port->head(r->port->ctx, ref->kind, &ref->record, &t->arena, &head);
    if (rc != FM_OK && rc != FM_ENOTFOUND)
        return rc;
    const struct fm_head *head_before = rc == FM_OK ? &head : NULL;
    if (head_before != NULL && head.versions > FM_RECORD_VERSIONS_MAX)
        return FM_OK;
    rc = r->port->versions(r->port->ctx, ref->kind, &ref->record, &t->arena, &versions, &count);
    if (rc == FM_ELIMIT)
        return close_full(r, ref, head_before);
    if (rc != FM_OK || count == 0)
        return rc;
    before = fm_arena_take(&t->arena, count * sizeof *before);
    if (before == NULL)
        return FM_ENOMEM;
    memcpy(before, versions, count * sizeof *before);
    rc = fm_fold(versions, count, &port, &t->arena, &order, &order_count);
    return rc != FM_OK ? rc : write_fold(r, ref, versions, before, count, order, order_count, head_before);
}

int fm_touch_first(struct fm_repl *r, struct fm_version *v, bool *done)
{
    struct fm_touch *t = r->touch;
    struct fm_record_ref ref = {.kind = v->kind, .record = v->record};
    struct fm_fold_port port = {.ctx = r, .kind_last = r->self.kind_last, .stranger = stranger, .document = document};
    struct fm_version **order;
    struct fm_head head;
    size_t order_count;
    *done = false;
    /* A record that is still to be folded may have versions without a head. */
    if (v->parent_count > 0 || r->todo || fm_refs_has(&t->marks, &ref))
        return FM_OK;
    fm_arena_reset(&t->arena);
    int rc = r->port->head(r->port->ctx, ref.kind, &ref.record, &t->arena, &head);
    if (rc != FM_ENOTFOUND)
        return rc;
    rc = fm_fold(v, 1, &port, &t->arena, &order, &order_count);
    *done = true;
    return rc != FM_OK ? rc : write_fold(r, &ref, v, NULL, 1, order, order_count, NULL);
}

int fm_touch_now(struct fm_repl *r, uint8_t kind, const struct fm_record_id *record)
{
    struct fm_record_ref ref = {.kind = kind, .record = *record};
    fm_refs_drop(&r->touch->marks, &ref);
    return fold(r, &ref);
}

/* --- the end of a step, and the persisted list --- */

static int emit_touch(struct fm_repl *r, const struct fm_record_ref *ref, bool present)
{
    struct fm_row row = {.kind = FM_ROW_TOUCH, .record_kind = ref->kind, .record = ref->record, .present = present};
    return fm_emit_row(r, &row);
}

int fm_touch_settle(struct fm_repl *r)
{
    struct fm_touch *t = r->touch;
    struct fm_record_ref ref;
    while (fm_refs_take(&t->marks, &ref)) {
        bool later = t->folds >= FM_FOLDS_PER_TURN_MAX;
        int rc = later ? emit_touch(r, &ref, true) : fold(r, &ref);
        if (rc != FM_OK)
            return rc;
        r->todo = r->todo || later;
    }
    fm_refs_reset(&t->marks);
    return FM_OK;
}

int fm_touch_work(struct fm_repl *r, bool turn_end)
{
    struct fm_touch *t = r->touch;
    struct fm_record_ref list[64];
    size_t count = 0;
    /* The list gets its share even in turns that are full of other work. */
    unsigned most = turn_end ? FM_FOLDS_PER_TURN_MAX + FM_FOLDS_PER_TURN_MAX / 4 : FM_FOLDS_PER_TURN_MAX;
    while (r->todo && t->folds < most) {
        size_t room = most - t->folds < 64 ? most - t->folds : 64;
        int rc = r->port->touched(r->port->ctx, list, room, &count);
        if (rc == FM_OK && count == 0)
            r->todo = false;
        for (size_t i = 0; rc == FM_OK && i < count; i++) {
            rc = fold(r, &list[i]);
            if (rc == FM_OK)
                rc = emit_touch(r, &list[i], false);
        }
        if (rc == FM_OK)
            rc = fm_touch_settle(r); /* records that waited for these stand in the marks now */
        if (rc != FM_OK)
            return rc;
    }
    return FM_OK;
}

int fm_touch_disputed(struct fm_repl *r, struct fm_record_ref *out)
{
    return fm_refs_take(&r->touch->disputed, out) ? FM_OK : FM_ENOTFOUND;
}
