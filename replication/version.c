#include "replication/version.h"

#include "replication/change.h"
#include "replication/doc.h"
#include "replication/error.h"

bool fm_version_allowed(uint8_t kind, uint8_t action, uint32_t parent_count, uint8_t role)
{
    bool high = kind == FM_KIND_ENTITY || kind == FM_KIND_ASSIGNMENT || kind == FM_KIND_USER || kind == FM_KIND_POLICY ||
                action == FM_UNDO || parent_count > 1;
    return high ? role == FM_ROLE_COORDINATOR : role != FM_ROLE_ROOT;
}

/* An undo back to a tombstone carries a tombstone's document. */
static bool tombstone_document(struct fm_span document)
{
    struct fm_field fields[FM_MAP_ENTRIES_MAX];
    size_t count;
    fm_doc_fields(document, fields, &count);
    for (size_t i = 0; i < count; i++)
        if (!fm_span_eq(fields[i].key, fm_span_str("id")) && !fm_span_eq(fields[i].key, fm_span_str("entityId")) &&
            !fm_span_eq(fields[i].key, fm_span_str("updatedAt")))
            return false;
    return true;
}

/* rule 55: a create may carry PENDING, DRAFT or AUTO_VERIFIED. */
static uint8_t verified_of(struct fm_span document)
{
    static const struct {
        const char *text;
        uint8_t verified;
    } known[] = {{"PENDING", 0}, {"DRAFT", 0}, {"AUTO_VERIFIED", 0}, {"VERIFIED", 1}, {"REJECTED", 2}};
    struct fm_span text;
    if (!fm_doc_has(document, "verificationStatus"))
        return 0;
    if (fm_doc_str(document, "verificationStatus", &text) == FM_OK)
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            if (fm_span_eq(text, fm_span_str(known[i].text)))
                return known[i].verified;
    return 3;
}

/* A field that is absent is as one that is nil; 0: all are. */
static uint64_t verification_of(const struct fm_crypto *c, struct fm_span document)
{
    static const char *const names[] = {"rejectionReason", "rejectionFeedback", "verifiedAt", "verifiedBy"};
    static const uint8_t nil = 0xc0;
    struct fm_span parts[5] = {fm_span_str(FM_DOMAIN_VERIFICATION)};
    bool any = false;
    for (size_t i = 0; i < 4; i++) {
        if (fm_doc_get(document, names[i], &parts[i + 1]) != FM_OK)
            parts[i + 1] = fm_span(&nil, 1);
        any = any || fm_doc_has(document, names[i]);
    }
    if (!any)
        return 0;
    uint8_t hash[16];
    c->hash(c->ctx, hash, sizeof hash, parts, 5);
    uint64_t short_hash = fm_be_get(hash, 8);
    return short_hash != 0 ? short_hash : 1;
}

bool fm_version_of(struct fm_version *out, struct fm_version_id parents[FM_PARENTS_MAX], const struct fm_crypto *c,
                   const struct fm_set_meta *meta, uint32_t index, struct fm_span item, const struct fm_version_id *id)
{
    struct fm_change change;
    bool record_known;
    int rc = fm_change_decode(&change, item, &record_known);
    if (rc != FM_OK && !record_known)
        return false;
    *out = (struct fm_version){.kind = change.kind,
                               .record = change.record,
                               .id = *id,
                               .time = meta->time + index,
                               .holder_count = 1};
    bool live = meta->verdict != FM_VOID && meta->stream.lane == FM_LANE_RECORDS;
    if (rc != FM_OK) { /* void by itself; what else it says is not to be relied on */
        out->own_fault = FM_WHY_CHANGE;
    } else {
        out->number = change.version;
        out->action = change.action;
        out->parent_count = change.parent_count;
        out->parents = parents;
        memcpy(parents, change.parents, change.parent_count * sizeof *parents);
        out->tombstone = change.action == FM_DELETE || (change.action == FM_UNDO && tombstone_document(change.document));
        if (change.kind == FM_KIND_ASSESSMENT || change.kind == FM_KIND_RESPONSE) {
            out->verified = verified_of(change.document);
            out->verification = verification_of(c, change.document);
        }
        live = live && fm_version_allowed(out->kind, out->action, out->parent_count, meta->role);
    }
    out->holders[0] = (struct fm_holder){.arrival = meta->arrival,
                                         .index = index,
                                         .role = meta->role,
                                         .live = live,
                                         .counted = meta->verdict == FM_COUNTED};
    return true;
}
