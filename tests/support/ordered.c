#include "tests/support/ordered.h"

#include <assert.h>

#include "replication/error.h"

#define LEVELS 20

struct node {
    struct fm_ordered_entry entry;
    uint8_t *value;
    int levels;
    struct node *next[];
};
struct fm_ordered {
    struct node *head;
    size_t count;
    int levels;      /* of the highest node: searches begin there */
    uint64_t random; /* for the levels; its own, so that runs repeat */
};

static struct node *node_new(int levels, struct fm_span key)
{
    struct node *n = calloc(1, sizeof(*n) + (size_t)levels * sizeof(n->next[0]) + key.len);
    if (!n)
        return NULL;
    uint8_t *at = (uint8_t *)&n->next[levels];
    if (key.len)
        memcpy(at, key.data, key.len);
    n->entry.key = fm_span(at, key.len);
    n->levels = levels;
    return n;
}

struct fm_ordered *fm_ordered_new(void)
{
    struct fm_ordered *o = calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    o->random = UINT64_C(0x9e3779b97f4a7c15);
    o->head = node_new(LEVELS, fm_span(NULL, 0));
    if (!o->head) {
        free(o);
        return NULL;
    }
    return o;
}

void fm_ordered_clear(struct fm_ordered *o)
{
    struct node *n = o->head->next[0];
    while (n) {
        struct node *next = n->next[0];
        free(n->value);
        free(n);
        n = next;
    }
    for (int i = 0; i < LEVELS; i++)
        o->head->next[i] = NULL;
    o->count = 0;
}

void fm_ordered_free(struct fm_ordered *o)
{
    if (!o)
        return;
    fm_ordered_clear(o);
    free(o->head);
    free(o);
}

size_t fm_ordered_count(const struct fm_ordered *o)
{
    return o->count;
}

static int compare(struct fm_span a, struct fm_span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

/* The first node not below key; path (may be NULL): on each level the last node below it. */
static struct node *find(const struct fm_ordered *o, struct fm_span key, struct node **path)
{
    struct node *at = o->head;
    for (int i = o->levels; path && i < LEVELS; i++)
        path[i] = o->head;
    for (int i = o->levels - 1; i >= 0; i--) {
        while (at->next[i] && compare(at->next[i]->entry.key, key) < 0)
            at = at->next[i];
        if (path)
            path[i] = at;
    }
    return at->next[0];
}

static int levels_draw(struct fm_ordered *o)
{
    int levels = 1;
    o->random ^= o->random << 13;
    o->random ^= o->random >> 7;
    o->random ^= o->random << 17;
    for (uint64_t x = o->random; (x & 3) == 0 && levels < LEVELS; x >>= 2)
        levels++;
    return levels;
}

static void link_in(struct fm_ordered *o, struct node *n, struct node **path)
{
    for (int i = 0; i < n->levels; i++) {
        n->next[i] = path[i]->next[i];
        path[i]->next[i] = n;
    }
    if (o->levels < n->levels)
        o->levels = n->levels;
    o->count++;
}

int fm_ordered_put(struct fm_ordered *o, struct fm_span key, struct fm_span value)
{
    struct node *path[LEVELS];
    struct node *n = find(o, key, path);
    uint8_t *copy = malloc(value.len ? value.len : 1);
    if (!copy)
        return FM_ENOMEM;
    if (value.len)
        memcpy(copy, value.data, value.len);
    if (!n || compare(n->entry.key, key) != 0) {
        n = node_new(levels_draw(o), key);
        if (!n) {
            free(copy);
            return FM_ENOMEM;
        }
        link_in(o, n, path);
    }
    free(n->value);
    n->value = copy;
    n->entry.value = fm_span(copy, value.len);
    return 0;
}

bool fm_ordered_remove(struct fm_ordered *o, struct fm_span key)
{
    struct node *path[LEVELS];
    struct node *n = find(o, key, path);
    if (!n || compare(n->entry.key, key) != 0)
        return false;
    for (int i = 0; i < n->levels; i++)
        path[i]->next[i] = n->next[i];
    free(n->value);
    free(n);
    o->count--;
    return true;
}

bool fm_ordered_get(const struct fm_ordered *o, struct fm_span key, struct fm_span *value)
{
    const struct node *n = find(o, key, NULL);
    if (!n || compare(n->entry.key, key) != 0)
        return false;
    if (value)
        *value = n->entry.value;
    return true;
}

bool fm_ordered_seek(const struct fm_ordered *o, struct fm_span key, bool above, struct fm_ordered_entry *out)
{
    const struct node *n = find(o, key, NULL);
    if (n && above && compare(n->entry.key, key) == 0)
        n = n->next[0];
    if (!n)
        return false;
    *out = n->entry;
    return true;
}

bool fm_ordered_last(const struct fm_ordered *o, struct fm_ordered_entry *out)
{
    const struct node *at = o->head;
    for (int i = o->levels - 1; i >= 0; i--)
        while (at->next[i])
            at = at->next[i];
    if (at == o->head)
        return false;
    *out = at->entry;
    return true;
}

/* In order, so each goes to the end. */
int fm_ordered_copy(struct fm_ordered *to, const struct fm_ordered *from)
{
    struct node *path[LEVELS];
    for (int i = 0; i < LEVELS; i++)
        path[i] = to->head;
    assert(to->count == 0);
    for (const struct node *n = from->head->next[0]; n; n = n->next[0]) {
        struct node *copy = node_new(n->levels, n->entry.key);
        uint8_t *value = malloc(n->entry.value.len ? n->entry.value.len : 1);
        if (!copy || !value) {
            free(copy);
            free(value);
            return FM_ENOMEM;
        }
        if (n->entry.value.len)
            memcpy(value, n->entry.value.data, n->entry.value.len);
        copy->value = value;
        copy->entry.value = fm_span(value, n->entry.value.len);
        link_in(to, copy, path);
        for (int i = 0; i < copy->levels; i++)
            path[i] = copy;
    }
    return 0;
}
