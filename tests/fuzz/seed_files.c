/* Writes the seeds of files and sessions into tests/fuzz/corpus (sh tests/fuzz/run.sh seed). */
#include "crypto/crypto.h"
#include "node/identity.h"
#include "replication/act.h"
#include "replication/change.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/peers.h"
#include "tests/support/text_doc.h"

static void save(const char *target, const char *name, struct fm_buf *buf)
{
    char path[128];
    (void)snprintf(path, sizeof path, "tests/fuzz/corpus/%s/%s", target, name);
    FILE *file = fopen(path, "wb");
    FUZZ_CHECK(file != NULL && fwrite(buf->data, 1, buf->len, file) == buf->len);
    FUZZ_CHECK(fclose(file) == 0);
    buf->len = 0;
}

static void add(struct fm_buf *buf, const void *data, size_t len)
{
    FUZZ_CHECK(fm_buf_add(buf, data, len) == FM_OK);
}

/* The device of fuzz_request.c, so that a content's signature fits. */
static void requests(struct fm_buf *buf)
{
    static const struct fm_key seed = {{7}};
    struct fm_request request = {.name = "Camp Bama", .role = FM_ROLE_CAMP};
    struct fm_device device;
    struct fm_pack p;
    fm_device_from_seed(&device, &seed);
    request.author = device.author_public;
    request.transport = device.transport_public;
    request.box = device.box_public;
    FUZZ_CHECK(fm_request_encode(buf, &request, &device) == FM_OK);
    save("fuzz_request", "file", buf);
    add(buf, ".", 1);
    fm_pack_init(&p, buf);
    fm_pack_array(&p, 5);
    fm_pack_bin(&p, request.author.b, FM_KEY_BYTES);
    fm_pack_bin(&p, request.transport.b, FM_KEY_BYTES);
    fm_pack_bin(&p, request.box.b, FM_KEY_BYTES);
    fm_pack_cstr(&p, request.name);
    fm_pack_uint(&p, request.role);
    FUZZ_CHECK(p.error == FM_OK);
    save("fuzz_request", "content", buf);
    add(buf, "fieldmesh request 2\n", 20);
    save("fuzz_request", "newer", buf);
}

static void grants(struct fm_buf *buf)
{
    const struct fm_span sets[] = {fm_span_str("one"), fm_span_str("two")};
    const struct fm_grant_id grant = {{3}};
    const struct fm_key root = {{5}};
    struct fm_mesh_id mesh;
    struct fm_pack p;
    fm_mesh_id_of(&mesh, &root);
    FUZZ_CHECK(fm_grant_file_encode(buf, &mesh, &root, &grant, sets, 2) == FM_OK);
    save("fuzz_grant_file", "file", buf);
    add(buf, ".", 1);
    fm_pack_init(&p, buf);
    fm_pack_array(&p, 4);
    fm_pack_bin(&p, mesh.b, FM_MESH_ID_BYTES);
    fm_pack_bin(&p, root.b, FM_KEY_BYTES);
    fm_pack_bin(&p, grant.b, FM_GRANT_ID_BYTES);
    fm_pack_array(&p, 2);
    fm_pack_bin(&p, "one", 3);
    fm_pack_bin(&p, "two", 3);
    FUZZ_CHECK(p.error == FM_OK);
    save("fuzz_grant_file", "content", buf);
}

static void piece(struct fm_buf *buf, uint8_t what, struct fm_span bytes)
{
    const uint8_t head[3] = {what, (uint8_t)bytes.len, (uint8_t)(bytes.len >> 8)};
    add(buf, head, sizeof head);
    add(buf, bytes.data, bytes.len);
}

