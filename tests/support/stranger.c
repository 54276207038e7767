#include "tests/support/stranger.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/faults.h"

#define CONN 5000u

static int act(void *ctx, const struct fm_action *action)
{
    struct stranger *s = ctx;
    if (action->kind == FM_DO_DROP)
        s->dropped = action->reason;
    if (action->kind == FM_DO_REPORT && action->report == FM_REPORT_REFUSED)
        s->refused = action->reason;
    if (action->kind != FM_DO_SEND)
        return s->below.act(s->below.ctx, action);
    if (s->sends_left >= 0 && s->sends_left-- == 0)
        return FM_ESTORE;
    assert(s->count < STRANGER_HEARD_MAX);
    fm_buf_init(&s->heard[s->count], 0);
    return fm_buf_add(&s->heard[s->count++], action->bytes.data, action->bytes.len);
}

void stranger_open(struct stranger *s, struct fm_lab_node *node)
{
    *s = (struct stranger){.node = node, .below = node->sink, .sends_left = -1, .start = fm_memory_clone(node->saved)};
    assert(s->start != NULL);
    node->sink = (struct fm_sink){.ctx = s, .act = act};
}

void stranger_close(struct stranger *s)
{
    stranger_forget(s);
    s->node->sink = s->below;
    for (size_t i = 0; i < s->played; i++)
        free((void *)(uintptr_t)s->script[i].bytes.data);
    fm_memory_free(s->start);
}

static void write_down(struct stranger *s, const struct fm_event *event)
{
    if (s->played == STRANGER_SCRIPT_MAX)
        return;
    struct fm_event *e = &s->script[s->played++];
    uint8_t *copy = malloc(event->bytes.len + 1);
    assert(copy != NULL);
    *e = *event;
    if (event->bytes.len > 0)
        memcpy(copy, event->bytes.data, event->bytes.len);
    e->bytes.data = copy;
    e->now_ms = s->node->now_ms;
    e->steady_ms = s->node->events * 10;
}

int stranger_step(struct stranger *s, struct fm_event event)
{
    event.conn = CONN;
    write_down(s, &event);
    int rc = fm_lab_step(s->node, event);
    return rc != FM_OK ? rc : fm_lab_end(s->node);
}

static int rows_only(void *ctx, const struct fm_action *action)
{
    return action->kind == FM_DO_ROW ? fm_memory_apply(ctx, &action->row) : FM_OK;
}

static int turn(struct fm_fault *f, struct fm_repl *core, struct fm_event event, uint8_t number)
{
    event.seed[0] = number;
    int rc = fm_fault_step(f, core, &event);
    event.kind = FM_EVENT_TURN_END;
    event.seed[1] = 1;
    return rc == FM_OK ? fm_fault_step(f, core, &event) : rc;
}

static int play_again(const struct stranger *s, int64_t left, struct fm_fault *f, struct fm_digest digests[2])
{
    struct fm_memory *store = fm_memory_clone(s->start);
    assert(store != NULL);
    fm_fault_init(f, fm_memory_port(store), &s->node->device.crypto, (struct fm_sink){.ctx = store, .act = rows_only});
    struct fm_repl *core = fm_repl_new(&s->node->self, &f->crypto, &f->port);
    assert(core != NULL);
    int rc = turn(f, core, (struct fm_event){.kind = FM_EVENT_START, .now_ms = s->node->now_ms}, 0);
    for (size_t i = 0; rc == FM_OK && i < s->played; i++) {
        f->left = i + 1 == s->played ? left : -1;
        rc = turn(f, core, s->script[i], (uint8_t)(i + 1));
        assert(rc == FM_OK || i + 1 == s->played);
    }
    f->left = -1;
    if (rc == FM_OK)
        rc = fm_repl_digest(core, &digests[0], &digests[1]);
    fm_repl_free(core);
    fm_memory_free(store);
    return rc;
}

