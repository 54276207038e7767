#include "replication/inner.h"

#include <assert.h>
#include <stdlib.h>

#define BODY_BYTES_MAX (FM_SET_BYTES_MAX - 8u * 1024u)
#define FRONT 3 /* room for the array's header before the items */

/* The open set of one lane. Two buffers take turns, so that documents of a set that was just closed stay readable to
 * who borrowed them in this step. */
struct lane {
    bool open;
    struct fm_set_header header;
    struct fm_set_meta meta;
    struct fm_buf bodies[2];
    struct fm_buf *body;
    uint32_t count;
    size_t ends[FM_SET_CHANGES_MAX];
};
struct fm_turn {
    struct lane lanes[2];
    uint64_t clock_saved;
    bool incarnation_noted;
};

struct fm_turn *fm_turn_new(void)
{
    return calloc(1, sizeof(struct fm_turn));
}

void fm_turn_free(struct fm_turn *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < 4; i++)
        fm_buf_fini(&t->lanes[i / 2].bodies[i % 2]);
    free(t);
}

/* --- clock --- */

void fm_turn_clock(struct fm_repl *r, uint64_t time)
{
    uint64_t limit = (r->event->now_ms & ((UINT64_C(1) << 47) - 1)) + FM_CLOCK_AHEAD_MS_MAX;
    if (time > r->clock && time >> 16 < limit)
        r->clock = time;
}

int fm_turn_clock_load(struct fm_repl *r)
{
    struct fm_buf value;
    fm_buf_init(&value, 0);
    int rc = r->port->meta(r->port->ctx, FM_META_CLOCK, &value);
    if (rc == FM_OK && value.len != 8)
        rc = FM_ECORRUPT;
    if (rc == FM_OK)
        r->turn->clock_saved = r->clock = fm_be_get(value.data, 8);
    fm_buf_fini(&value);
    return rc == FM_ENOTFOUND ? FM_OK : rc;
}

static int save_number(struct fm_repl *r, const char *name, uint64_t value)
{
    uint8_t bytes[8];
    fm_be_put(bytes, value, sizeof bytes);
    struct fm_row row = {.kind = FM_ROW_META, .name = name, .bytes = fm_span(bytes, sizeof bytes)};
    return fm_emit_row(r, &row);
}

int fm_turn_clock_save(struct fm_repl *r)
{
    if (r->clock == r->turn->clock_saved)
        return FM_OK;
    r->turn->clock_saved = r->clock;
    return save_number(r, FM_META_CLOCK, r->clock);
}

/* --- opening --- */

const struct fm_grant *fm_turn_grant(const struct fm_repl *r, uint64_t *epoch)
{
    const struct fm_grant *grant = fm_authority_current(r->authority, &r->self.author, r->epoch);
    if (grant != NULL)
        *epoch = r->epoch > grant->epoch_first ? r->epoch : grant->epoch_first;
    return grant;
}

/* What follows from the stream's tip: sequence, previous set, and that epoch and time never fall. */
static int follow(struct fm_repl *r, struct lane *l, uint64_t *time_min)
{
    struct fm_set_header *h = &l->header;
    const struct fm_stream_row *row = fm_vector_find(r->vector, &h->stream);
    *time_min = 0;
    h->sequence = 1;
    if (row == NULL)
        return FM_OK;
    const struct fm_tip *tip = &row->tips[row->tip_count - 1];
    struct fm_set_meta meta;
    int rc = r->port->set_get(r->port->ctx, &h->stream, tip->sequence, &tip->id, &meta);
    if (rc != FM_OK)
        return rc == FM_ENOTFOUND ? FM_ECORRUPT : rc;
    h->sequence = tip->sequence + 1;
    h->has_prev = true;
    h->prev = tip->id;
    if (h->epoch < meta.epoch)
        h->epoch = meta.epoch;
    *time_min = meta.time + meta.change_count;
    l->meta.changes_before = tip->changes;
    return FM_OK;
}

