#include "node/pull.h"

#include <inttypes.h>
#include <stdlib.h>

#include "replication/doc.h"

enum { PAGE = 500 };

/* Who asks, and which entities he may see. */
struct scope {
    bool all;
    bool cut;                    /* entityIds were given */
    struct fm_record_id *ids;    /* in scope unless all && !cut; sorted */
    size_t count;
};

/* What a cursor says: everything numbered up to `after` was given; entities assigned up to `filled` were given their old
 * records; `fill` is how far the old records of newer ones were given. */
struct cursor {
    uint64_t changes_id, after, filled, fill, bound;
};

struct pull {
    struct fm_op *op;
    struct scope scope;
    struct cursor at;
    struct fm_record_id *fresh;  /* entities assigned after at.filled */
    size_t fresh_count;
    json_t *assessments, *responses, *tombstones;
    size_t given, limit;
    uint64_t stamp;
};

static int by_id(const void *a, const void *b)
{
    const struct fm_record_id *x = a, *y = b;
    return fm_id_cmp(x, y);
}

static bool has_id(const struct fm_record_id *ids, size_t count, const struct fm_record_id *id)
{
    return count > 0 && bsearch(id, ids, count, sizeof *ids, by_id) != NULL;
}

static bool in_scope(const struct scope *s, const struct fm_head *head)
{
    return (s->all && !s->cut) || (head->has_entity && has_id(s->ids, s->count, &head->entity));
}

static bool winner_document(struct fm_op *op, uint8_t kind, const struct fm_record_id *id, struct fm_span *document)
{
    const struct fm_port *port = fm_store_port(op->n->store);
    struct fm_head head;
    struct fm_version v;
    struct fm_span actor;
    return port->head(port->ctx, kind, id, &op->arena, &head) == FM_OK && head.shown && !head.deleted &&
           port->version_get(port->ctx, &head.winner, &op->arena, &v) == FM_OK &&
           fm_repl_document(op->n->repl, &v, document, &actor) == FM_OK;
}

static bool is_active(struct fm_span document)
{
    bool active;
    return fm_doc_bool(document, "isActive", &active) != FM_OK || active;
}

static bool has_role(struct fm_span document, const char *role)
{
    struct fm_span packed;
    struct fm_value list, item;
    if (fm_doc_get(document, "roles", &packed) != FM_OK)
        return false;
    fm_value_next(&packed, &list);
    for (uint32_t i = 0; list.type == FM_ARRAY && i < list.count; i++) {
        fm_value_next(&list.inner, &item);
        if (item.type == FM_STR && fm_span_eq(item.text, fm_span_str(role)))
            return true;
    }
    return false;
}

/* rule 32: the entities of the user's active assignments. */
static int assigned(struct fm_op *op, const struct fm_record_id *user, struct scope *s)
{
    const struct fm_port *port = fm_store_port(op->n->store);
    struct fm_record_id page[PAGE], after;
    size_t count = PAGE;
    for (bool first = true; count == PAGE; first = false) {
        int rc = port->by_entity(port->ctx, user, FM_KIND_ASSIGNMENT, first ? NULL : &after, page, PAGE, &count);
        if (rc != FM_OK)
            return rc == FM_ENOTFOUND ? FM_OK : rc;
        struct fm_record_id *more = realloc(s->ids, (s->count + count + 1) * sizeof *more);
        if (more == NULL)
            return FM_ENOMEM;
        s->ids = more;
        for (size_t i = 0; i < count; i++) {
            struct fm_span document, entity;
            after = page[i];
            if (winner_document(op, FM_KIND_ASSIGNMENT, &page[i], &document) && is_active(document) &&
                fm_doc_str(document, "entityId", &entity) == FM_OK && fm_uuid_parse(&s->ids[s->count], entity) == FM_OK)
                s->count++;
        }
    }
    return FM_OK;
}

