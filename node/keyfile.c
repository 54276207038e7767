#include "node/keyfile.h"

#include <assert.h>

#include "replication/error.h"

#define MAGIC_BYTES 8u
#define CHECK_BYTES 16u

static int path_of(char out[FM_PATH_MAX], const struct fm_paths *paths, const char *name)
{
    int n = snprintf(out, FM_PATH_MAX, "%s/%s", paths->keys, name);
    return n > 0 && n < FM_PATH_MAX ? FM_OK : FM_ELIMIT;
}

static void wipe(struct fm_buf *buf)
{
    if (buf->cap > 0)
        fm_crypto_wipe(buf->data, buf->cap);
    fm_buf_fini(buf);
}

int fm_keyfile_write(const struct fm_paths *paths, const char *name, const char *magic, struct fm_span content, bool create)
{
    char file[FM_PATH_MAX];
    uint8_t check[CHECK_BYTES];
    struct fm_buf bytes;
    assert(strlen(magic) == MAGIC_BYTES);
    fm_buf_init(&bytes, 0);
    int rc = path_of(file, paths, name);
    if (rc == FM_OK) /* at once: a buffer that grows leaves secrets behind */
        rc = fm_buf_reserve(&bytes, MAGIC_BYTES + content.len + CHECK_BYTES);
    if (rc == FM_OK) {
        (void)fm_buf_add(&bytes, magic, MAGIC_BYTES);
        (void)fm_buf_add(&bytes, content.data, content.len);
        fm_crypto_hash(check, sizeof check, bytes.data, bytes.len);
        (void)fm_buf_add(&bytes, check, sizeof check);
        rc = create ? fm_file_create(file, fm_buf_span(&bytes), 0600) : fm_file_write(file, fm_buf_span(&bytes), 0600);
    }
    wipe(&bytes);
    return rc;
}

int fm_keyfile_read_some(const struct fm_paths *paths, const char *name, const char *magic, struct fm_buf *out, size_t min,
                         size_t max)
{
    char file[FM_PATH_MAX];
    uint8_t check[CHECK_BYTES];
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    int rc = path_of(file, paths, name);
    if (rc == FM_OK)
        rc = fm_buf_reserve(&bytes, MAGIC_BYTES + max + CHECK_BYTES);
    if (rc == FM_OK) {
        rc = fm_file_read(file, &bytes, MAGIC_BYTES + max + CHECK_BYTES);
        if (rc == FM_ELIMIT) /* it is longer than it can be */
            rc = FM_EKEY;
    }
    if (rc == FM_OK && (bytes.len < MAGIC_BYTES + min + CHECK_BYTES || memcmp(bytes.data, magic, MAGIC_BYTES) != 0))
        rc = FM_EKEY;
    if (rc == FM_OK) {
        fm_crypto_hash(check, sizeof check, bytes.data, bytes.len - CHECK_BYTES);
        if (memcmp(check, bytes.data + bytes.len - CHECK_BYTES, CHECK_BYTES) != 0)
            rc = FM_EKEY;
    }
    if (rc == FM_OK)
        rc = fm_buf_add(out, bytes.data + MAGIC_BYTES, bytes.len - MAGIC_BYTES - CHECK_BYTES);
    wipe(&bytes);
    return rc;
}

int fm_keyfile_read(const struct fm_paths *paths, const char *name, const char *magic, uint8_t *content, size_t len)
{
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    int rc = fm_keyfile_read_some(paths, name, magic, &bytes, len, len);
    if (rc == FM_OK)
        memcpy(content, bytes.data, len);
    wipe(&bytes);
    return rc;
}
