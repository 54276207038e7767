#include "node/pull.h"

#include <stdlib.h>

#include "node/scope.h"

enum { PAGE = 500, CURSOR_BYTES = 6 * 8 + 1 };

/* What a cursor says. Given is: everything numbered up to `after` that was in scope; of entities whose assignments changed
 * up to `filled` also their older records. While a round of filling runs (goal is not 0), the records up to `fill` of
 * the entities assigned in (filled, goal] are given too; `after` stands still until the round is over. */
struct cursor {
    uint64_t changes_id, bound, after, filled, goal, fill;
    bool all;                    /* made when every entity was in scope */
};

struct pull {
    struct fm_op *op;
    struct fm_scope scope;
    struct cursor at;
    uint64_t last, newest;       /* change number and stamp, as the pull begins */
    struct fm_record_id *fresh;  /* entities whose assignments changed; sorted */
    size_t fresh_count;
    json_t *assessments, *responses, *tombstones;
    size_t given, limit;
};

static bool read_cursor(struct cursor *out, struct fm_span text)
{
    uint8_t raw[CURSOR_BYTES];
    if (fm_hex_parse(raw, sizeof raw, text) != FM_OK || raw[CURSOR_BYTES - 1] > 1)
        return false;
    uint64_t *fields[] = {&out->changes_id, &out->bound, &out->after, &out->filled, &out->goal, &out->fill};
    for (size_t i = 0; i < 6; i++)
        *fields[i] = fm_be_get(raw + 8 * i, 8);
    out->all = raw[CURSOR_BYTES - 1] == 1;
    return true;
}

static json_t *write_cursor(const struct cursor *c)
{
    uint8_t raw[CURSOR_BYTES];
    const uint64_t fields[] = {c->changes_id, c->bound, c->after, c->filled, c->goal, c->fill};
    for (size_t i = 0; i < 6; i++)
        fm_be_put(raw + 8 * i, fields[i], 8);
    raw[CURSOR_BYTES - 1] = c->all;
    return fm_op_hex(raw, sizeof raw);
}

/* rule 35: by the numbers this node gave, never by a date. Each change in (from, to], in order, until take says stop (1)
 * or fails (below 0). *reached: the last one taken; if it did not stop, `to`. */
static int each_change(struct pull *p, uint64_t from, uint64_t to, int (*take)(struct pull *p, const struct fm_changed *c),
                       uint64_t *reached)
{
    struct fm_changed *page = calloc(PAGE, sizeof *page);
    size_t count = PAGE;
    int rc = page == NULL ? FM_ENOMEM : FM_OK;
    *reached = from;
    while (rc == FM_OK && count == PAGE && *reached < to) {
        fm_arena_reset(&p->op->arena);
        rc = fm_store_changed(p->op->n->store, *reached, &p->op->arena, page, PAGE, &count);
        for (size_t i = 0; rc == FM_OK && i < count; i++) {
            if (page[i].number > to) {
                count = 0;
                break;
            }
            rc = take(p, &page[i]);
            if (rc == FM_OK)
                *reached = page[i].number;
        }
    }
    free(page);
    if (rc == FM_OK)
        *reached = to;
    return rc < 0 ? rc : FM_OK;
}

/* --- what is given --- */

static int give(struct pull *p, const struct fm_head *head)
{
    struct fm_span document, actor;
    struct fm_version v;
    const struct fm_port *port = fm_store_port(p->op->n->store);
    int rc = port->version_get(port->ctx, &head->winner, &p->op->arena, &v);
    if (rc == FM_OK)
        rc = fm_repl_document(p->op->n->repl, &v, &document, &actor);
    if (rc != FM_OK)
        return rc == FM_ENOTFOUND ? FM_ECORRUPT : rc; /* never left out in silence */
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
    return FM_OK;
}

/* Assessments and responses in scope (rule 33). Stops before the first that is over the limit: then there is more. */
static int take_record(struct pull *p, const struct fm_changed *c)
{
    const struct fm_head *head = &c->head;
    bool pulled = head->kind == FM_KIND_ASSESSMENT || head->kind == FM_KIND_RESPONSE;
    if (!pulled || !head->shown || !fm_scope_has(&p->scope, head))
        return FM_OK;
    return p->given == p->limit ? 1 : give(p, head);
}

