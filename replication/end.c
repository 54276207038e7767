/* END: all is sent and acknowledged, and this is the digest of what I hold now.
 *
 * An END is current for its sender as long as no DATA came in or went out since, and for its receiver if it had read all
 * our DATA before it wrote it (links keep order). Both sides decide on the same pair of current ENDs. Who is done first
 * says END again when the other is done, since its digest has moved. */
#include "replication/session.h"

#include "replication/error.h"

#define END_ITEMS 2u

int fm_end_send(struct fm_repl *r, struct fm_session *s)
{
    struct fm_buf buf;
    struct fm_pack p;
    struct fm_digest digest;
    fm_vector_digest(r, &digest);
    memcpy(s->end_ours, digest.b, sizeof s->end_ours);
    fm_buf_init(&buf, FM_MESSAGE_BYTES_MAX);
    fm_pack_init(&p, &buf);
    fm_pack_array(&p, END_ITEMS);
    fm_pack_uint(&p, FM_MSG_END);
    fm_pack_bin(&p, s->end_ours, sizeof s->end_ours);
    int rc = fm_session_send(r, s, &p);
    fm_buf_fini(&buf);
    s->end_sent = true;
    s->end_wanted = false;
    s->end_out_at = s->data_out;
    s->end_in_at = s->data_in;
    if (s->info.changes_to_send != 0)
        s->told = true;
    s->info.changes_to_send = 0;
    return rc;
}

int fm_end_decide(struct fm_repl *r, struct fm_session *s)
{
    if (s->phase != FM_PEER_SYNCING || !s->end_sent || !s->end_in || s->data_in != s->end_in_at ||
        s->data_out != s->end_out_at || s->peer_end_at != s->data_out)
        return FM_OK;
    bool stalled = memcmp(s->pair_ours, s->end_ours, sizeof s->end_ours) == 0 &&
                   memcmp(s->pair_theirs, s->end_theirs, sizeof s->end_theirs) == 0;
    if (memcmp(s->end_ours, s->end_theirs, sizeof s->end_ours) == 0) {
        fm_session_in_step(r, s);
        return FM_OK;
    }
    s->stalls = stalled ? s->stalls + 1 : 1;
    if (s->stalls >= FM_STALLS_MAX) {
        fm_session_in_step(r, s); /* what is refused stays refused: the next contact tries again */
        return fm_session_refuse(r, s, "not-converging");
    }
    memcpy(s->pair_ours, s->end_ours, sizeof s->end_ours);
    memcpy(s->pair_theirs, s->end_theirs, sizeof s->end_theirs);
    fm_session_begin_have(r, s);
    return FM_OK;
}

int fm_end_receive(struct fm_repl *r, struct fm_session *s, struct fm_span message, const char **why)
{
    struct fm_walk w;
    uint8_t digest[FM_DIGEST_SHORT];
    int rc = fm_message_open(&w, message, FM_MSG_END, END_ITEMS);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, digest, sizeof digest);
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    if (rc != FM_OK) {
        *why = "bad-message";
        return FM_OK;
    }
    memcpy(s->end_theirs, digest, sizeof digest);
    s->end_in = s->told = true;
    s->peer_end_at = s->acked;
    s->info.changes_to_receive = 0;
    s->end_wanted = s->end_sent && s->data_in != s->end_in_at;
    return fm_end_decide(r, s);
}
