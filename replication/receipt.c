/* Statements: receipts and epoch notices (statement.h). Per signer and kind the highest counter is kept, in the store and
 * here in memory without its bytes; coordinators' receipts with their tips (custody.c asks them). A statement counts while
 * the grant it names does: the digest and what is told are a function of the sets and statements held. */
#include "replication/receipt.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/error.h"

struct fm_receipts *fm_receipts_new(void)
{
    return calloc(1, sizeof(struct fm_receipts));
}

void fm_receipts_free(struct fm_receipts *c)
{
    for (size_t i = 0; i < c->hub_count; i++)
        free(c->hubs[i].tips);
    free(c->hubs);
    free(c->known);
    free(c);
}

/* --- whose statements count --- */

/* Its grant does. That a notice stands under a coordinator's was seen when it was taken in. */
static bool counts(const struct fm_repl *r, const struct fm_known *k)
{
    return fm_authority_counting(r->authority, &k->grant, &k->signer) != NULL;
}

/* --- the statements in memory --- */

static int known_cmp(const struct fm_known *k, uint8_t kind, const struct fm_key *signer)
{
    return k->kind != kind ? (int)k->kind - (int)kind : fm_id_cmp(&k->signer, signer);
}

static struct fm_known *known_find(struct fm_receipts *c, uint8_t kind, const struct fm_key *signer, size_t *place)
{
    size_t low = 0, high = c->known_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = known_cmp(&c->known[middle], kind, signer);
        if (order == 0)
            return &c->known[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (place != NULL)
        *place = low;
    return NULL;
}

static struct fm_known *known_make(struct fm_receipts *c, uint8_t kind, const struct fm_key *signer)
{
    size_t place = 0;
    struct fm_known *k = known_find(c, kind, signer, &place);
    if (k != NULL)
        return k;
    if (c->known_count == c->known_cap) {
        size_t cap = c->known_cap * 2 + 32;
        struct fm_known *known = realloc(c->known, cap * sizeof *known);
        if (known == NULL)
            return NULL;
        c->known = known;
        c->known_cap = cap;
    }
    memmove(c->known + place + 1, c->known + place, (c->known_count - place) * sizeof *c->known);
    c->known_count++;
    c->known[place] = (struct fm_known){.kind = kind, .signer = *signer};
    return &c->known[place];
}

static void hash_of(struct fm_repl *r, uint8_t out[16], struct fm_span bytes)
{
    r->crypto->hash(r->crypto->ctx, out, 16, &bytes, 1);
}

/* What a receipt says, apart from its counter: two of the same say nothing new. */
static void tips_hash_start(uint8_t hash[32], const struct fm_store_id *store)
{
    memset(hash, 0, 32);
    memcpy(hash, store->b, sizeof store->b);
}

static void tips_hash_add(struct fm_repl *r, uint8_t hash[32], const struct fm_receipt_tip *tip)
{
    uint8_t sequence[8], next[32];
    fm_be_put(sequence, tip->sequence, sizeof sequence);
    const struct fm_span parts[] = {fm_span(hash, 32), fm_span(tip->stream, sizeof tip->stream),
                                    fm_span(sequence, sizeof sequence), fm_span(tip->set, sizeof tip->set)};
    r->crypto->hash(r->crypto->ctx, next, sizeof next, parts, 4);
    memcpy(hash, next, sizeof next);
}

/* Takes a statement into memory. The store's row is the caller's. */
static int keep(struct fm_repl *r, const struct fm_statement *s, uint32_t from)
{
    struct fm_receipts *c = r->sessions->receipts;
    if (s->kind == FM_RECEIPT) {
        const struct fm_grant *grant = fm_authority_grant(r->authority, &s->grant);
        if (grant != NULL && grant->role == FM_ROLE_COORDINATOR) {
            int rc = fm_custody_keep(r, s);
            if (rc != FM_OK)
                return rc;
        }
    }
    struct fm_known *k = known_make(c, s->kind, &s->author);
    if (k == NULL)
        return FM_ENOMEM;
    k->grant = s->grant;
    k->counter = s->counter;
    k->epoch = s->kind == FM_EPOCH_NOTICE ? s->epoch : 0;
    k->from = from;
    k->stamp = ++c->stamp;
    hash_of(r, k->hash, s->bytes);
    if (s->kind == FM_RECEIPT && fm_id_eq(&s->author, &r->self.author)) {
        struct fm_span tips = s->tips;
        struct fm_receipt_tip tip;
        tips_hash_start(c->own, &s->store);
        while (fm_statement_tip(&tips, &tip) == FM_OK)
            tips_hash_add(r, c->own, &tip);
        c->own_known = true;
    }
    return FM_OK;
}

void fm_receipt_epoch_again(struct fm_repl *r)
{
    struct fm_receipts *c = r->sessions->receipts;
    uint64_t epoch = 1;
    for (size_t i = 0; i < c->known_count; i++) {
        const struct fm_known *k = &c->known[i];
        if (k->kind == FM_EPOCH_NOTICE && k->epoch > epoch && counts(r, k))
            epoch = k->epoch;
    }
    /* Falls again when its signer is revoked, whether or not this node is started again: else a coordinator gone bad could
     * expire everybody for good. Within a stream it never falls all the same (turn.c follows the tip). */
    r->epoch = epoch;
}

static int load_one(void *arg, struct fm_span bytes)
{
    struct fm_repl *r = arg;
    struct fm_statement s;
    if (fm_statement_decode(&s, r->crypto, &r->self.mesh, bytes) != FM_OK)
        return FM_OK; /* what does not hold here does not hold elsewhere: never told again */
    return keep(r, &s, 0);
}

int fm_receipt_load(struct fm_repl *r)
{
    int rc = r->port->statement_each(r->port->ctx, load_one, r);
    if (rc == FM_OK)
        fm_receipt_epoch_again(r);
    return rc;
}

/* --- taking one in --- */

static int emit(struct fm_repl *r, const struct fm_statement *s)
{
    struct fm_row row = {.kind = FM_ROW_STATEMENT, .statement_kind = s->kind, .signer = s->author, .counter = s->counter,
                         .bytes = s->bytes};
    return fm_emit_row(r, &row);
}

static bool held_already(struct fm_receipts *c, const uint8_t hash[16])
{
    for (size_t i = 0; i < c->known_count; i++) {
        if (memcmp(c->known[i].hash, hash, 16) == 0)
            return true;
    }
    return false;
}

int fm_receipt_take(struct fm_repl *r, struct fm_span bytes, int *refused)
{
    struct fm_receipts *c = r->sessions->receipts;
    struct fm_statement s;
    uint8_t hash[16];
    *refused = FM_EEXISTS;
    hash_of(r, hash, bytes);
    if (held_already(c, hash))
        return FM_OK; /* most are: no signature to check */
    *refused = fm_statement_decode(&s, r->crypto, &r->self.mesh, bytes);
    if (*refused != FM_OK)
        return FM_OK;
    const struct fm_grant *g = fm_authority_counting(r->authority, &s.grant, &s.author);
    if (g == NULL)
        *refused = FM_EGRANT;
    else if (s.kind == FM_EPOCH_NOTICE && g->role != FM_ROLE_COORDINATOR)
        *refused = FM_EROLE; /* rule 55 */
    if (*refused != FM_OK)
        return FM_OK;
    const struct fm_known *held = known_find(c, s.kind, &s.author, NULL);
    /* The same counter twice (a copied device): the higher hash stays, so that all agree. */
    if (held != NULL &&
        (s.counter < held->counter || (s.counter == held->counter && memcmp(hash, held->hash, sizeof hash) < 0)))
        *refused = FM_EEXISTS;
    else if (held == NULL && c->known_count >= FM_STATEMENTS_MAX)
        *refused = FM_ELIMIT;
    if (*refused != FM_OK)
        return FM_OK;
    int rc = emit(r, &s);
    if (rc == FM_OK)
        rc = keep(r, &s, r->event->kind == FM_EVENT_RECEIVE ? r->event->conn : 0);
    if (rc == FM_OK && s.kind == FM_EPOCH_NOTICE)
        fm_receipt_epoch_again(r);
    return rc;
}

/* --- our own --- */

/* The grant we sign under: the newest that counts. NULL: what we say would not count. */
static const struct fm_grant *own_grant(const struct fm_repl *r)
{
    return fm_authority_current(r->authority, &r->self.author, r->epoch);
}

static int own_sign(struct fm_repl *r, struct fm_statement *s, const struct fm_receipt_tip *tips, uint32_t count)
{
    const struct fm_grant *grant = own_grant(r);
    assert(grant != NULL);
    struct fm_receipts *c = r->sessions->receipts;
    const struct fm_known *last = known_find(c, s->kind, &r->self.author, NULL);
    struct fm_buf buf;
    struct fm_statement signed_one;
    s->author = r->self.author;
    s->grant = grant->id;
    s->store = r->self.store;
    s->counter = r->event->now_ms;
    if (last != NULL && last->counter >= s->counter)
        s->counter = last->counter + 1; /* also above one that came back from a peer after a restore */
    fm_buf_init(&buf, FM_STATEMENT_BYTES_MAX);
    int rc = fm_statement_sign(&buf, r->crypto, &r->self.mesh, s, tips, count);
    if (rc == FM_OK)
        rc = fm_statement_decode(&signed_one, r->crypto, &r->self.mesh, fm_buf_span(&buf));
    assert(rc == FM_OK || rc == FM_ENOMEM);
    if (rc == FM_OK)
        rc = emit(r, &signed_one);
    if (rc == FM_OK)
        rc = keep(r, &signed_one, 0);
    fm_buf_fini(&buf);
    return rc;
}

struct candidate {
    struct fm_receipt_tip tip;
    uint64_t arrival;
};

static int newest_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return x->arrival < y->arrival ? 1 : x->arrival > y->arrival ? -1 : 0;
}

