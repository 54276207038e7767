#include "replication/inner.h"

#include <stdlib.h>

/* r->keys is sorted by id, so that what is hashed over it is the same on every node that holds the same keys. */
static size_t place_of(const struct fm_repl *r, const struct fm_data_key_id *id, bool *found)
{
    size_t i = 0;
    while (i < r->key_count && fm_id_cmp(&r->keys[i].id, id) < 0)
        i++;
    *found = i < r->key_count && fm_id_eq(&r->keys[i].id, id);
    return i;
}

const struct fm_key *fm_keys_find(const struct fm_repl *r, const struct fm_data_key_id *id)
{
    bool found;
    size_t i = place_of(r, id, &found);
    return found ? &r->keys[i].key : NULL;
}

static bool older(uint64_t epoch, uint64_t serial, const struct fm_data_key *than)
{
    return epoch != than->epoch ? epoch < than->epoch : serial < than->serial;
}

static void wipe(void *data, size_t len)
{
    volatile uint8_t *at = data;
    while (len-- > 0)
        *at++ = 0;
}

static int add(struct fm_repl *r, size_t place, const struct fm_data_key *key)
{
    struct fm_data_key *keys = malloc((r->key_count + 1) * sizeof *keys); /* not realloc: it would leave a copy behind */
    if (keys == NULL)
        return FM_ENOMEM;
    if (place > 0)
        memcpy(keys, r->keys, place * sizeof *keys);
    keys[place] = *key;
    if (r->key_count > place)
        memcpy(keys + place + 1, r->keys + place, (r->key_count - place) * sizeof *keys);
    size_t count = r->key_count + 1;
    fm_keys_wipe(r);
    r->keys = keys;
    r->key_count = count;
    return FM_OK;
}

int fm_keys_take(struct fm_repl *r, const struct fm_grant *grant, bool *fresh)
{
    const struct fm_crypto *c = r->crypto;
    if (!fm_id_eq(&grant->author, &r->self.author) || c->unbox == NULL)
        return FM_OK;
    for (uint32_t i = 0; i < grant->key_count; i++) {
        bool found;
        size_t place = place_of(r, &grant->keys[i].id, &found);
        if (found) {
            /* It is as old as the first grant that brought it, whatever the order of arrival. */
            if (older(grant->epoch_first, grant->serial, &r->keys[place])) {
                r->keys[place].epoch = grant->epoch_first;
                r->keys[place].serial = grant->serial;
            }
            continue;
        }
        struct fm_data_key key = {.epoch = grant->epoch_first, .serial = grant->serial};
        if (c->unbox(c->ctx, &key.key, grant->keys[i].sealed) != FM_OK)
            continue;
        fm_data_key_id_of(&key.id, c, &key.key);
        int rc = FM_OK;
        if (fm_id_eq(&key.id, &grant->keys[i].id)) { /* a key under a false name is none */
            rc = add(r, place, &key);
            *fresh = true;
        }
        wipe(&key, sizeof key);
        if (rc != FM_OK)
            return rc;
    }
    return FM_OK;
}

static int by_age(const void *x, const void *y)
{
    const struct fm_data_key *const *a = x, *const *b = y;
    if (older((*a)->epoch, (*a)->serial, *b))
        return -1;
    if (older((*b)->epoch, (*b)->serial, *a))
        return 1;
    return fm_id_cmp(&(*a)->id, &(*b)->id);
}

const struct fm_data_key *fm_keys_best(const struct fm_repl *r)
{
    const struct fm_data_key *best = NULL;
    for (size_t i = 0; i < r->key_count; i++) {
        const struct fm_data_key *key = &r->keys[i];
        if (best == NULL || by_age(&best, &key) < 0)
            best = key;
    }
    return best;
}

size_t fm_repl_data_keys(const struct fm_repl *r, struct fm_key *out, size_t max)
{
    const struct fm_data_key **sorted = malloc((r->key_count + 1) * sizeof *sorted);
    if (sorted == NULL)
        return 0;
    for (size_t i = 0; i < r->key_count; i++)
        sorted[i] = &r->keys[i];
    qsort(sorted, r->key_count, sizeof *sorted, by_age);
    /* With too little room the newest are what is wanted. */
    size_t count = r->key_count < max ? r->key_count : max;
    for (size_t i = 0; i < count; i++)
        out[i] = sorted[r->key_count - count + i]->key;
    free(sorted);
    return count;
}

void fm_keys_wipe(struct fm_repl *r)
{
    if (r->keys != NULL)
        wipe(r->keys, r->key_count * sizeof *r->keys);
    free(r->keys);
    r->keys = NULL;
    r->key_count = 0;
}
