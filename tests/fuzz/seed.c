/* Writes the seeds of the codec's fuzz targets into tests/fuzz/corpus (sh tests/fuzz/run.sh seed): one of each form. */
#include "replication/act.h"
#include "replication/bounds.h"
#include "replication/change.h"
#include "replication/error.h"
#include "replication/set.h"
#include "replication/statement.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_crypto.h"
#include "tests/support/text_doc.h"

static const struct fm_mesh_id mesh;
static const struct fm_key key;
static const uint8_t nonce[24];
static struct fm_arena arena;

static void save(const char *target, const char *name, struct fm_buf *buf)
{
    char path[128];
    snprintf(path, sizeof path, "tests/fuzz/corpus/%s/%s", target, name);
    FILE *file = fopen(path, "wb");
    FUZZ_CHECK(file != NULL && fwrite(buf->data, 1, buf->len, file) == buf->len);
    FUZZ_CHECK(fclose(file) == 0);
    buf->len = 0;
}

static void add(struct fm_buf *buf, const char *text)
{
    struct fm_span doc = fm_text_doc(&arena, text);
    FUZZ_CHECK(fm_buf_add(buf, doc.data, doc.len) == FM_OK);
}

static void documents(struct fm_buf *buf)
{
    static const char *const docs[] = {
        "{}", "{a:1,b:-1,c:128,d:-129,e:65536,f:-40000,g:5000000000,h:-5000000000}",
        "{n:null,t:true,f:false,s:\"text\",d:0.5,u:\"\xe2\x82\xac\"}", "{l:[1,[2,[3]],{x:{}}],m:{n:{o:{p:[]}}}}",
        "{id:\"a\",entityId:\"b\",updatedAt:\"c\",verificationStatus:\"PENDING\",assessmentData:{totalPopulation:5,conditions:[\"x\",\"y\"]}}",
    };
    char name[] = "1";
    for (size_t i = 0; i < sizeof docs / sizeof *docs; i++, name[0]++) {
        add(buf, docs[i]);
        save("fuzz_walk", name, buf);
    }
    add(buf, "{x:1,m:{y:1,z:[1]}}"), add(buf, "{x:2,m:{y:1,z:[1]}}"), add(buf, "{x:1,m:{y:1,z:[2]},n:3}");
    save("fuzz_leaf", "1", buf);
    add(buf, "{m:1,o:{}}"), add(buf, "{m:{x:1},updatedAt:1}"), add(buf, "{m:{y:1},o:{p:{}},verifiedBy:1}");
    save("fuzz_leaf", "2", buf);
}

static void changes(struct fm_buf *buf)
{
    struct fm_change change = {.kind = 1, .action = FM_CREATE, .record = {{1}}, .version = 1,
        .actor = fm_span_str("operator"),
                               .document = fm_text_doc(&arena, "{id:\"a\",x:1}")};
    struct fm_buf body, set;
    fm_buf_init(&body, 0);
    fm_buf_init(&set, 0);
    FUZZ_CHECK(fm_change_encode(buf, &change) == FM_OK);
    FUZZ_CHECK(fm_buf_add(&body, "\x92", 1) == FM_OK && fm_change_encode(&body, &change) == FM_OK);
    save("fuzz_change", "create", buf);
    change.action = FM_UPDATE;
    change.version = 300;
    change.parent_count = 2;
    change.document = fm_text_doc(&arena,
        "{id:\"a\",m:{s:\"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\"}}");
    FUZZ_CHECK(fm_change_encode(buf, &change) == FM_OK && fm_change_encode(&body, &change) == FM_OK);
    save("fuzz_change", "merge", buf);
    for (int way = 0; way < 4; way++) {
        struct fm_crypto c = fm_fake_crypto();
        struct fm_set_id id;
        struct fm_set_header h = {.format = FM_FORMAT, .stream = {.lane = 1, .incarnation = 7},
            .sequence = (uint64_t)way + 1,
                                  .has_prev = way > 0, .has_grant = way > 1, .epoch = 1, .time = UINT64_C(1) << 56,
                                      .change_count = 2};
        const char name[] = {(char)('1' + way), '\0'};
        if (way & 1)
            c.compress = fm_fake_compress;
        FUZZ_CHECK(fm_set_close(&set, &id, &c, &mesh, &h, fm_buf_span(&body), way & 2 ? &key : NULL, nonce) == FM_OK);
        save("fuzz_set", name, &set);
    }
    save("fuzz_change", "body", &body);
    fm_buf_fini(&body);
    fm_buf_fini(&set);
}

static void acts(struct fm_buf *buf)
{
    static struct fm_act act;
    static struct fm_grant grant = {.role = FM_ROLE_CAMP, .epoch_first = 1, .epoch_last = 99, .serial = 300, .flags = 2,
        .key_count = 1};
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    grant.name = fm_span_str("Camp Bama");
    FUZZ_CHECK(fm_grant_encode(&bytes, &grant) == FM_OK);
    act = (struct fm_act){.kind = FM_ACT_GRANT, .grant = {.bytes = fm_buf_span(&bytes)}};
    FUZZ_CHECK(fm_act_encode(buf, &act) == FM_OK);
    save("fuzz_act", "grant", buf);
    act = (struct fm_act){.kind = FM_ACT_REVOKE, .cut_count = 2, .cuts = {{.sequence = 1}, {.lane = 1, .sequence = 200}}};
    FUZZ_CHECK(fm_act_encode(buf, &act) == FM_OK);
    save("fuzz_act", "revoke", buf);
    act = (struct fm_act){.kind = FM_ACT_ADOPT, .adopt_count = 1, .adopts = {{.sequence = 5, .stream = {.lane = 1}}}};
    FUZZ_CHECK(fm_act_encode(buf, &act) == FM_OK);
    save("fuzz_act", "adopt", buf);
    save("fuzz_act", "bare-grant", &bytes);
    fm_buf_fini(&bytes);
}

static void statements(struct fm_buf *buf)
{
    struct fm_crypto c = fm_fake_crypto();
    const struct fm_receipt_tip tips[] = {{.sequence = 1}, {.sequence = 300}};
    struct fm_statement s = {.kind = FM_RECEIPT, .counter = UINT64_C(1) << 41};
    FUZZ_CHECK(fm_statement_sign(buf, &c, &mesh, &s, tips, 2) == FM_OK);
    save("fuzz_statement", "receipt", buf);
    s = (struct fm_statement){.kind = FM_EPOCH_NOTICE, .counter = 5, .epoch = 3};
    FUZZ_CHECK(fm_statement_sign(buf, &c, &mesh, &s, NULL, 0) == FM_OK);
    save("fuzz_statement", "notice", buf);
}

int main(void)
{
    struct fm_buf buf;
    fm_buf_init(&buf, 0);
    documents(&buf);
    changes(&buf);
    acts(&buf);
    statements(&buf);
    fm_buf_fini(&buf);
    fm_arena_fini(&arena);
    return 0;
}
