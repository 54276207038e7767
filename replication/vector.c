#include "replication/inner.h"

#include <assert.h>
#include <stdlib.h>

struct fm_vector {
    struct fm_stream_row **rows; /* sorted; each row stays where it is */
    size_t count, cap;
    bool digest_known;
    struct fm_digest digest;
};

struct fm_vector *fm_vector_new(void)
{
    return calloc(1, sizeof(struct fm_vector));
}

void fm_vector_free(struct fm_vector *v)
{
    if (v == NULL)
        return;
    for (size_t i = 0; i < v->count; i++)
        free(v->rows[i]);
    free(v->rows);
    free(v);
}

size_t fm_vector_count(const struct fm_vector *v)
{
    return v->count;
}

const struct fm_stream_row *fm_vector_at(const struct fm_vector *v, size_t i)
{
    assert(i < v->count);
    return v->rows[i];
}

static int stream_cmp(const struct fm_stream *a, const struct fm_stream *b)
{
    int order = fm_id_cmp(&a->author, &b->author);
    if (order != 0)
        return order;
    if (a->incarnation != b->incarnation)
        return a->incarnation < b->incarnation ? -1 : 1;
    return (int)a->lane - (int)b->lane;
}

static size_t place_of(const struct fm_vector *v, const struct fm_stream *stream, bool *found)
{
    size_t low = 0, high = v->count;
    *found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = stream_cmp(&v->rows[mid]->stream, stream);
        if (order == 0) {
            *found = true;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct fm_stream_row *fm_vector_find(const struct fm_vector *v, const struct fm_stream *stream)
{
    bool found;
    size_t i = place_of(v, stream, &found);
    return found ? v->rows[i] : NULL;
}

/* The stream's row, made if there is none; NULL without memory. */
static struct fm_stream_row *row_of(struct fm_vector *v, const struct fm_stream *stream, bool *fresh)
{
    bool found;
    size_t i = place_of(v, stream, &found);
    *fresh = !found;
    if (found)
        return v->rows[i];
    if (v->count == v->cap) {
        size_t cap = v->cap == 0 ? 32 : 2 * v->cap;
        struct fm_stream_row **rows = realloc(v->rows, cap * sizeof *rows);
        if (rows == NULL)
            return NULL;
        v->rows = rows;
        v->cap = cap;
    }
    struct fm_stream_row *row = calloc(1, sizeof *row);
    if (row == NULL)
        return NULL;
    row->stream = *stream;
    memmove(v->rows + i + 1, v->rows + i, (v->count - i) * sizeof *v->rows);
    v->rows[i] = row;
    v->count++;
    return row;
}

int fm_vector_load(struct fm_vector *v, const struct fm_stream_row *row)
{
    bool fresh;
    if (row->tip_count == 0 || row->tip_count > FM_STREAM_TIPS_MAX)
        return FM_ECORRUPT;
    struct fm_stream_row *own = row_of(v, &row->stream, &fresh);
    if (own == NULL)
        return FM_ENOMEM;
    *own = *row;
    v->digest_known = false;
    return FM_OK;
}

static const struct fm_tip *tip_find(const struct fm_stream_row *row, const struct fm_set_id *id)
{
    for (uint32_t i = 0; i < row->tip_count; i++)
        if (fm_id_eq(&row->tips[i].id, id))
            return &row->tips[i];
    return NULL;
}

int fm_vector_room(const struct fm_vector *v, const struct fm_stream *stream, const struct fm_set_id *prev)
{
    const struct fm_stream_row *row = fm_vector_find(v, stream);
    if (row == NULL)
        return v->count < FM_STREAMS_MAX ? FM_OK : FM_ELIMIT;
    if (prev != NULL && tip_find(row, prev) != NULL)
        return FM_OK;
    return row->tip_count < FM_STREAM_TIPS_MAX ? FM_OK : FM_ELIMIT;
}

static bool tip_before(const struct fm_tip *a, const struct fm_tip *b)
{
    return a->sequence != b->sequence ? a->sequence < b->sequence : fm_id_cmp(&a->id, &b->id) < 0;
}

int fm_vector_add(struct fm_repl *r, const struct fm_set_meta *set)
{
    bool fresh;
    struct fm_stream_row *row = row_of(r->vector, &set->stream, &fresh);
    if (row == NULL)
        return FM_ENOMEM;
    struct fm_tip tip = {.sequence = set->sequence, .id = set->id, .changes = set->changes_before + set->change_count};
    const struct fm_tip *prev = set->has_prev ? tip_find(row, &set->prev) : NULL;
    if (prev != NULL) {
        size_t i = (size_t)(prev - row->tips);
        memmove(row->tips + i, row->tips + i + 1, (row->tip_count - i - 1) * sizeof *row->tips);
        row->tip_count--;
    } else if (!fresh && (row->fork_sequence == 0 || set->sequence < row->fork_sequence)) {
        row->fork_sequence = set->sequence; /* what it follows has a follower already */
    }
    assert(row->tip_count < FM_STREAM_TIPS_MAX);
    /* Sorted, so that the row and the digest are a function of the sets held. */
    size_t at = row->tip_count++;
    for (; at > 0 && tip_before(&tip, &row->tips[at - 1]); at--)
        row->tips[at] = row->tips[at - 1];
    row->tips[at] = tip;
    r->vector->digest_known = false;
    struct fm_row out = {.kind = FM_ROW_STREAM, .stream = row};
    return fm_emit_row(r, &out);
}

/* A chain of hashes, one link a stream in sorted order: needs no memory. */
void fm_vector_digest(const struct fm_repl *r, struct fm_digest *out)
{
    struct fm_vector *v = r->vector;
    if (v->digest_known) {
        *out = v->digest;
        return;
    }
    const struct fm_crypto *c = r->crypto;
    struct fm_digest sum;
    struct fm_span parts[2] = {fm_span_str(FM_DOMAIN_DIGEST_SETS), fm_span(r->self.mesh.b, sizeof r->self.mesh.b)};
    c->hash(c->ctx, sum.b, sizeof sum.b, parts, 2);
    for (size_t i = 0; i < v->count; i++) {
        const struct fm_stream_row *row = v->rows[i];
        uint8_t bytes[FM_KEY_BYTES + 8 + 1 + 1 + FM_STREAM_TIPS_MAX * (8 + FM_SET_ID_BYTES)];
        uint8_t *at = bytes;
        memcpy(at, row->stream.author.b, FM_KEY_BYTES);
        fm_be_put(at + FM_KEY_BYTES, row->stream.incarnation, 8);
        at += FM_KEY_BYTES + 8;
        *at++ = row->stream.lane;
        *at++ = (uint8_t)row->tip_count;
        for (uint32_t k = 0; k < row->tip_count; k++, at += 8 + FM_SET_ID_BYTES) {
            fm_be_put(at, row->tips[k].sequence, 8);
            memcpy(at + 8, row->tips[k].id.b, FM_SET_ID_BYTES);
        }
        struct fm_digest last = sum;
        parts[0] = fm_span(last.b, sizeof last.b);
        parts[1] = fm_span(bytes, (size_t)(at - bytes));
        c->hash(c->ctx, sum.b, sizeof sum.b, parts, 2);
    }
    v->digest = sum;
    v->digest_known = true;
    *out = sum;
}
