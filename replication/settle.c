/* Settling by policy: disjoint conflicts, by the one coordinator node that the policy names (DESIGN.md section 4). */
#include <assert.h>

#include "replication/fold.h"
#include "replication/submit.h"

#define SETTLED_AT_ONCE_MAX (FM_PARENTS_MAX - 1)

/* The record's heads: the winner first, then the open ones; each with its document. */
struct heads {
    const struct fm_version *v[FM_PARENTS_MAX];
    struct fm_span document[FM_PARENTS_MAX];
    size_t count;
};

/* Does the policy name this node? */
static int named(struct fm_repl *r, bool *yes)
{
    static const char hex[] = "0123456789abcdef";
    char own[2 * FM_KEY_BYTES];
    struct fm_record_id id;
    struct fm_span policy;
    struct fm_span mode, node;
    *yes = false;
    fm_policy_id(r, &id);
    int rc = fm_stored_shown(r, FM_KIND_POLICY, &id, &policy);
    if (rc != FM_OK)
        return rc == FM_ENOTFOUND ? FM_OK : rc;
    for (size_t i = 0; i < FM_KEY_BYTES; i++) {
        own[2 * i] = hex[r->self.author.b[i] >> 4];
        own[2 * i + 1] = hex[r->self.author.b[i] & 15];
    }
    *yes = fm_doc_str(policy, "autoSettle", &mode) == FM_OK && fm_span_eq(mode, fm_span_str("disjoint")) &&
           fm_doc_str(policy, "autoSettleNode", &node) == FM_OK && fm_span_eq(node, fm_span(own, sizeof own));
    return FM_OK;
}

static bool is_decision(const struct fm_version *v)
{
    return v->parent_count > 1 || v->action == FM_UNDO;
}

/* The heads, if all of them may be settled by rule; count stays 0 otherwise. */
static int collect(struct fm_repl *r, const struct fm_stored *s, struct heads *h)
{
    struct fm_span actor;
    h->count = 0;
    if (!s->shown || s->head.deleted || s->head.open == 0 || s->head.open > SETTLED_AT_ONCE_MAX || is_decision(s->winner))
        return FM_OK;
    size_t count = 1;
    h->v[0] = s->winner;
    h->document[0] = s->document;
    for (size_t i = 0; i < s->count; i++) {
        const struct fm_version *v = &s->versions[i];
        if (v->place != FM_PLACE_OPEN)
            continue;
        if (v->cls != FM_CLASS_DISJOINT || is_decision(v))
            return FM_OK;
        assert(count < FM_PARENTS_MAX);
        int rc = fm_stored_document(r, v, &h->document[count], &actor);
        if (rc != FM_OK)
            return rc;
        h->v[count++] = v;
    }
    h->count = count;
    return FM_OK;
}

static int base_of(struct fm_repl *r, const struct fm_stored *s, const struct fm_version *a, const struct fm_version *b,
                   struct fm_span *document)
{
    struct fm_span actor;
    struct fm_version *base;
    *document = fm_span(NULL, 0);
    int rc = fm_fold_base(s->versions, s->count, a, b, &r->scratch, &base);
    return rc != FM_OK || base == NULL ? rc : fm_stored_document(r, base, document, &actor);
}

/* Disjoint with the winner says the fold; disjoint with each other has to be asked. */
static int pairwise(struct fm_repl *r, const struct fm_stored *s, const struct heads *h, bool *yes)
{
    *yes = true;
    for (size_t i = 1; *yes && i < h->count; i++) {
        for (size_t j = i + 1; *yes && j < h->count; j++) {
            struct fm_span base;
            int rc = base_of(r, s, h->v[i], h->v[j], &base);
            if (rc != FM_OK)
                return rc;
            *yes = fm_doc_class(base, h->document[i], h->document[j]) != FM_CLASS_OVERLAP;
        }
    }
    return FM_OK;
}