/* Bodies of sets for fuzz_intake.c: what a coordinator and a camp may write, in the pieces' own form. */
static void bodies(struct fm_buf *buf, struct fm_peers *p)
{
    static struct fm_change change = {.kind = FM_KIND_ASSESSMENT, .action = FM_CREATE, .record = {{1}}, .version = 1};
    static struct fm_act act;
    struct fm_arena arena = {0};
    struct fm_buf body;
    fm_buf_init(&body, 0);
    change.actor = fm_span_str("operator");
    change.document = fm_text_doc(&arena, "{entityId:\"0e000000-0000-4000-8000-000000000001\",id:\"01000000-0000-0000-"
                                          "0000-000000000000\",verificationStatus:\"PENDING\"}");
    add(&body, "\x91", 1);
    FUZZ_CHECK(fm_change_encode(&body, &change) == FM_OK);
    piece(buf, 3, fm_buf_span(&body)); /* camp, records */
    change.version = 2;
    body.len = 1;
    FUZZ_CHECK(fm_change_encode(&body, &change) == FM_OK);
    piece(buf, 1, fm_buf_span(&body)); /* coordinator: a conflict */
    piece(buf, 35, fm_buf_span(&body)); /* the camp again, on two branches */
    piece(buf, 3, fm_buf_span(&body));
    piece(buf, 11, fm_buf_span(&body)); /* at the same time as before */
    save("fuzz_intake", "records", buf);
    act.kind = FM_ACT_REVOKE;
    act.node = p->nodes[1].self.author;
    body.len = 1;
    FUZZ_CHECK(fm_act_encode(&body, &act) == FM_OK);
    struct fm_span revoke = fm_span(fm_arena_copy(&arena, fm_buf_span(&body)), body.len);
    body.len = 1;
    FUZZ_CHECK(fm_change_encode(&body, &change) == FM_OK);
    piece(buf, 3, fm_buf_span(&body));
    piece(buf, 0, revoke); /* by the coordinator: counts */
    piece(buf, 2, revoke); /* by the camp: does not */
    piece(buf, 3, fm_buf_span(&body));
    save("fuzz_intake", "revocation", buf);
    fm_buf_fini(&body);
    fm_arena_fini(&arena);
}

/* All that node 0 of a company holds, as it stands. */
static void sets(struct fm_buf *buf, struct fm_peers *p)
{
    const struct fm_port *port = fm_memory_port(p->nodes[0].store);
    struct fm_set_meta meta;
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    for (uint64_t at = 1; port->set_next(port->ctx, at, &meta) == FM_OK; at = meta.arrival + 1) {
        bytes.len = 0;
        FUZZ_CHECK(port->set_bytes(port->ctx, meta.arrival, &bytes) == FM_OK);
        piece(buf, 128, fm_buf_span(&bytes));
    }
    save("fuzz_intake", "sets", buf);
    fm_buf_fini(&bytes);
}

/* What node 0 is sent while it meets node 1, which holds more: as steps of fuzz_session.c. */
static void session(struct fm_buf *buf, struct fm_peers *p)
{
    for (int i = 0; i < 4; i++)
        FUZZ_CHECK(fm_company_write(p, &p->nodes[1].lanes[1], 1, 2) == FM_OK);
    struct fm_company_link *l = &p->links[fm_company_connect(p, 1, 0)];
    const struct fm_company_queue *q = &l->to[1];
    for (int steps = 0; steps < 400; steps++) {
        size_t first = q->first, mark = buf->len;
        if (q->count > 0)
            piece(buf, 255, fm_span(q->at[first].data, q->at[first].len));
        if (!fm_company_deliver(p))
            break;
        if (q->first == first)
            buf->len = mark; /* it was the other one's turn */
    }
    FUZZ_CHECK(l->up && buf->len > 0);
    save("fuzz_session", "sync", buf);
    piece(buf, 50, fm_span(NULL, 0)); /* HELLO made by the target; then the length is two more steps */
    add(buf, "\x40\x10\x11", 3);
    save("fuzz_session", "steps", buf);
}

int main(void)
{
    static const uint8_t roles[] = {FM_ROLE_COORDINATOR, FM_ROLE_CAMP};
    static struct fm_peers peers;
    struct fm_buf buf;
    FUZZ_CHECK(fm_crypto_init() == FM_OK);
    fm_buf_init(&buf, 0);
    requests(&buf);
    grants(&buf);
    fm_company_init(&peers, roles, 2, 1);
    bodies(&buf, &peers);
    sets(&buf, &peers);
    session(&buf, &peers);
    fm_company_fini(&peers);
    fm_buf_fini(&buf);
    return 0;
}
