#include "tests/support/store_dir.h"

#include <assert.h>
#include <dirent.h>
#include <unistd.h>

#include "crypto/crypto.h"

void fm_store_dir_make(struct fm_store_dir *d)
{
    const char *tmp = getenv("TMPDIR");
    memset(d, 0, sizeof(*d));
    snprintf(d->path, sizeof(d->path), "%s/fm-store-XXXXXX", tmp != NULL && strlen(tmp) < 200 ? tmp : "/tmp");
    char *made = mkdtemp(d->path);
    assert(made != NULL && fm_crypto_init() == 0);
    (void)made;
    snprintf(d->data, sizeof(d->data), "%s/data.mdb", d->path);
    fm_crypto_port(&d->crypto, NULL);
    memset(d->mesh.b, 0x6d, sizeof(d->mesh.b)); /* as in store_rows.c */
}

void fm_store_dir_remove(struct fm_store_dir *d)
{
    DIR *dir = opendir(d->path);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        char file[600];
        snprintf(file, sizeof(file), "%s/%s", d->path, e->d_name);
        unlink(file);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(d->path);
}

int fm_store_dir_open(struct fm_store_dir *d, struct fm_store **out, bool create, size_t map_bytes)
{
    struct fm_store_options options = {.dir = d->path, .create = create, .map_bytes = map_bytes};
    uint8_t random[32];
    fm_crypto_random(random, sizeof(random));
    return fm_store_open(out, &options, &d->crypto, &d->mesh, random);
}

size_t fm_store_dir_damage(struct fm_store_dir *d, const void *bytes, size_t len, size_t at)
{
    FILE *file = fopen(d->data, "r+b");
    size_t count = 0;
    assert(file != NULL && at < len);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    uint8_t *all = malloc(size);
    fseek(file, 0, SEEK_SET);
    size_t got = fread(all, 1, size, file);
    assert(got == size);
    for (size_t i = 0; i + len <= got; i++)
        if (memcmp(all + i, bytes, len) == 0) {
            uint8_t flipped = all[i + at] ^ 1;
            fseek(file, (long)(i + at), SEEK_SET);
            fwrite(&flipped, 1, 1, file);
            count++;
        }
    free(all);
    fclose(file);
    return count;
}
