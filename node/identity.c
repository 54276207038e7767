/* The key folder. */
#include "node/identity.h"

#include <sys/stat.h>

#include "node/keyfile.h"
#include "replication/error.h"

#define MESH_FILE_BYTES (FM_MESH_ID_BYTES + FM_KEY_BYTES + FM_GRANT_ID_BYTES)

/* A fresh seed that is on disk before anybody hears of its keys. */
static int create_seed(struct fm_device *out, const struct fm_paths *paths, const char *name, const char *magic)
{
    struct fm_key seed;
    fm_crypto_random(&seed, sizeof seed);
    int rc = fm_keyfile_write(paths, name, magic, fm_span(seed.b, sizeof seed.b), true);
    if (rc == FM_OK)
        fm_device_from_seed(out, &seed);
    fm_crypto_wipe(&seed, sizeof seed);
    return rc;
}

static int load_seed(struct fm_device *out, const struct fm_paths *paths, const char *name, const char *magic)
{
    struct fm_key seed;
    int rc = fm_keyfile_read(paths, name, magic, seed.b, sizeof seed.b);
    if (rc == FM_OK)
        fm_device_from_seed(out, &seed); /* TRAPS C5: no public half is ever read from a file */
    fm_crypto_wipe(&seed, sizeof seed);
    return rc;
}

int fm_identity_create(struct fm_identity *out, const struct fm_paths *paths)
{
    *out = (struct fm_identity){.has_mesh = false};
    int rc = fm_file_folder(paths->keys, 0700);
    if (rc == FM_OK && chmod(paths->keys, 0700) != 0)
        rc = FM_EIO;
    return rc == FM_OK ? create_seed(&out->device, paths, "device.seed", FM_KEYFILE_SEED) : rc;
}

static int load_mesh(struct fm_identity *out, const struct fm_paths *paths)
{
    uint8_t bytes[MESH_FILE_BYTES];
    struct fm_mesh_id expected;
    int rc = fm_keyfile_read(paths, "mesh", FM_KEYFILE_MESH, bytes, sizeof bytes);
    if (rc != FM_OK)
        return rc == FM_ENOTFOUND ? FM_OK : rc;
    out->has_mesh = true;
    memcpy(out->mesh.b, bytes, sizeof out->mesh.b);
    memcpy(out->root.b, bytes + FM_MESH_ID_BYTES, sizeof out->root.b);
    memcpy(out->grant.b, bytes + FM_MESH_ID_BYTES + FM_KEY_BYTES, sizeof out->grant.b);
    fm_mesh_id_of(&expected, &out->root);
    return fm_id_eq(&expected, &out->mesh) ? FM_OK : FM_EKEY;
}

/* The mesh that this root key makes; a birth that was cut short knows it again. */
static void adopt_root(struct fm_identity *id)
{
    id->has_root_secret = true;
    id->has_mesh = true;
    id->root = id->root_device.author_public;
    fm_mesh_id_of(&id->mesh, &id->root);
}

static int load_root(struct fm_identity *out, const struct fm_paths *paths)
{
    int rc = load_seed(&out->root_device, paths, "root.seed", FM_KEYFILE_ROOT);
    if (rc != FM_OK)
        return rc == FM_ENOTFOUND ? FM_OK : rc;
    if (out->has_mesh && !fm_id_eq(&out->root_device.author_public, &out->root))
        return FM_EKEY; /* another mesh's root key was put here */
    adopt_root(out);
    return FM_OK;
}

int fm_identity_load(struct fm_identity *out, const struct fm_paths *paths)
{
    *out = (struct fm_identity){.has_mesh = false};
    int rc = load_seed(&out->device, paths, "device.seed", FM_KEYFILE_SEED);
    if (rc == FM_OK)
        rc = load_mesh(out, paths);
    if (rc == FM_OK)
        rc = load_root(out, paths);
    if (rc != FM_OK)
        fm_identity_wipe(out);
    return rc;
}

int fm_identity_save_mesh(const struct fm_identity *id, const struct fm_paths *paths)
{
    uint8_t bytes[MESH_FILE_BYTES];
    memcpy(bytes, id->mesh.b, sizeof id->mesh.b);
    memcpy(bytes + FM_MESH_ID_BYTES, id->root.b, sizeof id->root.b);
    memcpy(bytes + FM_MESH_ID_BYTES + FM_KEY_BYTES, id->grant.b, sizeof id->grant.b);
    return fm_keyfile_write(paths, "mesh", FM_KEYFILE_MESH, fm_span(bytes, sizeof bytes), false);
}

int fm_identity_create_root(struct fm_identity *id, const struct fm_paths *paths)
{
    int rc = fm_root_tip_create(paths); /* before the seed: a seed without its tip could not sign */
    if (rc == FM_OK)
        rc = create_seed(&id->root_device, paths, "root.seed", FM_KEYFILE_ROOT);
    if (rc == FM_OK)
        adopt_root(id);
    return rc;
}

int fm_identity_reload_root(struct fm_identity *id, const struct fm_paths *paths)
{
    struct fm_device fresh = {.author_secret = {0}};
    int rc = load_seed(&fresh, paths, "root.seed", FM_KEYFILE_ROOT);
    if (rc == FM_OK && (!id->has_mesh || !fm_id_eq(&fresh.author_public, &id->root)))
        rc = FM_EKEY;
    fm_device_wipe(&id->root_device);
    id->has_root_secret = rc == FM_OK;
    if (rc == FM_OK)
        id->root_device = fresh;
    fm_device_wipe(&fresh);
    return rc;
}

void fm_identity_wipe(struct fm_identity *id)
{
    fm_crypto_wipe(id, sizeof *id);
}

#define BEGUN ((uint64_t)1 << 63)

int fm_identity_counter_read(const struct fm_paths *paths, uint64_t *count, bool *begun)
{
    uint8_t bytes[8] = {0};
    int rc = fm_keyfile_read(paths, "open-counter", FM_KEYFILE_COUNTER, bytes, sizeof bytes);
    if (rc == FM_EKEY) {
        /* Continuity is in doubt, so the count goes on from where no store can have left it. */
        fm_crypto_random(bytes + 2, 6);
        rc = FM_OK;
    }
    *begun = (fm_be_get(bytes, sizeof bytes) & BEGUN) != 0;
    *count = fm_be_get(bytes, sizeof bytes) & ~BEGUN;
    return rc == FM_ENOTFOUND ? FM_OK : rc;
}

static int counter_write(const struct fm_paths *paths, uint64_t value)
{
    uint8_t bytes[8];
    fm_be_put(bytes, value, sizeof bytes);
    return fm_keyfile_write(paths, "open-counter", FM_KEYFILE_COUNTER, fm_span(bytes, sizeof bytes), false);
}

int fm_identity_counter_begin(const struct fm_paths *paths, uint64_t count)
{
    return counter_write(paths, count | BEGUN);
}

int fm_identity_counter_done(const struct fm_paths *paths, uint64_t count)
{
    return counter_write(paths, count);
}
