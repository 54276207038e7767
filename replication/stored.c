#include "replication/date.h"
#include "replication/inner.h"
#include "replication/submit.h"

int fm_stored_read(struct fm_repl *r, const struct fm_version *v, struct fm_span *document, struct fm_span *actor)
{
    int rc = fm_repl_document(r, v, document, actor);
    return rc == FM_OK || fm_emit_fatal(rc) ? rc : FM_ECORRUPT;
}

int fm_stored_document(struct fm_repl *r, const struct fm_version *v, struct fm_span *document, struct fm_span *actor)
{
    struct fm_span doc, who;
    int rc = fm_stored_read(r, v, &doc, &who);
    if (rc != FM_OK)
        return rc;
    /* The opened set may leave its cache with the next look-up. */
    uint8_t *copy = fm_arena_take(&r->scratch, doc.len + who.len);
    if (copy == NULL)
        return FM_ENOMEM;
    memcpy(copy, doc.data, doc.len);
    memcpy(copy + doc.len, who.data, who.len);
    *document = fm_span(copy, doc.len);
    *actor = fm_span(copy + doc.len, who.len);
    return FM_OK;
}

int fm_stored_head(struct fm_repl *r, uint8_t kind, const struct fm_record_id *record, struct fm_stored *out)
{
    *out = (struct fm_stored){.kind = kind, .record = *record};
    int rc = r->port->head(r->port->ctx, kind, record, &r->scratch, &out->head);
    if (rc == FM_ENOTFOUND)
        return FM_OK;
    out->shown = rc == FM_OK && out->head.shown;
    return rc;
}

int fm_stored_load(struct fm_repl *r, uint8_t kind, const struct fm_record_id *record, struct fm_stored *out)
{
    int rc = fm_stored_head(r, kind, record, out);
    if (rc != FM_OK || !out->shown)
        return rc;
    rc = r->port->versions(r->port->ctx, kind, record, &r->scratch, &out->versions, &out->count);
    if (rc == FM_ELIMIT) { /* full, and not yet folded as such */
        out->shown = false;
        out->head.versions = FM_RECORD_VERSIONS_MAX + 1;
        return FM_OK;
    }
    if (rc != FM_OK)
        return rc;
    out->winner = fm_stored_find(out, &out->head.winner);
    if (out->winner == NULL)
        return FM_ECORRUPT; /* a head without its version */
    return fm_stored_document(r, out->winner, &out->document, &out->actor);
}

int fm_stored_shown(struct fm_repl *r, uint8_t kind, const struct fm_record_id *record, struct fm_span *document)
{
    struct fm_stored s;
    struct fm_version *v = fm_arena_take(&r->scratch, sizeof *v);
    int rc = v == NULL ? FM_ENOMEM : fm_stored_head(r, kind, record, &s);
    if (rc == FM_OK && (!s.shown || s.head.deleted))
        return FM_ENOTFOUND;
    if (rc == FM_OK) {
        rc = r->port->version_get(r->port->ctx, &s.head.winner, &r->scratch, v);
        if (rc == FM_ENOTFOUND)
            rc = FM_ECORRUPT; /* a head without its version */
    }
    return rc == FM_OK ? fm_stored_document(r, v, document, &s.actor) : rc;
}

const struct fm_version *fm_stored_find(const struct fm_stored *s, const struct fm_version_id *id)
{
    for (size_t i = 0; i < s->count; i++)
        if (fm_id_eq(&s->versions[i].id, id))
            return &s->versions[i];
    return NULL;
}

const struct fm_version *fm_stored_living(const struct fm_stored *s, const struct fm_version *v)
{
    while (v != NULL && v->tombstone)
        v = v->parent_count == 0 ? NULL : fm_stored_find(s, &v->parents[0]);
    return v;
}

int fm_stored_base(struct fm_repl *r, const struct fm_stored *s, const struct fm_version *v, struct fm_span *document)
{
    const struct fm_version *living = fm_stored_living(s, v);
    struct fm_span actor;
    *document = fm_span(NULL, 0);
    if (living == NULL)
        return FM_OK;
    if (living == s->winner) {
        *document = s->document;
        return FM_OK;
    }
    return fm_stored_document(r, living, document, &actor);
}

const char *fm_stored_deletion(const struct fm_stored *s, char out[160])
{
    char date[FM_DATE_CHARS], clip[68];
    out[0] = '\0';
    if (s->head.deleted) { /* rule 13 */
        fm_date_text(date, s->winner->time >> 16);
        (void)snprintf(out, 160, "deleted by %s on %s", fm_submit_clip(clip, s->actor), date);
    }
    return out;
}