static int take_filling(struct pull *p, const struct fm_changed *c)
{
    bool wanted = c->head.has_entity && fm_scope_listed(p->fresh, p->fresh_count, &c->head.entity);
    return wanted ? take_record(p, c) : FM_OK;
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
            bool wanted = heads[i].shown && !heads[i].deleted && (p->scope.all && !p->scope.cut ? true
                          : fm_scope_listed(p->scope.ids, p->scope.count, &heads[i].record));
            after = heads[i].record;
            rc = wanted ? fm_scope_document(p->op, FM_KIND_ENTITY, &after, &document) : FM_OK;
            if (wanted && rc == FM_OK)
                json_array_append_new(out, fm_json_from_doc(document));
        }
    }
    free(heads);
    return rc;
}

/* --- where it starts --- */

/* Entities whose assignments to the user changed; and the user's own record. */
static int take_assignment(struct pull *p, const struct fm_changed *c)
{
    const struct fm_head *head = &c->head;
    if (p->scope.all)
        return head->kind == FM_KIND_USER && fm_id_eq(&head->record, &p->scope.user) ? 1 : FM_OK;
    if (head->kind != FM_KIND_ASSIGNMENT || !head->has_user || !head->has_entity || !fm_id_eq(&head->user, &p->scope.user) ||
        !fm_scope_listed(p->scope.ids, p->scope.count, &head->entity))
        return FM_OK;
    struct fm_record_id *more = realloc(p->fresh, (p->fresh_count + 1) * sizeof *more);
    if (more == NULL)
        return FM_ENOMEM;
    p->fresh = more;
    p->fresh[p->fresh_count++] = head->entity;
    return FM_OK;
}

static int find_fresh(struct pull *p, uint64_t from, uint64_t to)
{
    uint64_t reached;
    p->fresh_count = 0;
    int rc = each_change(p, from, to, take_assignment, &reached);
    fm_scope_sort(p->fresh, p->fresh_count);
    return rc;
}

static int refuse(const char **code, const char *name, char *why, size_t why_len, const char *what)
{
    *code = name;
    snprintf(why, why_len, "%s", what);
    return FM_EINVAL;
}

/* Who sees everything may have become one since `after`: then nothing old was given yet. */
static int since_all(struct pull *p)
{
    uint64_t reached;
    if (!p->scope.all || !p->scope.person)
        return FM_OK;
    int rc = each_change(p, p->at.after, p->last, take_assignment, &reached);
    if (rc == FM_OK && reached < p->last)
        p->at.after = 0;
    return rc;
}

/* Where the pull starts: the cursor, the time stamp (rule 33, inclusive), or the beginning. 0, an environment error, or
 * FM_EINVAL: code and why. */
static int find_start(struct pull *p, const char **code, char *why, size_t why_len)
{
    struct fm_op *op = p->op;
    const struct cursor fresh = {.changes_id = fm_store_changes_id(op->n->store), .bound = fm_scope_binding(&p->scope, op),
                                 .all = p->scope.all};
    const json_t *cursor = json_object_get(op->request, "cursor");
    const json_t *since = json_object_get(op->request, "lastSyncTimestamp");
    uint64_t ms;
    int rc = FM_OK;
    p->at = fresh;
    if (cursor != NULL && !json_is_null(cursor)) {
        if (!read_cursor(&p->at, fm_op_span(cursor)))
            return refuse(code, "usage", why, why_len, "cursor: not one of ours");
        if (p->at.bound != fresh.bound) /* rule 34 */
            return refuse(code, "cursor-foreign", why, why_len, "cursor: made for another user or other entityIds");
        if (p->at.changes_id != fresh.changes_id || p->at.after > p->last || (fresh.all && !p->at.all))
            p->at = fresh; /* the numbers are new (reindex, restore), or all entities are: from the start */
        p->at.all = fresh.all;
    } else if (since != NULL && !json_is_null(since)) {
        if (fm_iso_parse(&ms, fm_op_span(since)) != FM_OK)
            return refuse(code, "usage", why, why_len, "lastSyncTimestamp: want a date as syncTimestamp gives it");
        rc = fm_store_changed_since(op->n->store, ms < p->newest ? ms : p->newest, &p->at.after);
        if (rc == FM_OK)
            rc = since_all(p);
        p->at.filled = p->at.after;
    }
    return rc;
}

/* --- the pull --- */

