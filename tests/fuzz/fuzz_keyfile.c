/* Any bytes as files of the key folder (seed, mesh, counter, the root's tip): as they stand, or (first byte odd) as a
 * content whose magic and check are right. The folder's names lead to one file in memory. Damaged is said, never more read
 * than a file may hold; what is taken is magic, content and check, byte for byte. */
#include <sys/mman.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "node/keyfile.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"

#define TIP_BYTES (8u + FM_SET_ID_BYTES + 8u)

static const struct {
    const char *name, *magic;
    size_t len;
} files[] = {{"device.seed", FM_KEYFILE_SEED, 32},
             {"mesh", FM_KEYFILE_MESH, 96},
             {"open-counter", FM_KEYFILE_COUNTER, 8},
             {"root.tip", FM_KEYFILE_TIP, TIP_BYTES}};
#define FILES (sizeof files / sizeof *files)

static struct fm_paths paths;
static int fd;

static void leave(void)
{
    char path[FM_PATH_MAX + 32];
    for (size_t i = 0; i < FILES; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", paths.keys, files[i].name);
        (void)unlink(path);
    }
    (void)rmdir(paths.keys);
}

static void open_folder(void)
{
    char path[FM_PATH_MAX + 32], to[64];
    FUZZ_CHECK(fm_crypto_init() == FM_OK && (fd = memfd_create("keys", MFD_CLOEXEC)) >= 0);
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(paths.keys, sizeof paths.keys, "%s/fm-fuzz-XXXXXX", tmp != NULL && strlen(tmp) < 200 ? tmp : "/tmp");
    FUZZ_CHECK(mkdtemp(paths.keys) != NULL && atexit(leave) == 0);
    (void)snprintf(to, sizeof to, "/proc/self/fd/%d", fd);
    for (size_t i = 0; i < FILES; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", paths.keys, files[i].name);
        FUZZ_CHECK(symlink(to, path) == 0);
    }
}

static void fill(size_t which, bool seal, struct fm_span bytes, struct fm_buf *file)
{
    uint8_t check[16];
    fm_buf_init(file, 0);
    if (seal)
        FUZZ_CHECK(fm_buf_add(file, files[which].magic, 8) == FM_OK);
    FUZZ_CHECK(fm_buf_add(file, bytes.data, bytes.len) == FM_OK);
    if (seal) {
        fm_crypto_hash(check, sizeof check, file->data, file->len);
        FUZZ_CHECK(fm_buf_add(file, check, sizeof check) == FM_OK);
    }
    FUZZ_CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, file->data, file->len, 0) == (ssize_t)file->len);
}

static void tip(struct fm_span content, bool seal)
{
    struct fm_buf last;
    fm_buf_init(&last, 0);
    int rc = fm_root_last(&last, &paths);
    FUZZ_CHECK(rc == FM_OK || rc == FM_ENOTFOUND || rc == FM_EKEY);
    if (seal) {
        bool fits = content.len >= TIP_BYTES && content.len <= TIP_BYTES + FM_SET_BYTES_MAX;
        FUZZ_CHECK(rc == (!fits ? FM_EKEY : content.len == TIP_BYTES ? FM_ENOTFOUND : FM_OK));
        if (rc == FM_OK)
            FUZZ_CHECK(fm_span_eq(fm_buf_span(&last), fm_span(content.data + TIP_BYTES, content.len - TIP_BYTES)));
    }
    fm_buf_fini(&last);
}

FUZZ_TARGET(4, 4 * FM_SET_BYTES_MAX)
{
    struct fuzz_in in = {data, size};
    uint8_t what = (uint8_t)fuzz_number(&in, 1), content[96];
    size_t which = what / 2 % FILES;
    struct fm_span bytes = fm_span(in.at, in.left);
    struct fm_identity id;
    struct fm_buf file;

    fuzz_memory_pause(true);
    if (fd == 0)
        open_folder();
    fuzz_memory_pause(false);
    fill(which, what & 1, bytes, &file);
    if (which == 3) {
        tip(bytes, what & 1);
    } else {
        int rc = fm_keyfile_read(&paths, files[which].name, files[which].magic, content, files[which].len);
        FUZZ_CHECK(rc == FM_OK || rc == FM_EKEY);
        FUZZ_CHECK(!(what & 1) || (rc == FM_OK) == (bytes.len == files[which].len));
        if (rc == FM_OK) {
            FUZZ_CHECK(file.len == files[which].len + 24 && memcmp(file.data, files[which].magic, 8) == 0);
            FUZZ_CHECK(memcmp(file.data + 8, content, files[which].len) == 0);
        }
        if (which == 0) { /* mesh and root secret are the same file, and so damaged */
            rc = fm_identity_load(&id, &paths);
            FUZZ_CHECK(rc == FM_EKEY);
            fm_identity_wipe(&id);
        }
    }
    fm_buf_fini(&file);
    return 0;
}
