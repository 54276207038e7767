#include "replication/inner.h"

#include <assert.h>
#include <stdlib.h>

/* A cache of opened sets, bounded by FM_OPENED_BYTES_MAX; the longest unused goes first. */
#define BUCKETS 4096u

struct entry {
    uint64_t arrival;
    struct fm_buf body;
    struct fm_span *items;
    struct fm_opened_set set;
    size_t cost;
    struct entry *newer, *older, *chain;
};

struct fm_opened {
    struct entry *newest, *oldest;
    struct entry *buckets[BUCKETS];
    size_t bytes;
};

struct fm_opened *fm_opened_new(void)
{
    return calloc(1, sizeof(struct fm_opened));
}

static void entry_free(struct entry *e)
{
    fm_buf_fini(&e->body);
    free(e->items);
    free(e);
}

void fm_opened_free(struct fm_opened *o)
{
    if (o == NULL)
        return;
    while (o->newest != NULL) {
        struct entry *e = o->newest;
        o->newest = e->older;
        entry_free(e);
    }
    free(o);
}

/* Not the newest: one set is far smaller than the cache, so that is never in the way. */
static void list_remove(struct fm_opened *o, struct entry *e)
{
    assert(e != o->newest);
    e->newer->older = e->older;
    *(e->older != NULL ? &e->older->newer : &o->oldest) = e->newer;
    e->newer = e->older = NULL;
}

static void list_front(struct fm_opened *o, struct entry *e)
{
    e->older = o->newest;
    *(o->newest != NULL ? &o->newest->newer : &o->oldest) = e;
    o->newest = e;
}

static struct entry *find(struct fm_opened *o, uint64_t arrival)
{
    struct entry *e = o->buckets[arrival % BUCKETS];
    while (e != NULL && e->arrival != arrival)
        e = e->chain;
    if (e != NULL && e != o->newest) {
        list_remove(o, e);
        list_front(o, e);
    }
    return e;
}

static void drop_oldest(struct fm_opened *o)
{
    struct entry *e = o->oldest;
    struct entry **at = &o->buckets[e->arrival % BUCKETS];
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    list_remove(o, e);
    o->bytes -= e->cost;
    entry_free(e);
}

static void insert(struct fm_opened *o, struct entry *e)
{
    e->cost = sizeof *e + e->body.cap + e->set.count * sizeof *e->items;
    while (o->oldest != NULL && o->bytes + e->cost > FM_OPENED_BYTES_MAX)
        drop_oldest(o);
    o->bytes += e->cost;
    e->chain = o->buckets[e->arrival % BUCKETS];
    o->buckets[e->arrival % BUCKETS] = e;
    list_front(o, e);
}

static int open_entry(struct fm_repl *r, const struct fm_set *set, struct entry *e)
{
    const struct fm_key *key = NULL;
    if (set->header.sealed && (key = fm_keys_find(r, &set->header.data_key)) == NULL)
        return FM_EKEY;
    fm_buf_init(&e->body, FM_BODY_BYTES_MAX);
    int rc = fm_set_open(&e->body, r->crypto, &r->self.mesh, set, key);
    if (rc != FM_OK) /* the key is held and does not open it: nonsense */
        return fm_emit_fatal(rc) ? rc : FM_EFORMAT;
    struct fm_span items[FM_SET_CHANGES_MAX];
    assert(set->header.change_count <= FM_SET_CHANGES_MAX);
    if (fm_body_split(fm_buf_span(&e->body), items, set->header.change_count) != FM_OK)
        return FM_EFORMAT;
    e->items = malloc((set->header.change_count + 1) * sizeof *e->items);
    if (e->items == NULL)
        return FM_ENOMEM;
    memcpy(e->items, items, set->header.change_count * sizeof *items);
    e->set = (struct fm_opened_set){.header = set->header, .count = set->header.change_count, .items = e->items};
    return FM_OK;
}

int fm_opened_take(struct fm_repl *r, uint64_t arrival, const struct fm_set *set, const struct fm_opened_set **out)
{
    assert(find(r->opened, arrival) == NULL);
    struct entry *e = calloc(1, sizeof *e);
    if (e == NULL)
        return FM_ENOMEM;
    e->arrival = arrival;
    int rc = open_entry(r, set, e);
    if (rc != FM_OK) {
        entry_free(e);
        return rc;
    }
    insert(r->opened, e);
    *out = &e->set;
    return FM_OK;
}

int fm_opened_get(struct fm_repl *r, uint64_t arrival, const struct fm_opened_set **out)
{
    struct entry *e = find(r->opened, arrival);
    if (e != NULL) {
        *out = &e->set;
        return FM_OK;
    }
    struct fm_buf bytes;
    struct fm_set set;
    fm_buf_init(&bytes, 0);
    int rc = r->port->set_bytes(r->port->ctx, arrival, &bytes);
    if (rc == FM_ENOTFOUND || (rc == FM_OK && fm_set_decode(&set, fm_buf_span(&bytes)) != FM_OK))
        rc = FM_ECORRUPT; /* what names it was written with it, and it was decoded before it was stored */
    if (rc == FM_OK)
        rc = fm_opened_take(r, arrival, &set, out);
    fm_buf_fini(&bytes);
    return rc;
}

int fm_opened_item(struct fm_repl *r, uint64_t arrival, uint32_t index, struct fm_span *item)
{
    if (fm_turn_item(r, arrival, index, item))
        return FM_OK;
    const struct fm_opened_set *set;
    int rc = fm_opened_get(r, arrival, &set);
    if (rc != FM_OK)
        return rc;
    if (index >= set->count)
        return FM_ENOTFOUND;
    *item = set->items[index];
    return FM_OK;
}

int fm_repl_document(struct fm_repl *r, const struct fm_version *version, struct fm_span *document, struct fm_span *actor)
{
    if (version->holder_count == 0)
        return FM_ENOTFOUND;
    struct fm_span item;
    int rc = fm_opened_item(r, version->holders[0].arrival, version->holders[0].index, &item);
    if (rc != FM_OK)
        return rc == FM_EFORMAT ? FM_ENOTFOUND : rc;
    struct fm_change change;
    bool record_known;
    rc = fm_change_decode(&change, item, &record_known);
    if (rc != FM_OK)
        return FM_ENOTFOUND; /* void by its form: it has no document */
    *document = change.document;
    *actor = change.actor;
    return FM_OK;
}