/* All tips held; of more than fit into a receipt those that came last: readers keep the older ones from before. */
static int collect(struct fm_repl *r, struct fm_receipt_tip **out, uint32_t *out_count)
{
    size_t total = 0, n = 0;
    for (size_t i = 0; i < fm_vector_count(r->vector); i++)
        total += fm_vector_at(r->vector, i)->tip_count;
    struct candidate *all = calloc(total + 1, sizeof *all);
    struct fm_receipt_tip *tips = calloc(total + 1, sizeof *tips);
    int rc = all == NULL || tips == NULL ? FM_ENOMEM : FM_OK;
    for (size_t i = 0; rc == FM_OK && i < fm_vector_count(r->vector); i++) {
        const struct fm_stream_row *row = fm_vector_at(r->vector, i);
        uint8_t stream[FM_STREAM_HASH_BYTES];
        fm_stream_hash_of(stream, r->crypto, &row->stream);
        for (uint32_t t = 0; rc == FM_OK && t < row->tip_count; t++, n++) {
            struct fm_set_meta set = {.arrival = 0};
            memcpy(all[n].tip.stream, stream, sizeof stream);
            all[n].tip.sequence = row->tips[t].sequence;
            memcpy(all[n].tip.set, row->tips[t].id.b, sizeof all[n].tip.set);
            if (total > FM_RECEIPT_TIPS_MAX)
                rc = r->port->set_get(r->port->ctx, &row->stream, row->tips[t].sequence, &row->tips[t].id, &set);
            all[n].arrival = set.arrival;
        }
    }
    if (rc == FM_OK) {
        if (total > FM_RECEIPT_TIPS_MAX)
            qsort(all, total, sizeof *all, newest_first);
        *out_count = (uint32_t)(total > FM_RECEIPT_TIPS_MAX ? FM_RECEIPT_TIPS_MAX : total);
        for (uint32_t i = 0; i < *out_count; i++)
            tips[i] = all[i].tip;
    }
    free(all);
    if (rc == FM_OK)
        *out = tips;
    else
        free(tips);
    return rc == FM_ENOTFOUND ? FM_ECORRUPT : rc;
}