static int open_lane(struct fm_repl *r, uint8_t lane)
{
    struct lane *l = &r->turn->lanes[lane];
    uint64_t epoch, time_min;
    const struct fm_grant *grant = fm_turn_grant(r, &epoch);
    if (grant == NULL)
        return FM_ENOTJOINED;
    l->meta = (struct fm_set_meta){.role = grant->role};
    l->header = (struct fm_set_header){
        .format = FM_FORMAT,
        .stream = {.author = r->self.author, .incarnation = r->self.incarnation, .lane = lane},
        .has_grant = true,
        .grant = grant->id,
        .epoch = epoch};
    int rc = follow(r, l, &time_min);
    if (rc != FM_OK)
        return rc;
    if (l->header.epoch > grant->epoch_last)
        return FM_ENOTJOINED;
    uint64_t time = (r->event->now_ms & ((UINT64_C(1) << 47) - 1)) << 16;
    time = time > r->clock ? time : r->clock + 1;
    time = time > time_min ? time : time_min;
    l->header.time = time < FM_TIME_MAX ? time : FM_TIME_MAX;
    l->body = &l->bodies[l->body == &l->bodies[0]];
    if (l->body->cap == 0) { /* all of it at once: what is borrowed from it never moves */
        rc = fm_buf_reserve(l->body, FRONT + BODY_BYTES_MAX);
        if (rc != FM_OK)
            return rc;
    }
    l->body->len = FRONT;
    l->count = 0;
    l->meta.stream = l->header.stream;
    l->meta.sequence = l->header.sequence;
    l->meta.has_prev = l->header.has_prev;
    l->meta.prev = l->header.prev;
    l->meta.has_grant = true;
    l->meta.grant = grant->id;
    l->meta.epoch = l->header.epoch;
    l->meta.time = l->header.time;
    l->meta.verdict = FM_COUNTED; /* the grant counts, and nothing revokes it */
    if (!r->turn->incarnation_noted) {
        r->turn->incarnation_noted = true;
        rc = save_number(r, FM_META_INCARNATION, r->self.incarnation);
        if (rc != FM_OK)
            return rc;
    }
    l->meta.arrival = r->arrival_next++;
    l->open = true;
    return FM_OK;
}

/* --- items --- */

static struct fm_span item_at(const struct lane *l, uint32_t index)
{
    size_t from = index == 0 ? FRONT : l->ends[index - 1];
    return fm_span(l->body->data + from, l->ends[index] - from);
}

bool fm_turn_item(const struct fm_repl *r, uint64_t arrival, uint32_t index, struct fm_span *item)
{
    for (size_t i = 0; i < 2; i++) {
        const struct lane *l = &r->turn->lanes[i];
        if (l->open && l->meta.arrival == arrival) {
            assert(index < l->count);
            *item = item_at(l, index);
            return true;
        }
    }
    return false;
}

/* --- closing --- */

static int close_lane(struct fm_repl *r, uint8_t lane)
{
    struct lane *l = &r->turn->lanes[lane];
    struct fm_set_meta *meta = &l->meta;
    assert(l->open && l->count > 0);
    uint8_t *front = l->body->data, nonce[24];
    if (l->count < 16) {
        front += 2;
        front[0] = (uint8_t)(0x90 | l->count);
    } else {
        front[0] = 0xdc;
        fm_be_put(front + 1, l->count, 2);
    }
    struct fm_span changes = fm_span(front, (size_t)(l->body->data + l->body->len - front));
    /* Membership is clear, so that all can check it; so are records of a mesh without data keys. */
    const struct fm_data_key *key = lane == FM_LANE_RECORDS ? fm_keys_best(r) : NULL;
    l->header.change_count = l->count;
    fm_fresh(r, nonce, sizeof nonce);
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    int rc = fm_set_close(&bytes, &meta->id, r->crypto, &r->self.mesh, &l->header, changes, key != NULL ? &key->key : NULL,
                          nonce);
    assert(rc == FM_OK || rc == FM_ENOMEM); /* BODY_BYTES_MAX leaves room for all that comes around */
    meta->bytes = (uint32_t)bytes.len;
    meta->change_count = l->count;
    uint8_t verdict = meta->verdict;
    if (rc == FM_OK)
        rc = fm_vector_add(r, meta);
    if (rc == FM_OK)
        rc = fm_authority_judge(r->authority, meta, &verdict);
    struct fm_row row = {.kind = FM_ROW_SET, .meta = meta, .bytes = fm_buf_span(&bytes)};
    if (rc == FM_OK)
        rc = fm_emit_row(r, &row);
    fm_buf_fini(&bytes);
    if (rc != FM_OK)
        return rc;
    l->open = false;
    if (verdict != meta->verdict) { /* what we write under was revoked, or counts again, while the set was open */
        rc = fm_judge_apply(r, meta, verdict);
        meta->verdict = verdict;
    }
    if (rc == FM_OK && lane == FM_LANE_MEMBERSHIP) {
        struct fm_span items[FM_SET_CHANGES_MAX];
        for (uint32_t i = 0; i < l->count; i++)
            items[i] = item_at(l, i);
        rc = fm_intake_own(r, meta, items, l->count);
    }
    if (rc == FM_OK)
        fm_session_note_set(r, meta, 0);
    return rc;
}

