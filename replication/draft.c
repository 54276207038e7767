#include "replication/draft.h"

#include "replication/error.h"
#include "replication/pack.h"

void fm_draft_init(struct fm_draft *d, struct fm_arena *arena)
{
    *d = (struct fm_draft){.arena = arena};
    d->fields = fm_arena_take(arena, FM_DRAFT_FIELDS_MAX * sizeof *d->fields);
    if (d->fields == NULL)
        d->error = FM_ENOMEM;
}

static void put(struct fm_draft *d, struct fm_span key, struct fm_span value)
{
    if (d->error != FM_OK)
        return;
    for (size_t i = d->count; i-- > 0;) { /* a key that is there keeps its place, so that the count stays bounded */
        if (fm_span_eq(d->fields[i].key, key)) {
            d->fields[i].value = value;
            return;
        }
    }
    if (d->count == FM_DRAFT_FIELDS_MAX) {
        d->error = FM_ELIMIT;
        return;
    }
    d->fields[d->count++] = (struct fm_field){.key = key, .value = value};
}

static bool is_nil(struct fm_span packed)
{
    return packed.len == 1 && packed.data[0] == 0xc0;
}

void fm_draft_lay(struct fm_draft *d, struct fm_span doc)
{
    if (d->error != FM_OK || doc.len == 0)
        return;
    struct fm_field *fields = fm_arena_take(d->arena, FM_MAP_ENTRIES_MAX * sizeof *fields);
    if (fields == NULL) {
        d->error = FM_ENOMEM;
        return;
    }
    size_t count;
    fm_doc_fields(doc, fields, &count);
    for (size_t i = 0; i < count; i++)
        put(d, fields[i].key, is_nil(fields[i].value) ? fm_span(NULL, 0) : fields[i].value);
}

void fm_draft_copy(struct fm_draft *d, struct fm_span doc, const char *key)
{
    struct fm_span value = fm_span(NULL, 0);
    if (doc.len > 0 && (fm_doc_get(doc, key, &value) != FM_OK || is_nil(value)))
        value = fm_span(NULL, 0);
    put(d, fm_span_str(key), value);
}

/* Packs one scalar of at most `room` bytes into the arena. */
static void put_packed(struct fm_draft *d, const char *key, struct fm_buf *buf, int error)
{
    if (d->error == FM_OK)
        d->error = error;
    if (d->error == FM_OK) {
        uint8_t *copy = fm_arena_copy(d->arena, fm_buf_span(buf));
        if (copy == NULL)
            d->error = FM_ENOMEM;
        else
            put(d, fm_span_str(key), fm_span(copy, buf->len));
    }
    fm_buf_fini(buf);
}

void fm_draft_str(struct fm_draft *d, const char *key, struct fm_span text)
{
    struct fm_buf buf;
    struct fm_pack pack;
    fm_buf_init(&buf, FM_STRING_BYTES_MAX + 8);
    fm_pack_init(&pack, &buf);
    fm_pack_str(&pack, text);
    put_packed(d, key, &buf, pack.error);
}

void fm_draft_uint(struct fm_draft *d, const char *key, uint64_t value)
{
    struct fm_buf buf;
    struct fm_pack pack;
    fm_buf_init(&buf, 16);
    fm_pack_init(&pack, &buf);
    fm_pack_uint(&pack, value);
    put_packed(d, key, &buf, pack.error);
}

void fm_draft_drop(struct fm_draft *d, const char *key)
{
    put(d, fm_span_str(key), fm_span(NULL, 0));
}

int fm_draft_write(struct fm_draft *d, struct fm_span *doc)
{
    if (d->error != FM_OK)
        return d->error;
    size_t kept = 0; /* dropped fields go before the limit of entries is looked at */
    for (size_t i = 0; i < d->count; i++)
        if (d->fields[i].value.len > 0)
            d->fields[kept++] = d->fields[i];
    d->count = kept;
    struct fm_buf buf;
    fm_buf_init(&buf, FM_CHANGE_BYTES_MAX);
    int rc = kept > FM_MAP_ENTRIES_MAX ? FM_ELIMIT : fm_doc_write(&buf, d->fields, kept);
    if (rc == FM_OK) {
        uint8_t *copy = fm_arena_copy(d->arena, fm_buf_span(&buf));
        *doc = fm_span(copy, buf.len);
        rc = copy == NULL ? FM_ENOMEM : FM_OK;
    }
    fm_buf_fini(&buf);
    return rc;
}
