/* Writes the seeds of files and sessions into tests/fuzz/corpus (sh tests/fuzz/run.sh seed). */
#include "crypto/crypto.h"
#include "node/compress.h"
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

/* A HELLO, and steps of fuzz_session.c: two nodes that write, meet and are cut; messages changed on their way; a stranger. */
static void session(struct fm_buf *buf, struct fm_peers *p)
{
    static const uint8_t meeting[] = {0x00, 0x10, 0x03, 0x65, 0, 1, 0, 1, 0x65, 0, 1, 0, 1, 0x02, 40, 0x30, 0xe5, 0, 1, 0, 1, 0, 1,
                                      0, 0x44, 0x13, 0xe7, 0, 1, 0, 1};
    static const uint8_t changed[] = {0x00, 0x03, 0x65, 0, 1, 0, 1, 0x08, 0, 3, 0x84, 0, 0, 0, 3, 0x09, 1, 4, 0x83, 0, 2, 1, 12,
                                      0x0e, 0, 1, 3, 0, 0, 0, 0, 0, 9};
    static const uint8_t stranger[] = {0x03, 0x45, 0, 1, 0, 0x0a, 0x0b, 0, 0x0b, 1, 0x0c, 1, 2, 3, 0, 0, 0, 5, 0x0d, 0, 3, 0x92, 9, 1, 0x1f,
                                       0x3f, 0x2f};
    struct fm_company_link *l = &p->links[fm_company_connect(p, 1, 0)];
    const struct fm_company_queue *q = &l->to[1];
    while (q->count == 0)
        FUZZ_CHECK(fm_company_deliver(p));
    add(buf, q->at[q->first].data, q->at[q->first].len);
    save("fuzz_hello", "hello", buf);
    add(buf, meeting, sizeof meeting);
    save("fuzz_session", "meeting", buf);
    add(buf, changed, sizeof changed);
    save("fuzz_session", "changed", buf);
    add(buf, stranger, sizeof stranger);
    save("fuzz_session", "stranger", buf);
}

/* A body of repeated text, as fuzz_compress.c takes it: its size, then the frame; and one of another size. */
static void frames(struct fm_buf *buf)
{
    struct fm_crypto c;
    uint8_t size[4];
    char body[400];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)('a' + i % 7);
    fm_compress_port(&c);
    for (uint32_t off = 0; off < 2; off++) {
        fm_be_put(size, sizeof body + off, 4);
        add(buf, size, 4);
        FUZZ_CHECK(c.compress(NULL, buf, fm_span(body, sizeof body)) == FM_OK);
        save("fuzz_compress", off == 0 ? "frame" : "other-size", buf);
    }
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
    frames(&buf);
    fm_company_fini(&peers);
    fm_buf_fini(&buf);
    return 0;
}