int fm_turn_close(struct fm_repl *r)
{
    int rc = FM_OK;
    for (uint8_t lane = 0; rc == FM_OK && lane < 2; lane++)
        if (r->turn->lanes[lane].open)
            rc = close_lane(r, lane);
    return rc;
}

/* --- adding --- */

/* Full; or something with a later time came in since the set was opened, and what is written after it must not be
 * earlier (section 4, "an author's next time"). */
static bool must_close(const struct fm_repl *r, const struct lane *l, struct fm_span item)
{
    return l->count == FM_SET_CHANGES_MAX || l->body->len - FRONT + item.len > BODY_BYTES_MAX - 4 ||
           l->header.time + l->count <= r->clock;
}

int fm_turn_add(struct fm_repl *r, uint8_t lane, struct fm_span item, struct fm_version_id *id)
{
    struct lane *l = &r->turn->lanes[lane];
    int rc = FM_OK;
    assert(lane <= FM_LANE_RECORDS && item.len > 0 && item.len <= FM_CHANGE_BYTES_MAX);
    if (l->open && must_close(r, l, item))
        rc = close_lane(r, lane);
    if (rc == FM_OK && !l->open)
        rc = open_lane(r, lane);
    if (rc == FM_OK)
        rc = fm_buf_add(l->body, item.data, item.len);
    if (rc != FM_OK)
        return rc;
    uint32_t index = l->count++;
    l->ends[index] = l->body->len;
    r->clock = l->header.time + index;
    item = item_at(l, index);
    if (lane == FM_LANE_MEMBERSHIP) {
        fm_version_id_of(id, r->crypto, &r->self.mesh, &l->header, index, item);
        return FM_OK;
    }
    rc = fm_intake_change(r, &l->meta, &l->header, index, item, id);
    if (rc != FM_OK || !fm_touch_pending(r))
        return rc;
    struct fm_change change;
    bool record_known;
    rc = fm_change_decode(&change, item, &record_known);
    assert(rc == FM_OK); /* it was encoded here */
    return fm_touch_now(r, change.kind, &change.record);
}

/* rule 55 */
int fm_turn_act(struct fm_repl *r, const struct fm_act *act, int *refused, struct fm_set_id *id)
{
    struct lane *l = &r->turn->lanes[FM_LANE_MEMBERSHIP];
    uint64_t epoch;
    const struct fm_grant *grant = fm_turn_grant(r, &epoch);
    struct fm_version_id unused;
    struct fm_buf item;
    *refused = grant == NULL ? FM_ENOTJOINED : grant->role != FM_ROLE_COORDINATOR ? FM_EROLE : FM_OK;
    if (*refused == FM_OK && act->kind == FM_ACT_GRANT && act->grant.role == FM_ROLE_COORDINATOR)
        *refused = FM_EROLE; /* the root's to give */
    if (*refused != FM_OK)
        return FM_OK;
    fm_buf_init(&item, FM_CHANGE_BYTES_MAX);
    int rc = fm_act_encode(&item, act);
    assert(!l->open);
    if (rc == FM_OK)
        rc = fm_turn_add(r, FM_LANE_MEMBERSHIP, fm_buf_span(&item), &unused);
    if (rc == FM_OK)
        rc = close_lane(r, FM_LANE_MEMBERSHIP);
    fm_buf_fini(&item);
    if (rc == FM_OK)
        *id = l->meta.id;
    if (rc == FM_OK || fm_emit_fatal(rc))
        return rc;
    *refused = rc;
    return FM_OK;
}
