/* People: they record, edit and delete at any node, and decide conflicts at coordinators. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/uuid.h"
#include "tests/sim/sim.h"
#include "tests/support/text_doc.h"

static const char *const entities[2] = {"01234567-89ab-4def-8123-0000000000e0", "01234567-89ab-4def-8123-0000000000e1"};
static const char *const users[2] = {"01234567-89ab-4def-8123-0000000000a0", "01234567-89ab-4def-8123-0000000000a1"};

static void flush(struct sim *s, int n)
{
    size_t count = s->batch_count;
    s->batch_count = 0;
    if (count > 0 && s->nodes[n].up)
        sim_node_turn(s, n, s->batch, count);
}

/* Joins the turn that flush ends: small events share one commit. */
static void submit(struct sim *s, int n, const char *type, const char *action, const char *actor, int64_t version,
                   const struct fm_version_id *base, const char *text)
{
    struct fm_submission *sub = fm_arena_take(&s->arena, sizeof *sub);
    assert(sub != NULL && s->batch_count < sizeof s->batch / sizeof s->batch[0]);
    *sub = (struct fm_submission){.ticket = ++s->events, .type = fm_span_str(type), .action = fm_span_str(action),
                                  .data = fm_text_doc(&s->arena, text), .has_version = version > 0, .version = version,
                                  .has_base_id = base != NULL, .actor = fm_span_str(actor)};
    if (base != NULL)
        sub->base_id = *base;
    sim_tell(s, "  node %d: %s %s v%lld %s", n, action, type, (long long)version, text);
    s->batch[s->batch_count++] = (struct fm_event){.kind = FM_EVENT_SUBMIT, .submission = sub};
}

void sim_people_begin(struct sim *s)
{
    char text[400];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(text, sizeof text, "{id:\"%s\",name:\"camp %d\",type:\"CAMP\"}", entities[i], i);
        submit(s, 0, "entity", "create", "operator", 1, NULL, text);
        (void)snprintf(text, sizeof text, "{id:\"%s\",name:\"person %d\",roles:[\"ASSESSOR\"%s]}", users[i], i,
                       i ? ",\"COORDINATOR\"" : "");
        submit(s, 0, "user", "create", "operator", 1, NULL, text);
    }
    for (int i = 0; i < 4; i++) {
        (void)snprintf(text, sizeof text, "{entityId:\"%s\",userId:\"%s\",role:\"ASSESSOR\"}", entities[i / 2],
                       users[i % 2]);
        submit(s, 0, "assignment", "create", "operator", 1, NULL, text);
    }
    if (s->plan->cfg.policy) {
        char hex[65];
        for (int i = 0; i < 32; i++)
            (void)snprintf(hex + 2 * i, 3, "%02x", s->nodes[0].self.author.b[i]);
        (void)snprintf(text, sizeof text, "{autoSettle:\"disjoint\",autoSettleNode:\"%s\"}", hex);
        submit(s, 0, "policy", "create", "operator", 1, NULL, text);
    }
    flush(s, 0);
}

/* One of the records shown at this node; of this kind, if not 0. */
static bool some_record(struct sim *s, int n, uint8_t kind, bool open, struct fm_arena *arena, struct fm_head *out)
{
    const struct fm_port *port = fm_memory_port(s->nodes[n].store);
    struct fm_record_ref ref, last, *after = NULL;
    uint64_t seen = 0;
    while (fm_memory_next_head(s->nodes[n].store, after, &ref)) {
        struct fm_head head;
        last = ref;
        after = &last;
        if (kind != 0 && ref.kind != kind)
            continue;
        MUST(port->head(port->ctx, ref.kind, &ref.record, arena, &head));
        if (head.shown && (!open || head.open > 0) && sim_draw(&s->rng, ++seen) == 0)
            *out = head;
    }
    return seen > 0;
}

static void payload(struct sim *s, char *text, size_t size, const char *id, const char *offline)
{
    static const char *const fields[] = {"numberHealthFacilities", "qualifiedHealthWorkers", "hasFunctionalClinic"};
    struct sim_rng *r = &s->rng;
    uint64_t which = sim_draw(r, 3);
    char value[24];
    if (which == 2)
        (void)snprintf(value, sizeof value, "%s", sim_chance(r, 50) ? "true" : "false");
    else
        (void)snprintf(value, sizeof value, "%d", (int)sim_draw(r, 4));
    (void)snprintf(text, size, "{%s%s%s%s%s%s%s%s%s%s}", id[0] ? "id:\"" : "", id, id[0] ? "\"," : "",
                   offline[0] ? "offlineId:\"" : "", offline, offline[0] ? "\"," : "",
                   id[0] ? "" : "assessmentType:\"HEALTH\",assessmentDate:\"2026-01-01T00:00:00Z\",",
                   id[0] ? "" : "entityId:\"", id[0] ? "" : entities[sim_draw(r, 2)], id[0] ? "" : "\",");
    size_t len = strlen(text) - 1;
    text[len] = '\0';
    static const char *const priorities[] = {"LOW", "MEDIUM", "HIGH"};
    if (sim_chance(r, 50))
        len += (size_t)snprintf(text + len, size - len, "priority:\"%s\",", priorities[sim_draw(r, 3)]);
    (void)snprintf(text + len, size - len, "assessmentData:{%s:%s}}", fields[which], value);
}

