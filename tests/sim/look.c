/* Between the core and the model: what sets say is told to the model, what the core shows is compared with it. */
#include "replication/act.h"
#include "replication/change.h"
#include "replication/doc.h"
#include "replication/error.h"
#include "replication/statement.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

static uint64_t mixed(uint64_t h, const void *data, size_t len)
{
    const uint8_t *b = data;
    for (size_t i = 0; i < len; i++)
        h = (h ^ b[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 29;
}

/* --- telling --- */

/* Equal documents but for what is not compared: top-level fields are told apart whole, so no empty map may be one. */
static uint64_t content_of(struct fm_span doc)
{
    static const char *const not[] = {"createdAt", "updatedAt", "syncStatus", "versionNumber", "assessorId", "responderId"};
    struct fm_field *fields = calloc(256, sizeof *fields);
    size_t count;
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    assert(fields != NULL);
    fm_doc_fields(doc, fields, &count);
    for (size_t i = 0; i < count; i++) {
        bool skip = false;
        for (size_t k = 0; k < sizeof not / sizeof not[0]; k++)
            skip = skip || fm_span_eq(fields[i].key, fm_span_str(not[k]));
        if (!skip)
            h = mixed(mixed(h, fields[i].key.data, fields[i].key.len), fields[i].value.data, fields[i].value.len);
    }
    free(fields);
    return h;
}

static bool is_tombstone(const struct fm_change *c)
{
    struct fm_field *fields = calloc(256, sizeof *fields);
    size_t count;
    bool only = c->action == FM_UNDO;
    assert(fields != NULL);
    fm_doc_fields(c->document, fields, &count);
    for (size_t i = 0; i < count; i++)
        only = only && (fm_span_eq(fields[i].key, fm_span_str("id")) || fm_span_eq(fields[i].key, fm_span_str("entityId")) ||
                        fm_span_eq(fields[i].key, fm_span_str("updatedAt")));
    free(fields);
    return only || c->action == FM_DELETE;
}

static void tell_change(struct sim *s, const struct fm_set *set, int at, uint32_t index, struct fm_span item)
{
    struct fm_change *c = calloc(1, sizeof *c);
    struct model_version *v = calloc(1, sizeof *v);
    struct fm_version_id id;
    bool known = false;
    assert(c != NULL && v != NULL);
    int rc = fm_change_decode(c, item, &known);
    if (rc == FM_OK || known) {
        fm_version_id_of(&id, &s->devices[0].crypto, &s->mesh, &set->header, index, item);
        memcpy(v->id, id.b, sizeof v->id);
        memcpy(v->record, c->record.b, sizeof v->record);
        v->kind = c->kind;
        v->fault = rc != FM_OK || c->parent_count > FM_PARENTS_MAX;
        if (!v->fault) {
            v->action = c->action;
            v->number = c->version;
            v->time = set->header.time + index;
            v->content = content_of(c->document);
            v->tombstone = is_tombstone(c);
            v->parents = (int)c->parent_count;
            for (uint32_t i = 0; i < c->parent_count; i++)
                memcpy(v->parent[i], c->parents[i].b, sizeof v->parent[i]);
        }
        model_add_version(&s->model, v, at);
    }
    free(c);
    free(v);
}

static void tell_act(struct sim *s, int at, struct fm_span item)
{
    struct fm_act *a = calloc(1, sizeof *a);
    assert(a != NULL);
    int role = s->model.sets[at].lane == 0 ? 1 : 0;
    if (role && fm_act_decode(a, &s->devices[0].crypto, &s->mesh, item) == FM_OK) {
        if (a->kind == FM_ACT_GRANT) {
            struct model_grant g = {.set = at, .role = a->grant.role, .first = a->grant.epoch_first,
                                    .last = a->grant.epoch_last};
            memcpy(g.id, a->grant.id.b, 32);
            memcpy(g.author, a->grant.author.b, 32);
            model_add_grant(&s->model, &g);
        } else if (a->kind == FM_ACT_REVOKE) {
            struct model_revoke r = {.set = at, .by_grant = a->targets_grant};
            memcpy(r.who, a->targets_grant ? a->revoked.b : a->node.b, 32);
            assert(a->cut_count <= MODEL_CUTS);
            for (; r.cuts < (int)a->cut_count; r.cuts++) {
                const struct fm_cut *c = &a->cuts[r.cuts];
                r.cut[r.cuts].incarnation = c->incarnation;
                r.cut[r.cuts].sequence = c->sequence;
                r.cut[r.cuts].lane = c->lane;
                memcpy(r.cut[r.cuts].set, c->set.b, 32);
            }
            model_add_revoke(&s->model, &r);
        } else {
            for (uint32_t i = 0; i < a->adopt_count; i++) {
                struct model_adopt d = {.set = at};
                memcpy(d.id, a->adopts[i].set.b, 32);
                model_add_adopt(&s->model, &d);
            }
        }
    }
    free(a);
}

void sim_look_issue(struct sim *s, struct fm_span bytes, bool *fresh)
{
    struct fm_set set;
    struct fm_set_id id;
    struct fm_buf body;
    struct fm_span items[FM_SET_CHANGES_MAX];
    const struct fm_crypto *c = &s->devices[0].crypto;
    MUST(fm_set_decode(&set, bytes));
    fm_set_id_of(&id, c, &s->mesh, set.header_bytes);
    *fresh = model_find_set(&s->model, id.b) < 0;
    if (!*fresh)
        return;
    const struct fm_set_header *h = &set.header;
    struct model_set m = {.incarnation = h->stream.incarnation, .sequence = h->sequence, .epoch = h->epoch, .time = h->time,
                          .lane = h->stream.lane, .has_prev = h->has_prev, .check = mixed(1, bytes.data, bytes.len)};
    memcpy(m.id, id.b, 32);
    memcpy(m.prev, h->prev.b, 32);
    memcpy(m.grant, h->grant.b, 32);
    memcpy(m.author, h->stream.author.b, 32);
    fm_buf_init(&body, 0);
    m.bad_body = fm_set_open(&body, c, &s->mesh, &set, set.header.sealed ? &s->data_key : NULL) != FM_OK ||
                 fm_body_split(fm_buf_span(&body), items, h->change_count) != FM_OK || (set.header.sealed && m.lane == 0);
    int at = model_add_set(&s->model, &m);
    for (uint32_t i = 0; !m.bad_body && i < h->change_count; i++) {
        uint8_t kind = fm_item_kind(items[i]);
        if (kind >= FM_ACT_FIRST)
            tell_act(s, at, items[i]);
        else if (kind > 0)
            tell_change(s, &set, at, i, items[i]);
    }
    fm_buf_fini(&body);
    s->sets_made++;
}

/* --- at the commit --- */

/* A receipt says "I durably hold these": so it must be so now. */
static void check_receipt(struct sim *s, int i, struct fm_span bytes)
{
    struct fm_statement st;
    struct fm_receipt_tip tip;
    MUST(fm_statement_decode(&st, &s->nodes[i].crypto, &s->mesh, bytes));
    if (!fm_id_eq(&st.store, &s->nodes[i].self.store) || s->nodes[i].twin)
        return; /* it came back from a peer, and speaks of a disk that is gone */
    while (fm_statement_tip(&st.tips, &tip) == FM_OK) {
        bool held = false;
        for (int k = 0; k < s->model.set_count && !held; k++)
            held = s->model.held[i][k] && memcmp(s->model.sets[k].id, tip.set, sizeof tip.set) == 0;
        if (!held)
            sim_broken(s, "I4", "node %d: its receipt names a set that it does not hold (sequence %llu)", i,
                       (unsigned long long)tip.sequence);
    }
}

void sim_look_commit(struct sim *s, int i)
{
    struct sim_node *n = &s->nodes[i];
    for (size_t k = 0; k < n->fresh_count; k++) {
        struct sim_fresh *f = &n->fresh[k];
        bool fresh = false;
        if (f->statement)
            continue;
        int at = model_find_set(&s->model, f->id.b);
        if (at < 0) {
            struct fm_set set;
            MUST(fm_set_decode(&set, fm_span(f->bytes, f->len)));
            if (!fm_id_eq(&set.header.stream.author, &n->self.author))
                sim_broken(s, "I7", "node %d took in a set that its author never signed", i);
            sim_look_issue(s, fm_span(f->bytes, f->len), &fresh);
            at = model_find_set(&s->model, f->id.b);
        }
        if (s->model.held[i][at])
            sim_broken(s, "I8", "node %d took in a set twice", i);
        s->model.held[i][at] = 1;
        sim_mix(s, f->id.b, sizeof f->id.b);
    }
    for (size_t k = 0; k < n->fresh_count; k++)
        if (n->fresh[k].statement)
            check_receipt(s, i, fm_span(n->fresh[k].bytes, n->fresh[k].len));
    for (; n->fresh_count > 0; n->fresh_count--)
        free(n->fresh[n->fresh_count - 1].bytes);
}

/* --- nothing is missing --- */

static void check_held(struct sim *s, int i)
{
    struct sim_node *n = &s->nodes[i];
    const struct fm_port *port = fm_memory_port(n->store);
    struct fm_set_meta meta;
    int held = 0, wanted = 0;
    for (int k = 0; k < s->model.set_count; k++)
        wanted += s->model.held[i][k];
    for (uint64_t at = 1; port->set_next(port->ctx, at, &meta) == FM_OK; at = meta.arrival + 1) {
        struct fm_buf bytes;
        int k = model_find_set(&s->model, meta.id.b);
        fm_buf_init(&bytes, 0);
        if (k < 0 || !s->model.held[i][k])
            sim_broken(s, "I5", "node %d holds a set that it never took in", i);
        MUST(port->set_bytes(port->ctx, meta.arrival, &bytes));
        if (mixed(1, bytes.data, bytes.len) != s->model.sets[k].check)
            sim_broken(s, "I12", "node %d gives back other bytes than were signed", i);
        fm_buf_fini(&bytes);
        held++;
    }
    if (held != wanted)
        sim_broken(s, "I4", "node %d holds %d sets of %d that it had", i, held, wanted);
}

void sim_look_restart(struct sim *s, int i)
{
    struct sim_node *n = &s->nodes[i];
    const struct fm_port *port = fm_memory_port(n->store);
    struct fm_digest now[2];
    check_held(s, i);
    for (size_t k = 0; k < n->acked_count; k++) {
        struct fm_version_id id;
        struct fm_record_ref ref;
        memcpy(id.b, n->acked[k], sizeof id.b);
        if (port->version_find(port->ctx, &id, &ref) != FM_OK)
            sim_broken(s, "I4", "node %d forgot a change that it had confirmed", i);
    }
    if (n->known_before && fm_repl_digest(n->core, &now[0], &now[1]) == FM_OK &&
        (!fm_id_eq(&now[0], &n->before[0]) || !fm_id_eq(&now[1], &n->before[1])))
        sim_broken(s, "I16", "node %d shows another state after its restart", i);
    /* A revoked coordinator's notice is forgotten at the next start only: no fault of the restart (regressions.txt). */
    if (n->known_before && fm_repl_epoch(n->core) != n->epoch_before)
        sim_broken(s, "I16", "node %d forgot the epoch", i);
    n->known_before = false;
}

/* --- the state --- */

static bool has_keys(const struct sim *s, int i)
{
    struct fm_key key;
    return !s->plan->cfg.sealed || fm_repl_data_keys(s->nodes[i].core, &key, 1) > 0;
}

static void compare_version(struct sim *s, int i, const struct fm_version *row)
{
    static const char *const places[] = {"nowhere", "winner", "line", "open", "replaced", "settled"};
    int at = model_find_version(&s->model, row->id.b);
    if (at < 0 || !s->model.versions[at].held)
        sim_broken(s, "I9", "node %d has a version that no set it holds brings", i);
    const struct model_version *v = &s->model.versions[at];
    if (row->counted != v->counted)
        sim_broken(s, "I9", "node %d: version %02x%02x%02x counts: %d, in the model: %d (status %d, there %d)", i,
                   row->id.b[0], row->id.b[1], row->id.b[2], row->counted, v->counted, row->status, v->status);
    if (v->status == MODEL_VALID && row->settlement != (uint32_t)v->settlement)
        sim_broken(s, "I2", "node %d: settlement %u of a version, %d in the model", i, row->settlement, v->settlement);
    if (row->place != v->place)
        sim_broken(s, row->place == FM_PLACE_WINNER || v->place == MODEL_WINNER ? "I2" : v->place == 0 ? "I21" : "I3",
                   "node %d: version %02x%02x%02x number %u is %s, in the model %s", i, row->id.b[0], row->id.b[1],
                   row->id.b[2],
                   row->number, places[row->place], places[v->place]);
    int by = row->has_by ? model_find_version(&s->model, row->by.b) : -1;
    if (v->place == MODEL_SETTLED && v->above && (by < 0 || !s->model.versions[by].line || !s->model.versions[by].decision))
        sim_broken(s, "I3", "node %d: a settled version does not name the decision that settled it", i);
    if (v->place == MODEL_REPLACED && (by < 0 || s->model.versions[by].place != MODEL_OPEN))
        sim_broken(s, "I3", "node %d: a replaced version does not name an open head", i);
}

static void compare_streams(struct sim *s, int i)
{
    struct model *m = &s->model;
    const struct fm_port *port = fm_memory_port(s->nodes[i].store);
    struct fm_set_meta meta;
    for (uint64_t at = 1; port->set_next(port->ctx, at, &meta) == FM_OK; at = meta.arrival + 1) {
        int k = model_find_set(m, meta.id.b);
        if (meta.verdict != FM_UNREADABLE && (int)meta.verdict != m->sets[k].verdict)
            sim_broken(s, "I9", "node %d: a set of lane %u, sequence %llu is %s, in the model %d", i, meta.stream.lane,
                       (unsigned long long)meta.sequence, fm_verdict_name(meta.verdict), m->sets[k].verdict);
    }
}

static bool of_stream(const struct model_set *m, const struct fm_stream *stream)
{
    return m->incarnation == stream->incarnation && m->lane == stream->lane && memcmp(m->author, stream->author.b, 32) == 0;
}

struct forks {
    struct sim *s;
    int node;
};

static int fork_of(void *arg, const struct fm_stream_row *row)
{
    struct forks *a = arg;
    const struct model *m = &a->s->model;
    uint64_t lowest = 0;
    for (int i = 0; i < m->set_count; i++) {
        const struct model_set *x = &m->sets[i];
        if (!m->held[a->node][i] || !of_stream(x, &row->stream) || (lowest != 0 && x->sequence >= lowest))
            continue;
        for (int k = 0; k < m->set_count; k++)
            if (k != i && m->sets[k].sequence == x->sequence && m->held[a->node][k] && of_stream(&m->sets[k], &row->stream))
                lowest = x->sequence;
    }
    if (lowest != row->fork_sequence)
        sim_broken(a->s, "I13", "node %d: a stream forks at %llu, in the model at %llu", a->node,
                   (unsigned long long)row->fork_sequence, (unsigned long long)lowest);
    return 0;
}

void sim_look_compare(struct sim *s, int i)
{
    struct sim_node *n = &s->nodes[i];
    const struct fm_port *port = fm_memory_port(n->store);
    struct fm_record_ref ref, *after = NULL;
    struct fm_digest digest[2];
    struct forks forks = {s, i};
    size_t seen = 0;
    if (!n->up || n->core == NULL || fm_repl_digest(n->core, &digest[0], &digest[1]) != FM_OK || !has_keys(s, i))
        return;
    sim_mix(s, digest, sizeof digest);
    model_fold(&s->model, i);
    compare_streams(s, i);
    MUST(port->stream_each(port->ctx, fork_of, &forks));
    while (fm_memory_next_head(n->store, after, &ref)) {
        struct fm_arena arena = {0};
        struct fm_version *rows;
        size_t count;
        MUST(port->versions(port->ctx, ref.kind, &ref.record, &arena, &rows, &count));
        for (size_t k = 0; k < count; k++)
            compare_version(s, i, &rows[k]);
        seen += count;
        fm_arena_fini(&arena);
        after = &ref;
    }
    size_t wanted = 0;
    for (int k = 0; k < s->model.version_count; k++)
        wanted += s->model.versions[k].held;
    if (seen != wanted)
        sim_broken(s, "I5", "node %d has %zu versions, in the model %zu", i, seen, wanted);
}

bool sim_look_agreed(struct sim *s, bool must)
{
    struct fm_digest hub[2], other[2];
    if (!s->nodes[0].up || fm_repl_digest(s->nodes[0].core, &hub[0], &hub[1]) != FM_OK)
        return !must;
    for (int i = 1; i < s->count; i++) {
        struct sim_node *n = &s->nodes[i];
        if (!n->there || n->foe || i == s->plan->cfg.withholder || !fm_repl_admits(s->nodes[0].core, &n->self.transport))
            continue;
        bool same = n->up && fm_repl_digest(n->core, &other[0], &other[1]) == FM_OK && fm_id_eq(&hub[0], &other[0]) &&
                    (has_keys(s, i) != has_keys(s, 0) || n->self.kind_last != s->nodes[0].self.kind_last ||
                     fm_id_eq(&hub[1], &other[1]));
        if (must && !same)
            sim_broken(s, n->up && fm_id_eq(&hub[0], &other[0]) ? "I1" : "I19",
                       "node %d does not agree with the hub: %s", i, !n->up ? "it is down" :
                       fm_id_eq(&hub[0], &other[0]) ? "the same sets, another state" : "other sets");
        if (!same)
            return false;
    }
    return true;
}