/* A newly assigned entity's old records, whatever the cursor (rule 34). *over: nothing is left to fill. */
static int fill(struct pull *p, bool *over)
{
    struct cursor *at = &p->at;
    uint64_t reached;
    *over = true;
    if (p->scope.all || at->after == 0) {
        at->filled = p->last;
        at->goal = at->fill = 0;
        return FM_OK;
    }
    while (*over && (at->goal != 0 || at->filled < p->last)) {
        uint64_t goal = at->goal != 0 && at->goal < p->last ? at->goal : p->last;
        int rc = find_fresh(p, at->filled, goal);
        if (rc == FM_OK && p->fresh_count > 0)
            rc = each_change(p, at->fill, at->after, take_filling, &reached);
        if (rc != FM_OK)
            return rc;
        if (p->fresh_count > 0 && reached < at->after) { /* goes on with the same entities on the next page */
            at->goal = goal;
            at->fill = reached;
            *over = false;
        } else {
            at->filled = goal;
            at->goal = at->fill = 0;
        }
    }
    return FM_OK;
}

/* What the client may give back as lastSyncTimestamp: from there on nothing is missing. */
static int find_stamp(struct pull *p, bool more, uint64_t *stamp)
{
    struct fm_changed next;
    size_t count = 0;
    *stamp = p->newest;
    if (!more)
        return FM_OK;
    fm_arena_reset(&p->op->arena);
    /* `after` is never above `filled`, so an assignment whose records are not all given has a later stamp too. */
    int rc = fm_store_changed(p->op->n->store, p->at.after, &p->op->arena, &next, 1, &count);
    if (rc == FM_OK && count == 1)
        *stamp = next.stamp;
    return rc;
}

static int gather(struct pull *p, bool *more, uint64_t *stamp)
{
    uint64_t reached;
    bool over;
    int rc = fill(p, &over);
    if (rc == FM_OK && over) {
        rc = each_change(p, p->at.after, p->last, take_record, &reached);
        p->at.after = reached;
    }
    *more = !over || p->at.after < p->last;
    return rc == FM_OK ? find_stamp(p, *more, stamp) : rc;
}

/* Without limit and cursor the answer is complete; with either, pages (rule 34). */
static int find_limit(struct pull *p, const char **code, char *why, size_t why_len)
{
    const json_t *limit = json_object_get(p->op->request, "limit"), *cursor = json_object_get(p->op->request, "cursor");
    bool has_limit = limit != NULL && !json_is_null(limit), has_cursor = cursor != NULL && !json_is_null(cursor);
    if (has_limit && (!json_is_integer(limit) || json_integer_value(limit) < 1))
        return refuse(code, "usage", why, why_len, "limit: want a whole number from 1 to 1000");
    p->limit = has_limit || has_cursor ? FM_PULL_PAGE_MAX : SIZE_MAX;
    if (has_limit && json_integer_value(limit) < (json_int_t)FM_PULL_PAGE_MAX)
        p->limit = (size_t)json_integer_value(limit);
    return FM_OK;
}

json_t *fm_pull(struct fm_op *op, const char **code, char *why, size_t why_len)
{
    struct pull p = {.op = op, .assessments = json_array(), .responses = json_array(), .tombstones = json_array()};
    json_t *entities = json_array(), *out = NULL;
    uint64_t stamp = 0;
    bool more = false;
    int rc = fm_scope_find(&p.scope, op, code, why, why_len);
    if (rc == FM_OK)
        rc = find_limit(&p, code, why, why_len);
    if (rc == FM_OK)
        rc = fm_store_changed_last(op->n->store, &p.last, &p.newest);
    if (rc == FM_OK)
        rc = find_start(&p, code, why, why_len);
    if (rc == FM_OK)
        rc = gather(&p, &more, &stamp);
    if (rc == FM_OK)
        rc = give_entities(&p, entities);
    if (rc == FM_OK) {
        char text[25];
        fm_iso_text(text, stamp);
        out = json_pack("{s:O, s:O, s:O, s:O, s:s, s:o, s:b}", "assessments", p.assessments, "responses", p.responses,
                        "entities", entities, "tombstones", p.tombstones, "syncTimestamp", text, "cursor",
                        write_cursor(&p.at), "hasMore", more);
    } else if (why[0] == '\0') {
        *code = fm_error_code(rc);
        snprintf(why, why_len, "%s", fm_error_text(rc));
    }
    json_decref(p.assessments);
    json_decref(p.responses);
    json_decref(p.tombstones);
    json_decref(entities);
    fm_scope_end(&p.scope);
    free(p.fresh);
    return out;
}
