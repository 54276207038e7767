#include "replication/submit.h"
#include "replication/uuid.h"

#define PRIORITIES "LOW MEDIUM HIGH CRITICAL"

static size_t priority_of(struct fm_span doc, const char *key, size_t absent)
{
    struct fm_span text;
    size_t place = absent;
    if (fm_doc_str(doc, key, &text) == FM_OK)
        (void)fm_fields_word(PRIORITIES, text, &place);
    return place;
}

/* An empty or absent list covers any type. */
static bool covers_type(struct fm_span settings, struct fm_span type)
{
    struct fm_span packed;
    struct fm_value list, item;
    if (fm_doc_get(settings, "types", &packed) != FM_OK)
        return true;
    fm_value_next(&packed, &list);
    if (list.type != FM_ARRAY || list.count == 0)
        return true;
    for (uint32_t i = 0; i < list.count; i++) {
        fm_value_next(&list.inner, &item);
        if (item.type == FM_STR && fm_span_eq(item.text, type))
            return true;
    }
    return false;
}

bool fm_approval_allows(struct fm_span entity, uint8_t kind, struct fm_span document)
{
    bool on = false, active = true;
    struct fm_span settings, scope, type = fm_span(NULL, 0);
    bool response = kind == FM_KIND_RESPONSE;
    if (fm_doc_bool(entity, "isActive", &active) == FM_OK && !active)
        return false;
    if (fm_doc_bool(entity, "autoApproveEnabled", &on) != FM_OK || !on)
        return false;
    if (fm_doc_get(entity, "autoApproval", &settings) != FM_OK || !fm_doc_has(entity, "autoApproval"))
        return true;
    struct fm_value shape;
    struct fm_span at = settings;
    fm_value_next(&at, &shape);
    if (shape.type != FM_MAP)
        return false; /* settings that nobody can read approve of nothing */
    if (fm_doc_str(settings, "scope", &scope) == FM_OK && !fm_span_eq(scope, fm_span_str("both")) &&
        !fm_span_eq(scope, fm_span_str(response ? "responses" : "assessments")))
        return false;
    (void)fm_doc_str(document, response ? "type" : "assessmentType", &type);
    return covers_type(settings, type) && priority_of(document, "priority", 1) <= priority_of(settings, "maxPriority", 3);
}

int fm_approval_decide(struct fm_repl *r, uint8_t kind, struct fm_span document, bool *yes)
{
    struct fm_span text;
    struct fm_record_id id;
    struct fm_span entity;
    *yes = false;
    if (fm_doc_str(document, "entityId", &text) != FM_OK || fm_uuid_parse(&id, text) != FM_OK)
        return FM_OK;
    int rc = fm_stored_shown(r, FM_KIND_ENTITY, &id, &entity);
    if (rc == FM_OK)
        *yes = fm_approval_allows(entity, kind, document);
    return rc == FM_ENOTFOUND ? FM_OK : rc; /* unknown: no */
}