/* Cuts the scope to the ids asked for; an empty list is nothing. */
static int cut_scope(struct scope *s, const json_t *asked)
{
    struct fm_record_id *ids = calloc(json_array_size(asked) + 1, sizeof *ids);
    size_t count = 0;
    if (ids == NULL)
        return FM_ENOMEM;
    qsort(s->ids, s->count, sizeof *s->ids, by_id);
    for (size_t i = 0; i < json_array_size(asked); i++)
        if (fm_uuid_parse(&ids[count], fm_op_span(json_array_get(asked, i))) == FM_OK &&
            (s->all || has_id(s->ids, s->count, &ids[count])))
            count++;
    free(s->ids);
    s->ids = ids;
    s->count = count;
    s->cut = true;
    return FM_OK;
}

static int find_scope(struct pull *p, const char *actor, const char **code, char *why, size_t why_len)
{
    struct fm_op *op = p->op;
    struct fm_record_id user;
    struct fm_span document;
    int rc = FM_OK;
    if (strcmp(actor, "operator") == 0) {
        p->scope.all = true;
    } else if (fm_uuid_parse(&user, fm_span_str(actor)) != FM_OK || !winner_document(op, FM_KIND_USER, &user, &document) ||
               !is_active(document)) {
        *code = "not-allowed";
        snprintf(why, why_len, "%s is no active user known here", actor);
        return FM_ENOTFOUND;
    } else if (has_role(document, "COORDINATOR")) {
        p->scope.all = true;
    } else {
        rc = assigned(op, &user, &p->scope);
    }
    const json_t *asked = json_object_get(op->request, "entityIds");
    if (rc == FM_OK && json_is_array(asked))
        rc = cut_scope(&p->scope, asked);
    if (p->scope.count > 0)
        qsort(p->scope.ids, p->scope.count, sizeof *p->scope.ids, by_id);
    return rc;
}

