#include "replication/submit.h"
#include "replication/uuid.h"

#define OPERATOR "operator"

/* Is this word among the texts of a list field? */
static bool lists(struct fm_span doc, const char *key, const char *word)
{
    struct fm_span packed;
    struct fm_value list, item;
    if (fm_doc_get(doc, key, &packed) != FM_OK)
        return false;
    fm_value_next(&packed, &list);
    for (uint32_t i = 0; list.type == FM_ARRAY && i < list.count; i++) {
        fm_value_next(&list.inner, &item);
        if (item.type == FM_STR && fm_span_eq(item.text, fm_span_str(word)))
            return true;
    }
    return false;
}

static bool active(struct fm_span doc)
{
    bool is_active = true; /* absent: active */
    return fm_doc_bool(doc, "isActive", &is_active) != FM_OK || is_active;
}

int fm_actor_find(struct fm_repl *r, struct fm_span text, struct fm_actor *out, struct fm_result *res)
{
    bool hub = fm_repl_role(r) == FM_ROLE_COORDINATOR;
    char clip[68];
    *out = (struct fm_actor){.builtin = fm_span_eq(text, fm_span_str(OPERATOR))};
    if (out->builtin) {
        memcpy(out->text, OPERATOR, sizeof OPERATOR);
        out->coordinator = out->decides = hub;
        return FM_OK;
    }
    struct fm_record_id id;
    if (fm_uuid_parse(&id, text) != FM_OK)
        return fm_submit_refuse(res, "person-unknown", "no person of this id is known here: %s", fm_submit_clip(clip, text));
    fm_uuid_text(out->text, &id);
    struct fm_span user;
    int rc = fm_stored_shown(r, FM_KIND_USER, &id, &user);
    if (rc == FM_ENOTFOUND)
        return fm_submit_refuse(res, "person-unknown", "no person of this id is known here: %s", out->text);
    if (rc != FM_OK)
        return rc;
    if (!active(user))
        return fm_submit_refuse(res, "person-inactive", "%s is not active", out->text);
    out->coordinator = lists(user, "roles", "COORDINATOR");
    out->decides = out->coordinator && hub;
    return FM_OK;
}

/* The assignment's record id follows from entity, user and role, so three look-ups answer rule 7. */
static int has_role(struct fm_repl *r, const struct fm_actor *a, const char *entity, const char *role, bool *yes)
{
    char triple[37 + FM_ACTOR_BYTES_MAX + 20];
    struct fm_record_id id;
    struct fm_span found;
    (void)snprintf(triple, sizeof triple, "%s|%s|%s", entity, a->text, role);
    fm_uuid_v8(&id, r->crypto, &r->self.mesh, FM_KIND_ASSIGNMENT, fm_span_str(triple));
    int rc = fm_stored_shown(r, FM_KIND_ASSIGNMENT, &id, &found);
    *yes = rc == FM_OK && active(found);
    return rc == FM_ENOTFOUND ? FM_OK : rc;
}

int fm_actor_assigned(struct fm_repl *r, const struct fm_actor *a, const struct fm_record_id *entity, struct fm_result *res)
{
    static const char *const roles[] = {"ASSESSOR", "RESPONDER", "DONOR"};
    char text[37];
    bool yes = a->coordinator;
    fm_uuid_text(text, entity);
    for (size_t i = 0; !yes && !a->builtin && i < sizeof roles / sizeof roles[0]; i++) {
        int rc = has_role(r, a, text, roles[i], &yes);
        if (rc != FM_OK)
            return rc;
    }
    if (yes)
        return FM_OK;
    if (a->builtin)
        return fm_submit_refuse(res, "not-assigned", "this node's operator may not write records; act as a person");
    return fm_submit_refuse(res, "not-assigned", "%s is not assigned to %s", a->text, text);
}

int fm_actor_decides(struct fm_repl *r, const struct fm_actor *a, struct fm_result *res)
{
    if (a->decides)
        return FM_OK;
    struct fm_member m;
    char clip[68];
    for (size_t i = 0; i < fm_repl_member_count(r); i++) {
        fm_repl_member(r, i, &m);
        if (m.role == FM_ROLE_COORDINATOR && !m.revoked && !m.expired && !m.self) /* the root's grants count */
            return fm_submit_refuse(res, "coordinator-only",
                                    "only a coordinator may do this, at a coordinator node: ask at %s",
                                    fm_submit_clip(clip, m.name));
    }
    return fm_submit_refuse(res, "coordinator-only", "only a coordinator may do this, at a coordinator node");
}
