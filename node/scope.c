#include "node/scope.h"

#include <stdlib.h>

#include "replication/doc.h"

enum { PAGE = 256 };

static int by_id(const void *a, const void *b)
{
    const struct fm_record_id *x = a, *y = b;
    return fm_id_cmp(x, y);
}

void fm_scope_sort(struct fm_record_id *ids, size_t count)
{
    if (count > 0)
        qsort(ids, count, sizeof *ids, by_id);
}

bool fm_scope_listed(const struct fm_record_id *ids, size_t count, const struct fm_record_id *id)
{
    return count > 0 && bsearch(id, ids, count, sizeof *ids, by_id) != NULL;
}

bool fm_scope_has(const struct fm_scope *s, const struct fm_head *head)
{
    return (s->all && !s->cut) || (head->has_entity && fm_scope_listed(s->ids, s->count, &head->entity));
}

int fm_scope_document(struct fm_op *op, uint8_t kind, const struct fm_record_id *id, struct fm_span *document)
{
    const struct fm_port *port = fm_store_port(op->n->store);
    struct fm_head head;
    struct fm_version v;
    struct fm_span actor;
    int rc = port->head(port->ctx, kind, id, &op->arena, &head);
    if (rc != FM_OK)
        return rc;
    if (!head.shown || head.deleted)
        return FM_ENOTFOUND;
    rc = port->version_get(port->ctx, &head.winner, &op->arena, &v);
    return rc == FM_OK ? fm_repl_document(op->n->repl, &v, document, &actor) : rc;
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

/* rule 32: the entities of the user's active assignments, whatever their role. */
static int assigned(struct fm_op *op, struct fm_scope *s)
{
    const struct fm_port *port = fm_store_port(op->n->store);
    struct fm_record_id page[PAGE], after;
    size_t count = PAGE;
    for (bool first = true; count == PAGE; first = false) {
        int rc = port->by_entity(port->ctx, &s->user, FM_KIND_ASSIGNMENT, first ? NULL : &after, page, PAGE, &count);
        if (rc != FM_OK)
            return rc == FM_ENOTFOUND ? FM_OK : rc;
        struct fm_record_id *more = realloc(s->ids, (s->count + count + 1) * sizeof *more);
        if (more == NULL)
            return FM_ENOMEM;
        s->ids = more;
        for (size_t i = 0; i < count; i++) {
            struct fm_span document, entity;
            after = page[i];
            fm_arena_reset(&op->arena);
            rc = fm_scope_document(op, FM_KIND_ASSIGNMENT, &page[i], &document);
            if (rc != FM_OK && rc != FM_ENOTFOUND)
                return rc;
            if (rc == FM_OK && is_active(document) && fm_doc_str(document, "entityId", &entity) == FM_OK &&
                fm_uuid_parse(&s->ids[s->count], entity) == FM_OK)
                s->count++;
        }
    }
    return FM_OK;
}

/* Cuts the scope to the ids asked for; an empty list is nothing, and so is what is no id of an entity. */
static int cut(struct fm_scope *s, const json_t *asked)
{
    struct fm_record_id *ids = calloc(json_array_size(asked) + 1, sizeof *ids);
    size_t count = 0;
    if (ids == NULL)
        return FM_ENOMEM;
    fm_scope_sort(s->ids, s->count);
    for (size_t i = 0; i < json_array_size(asked); i++)
        if (fm_uuid_parse(&ids[count], fm_op_span(json_array_get(asked, i))) == FM_OK &&
            (s->all || fm_scope_listed(s->ids, s->count, &ids[count])))
            count++;
    free(s->ids);
    s->ids = ids;
    s->count = count;
    s->cut = true;
    return FM_OK;
}

static int refuse(const char **code, const char *name, char *why, size_t why_len, const char *what)
{
    *code = name;
    snprintf(why, why_len, "%s", what);
    return FM_EINVAL;
}

int fm_scope_find(struct fm_scope *out, struct fm_op *op, const char **code, char *why, size_t why_len)
{
    const char *as = fm_op_text(op, "as", "operator");
    const json_t *asked = json_object_get(op->request, "entityIds");
    struct fm_span document;
    int rc = FM_OK;
    *out = (struct fm_scope){.person = strcmp(as, "operator") != 0};
    if (asked != NULL && !json_is_null(asked) && !json_is_array(asked))
        return refuse(code, "usage", why, why_len, "entityIds: want a list of ids");
    if (!out->person) {
        out->all = true; /* rule 55: it may read */
    } else {
        rc = fm_uuid_parse(&out->user, fm_span_str(as)) == FM_OK
                 ? fm_scope_document(op, FM_KIND_USER, &out->user, &document)
                 : FM_ENOTFOUND;
        if (rc == FM_ENOTFOUND || (rc == FM_OK && !is_active(document))) /* rule 7 */
            return refuse(code, "not-allowed", why, why_len, "as: no active person of this id is known here");
        if (rc == FM_OK && has_role(document, "COORDINATOR"))
            out->all = true;
        else if (rc == FM_OK)
            rc = assigned(op, out);
    }
    if (rc == FM_OK && json_is_array(asked))
        rc = cut(out, asked);
    fm_scope_sort(out->ids, out->count);
    return rc;
}

void fm_scope_end(struct fm_scope *s)
{
    free(s->ids);
    s->ids = NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

uint64_t fm_scope_binding(const struct fm_scope *s, struct fm_op *op)
{
    const json_t *asked = json_object_get(op->request, "entityIds");
    size_t count = json_array_size(asked);
    const struct fm_span start[] = {fm_span(s->person ? s->user.b : NULL, s->person ? sizeof s->user.b : 0),
                                    fm_span_str(json_is_array(asked) ? "+" : "-")};
    uint8_t hash[32];
    struct { char text[37]; } *ids = calloc(count + 1, sizeof *ids);
    const char **sorted = calloc(count + 1, sizeof *sorted);
    op->n->crypto.hash(op->n->crypto.ctx, hash, sizeof hash, start, 2);
    for (size_t i = 0; ids != NULL && sorted != NULL && i < count; i++) {
        struct fm_record_id id;
        if (fm_uuid_parse(&id, fm_op_span(json_array_get(asked, i))) == FM_OK)
            fm_uuid_text(ids[i].text, &id);
        sorted[i] = ids[i].text; /* what is no id asks for nothing: "" */
    }
    if (ids != NULL && sorted != NULL && count > 1)
        qsort(sorted, count, sizeof *sorted, by_text);
    for (size_t i = 0; ids != NULL && sorted != NULL && i < count; i++) {
        const struct fm_span next[] = {fm_span(hash, sizeof hash), fm_span_str(sorted[i])};
        if (sorted[i][0] != '\0' && (i == 0 || strcmp(sorted[i], sorted[i - 1]) != 0))
            op->n->crypto.hash(op->n->crypto.ctx, hash, sizeof hash, next, 2);
    }
    free(ids);
    free(sorted);
    return fm_be_get(hash, 8);
}