/* A cursor is bound to the user and the entityIds asked for (rule 34). */
static uint64_t binding(const struct fm_op *op, const char *actor)
{
    uint8_t hash[16];
    const json_t *asked = json_object_get(op->request, "entityIds");
    char *ids = asked != NULL ? json_dumps(asked, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    struct fm_span parts[] = {fm_span_str(actor), fm_span("\0", 1), fm_span_str(ids != NULL ? ids : "")};
    op->n->crypto.hash(op->n->crypto.ctx, hash, sizeof hash, parts, 3);
    free(ids);
    return fm_be_get(hash, 8);
}

static bool read_cursor(struct cursor *out, struct fm_span text)
{
    uint8_t raw[40];
    if (fm_hex_parse(raw, sizeof raw, text) != FM_OK)
        return false;
    uint64_t *fields[] = {&out->changes_id, &out->after, &out->filled, &out->fill, &out->bound};
    for (size_t i = 0; i < 5; i++)
        *fields[i] = fm_be_get(raw + 8 * i, 8);
    return true;
}

static json_t *write_cursor(const struct cursor *c)
{
    uint8_t raw[40];
    const uint64_t fields[] = {c->changes_id, c->after, c->filled, c->fill, c->bound};
    for (size_t i = 0; i < 5; i++)
        fm_be_put(raw + 8 * i, fields[i], 8);
    return fm_op_hex(raw, sizeof raw);
}

/* Where the pull starts: the cursor, the time stamp (rule 33, inclusive), or the beginning. */
static bool find_start(struct pull *p, const char *actor, const char **code, char *why, size_t why_len)
{
    struct fm_op *op = p->op;
    const struct cursor fresh = {.changes_id = fm_store_changes_id(op->n->store), .bound = binding(op, actor)};
    const json_t *cursor = json_object_get(op->request, "cursor"), *since = json_object_get(op->request, "lastSyncTimestamp");
    p->at = fresh;
    if (json_is_string(cursor)) {
        if (!read_cursor(&p->at, fm_op_span(cursor))) {
            snprintf(why, why_len, "cursor: not one of ours");
            return false;
        }
        if (p->at.bound != fresh.bound) {
            *code = "cursor-foreign";
            snprintf(why, why_len, "cursor: made for another user or other entityIds");
            return false;
        }
        if (p->at.changes_id != fresh.changes_id)
            p->at = fresh; /* the numbers are new (reindex, restore): from the start */
    } else if (json_is_string(since)) {
        uint64_t ms;
        if (fm_iso_parse(&ms, fm_op_span(since)) != FM_OK || fm_store_changed_since(op->n->store, ms, &p->at.after) != FM_OK) {
            snprintf(why, why_len, "lastSyncTimestamp: want a date as syncTimestamp gives it");
            return false;
        }
        p->at.filled = p->at.after;
    }
    return true;
}

static void give(struct pull *p, const struct fm_head *head)
{
    struct fm_span document, actor;
    struct fm_version v;
    const struct fm_port *port = fm_store_port(p->op->n->store);
    if (!head->shown || port->version_get(port->ctx, &head->winner, &p->op->arena, &v) != FM_OK ||
        fm_repl_document(p->op->n->repl, &v, &document, &actor) != FM_OK)
        return;
    json_t *out = fm_json_from_doc(document);
    json_object_set_new(out, "versionId", fm_op_hex(v.id.b, sizeof v.id.b));
    if (head->deleted) {
        json_object_set_new(out, "type", json_string(fm_kind_name(head->kind)));
        json_array_append_new(p->tombstones, out);
    } else {
        json_object_set_new(out, "mediaAttachments", json_array());
        json_array_append_new(head->kind == FM_KIND_ASSESSMENT ? p->assessments : p->responses, out);
    }
    p->given++;
}

static bool is_pulled(const struct fm_head *head)
{
    return head->kind == FM_KIND_ASSESSMENT || head->kind == FM_KIND_RESPONSE;
}

/* Goes through the changes in (from, to], giving what `wanted` entities (NULL: the scope) hold. *reached: how far it came. */
static int walk(struct pull *p, uint64_t from, uint64_t to, bool fresh_only, uint64_t *reached)
{
    struct fm_changed *page = calloc(PAGE, sizeof *page);
    size_t count = PAGE;
    int rc = page == NULL ? FM_ENOMEM : FM_OK;
    *reached = from;
    while (rc == FM_OK && count == PAGE && p->given < p->limit && *reached < to) {
        fm_arena_reset(&p->op->arena);
        rc = fm_store_changed(p->op->n->store, *reached, &p->op->arena, page, PAGE, &count);
        for (size_t i = 0; rc == FM_OK && i < count && p->given < p->limit; i++) {
            const struct fm_head *head = &page[i].head;
            if (page[i].number > to) {
                count = 0;
                break;
            }
            *reached = page[i].number;
            if (!fresh_only)
                p->stamp = page[i].stamp;
            if (is_pulled(head) && in_scope(&p->scope, head) &&
                (!fresh_only || has_id(p->fresh, p->fresh_count, &head->entity)))
                give(p, head);
        }
    }
    free(page);
    if (p->given < p->limit)
        *reached = to;
    return rc;
}

/* Entities assigned to the user after at.filled: their old records are given whatever the cursor (rule 34). */
static int find_fresh(struct pull *p, const char *actor, uint64_t last)
{
    struct fm_record_id user;
    if (p->scope.all || p->at.filled >= last || fm_uuid_parse(&user, fm_span_str(actor)) != FM_OK)
        return FM_OK;
    struct fm_changed *page = calloc(PAGE, sizeof *page);
    uint64_t at = p->at.filled;
    size_t count = PAGE;
    int rc = page == NULL ? FM_ENOMEM : FM_OK;
    while (rc == FM_OK && count == PAGE) {
        fm_arena_reset(&p->op->arena);
        rc = fm_store_changed(p->op->n->store, at, &p->op->arena, page, PAGE, &count);
        struct fm_record_id *more = rc == FM_OK ? realloc(p->fresh, (p->fresh_count + count + 1) * sizeof *more) : NULL;
        if (more == NULL) {
            rc = rc == FM_OK ? FM_ENOMEM : rc;
            break;
        }
        p->fresh = more;
        for (size_t i = 0; i < count; i++) {
            const struct fm_head *head = &page[i].head;
            at = page[i].number;
            if (head->kind == FM_KIND_ASSIGNMENT && head->has_user && fm_id_eq(&head->user, &user) && head->has_entity)
                p->fresh[p->fresh_count++] = head->entity;
        }
    }
    free(page);
    if (p->fresh_count > 0)
        qsort(p->fresh, p->fresh_count, sizeof *p->fresh, by_id);
    return rc;
}

/* rule 33: entities in scope always in full. */
static int give_entities(struct pull *p, json_t *out)
{
    struct fm_head *heads = calloc(PAGE, sizeof *heads);
    struct fm_record_id after;
    size_t count = PAGE;
    int rc = heads == NULL ? FM_ENOMEM : FM_OK;
    for (bool first = true; rc == FM_OK && count == PAGE; first = false) {
        fm_arena_reset(&p->op->arena);
        rc = fm_store_heads(p->op->n->store, FM_KIND_ENTITY, first ? NULL : &after, &p->op->arena, heads, PAGE, &count);
        for (size_t i = 0; rc == FM_OK && i < count; i++) {
            struct fm_span document;
            after = heads[i].record;
            if (in_scope(&p->scope, &heads[i]) && winner_document(p->op, FM_KIND_ENTITY, &after, &document))
                json_array_append_new(out, fm_json_from_doc(document));
        }
    }
    free(heads);
    return rc;
}

static int gather(struct pull *p, const char *actor, bool *more)
{
    uint64_t last = 0, reached = 0;
    int rc = fm_store_changed_last(p->op->n->store, &last, &p->stamp);
    uint64_t newest = p->stamp;
    if (rc == FM_OK)
        rc = find_fresh(p, actor, last);
    if (rc == FM_OK && p->fresh_count > 0) {
        rc = walk(p, p->at.fill, p->at.after, true, &reached);
        p->at.fill = reached;
    }
    bool filled = p->fresh_count == 0 || reached >= p->at.after;
    if (filled) {
        p->at.filled = last;
        p->at.fill = 0;
    }
    if (rc == FM_OK && filled && p->given < p->limit) {
        rc = walk(p, p->at.after, last, false, &reached);
        p->at.after = reached;
    }
    *more = !filled || p->at.after < last;
    if (!*more)
        p->stamp = newest;
    return rc;
}

json_t *fm_pull(struct fm_op *op, const char **code, char *why, size_t why_len)
{
    const char *actor = fm_op_text(op, "as", "operator");
    int64_t limit = fm_op_number(op, "limit", 0);
    bool paged = limit > 0 || json_object_get(op->request, "cursor") != NULL, more = false;
    struct pull p = {.op = op, .assessments = json_array(), .responses = json_array(), .tombstones = json_array()};
    p.limit = !paged ? SIZE_MAX : limit <= 0 || limit > (int64_t)FM_PULL_PAGE_MAX ? FM_PULL_PAGE_MAX : (size_t)limit;
    json_t *entities = json_array(), *out = NULL;
    int rc = find_scope(&p, actor, code, why, why_len);
    if (rc == FM_OK && find_start(&p, actor, code, why, why_len)) {
        rc = gather(&p, actor, &more);
        if (rc == FM_OK)
            rc = give_entities(&p, entities);
        if (rc == FM_OK) {
            char stamp[25];
            fm_iso_text(stamp, p.stamp);
            out = json_pack("{s:O, s:O, s:O, s:O, s:s, s:o, s:b}", "assessments", p.assessments, "responses", p.responses,
                            "entities", entities, "tombstones", p.tombstones, "syncTimestamp", stamp, "cursor",
                            write_cursor(&p.at), "hasMore", more);
        }
    }
    if (out == NULL && why[0] == '\0')
        snprintf(why, why_len, "%s", fm_error_text(rc));
    json_decref(p.assessments);
    json_decref(p.responses);
    json_decref(p.tombstones);
    json_decref(entities);
    free(p.scope.ids);
    free(p.fresh);
    return out;
}
