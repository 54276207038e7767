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

static bool before(const struct fm_data_key *a, const struct fm_data_key *b)
{
    bool as_old = a->epoch == b->epoch && a->serial == b->serial;
    return as_old ? fm_id_cmp(&a->id, &b->id) < 0 : older(a->epoch, a->serial, b);
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
    if (!fm_id_eq(&grant->author, &r->self.author))
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

/* The newest one that is older than `than` (NULL: the newest of all); equally old ones in the order of their ids. */
static const struct fm_data_key *newest(const struct fm_repl *r, const struct fm_data_key *than)
{
    const struct fm_data_key *best = NULL;
    for (size_t i = 0; i < r->key_count; i++) {
        const struct fm_data_key *key = &r->keys[i];
        if ((than == NULL || before(key, than)) && (best == NULL || before(best, key)))
            best = key;
    }
    return best;
}

const struct fm_data_key *fm_keys_best(const struct fm_repl *r)
{
    return newest(r, NULL);
}

/* With too little room the newest are what is wanted. */
size_t fm_repl_data_keys(const struct fm_repl *r, struct fm_key *out, size_t max)
{
    size_t count = r->key_count < max ? r->key_count : max;
    const struct fm_data_key *key = NULL;
    for (size_t at = count; at-- > 0;) {
        key = newest(r, key);
        out[at] = key->key;
    }
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
