/* The root's own stream. Its sequence lives beside its secret, so that both travel on one stick.
 *
 * The tip is stepped before a set leaves, or a crash could make two sets of one sequence; and it keeps the last set's
 * bytes, or a crash between here and the store's commit would leave a hole that no later set can be held behind. */
#include "node/identity.h"

#include <assert.h>

#include "node/compress.h"
#include "node/keyfile.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/set.h"

#define TIP_BYTES (8u + FM_SET_ID_BYTES + 8u)
#define ROOT_INCARNATION 1u
#define ROOT_EPOCH 1u

struct tip {
    uint64_t sequence, time; /* of the last set; time: of its last act */
    struct fm_set_id id;
};

static int tip_write(const struct fm_paths *paths, const struct tip *tip, struct fm_span set, bool create)
{
    struct fm_buf bytes;
    uint8_t head[TIP_BYTES];
    fm_be_put(head, tip->sequence, 8);
    memcpy(head + 8, tip->id.b, sizeof tip->id.b);
    fm_be_put(head + 8 + FM_SET_ID_BYTES, tip->time, 8);
    fm_buf_init(&bytes, 0);
    int rc = fm_buf_add(&bytes, head, sizeof head);
    if (rc == FM_OK)
        rc = fm_buf_add(&bytes, set.data, set.len);
    if (rc == FM_OK)
        rc = fm_keyfile_write(paths, "root.tip", FM_KEYFILE_TIP, fm_buf_span(&bytes), create);
    fm_buf_fini(&bytes);
    return rc;
}

/* bytes: the whole content; the set stands behind the head. */
static int tip_read(const struct fm_paths *paths, struct tip *tip, struct fm_buf *bytes)
{
    int rc = fm_keyfile_read_some(paths, "root.tip", FM_KEYFILE_TIP, bytes, TIP_BYTES, TIP_BYTES + FM_SET_BYTES_MAX);
    if (rc != FM_OK)
        return rc == FM_ENOTFOUND ? FM_EKEY : rc; /* a secret without its tip must not begin again at 1 */
    tip->sequence = fm_be_get(bytes->data, 8);
    memcpy(tip->id.b, bytes->data + 8, sizeof tip->id.b);
    tip->time = fm_be_get(bytes->data + 8 + FM_SET_ID_BYTES, 8);
    return FM_OK;
}

int fm_root_tip_create(const struct fm_paths *paths)
{
    static const struct tip none;
    int rc = tip_write(paths, &none, fm_span(NULL, 0), true);
    if (rc != FM_EEXISTS)
        return rc;
    /* A birth that was cut short may have left one; one that has signed is somebody's. */
    struct tip tip;
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    rc = tip_read(paths, &tip, &bytes);
    fm_buf_fini(&bytes);
    return rc == FM_OK && tip.sequence != 0 ? FM_EEXISTS : rc;
}

int fm_root_last(struct fm_buf *out, const struct fm_paths *paths)
{
    struct tip tip;
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    int rc = tip_read(paths, &tip, &bytes);
    if (rc == FM_OK)
        rc = bytes.len == TIP_BYTES ? FM_ENOTFOUND : fm_buf_add(out, bytes.data + TIP_BYTES, bytes.len - TIP_BYTES);
    fm_buf_fini(&bytes);
    return rc;
}

static int pack_acts(struct fm_buf *out, const struct fm_act *const *acts, size_t count)
{
    struct fm_pack p;
    fm_pack_init(&p, out);
    fm_pack_array(&p, (uint32_t)count);
    int rc = p.error;
    for (size_t i = 0; rc == FM_OK && i < count; i++)
        rc = fm_act_encode(out, acts[i]);
    return rc;
}

static int sign_set(struct fm_buf *out, const struct fm_identity *id, struct tip *tip, struct fm_span body, size_t count,
                    uint64_t now_ms)
{
    static const uint8_t no_nonce[24]; /* clear: nothing is sealed */
    struct fm_crypto root;
    fm_crypto_port(&root, &id->root_device);
    fm_compress_port(&root);
    struct fm_set_header header = {
        .format = FM_FORMAT,
        .stream = {.author = id->root, .incarnation = ROOT_INCARNATION, .lane = FM_LANE_MEMBERSHIP},
        .sequence = tip->sequence + 1,
        .has_prev = tip->sequence > 0,
        .prev = tip->id,
        .epoch = ROOT_EPOCH, /* never falls, and the root needs no grant that would bound it */
        .change_count = (uint32_t)count,
    };
    if (now_ms > FM_TIME_MAX >> 16)
        now_ms = FM_TIME_MAX >> 16;
    header.time = now_ms << 16 > tip->time ? now_ms << 16 : tip->time + 1;
    if (header.time > FM_TIME_MAX - FM_SET_CHANGES_MAX)
        return FM_ELIMIT; /* a clock of the year 6429 has spent the root's time */
    int rc = fm_set_close(out, &tip->id, &root, &id->mesh, &header, body, NULL, no_nonce);
    tip->sequence = header.sequence;
    tip->time = header.time + count - 1; /* the i-th act has the header's time plus i */
    return rc;
}

int fm_root_sign(struct fm_buf *out, struct fm_identity *id, const struct fm_paths *paths, const struct fm_crypto *crypto,
                 const struct fm_act *const *acts, size_t count, uint64_t now_ms)
{
    (void)crypto; /* signed as the root, not as this device */
    size_t before = out->len;
    struct tip tip;
    struct fm_buf body, bytes;
    assert(count > 0 && count <= FM_SET_CHANGES_MAX);
    /* From the folder each time: the secret may have been carried away, or brought back, while the node ran. */
    int rc = fm_identity_reload_root(id, paths);
    if (rc != FM_OK)
        return rc;
    fm_buf_init(&body, FM_BODY_BYTES_MAX);
    fm_buf_init(&bytes, 0);
    rc = tip_read(paths, &tip, &bytes);
    if (rc == FM_OK)
        rc = pack_acts(&body, acts, count);
    if (rc == FM_OK)
        rc = sign_set(out, id, &tip, fm_buf_span(&body), count, now_ms);
    if (rc == FM_OK)
        rc = tip_write(paths, &tip, fm_span(out->data + before, out->len - before), false);
    if (rc != FM_OK)
        out->len = before;
    fm_buf_fini(&bytes);
    fm_buf_fini(&body);
    return rc;
}