/* Lays what each open head changed over the winner, one by one. FM_ELIMIT: the whole is too large. */
static int merge(struct fm_repl *r, const struct fm_stored *s, const struct heads *h, struct fm_span *document)
{
    *document = h->document[0];
    for (size_t i = 1; i < h->count; i++) {
        struct fm_span base;
        struct fm_buf buf;
        int rc = base_of(r, s, h->v[0], h->v[i], &base);
        if (rc != FM_OK)
            return rc;
        fm_buf_init(&buf, FM_CHANGE_BYTES_MAX);
        rc = fm_doc_merge(&buf, base, *document, h->document[i]);
        if (rc == FM_OK) {
            uint8_t *copy = fm_arena_copy(&r->scratch, fm_buf_span(&buf));
            *document = fm_span(copy, buf.len);
            rc = copy == NULL ? FM_ENOMEM : FM_OK;
        }
        fm_buf_fini(&buf);
        if (rc != FM_OK)
            return rc;
    }
    return FM_OK;
}

/* The merged document as a version of its own. What the winner's verification stood for may have got new content: then it
 * goes back to PENDING, as after any edit (rule 17); nobody verified the sum. */
static int finish(struct fm_repl *r, const struct fm_stored *s, uint32_t number, struct fm_span merged,
                  struct fm_span *document)
{
    struct fm_draft draft;
    struct fm_span status;
    char now[25];
    fm_write_now(r, now);
    fm_draft_init(&draft, &r->scratch);
    fm_draft_lay(&draft, merged);
    for (size_t i = 0; i < 5; i++)
        fm_draft_copy(&draft, s->document, fm_verification_fields[i]);
    if (fm_doc_str(s->document, "verificationStatus", &status) == FM_OK && !fm_doc_same_content(s->document, merged) &&
        fm_fields_word("VERIFIED AUTO_VERIFIED", status, NULL))
        fm_draft_str(&draft, "verificationStatus", fm_span_str("PENDING"));
    fm_draft_copy(&draft, s->document, "createdAt");
    fm_draft_str(&draft, "updatedAt", fm_span_str(now));
    fm_draft_uint(&draft, "versionNumber", number);
    return fm_draft_write(&draft, document);
}

_Static_assert((uint64_t)FM_RECORD_VERSIONS_MAX * FM_VERSION_STEP_MAX < FM_VERSION_MAX, "the highest number has a next one");

/* All heads become parents: the winner first, the others sorted. */
static int write(struct fm_repl *r, const struct fm_stored *s, const struct heads *h, struct fm_span merged)
{
    struct fm_version_id id;
    struct fm_change change = {.kind = s->kind, .action = FM_UPDATE, .record = s->record, .actor = fm_span_str("policy")};
    uint32_t top = 0;
    for (size_t i = 0; i < h->count; i++) {
        size_t at = change.parent_count++;
        top = h->v[i]->number > top ? h->v[i]->number : top;
        for (; at > 1 && fm_id_cmp(&change.parents[at - 1], &h->v[i]->id) > 0; at--)
            change.parents[at] = change.parents[at - 1];
        change.parents[at] = h->v[i]->id;
    }
    change.version = top + 1;
    int rc = finish(r, s, change.version, merged, &change.document);
    return rc == FM_OK ? fm_write_version(r, &change, &id) : rc;
}

static int settle(struct fm_repl *r, const struct fm_record_ref *record)
{
    struct fm_stored stored;
    struct heads heads;
    struct fm_span merged;
    bool yes;
    int rc = named(r, &yes);
    if (rc != FM_OK || !yes)
        return rc;
    rc = fm_stored_load(r, record->kind, &record->record, &stored);
    if (rc == FM_OK)
        rc = collect(r, &stored, &heads);
    if (rc != FM_OK || heads.count == 0)
        return rc;
    rc = pairwise(r, &stored, &heads, &yes);
    if (rc != FM_OK || !yes)
        return rc;
    rc = merge(r, &stored, &heads, &merged);
    if (rc == FM_OK)
        rc = write(r, &stored, &heads, merged);
    return rc == FM_ELIMIT || rc == FM_ENOTJOINED ? FM_OK : rc; /* then a person has to look at it */
}

int fm_settle_by_policy(struct fm_repl *r, const struct fm_record_ref *record)
{
    /* A turn may end with many disputed records: each one's memory goes before the next one's comes. */
    struct fm_arena outer = r->scratch;
    r->scratch = (struct fm_arena){0};
    int rc = settle(r, record);
    fm_arena_fini(&r->scratch);
    r->scratch = outer;
    return rc;
}
