#include "tests/support/meeting.h"

#include <assert.h>
#include <stdio.h>

#include "replication/error.h"
#include "tests/support/faults.h"

#define QUEUE 256

struct side {
    const struct fm_lab_node *of;
    struct fm_memory *store, *saved;
    struct fm_fault fault;
    struct fm_repl *core;
    struct fm_buf queue[QUEUE]; /* what this side sent and the other has not got yet; the turn's own behind `sent` */
    size_t first, sent, count;
    bool initiator;
};
struct rig {
    struct side side[2];
    uint64_t steps, failures;
    bool again; /* a side failed: both begin anew */
};

static int act(void *ctx, const struct fm_action *action)
{
    struct side *s = ctx;
    assert(action->kind != FM_DO_DROP);
    if (action->kind == FM_DO_ROW)
        return fm_memory_apply(s->store, &action->row);
    if (action->kind == FM_DO_SEND) {
        assert(s->count < QUEUE);
        fm_buf_init(&s->queue[s->count], 0);
        return fm_buf_add(&s->queue[s->count++], action->bytes.data, action->bytes.len);
    }
    return FM_OK;
}

static void drop_from(struct side *s, size_t first)
{
    while (s->count > first)
        fm_buf_fini(&s->queue[--s->count]);
    s->sent = s->count < s->sent ? s->count : s->sent;
    s->first = s->first < s->count ? s->first : s->count;
}

static void open_core(struct side *s, int64_t left)
{
    fm_fault_init(&s->fault, fm_memory_port(s->store), &s->of->device.crypto, (struct fm_sink){.ctx = s, .act = act});
    s->fault.left = left;
    s->core = fm_repl_new(&s->of->self, &s->fault.crypto, &s->fault.port);
    assert(s->core != NULL);
}

static int step(struct rig *rig, struct side *s, struct fm_event event)
{
    event.now_ms = LAB_NOW + 1000;
    event.steady_ms = rig->steps * 10;
    event.conn = 1;
    fm_be_put(event.seed, ++rig->steps, 8);
    return fm_fault_step(&s->fault, s->core, &event);
}

/* One event and its turn's end; a failure throws the turn and the core away. */
static void turn(struct rig *rig, struct side *s, struct fm_event event)
{
    int rc = step(rig, s, event);
    if (rc == FM_OK)
        rc = step(rig, s, (struct fm_event){.kind = FM_EVENT_TURN_END});
    if (rc == FM_OK) {
        if (s->fault.hit && !fm_fault_memory)
            (void)fprintf(stderr, "event %d: %s failed and nobody was told\n", (int)event.kind, s->fault.where);
        assert(!s->fault.hit || fm_fault_memory);
        s->sent = s->count;
        fm_memory_free(s->saved);
        s->saved = fm_memory_clone(s->store);
        return;
    }
    assert(rc == (fm_fault_memory ? FM_ENOMEM : FM_ESTORE));
    assert(s->fault.hit);
    rig->failures++;
    rig->again = true;
    fm_repl_free(s->core);
    fm_memory_free(s->store);
    s->store = fm_memory_clone(s->saved);
    open_core(s, -1);
    turn(rig, s, (struct fm_event){.kind = FM_EVENT_START});
}

static void begin(struct rig *rig)
{
    rig->again = false;
    for (int i = 0; i < 2; i++) {
        drop_from(&rig->side[i], 0);
        rig->side[i].first = 0;
    }
    for (int i = 0; i < 2; i++)
        turn(rig, &rig->side[i],
             (struct fm_event){
                 .kind = FM_EVENT_PEER_UP, .initiator = i == 0, .transport = rig->side[1 - i].of->self.transport});
}

static void deliver(struct rig *rig)
{
    for (unsigned idle = 0; idle < 2 && !rig->again;) {
        idle++;
        for (int i = 0; i < 2 && !rig->again; i++) {
            struct side *from = &rig->side[i];
            if (from->first == from->sent)
                continue;
            idle = 0;
            turn(rig, &rig->side[1 - i],
                 (struct fm_event){.kind = FM_EVENT_RECEIVE, .bytes = fm_buf_span(&from->queue[from->first])});
            from->first += !rig->again;
        }
    }
}

/* The whole meeting, with call number `left` of one side failing. False: it was over before that. */
static bool meet(const struct fm_lab_node *const of[2], int failing, int64_t left, struct fm_digest out[2],
                 uint64_t *failures)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct fm_digest other[2];
    assert(rig != NULL);
    for (int i = 0; i < 2; i++) {
        struct side *s = &rig->side[i];
        s->of = of[i];
        s->store = fm_memory_clone(of[i]->store);
        s->saved = fm_memory_clone(of[i]->store);
        open_core(s, i == failing ? left : -1);
        turn(rig, s, (struct fm_event){.kind = FM_EVENT_START});
    }
    bool again = true;
    for (unsigned round = 0; again || round < 3; round++) {
        assert(round < 20);
        for (int i = 0; i < 2 && again && round > 0; i++)
            turn(rig, &rig->side[i], (struct fm_event){.kind = FM_EVENT_PEER_DOWN});
        if (again)
            begin(rig);
        deliver(rig);
        rig->steps += 150; /* receipts and pings are due */
        for (int i = 0; i < 2 && !rig->again; i++)
            turn(rig, &rig->side[i], (struct fm_event){.kind = FM_EVENT_TICK});
        deliver(rig);
        if (!rig->again)
            turn(rig, &rig->side[0], (struct fm_event){.kind = FM_EVENT_SYNC});
        deliver(rig);
        again = rig->again;
    }
    bool hit = rig->failures > 0 || rig->side[0].fault.hit || rig->side[1].fault.hit;
    *failures += rig->failures;
    for (int i = 0; i < 2; i++) {
        struct side *s = &rig->side[i];
        s->fault.left = -1;
        int rc = fm_repl_digest(s->core, &(i == 0 ? out : other)[0], &(i == 0 ? out : other)[1]);
        assert(rc == FM_OK);
        drop_from(s, 0);
        fm_repl_free(s->core);
        fm_memory_free(s->store);
        fm_memory_free(s->saved);
    }
    assert(memcmp(out, other, sizeof other) == 0);
    free(rig);
    return hit;
}

uint64_t fm_meeting_try(const struct fm_lab_node *a, const struct fm_lab_node *b)
{
    const struct fm_lab_node *const of[2] = {a, b};
    struct fm_digest wanted[2], got[2];
    uint64_t failures = 0;
    bool hit = meet(of, 0, -1, wanted, &failures);
    assert(!hit);
    for (int failing = 0; failing < 2; failing++) {
        int64_t n = 0;
        do {
            hit = meet(of, failing, n++, got, &failures);
            assert(memcmp(wanted, got, sizeof wanted) == 0);
        } while (hit);
    }
    return failures;
}