size_t stranger_fails_anywhere(const struct stranger *s)
{
    struct fm_fault f;
    struct fm_digest wanted[2], got[2];
    int rc = play_again(s, -1, &f, wanted);
    assert(rc == FM_OK && s->played > 0 && s->played < STRANGER_SCRIPT_MAX);
    for (size_t n = 0;; n++) {
        rc = play_again(s, (int64_t)n, &f, got);
        if (!f.hit)
            return n;
        if (rc != (fm_fault_memory ? FM_ENOMEM : FM_ESTORE) && (!fm_fault_memory || rc != FM_OK))
            (void)fprintf(stderr, "call %zu (%s) failed, but the step gave %d\n", n, f.where, rc);
        assert(rc == (fm_fault_memory ? FM_ENOMEM : FM_ESTORE) || (fm_fault_memory && rc == FM_OK));
        assert(rc != FM_OK || memcmp(wanted, got, sizeof wanted) == 0);
    }
}

void stranger_up(struct stranger *s, const struct fm_lab_node *as, bool node_is_initiator)
{
    int rc = stranger_step(
        s, (struct fm_event){.kind = FM_EVENT_PEER_UP, .transport = as->self.transport, .initiator = node_is_initiator});
    assert(rc == FM_OK && s->dropped == NULL);
}

void stranger_down(struct stranger *s)
{
    int rc = stranger_step(s, (struct fm_event){.kind = FM_EVENT_PEER_DOWN});
    assert(rc == FM_OK);
    s->dropped = s->refused = NULL;
    stranger_forget(s);
}

void stranger_wait(struct stranger *s, uint64_t ms)
{
    s->node->events += ms / 10; /* ten milliseconds each (lab.c) */
    int rc = stranger_step(s, (struct fm_event){.kind = FM_EVENT_TICK});
    assert(rc == FM_OK);
}

const struct fm_session *stranger_session(const struct stranger *s)
{
    return fm_session_find(s->node->core, CONN);
}

/* --- saying --- */

int stranger_says(struct stranger *s, struct fm_span message)
{
    uint8_t *exact = malloc(message.len > 0 ? message.len : 1); /* so that ASan sees a read past the end */
    assert(exact != NULL);
    if (message.len > 0)
        memcpy(exact, message.data, message.len);
    int rc = stranger_step(s, (struct fm_event){.kind = FM_EVENT_RECEIVE, .bytes = fm_span(exact, message.len)});
    free(exact);
    return rc;
}

static int say(struct stranger *s, const struct fm_pack *p)
{
    assert(p->error == FM_OK);
    int rc = stranger_says(s, fm_buf_span(p->buf));
    fm_buf_fini(p->buf);
    return rc;
}

static void begin(struct fm_pack *p, struct fm_buf *buf, uint32_t items, enum fm_message_kind kind)
{
    fm_buf_init(buf, 0);
    fm_pack_init(p, buf);
    fm_pack_array(p, items);
    fm_pack_uint(p, kind);
}

int stranger_says_hello(struct stranger *s, const struct fm_hello *h)
{
    struct fm_buf buf;
    struct fm_pack p;
    begin(&p, &buf, 10, FM_MSG_HELLO);
    fm_pack_uint(&p, h->protocol);
    fm_pack_bin(&p, h->mesh, sizeof h->mesh);
    fm_pack_bin(&p, h->grant.b, sizeof h->grant.b);
    fm_pack_bin(&p, h->store.b, sizeof h->store.b);
    fm_pack_bin(&p, h->vector, sizeof h->vector);
    fm_pack_bin(&p, h->fold, sizeof h->fold);
    fm_pack_bin(&p, h->state, h->has_state ? sizeof h->state : 0);
    fm_pack_bin(&p, h->statements, sizeof h->statements);
    fm_pack_uint(&p, h->media);
    return say(s, &p);
}

static void tips(struct fm_pack *p, const struct fm_tip *at, uint32_t count)
{
    fm_pack_array(p, count);
    for (uint32_t i = 0; i < count; i++) {
        fm_pack_array(p, 2);
        fm_pack_uint(p, at[i].sequence);
        fm_pack_bin(p, at[i].id.b, sizeof at[i].id.b);
    }
}

static void stream(struct fm_pack *p, const struct fm_stream *at)
{
    fm_pack_bin(p, at->author.b, sizeof at->author.b);
    fm_pack_uint(p, at->incarnation);
    fm_pack_uint(p, at->lane);
}

