/* One core's session against any bytes: the input is cut into steps, each of them one byte of what happens and, for
 * messages, two bytes of length (little-endian) and so many bytes. Never a crash, never an error, bounded memory. */
#include <stdint.h>
#include <stdlib.h>

#include "replication/session.h"
#include "tests/support/peers.h"

#define CONN 7u
#define STEPS_MAX 200u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int rc)
{
    if (rc != 0)
        abort();
}

/* What a session may hold whatever it was sent. */
static void check_bounds(const struct fm_repl *core)
{
    const struct fm_sessions *all = core->sessions;
    if (all->count > FM_PEERS_MAX || all->slot_count > FM_STREAMS_MAX)
        abort();
    for (size_t i = 0; i < all->count; i++) {
        const struct fm_session *s = all->peers[i];
        if (s->claim_count > FM_STREAMS_MAX || s->skip_count > FM_SKIPS_MAX || s->singles > FM_SINGLES_MAX ||
            s->queue_count > all->slot_count + FM_SINGLES_MAX || s->in_flight_bytes > FM_CREDIT_BYTES)
            abort();
    }
}

static void hello(struct fm_peers *p)
{
    struct fm_buf buf;
    struct fm_pack k;
    static const uint8_t zeros[32];
    fm_buf_init(&buf, 0);
    fm_pack_init(&k, &buf);
    fm_pack_array(&k, 10);
    fm_pack_uint(&k, FM_MSG_HELLO);
    fm_pack_uint(&k, FM_PROTOCOL);
    fm_pack_bin(&k, p->mesh.b, 16);
    fm_pack_bin(&k, p->nodes[1].self.grant.b, FM_GRANT_ID_BYTES);
    fm_pack_bin(&k, zeros, FM_STORE_ID_BYTES);
    fm_pack_bin(&k, zeros, FM_DIGEST_SHORT);
    fm_pack_bin(&k, zeros, FM_FOLD_ID_BYTES);
    fm_pack_bin(&k, zeros, 0);
    fm_pack_bin(&k, zeros, FM_STATEMENTS_SHORT);
    fm_pack_uint(&k, 0);
    must(fm_company_event(p, 0, (struct fm_event){.kind = FM_EVENT_RECEIVE, .conn = CONN, .bytes = fm_buf_span(&buf)}));
    fm_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t roles[] = {FM_ROLE_COORDINATOR, FM_ROLE_CAMP};
    struct fm_peers *p = malloc(sizeof *p);
    if (p == NULL)
        return 0;
    fm_company_init(p, roles, 2, 1);
    struct fm_company_author fork = p->nodes[1].lanes[1];
    must(fm_company_write(p, &p->nodes[1].lanes[1], 0, 1));
    must(fm_company_write(p, &p->nodes[1].lanes[1], 0, 1));
    must(fm_company_write(p, &fork, 0, 2)); /* a forked stream, for LADDER and what hangs on it */
    struct fm_event up = {.kind = FM_EVENT_PEER_UP, .conn = CONN, .transport = p->nodes[1].self.transport};
    must(fm_company_event(p, 0, up));
    for (uint32_t steps = 0; size > 0 && steps < STEPS_MAX; steps++) {
        uint8_t what = *data++;
        size--;
        if (what < 16) {
            must(fm_company_write(p, &p->nodes[0].lanes[1], 0, 1));
        } else if (what < 32) {
            fm_company_tick(p, (uint64_t)(what - 15) * 1000);
        } else if (what < 48) {
            must(fm_company_event(p, 0, up));
        } else if (what < 64) {
            hello(p);
        } else if (what < 80) {
            must(fm_company_event(p, 0, (struct fm_event){.kind = FM_EVENT_SYNC, .conn = CONN}));
        } else if (size >= 2) {
            size_t len = (size_t)data[0] | (size_t)data[1] << 8;
            data += 2;
            size -= 2;
            len = len < size ? len : size;
            struct fm_event e = {.kind = FM_EVENT_RECEIVE, .conn = CONN, .bytes = fm_span(data, len)};
            must(fm_company_event(p, 0, e));
            data += len;
            size -= len;
        }
        check_bounds(p->nodes[0].core);
    }
    fm_company_fini(p);
    free(p);
    return 0;
}
