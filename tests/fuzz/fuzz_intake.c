/* What a node takes in from files: the input is cut into pieces of 1 byte that says what it is, 2 bytes of length
 * (little-endian) and so many bytes. A piece is a set or statement as it stands, or the body of a set that is signed here by
 * a coordinator or a camp, in either lane. Whatever it was: taken, held already, or refused with a reason; never an error.
 * The same sets in another order at another node, and after a restart, give the same digests (laws 2 and 6). */
#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/set.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/peers.h"

#define PIECES_MAX 24u

static int any_signature(void *ctx, const uint8_t signature[FM_SIGNATURE_BYTES], const uint8_t id[32],
                         const struct fm_key *author)
{
    (void)ctx, (void)signature, (void)id, (void)author;
    return FM_OK; /* or no changed set would get any further */
}

static void take(struct fm_peers *p, int n, struct fm_span bytes)
{
    int rc = fm_company_take(p, n, bytes);
    switch (rc) {
    case FM_OK: case FM_EEXISTS: case FM_EFORMAT: case FM_ELIMIT: case FM_ESIGNATURE: case FM_EFOREIGN: case FM_EGRANT:
    case FM_EORDER: case FM_ENEWER: case FM_EREVOKED: case FM_EKEY: case FM_EROLE: case FM_ENOTFOUND:
        return;
    default:
        (void)fprintf(stderr, "taken: %s\n", fm_error_code(rc));
        FUZZ_CHECK(rc == FM_OK);
    }
}

/* Bits of what: 0 lane, 1 author (coordinator, camp), 2 a number of changes of its own (else as the body says),
 * 3 the time stands still, 4 the epoch goes back, 5 the stream is forked here. */
static void write_set(struct fm_peers *p, uint8_t what, struct fm_span body, struct fm_buf *out)
{
    static const uint8_t nonce[24];
    struct fm_company_author *a = &p->nodes[what >> 1 & 1].lanes[what & 1];
    struct fm_crypto c = fm_fake_crypto_of(&a->device);
    struct fm_company_author fork = *a;
    uint32_t count = body.len == 0 ? 1 : (body.data[0] & 0xf0) == 0x90 ? body.data[0] & 0x0f : 200;
    if (what & 4)
        count = 1 + what % 7;
    struct fm_set_header h = {.format = FM_FORMAT, .stream = a->stream, .sequence = a->sequence + 1,
                              .has_prev = a->sequence > 0, .prev = a->last, .has_grant = true, .grant = a->grant, .epoch = what & 16 ? 1 : 2,
                              .time = (a->time + !(what & 8)) << 16, .change_count = count == 0 ? 1 : count};
    c.compress = fm_fake_compress;
    struct fm_set_id last;
    if (fm_set_close(out, &last, &c, &p->mesh, &h, body, NULL, nonce) != FM_OK)
        return;
    a->sequence++;
    a->time += !(what & 8);
    a->last = last;
    if (what & 32)
        *a = fork; /* the next set stands beside this one */
}

/* All folding done, then both digests. */
static void digests(struct fm_peers *p, int n, struct fm_digest out[2])
{
    int rc;
    for (int ticks = 0; (rc = fm_repl_digest(p->nodes[n].core, &out[0], &out[1])) == FM_EBUSY && ticks < 1000; ticks++)
        FUZZ_CHECK(fm_company_event(p, n, (struct fm_event){.kind = FM_EVENT_TICK}) == FM_OK);
    FUZZ_CHECK(rc == FM_OK);
}

/* Every set that node 0 holds, the newest first, again and again until all follow. */
static void carry(struct fm_peers *p)
{
    const struct fm_port *from = fm_memory_port(p->nodes[0].store), *to = fm_memory_port(p->nodes[1].store);
    struct fm_set_meta meta;
    struct fm_buf bytes;
    uint64_t last = 0, held = 0, before;
    while (from->set_next(from->ctx, last + 1, &meta) == FM_OK)
        last = meta.arrival;
    fm_buf_init(&bytes, 0);
    do {
        before = held;
        for (uint64_t at = last; at > 0; at--) {
            bytes.len = 0;
            if (from->set_bytes(from->ctx, at, &bytes) == FM_OK)
                take(p, 1, fm_buf_span(&bytes));
        }
        held = 0;
        for (uint64_t at = 1; to->set_next(to->ctx, at, &meta) == FM_OK; at = meta.arrival + 1)
            held++;
    } while (held != before);
    fm_buf_fini(&bytes);
}

FUZZ_TARGET(256, 32 << 20)
{
    static const uint8_t roles[] = {FM_ROLE_COORDINATOR, FM_ROLE_CAMP};
    static struct fm_peers base, peers;
    struct fm_peers *p = &peers;
    struct fm_digest first[2], other[2];
    struct fm_buf set;

    fuzz_memory_pause(true);
    if (base.count == 0)
        fm_company_init(&base, roles, 2, 1);
    fuzz_memory_pause(false);
    fm_company_copy(p, &base, 2);
    for (int i = 0; i < 2; i++)
        p->nodes[i].crypto.verify = any_signature;
    for (uint32_t pieces = 0; size >= 3 && pieces < PIECES_MAX; pieces++) {
        uint8_t what = data[0];
        size_t len = (size_t)data[1] | (size_t)data[2] << 8;
        len = len < size - 3 ? len : size - 3;
        struct fm_span piece = fm_span(data + 3, len);
        data += 3 + len;
        size -= 3 + len;
        if (what & 128) {
            take(p, 0, piece);
            continue;
        }
        fm_buf_init(&set, 0);
        write_set(p, what, piece, &set);
        if (set.len > 0)
            take(p, 0, fm_buf_span(&set));
        fm_buf_fini(&set);
    }
    digests(p, 0, first);
    carry(p);
    digests(p, 1, other);
    FUZZ_CHECK(fm_id_eq(&first[0], &other[0]) && fm_id_eq(&first[1], &other[1]));
    fm_company_restart(p, 0);
    digests(p, 0, other);
    FUZZ_CHECK(fm_id_eq(&first[0], &other[0]) && fm_id_eq(&first[1], &other[1]));
    fm_company_fini(p);
    return 0;
}