int stranger_says_have(struct stranger *s, const struct fm_stream_row *rows, size_t count, bool last)
{
    struct fm_buf buf;
    struct fm_pack p;
    begin(&p, &buf, 3, FM_MSG_HAVE);
    fm_pack_array(&p, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        fm_pack_array(&p, 4);
        stream(&p, &rows[i].stream);
        tips(&p, rows[i].tips, rows[i].tip_count);
    }
    fm_pack_bool(&p, last);
    return say(s, &p);
}

int stranger_says_ladder(struct stranger *s, const struct fm_stream *at, const struct fm_tip *steps, uint32_t count)
{
    struct fm_buf buf;
    struct fm_pack p;
    begin(&p, &buf, 5, FM_MSG_LADDER);
    stream(&p, at);
    tips(&p, steps, count);
    return say(s, &p);
}

int stranger_says_data(struct stranger *s, uint64_t number, struct fm_span set)
{
    struct fm_buf buf;
    struct fm_pack p;
    begin(&p, &buf, 3, FM_MSG_DATA);
    fm_pack_uint(&p, number);
    fm_pack_array(&p, 1);
    fm_pack_bin(&p, set.data, set.len);
    return say(s, &p);
}

int stranger_acknowledges(struct stranger *s)
{
    struct fm_buf buf;
    struct fm_pack p;
    begin(&p, &buf, 3, FM_MSG_ACK);
    fm_pack_uint(&p, stranger_session(s)->data_out);
    fm_pack_uint(&p, 0);
    return say(s, &p);
}

int stranger_has_all(struct stranger *s, size_t but)
{
    const struct fm_vector *v = s->node->core->vector;
    size_t count = fm_vector_count(v);
    struct fm_stream_row *rows = calloc(count + 1, sizeof *rows);
    assert(rows != NULL && but <= count);
    for (size_t i = but; i < count; i++)
        rows[i - but] = *fm_vector_at(v, i);
    int rc = stranger_says_have(s, rows, count - but, true);
    free(rows);
    return rc;
}

static int greet(struct stranger *s, const struct fm_lab_node *as, bool differs)
{
    struct fm_hello hello;
    stranger_up(s, as, true);
    int rc = fm_hello_decode(&hello, stranger_last(s, FM_MSG_HELLO));
    assert(rc == FM_OK);
    hello.grant = (struct fm_grant_id){{0}}; /* it is known by its key */
    hello.vector[0] ^= differs;
    return stranger_says_hello(s, &hello);
}

int stranger_differs(struct stranger *s, const struct fm_lab_node *as)
{
    return greet(s, as, true);
}

void stranger_in_step(struct stranger *s, const struct fm_lab_node *as)
{
    int rc = greet(s, as, false);
    assert(rc == FM_OK && stranger_session(s)->phase == FM_PEER_IN_STEP);
    stranger_forget(s);
}

/* --- hearing --- */

void stranger_forget(struct stranger *s)
{
    while (s->count > 0)
        fm_buf_fini(&s->heard[--s->count]);
}

size_t stranger_heard(const struct stranger *s, enum fm_message_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        n += s->heard[i].data[1] == kind;
    return n;
}

struct fm_span stranger_last(const struct stranger *s, enum fm_message_kind kind)
{
    for (size_t i = s->count; i-- > 0;)
        if (s->heard[i].data[1] == kind)
            return fm_buf_span(&s->heard[i]);
    return fm_span(NULL, 0);
}

size_t stranger_sets(const struct stranger *s)
{
    size_t sets = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct fm_walk w;
        uint64_t number;
        uint32_t count;
        if (s->heard[i].data[1] != FM_MSG_DATA)
            continue;
        int rc = fm_message_open(&w, fm_buf_span(&s->heard[i]), FM_MSG_DATA, 3);
        if (rc == FM_OK)
            rc = fm_walk_uint(&w, &number, UINT64_MAX);
        if (rc == FM_OK)
            rc = fm_walk_array(&w, &count);
        assert(rc == FM_OK);
        sets += count;
    }
    return sets;
}