bool fm_receipt_stale(struct fm_repl *r)
{
    struct fm_receipts *c = r->sessions->receipts;
    struct fm_receipt_tip *tips;
    uint32_t count;
    uint8_t hash[32];
    if (own_grant(r) == NULL)
        return false; /* ours would not count */
    if (!c->own_known)
        return true;
    if (collect(r, &tips, &count) != FM_OK)
        return true; /* issuing meets the same error and returns it */
    tips_hash_start(hash, &r->self.store);
    for (uint32_t i = 0; i < count; i++)
        tips_hash_add(r, hash, &tips[i]);
    free(tips);
    return memcmp(hash, c->own, sizeof hash) != 0;
}

int fm_receipt_issue(struct fm_repl *r)
{
    struct fm_statement s = {.kind = FM_RECEIPT};
    struct fm_receipt_tip *tips;
    uint32_t count;
    int rc = collect(r, &tips, &count);
    if (rc != FM_OK)
        return rc;
    rc = own_sign(r, &s, tips, count);
    free(tips);
    return rc;
}

int fm_receipt_epoch(struct fm_repl *r, uint64_t epoch)
{
    struct fm_statement s = {.kind = FM_EPOCH_NOTICE, .epoch = epoch};
    const struct fm_grant *g = own_grant(r);
    if (g == NULL)
        return FM_ENOTJOINED;
    if (g->role != FM_ROLE_COORDINATOR)
        return FM_EROLE; /* rule 55 */
    if (epoch > FM_TIME_MAX)
        return FM_ELIMIT;
    if (epoch <= r->epoch)
        return FM_EEXISTS; /* epochs only rise */
    int rc = own_sign(r, &s, NULL, 0);
    if (rc == FM_OK)
        fm_receipt_epoch_again(r);
    return rc;
}