static void edit(struct sim *s, int n)
{
    struct sim_rng *r = &s->rng;
    struct fm_arena arena = {0};
    struct fm_head head;
    char text[600], id[37], offline[16];
    const char *actor = users[sim_draw(r, 2)];
    if (!s->nodes[n].up)
        return;
    bool known = some_record(s, n, FM_KIND_ASSESSMENT, false, &arena, &head);
    if (!known || sim_chance(r, 25)) {
        (void)snprintf(offline, sizeof offline, "o%d", (int)sim_draw(r, SIM_RECORDS));
        payload(s, text, sizeof text, "", offline);
        submit(s, n, "assessment", "create", actor, sim_chance(r, 10) ? 1 + (int64_t)sim_draw(r, 3) : 1, NULL, text);
    } else {
        struct fm_version *rows;
        size_t count;
        const struct fm_port *port = fm_memory_port(s->nodes[n].store);
        MUST(port->versions(port->ctx, head.kind, &head.record, &arena, &rows, &count));
        const struct fm_version *base = &rows[sim_draw(r, count)]; /* a tablet that was away has an old base */
        bool from_base = sim_chance(r, 30) && base->counted;
        fm_uuid_text(id, &head.record);
        payload(s, text, sizeof text, id, "");
        int64_t version = (int64_t)(from_base ? base->number : head.number) + 1;
        version += sim_chance(r, 5) ? (int64_t)sim_draw(r, 3) : 0;
        if (sim_chance(r, 8))
            (void)snprintf(text, sizeof text, "{id:\"%s\"}", id);
        submit(s, n, "assessment", strlen(text) < 60 ? "delete" : "update", actor, version,
               from_base ? &base->id : NULL, text);
    }
    fm_arena_fini(&arena);
}

/* Now and then two write at the same millisecond: then nothing but the version id decides. */
void sim_people_act(struct sim *s, int n, int other)
{
    bool both = sim_chance(&s->rng, 15);
    uint64_t same = s->rng.s;
    for (uint64_t k = sim_chance(&s->rng, 25) ? 1 + sim_draw(&s->rng, 4) : 1; k > 0; k--)
        edit(s, n); /* all in one turn, from what was shown before it */
    flush(s, n);
    if (!both)
        return;
    s->rng.s = same;
    edit(s, other);
    flush(s, other);
}

/* Take the winner, take other data, merge; or take a decision back. */
void sim_people_decide(struct sim *s, int n)
{
    struct sim_rng *r = &s->rng;
    struct fm_arena arena = {0};
    struct fm_head head;
    struct fm_version *rows;
    size_t count;
    struct fm_resolution res = {.ticket = ++s->events, .actor = fm_span_str("operator"), .reason = fm_span_str("so it was")};
    bool undo = sim_chance(r, 30);
    n %= s->plan->cfg.coordinators;
    if (!s->nodes[n].up || !some_record(s, n, FM_KIND_ASSESSMENT, !undo, &arena, &head))
        return;
    const struct fm_port *port = fm_memory_port(s->nodes[n].store);
    MUST(port->versions(port->ctx, head.kind, &head.record, &arena, &rows, &count));
    uint64_t seen = 0;
    const struct fm_version *chosen = NULL;
    for (size_t i = 0; i < count; i++)
        if (rows[i].place == (undo ? FM_PLACE_SETTLED : FM_PLACE_OPEN) && sim_draw(r, ++seen) == 0)
            chosen = &rows[i];
    if (chosen != NULL) {
        char text[600], id[37];
        fm_conflict_id_of(&res.conflict, &s->nodes[n].crypto, head.kind, &head.record, &chosen->id);
        res.loser = chosen->id;
        res.undo = undo;
        res.strategy = (enum fm_strategy)(1 + sim_draw(r, 3));
        if (res.strategy == FM_TAKE_DATA) {
            struct fm_span document, actor;
            fm_uuid_text(id, &head.record);
            if (fm_repl_document(s->nodes[n].core, chosen, &document, &actor) == FM_OK && !chosen->tombstone)
                res.data = fm_span(fm_arena_copy(&arena, document), document.len);
            else
                payload(s, text, sizeof text, id, ""), res.data = fm_text_doc(&s->arena, text);
        }
        sim_tell(s, "  node %d: %s, strategy %d", n, undo ? "undo" : "resolve", res.strategy);
        sim_node_event(s, n, (struct fm_event){.kind = FM_EVENT_RESOLVE, .resolution = &res});
    }
    fm_arena_fini(&arena);
}