/* --- what is told --- */

uint64_t fm_receipt_stamp(const struct fm_repl *r)
{
    return r->sessions->receipts->stamp;
}

int fm_receipt_after(struct fm_repl *r, uint64_t *stamp, uint32_t but, struct fm_buf *out)
{
    struct fm_receipts *c = r->sessions->receipts;
    const struct fm_known *best = NULL;
    assert(but != 0);
    for (size_t i = 0; i < c->known_count; i++) {
        const struct fm_known *k = &c->known[i];
        if (k->stamp > *stamp && k->from != but && (best == NULL || k->stamp < best->stamp) && counts(r, k))
            best = k;
    }
    if (best == NULL) {
        *stamp = c->stamp;
        return FM_ENOTFOUND;
    }
    *stamp = best->stamp;
    int rc = r->port->statement(r->port->ctx, best->kind, &best->signer, out);
    return rc == FM_ENOTFOUND ? FM_ECORRUPT : rc;
}

void fm_receipt_digest(struct fm_repl *r, struct fm_digest *out)
{
    struct fm_receipts *c = r->sessions->receipts;
    const struct fm_span start[] = {fm_span_str(FM_DOMAIN_DIGEST_STATEMENTS),
                                    fm_span(r->self.mesh.b, sizeof r->self.mesh.b)};
    r->crypto->hash(r->crypto->ctx, out->b, sizeof out->b, start, 2);
    for (size_t i = 0; i < c->known_count; i++) {
        const struct fm_known *k = &c->known[i];
        struct fm_digest next;
        if (!counts(r, k))
            continue;
        const struct fm_span parts[] = {fm_span(out->b, sizeof out->b), fm_span(&k->kind, 1),
                                        fm_span(k->signer.b, sizeof k->signer.b), fm_span(k->hash, sizeof k->hash)};
        r->crypto->hash(r->crypto->ctx, next.b, sizeof next.b, parts, 4);
        *out = next;
    }
}
