/* Requests and grants as small text files: a line that says what it is, then base64, which survives mail and messengers.
 *   request  [bin content, bin signature]: content [author, transport, box, name, role]; Ed25519 by the author key over
 *            BLAKE2b-256 (domain, content)
 *   grant    [bin content, bin check]: content [mesh id, root key, grant id, [set bytes, …]]; check = BLAKE2b-128 over
 *            content, against bad sticks; what is true in it, the sets' own signatures tell */
#include <assert.h>
#include <sodium.h>

#include "node/identity.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/walk.h"

#define REQUEST_LINE "fieldmesh request 1\n"
#define GRANT_LINE "fieldmesh grant 1\n"
#define LINE_CHARS 64u
#define CHECK_BYTES 16u

/* --- armour --- */

static int armour(struct fm_buf *out, const char *first_line, struct fm_span bytes)
{
    int rc = fm_buf_add(out, first_line, strlen(first_line));
    for (size_t at = 0; rc == FM_OK && at < bytes.len; at += LINE_CHARS / 4 * 3) {
        char line[LINE_CHARS + 1];
        size_t left = bytes.len - at, take = left < LINE_CHARS / 4 * 3 ? left : LINE_CHARS / 4 * 3;
        (void)sodium_bin2base64(line, sizeof line, bytes.data + at, take, sodium_base64_VARIANT_ORIGINAL);
        rc = fm_buf_add(out, line, strlen(line));
        if (rc == FM_OK)
            rc = fm_buf_add(out, "\n", 1);
    }
    return rc;
}

/* The first line, whose number may be one of the future: "fieldmesh grant 2". len: without its end. */
static int check_line(struct fm_span text, const char *line, size_t *len)
{
    size_t known = strlen(line) - 2; /* without number and newline */
    if (text.len < known || memcmp(text.data, line, known) != 0)
        return FM_EFORMAT;
    for (*len = known; *len < text.len && text.data[*len] >= '0' && text.data[*len] <= '9';)
        ++*len;
    if (*len == known || *len == text.len || (text.data[*len] != '\n' && text.data[*len] != '\r') || text.data[known] == '0')
        return FM_EFORMAT;
    return *len == known + 1 && text.data[known] == (uint8_t)line[known] ? FM_OK : FM_ENEWER;
}

static int unarmour(struct fm_buf *out, const char *first_line, struct fm_span text)
{
    size_t line, len;
    int rc = check_line(text, first_line, &line);
    if (rc == FM_OK && memchr(text.data, '\0', text.len) != NULL)
        rc = FM_EFORMAT; /* libsodium would pass over it: strchr finds the end of the characters to ignore */
    if (rc == FM_OK)
        rc = fm_buf_reserve(out, text.len / 4 * 3 + 3);
    if (rc != FM_OK)
        return rc;
    if (sodium_base642bin(out->data + out->len, out->cap - out->len, (const char *)text.data + line, text.len - line,
                          "\r\n ", &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return FM_EFORMAT;
    out->len += len;
    return FM_OK;
}

static int armour_pair(struct fm_buf *out, const char *first_line, const struct fm_buf *content, struct fm_span seal)
{
    struct fm_buf pair;
    struct fm_pack p;
    fm_buf_init(&pair, 0);
    fm_pack_init(&p, &pair);
    fm_pack_array(&p, 2);
    fm_pack_bin(&p, content->data, content->len);
    fm_pack_bin(&p, seal.data, seal.len);
    int rc = p.error;
    if (rc == FM_OK)
        rc = armour(out, first_line, fm_buf_span(&pair));
    fm_buf_fini(&pair);
    return rc;
}

/* The text of a content this large, with \r\n and a rest. */
static size_t text_max(size_t content_max)
{
    return content_max / 3 * 4 + content_max / (LINE_CHARS / 4 * 3) * 2 + 256;
}

/* content and seal are borrowed from *bytes. */
static int unarmour_pair(struct fm_buf *bytes, struct fm_span text, const char *first_line, size_t max,
                         struct fm_span *content, struct fm_span *seal, size_t seal_len)
{
    struct fm_walk w;
    int rc = text.len > text_max(max) ? FM_ELIMIT : unarmour(bytes, first_line, text);
    if (rc != FM_OK)
        return rc;
    fm_walk_init(&w, fm_buf_span(bytes), 3);
    rc = fm_walk_array_of(&w, 2);
    if (rc == FM_OK)
        rc = fm_walk_bin(&w, content, max);
    if (rc == FM_OK)
        rc = fm_walk_bin(&w, seal, seal_len);
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    return rc == FM_OK && seal->len != seal_len ? FM_EFORMAT : rc;
}

/* --- requests --- */

static void request_id_of(uint8_t out[32], struct fm_span content)
{
    struct fm_span parts[2] = {fm_span_str(FM_DOMAIN_REQUEST), content};
    struct fm_crypto port;
    fm_crypto_port(&port, NULL);
    port.hash(port.ctx, out, 32, parts, 2);
}

int fm_request_encode(struct fm_buf *out, const struct fm_request *request, const struct fm_device *device)
{
    struct fm_buf content;
    struct fm_pack p;
    struct fm_crypto port;
    uint8_t id[32], signature[FM_SIGNATURE_BYTES];
    assert(fm_id_eq(&request->author, &device->author_public)); /* else nobody could take it */
    fm_buf_init(&content, 0);
    fm_pack_init(&p, &content);
    fm_pack_array(&p, 5);
    fm_pack_bin(&p, request->author.b, FM_KEY_BYTES);
    fm_pack_bin(&p, request->transport.b, FM_KEY_BYTES);
    fm_pack_bin(&p, request->box.b, FM_KEY_BYTES);
    fm_pack_cstr(&p, request->name);
    fm_pack_uint(&p, request->role);
    int rc = p.error;
    if (rc == FM_OK) {
        request_id_of(id, fm_buf_span(&content));
        fm_crypto_port(&port, device);
        port.sign(port.ctx, signature, id);
        rc = armour_pair(out, REQUEST_LINE, &content, fm_span(signature, sizeof signature));
    }
    fm_buf_fini(&content);
    return rc;
}

int fm_request_write(const char *file, const struct fm_request *request, const struct fm_device *device)
{
    struct fm_buf text;
    fm_buf_init(&text, 0);
    int rc = fm_request_encode(&text, request, device);
    if (rc == FM_OK)
        rc = fm_file_write(file, fm_buf_span(&text), 0644);
    fm_buf_fini(&text);
    return rc;
}

/* A name is shown on the coordinator's terminal before anybody is trusted: no control characters (TESTING D15). */
static bool is_showable(struct fm_span name)
{
    for (size_t i = 0; i < name.len; i++) {
        bool c1 = name.data[i] == 0xc2 && i + 1 < name.len && name.data[i + 1] < 0xa0; /* U+0080 to U+009F */
        if (name.data[i] < 0x20 || name.data[i] == 0x7f || c1)
            return false;
    }
    return name.len > 0;
}

static int read_request(struct fm_request *out, struct fm_span content)
{
    struct fm_walk w;
    struct fm_span name = {0};
    uint64_t role = 0;
    fm_walk_init(&w, content, 6);
    int rc = fm_walk_array_of(&w, 5);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, out->author.b, FM_KEY_BYTES);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, out->transport.b, FM_KEY_BYTES);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, out->box.b, FM_KEY_BYTES);
    if (rc == FM_OK)
        rc = fm_walk_str(&w, &name, FM_NAME_BYTES_MAX);
    if (rc == FM_OK)
        rc = fm_walk_uint(&w, &role, UINT8_MAX);
    if (rc == FM_OK)
        rc = fm_walk_end(&w);
    if (rc != FM_OK)
        return rc;
    if (!is_showable(name) || (role != FM_ROLE_COORDINATOR && role != FM_ROLE_CAMP && role != FM_ROLE_RELAY))
        return FM_EFORMAT;
    memcpy(out->name, name.data, name.len);
    out->name[name.len] = '\0';
    out->role = (uint8_t)role;
    return FM_OK;
}

int fm_request_decode(struct fm_request *out, struct fm_span text)
{
    struct fm_buf bytes;
    struct fm_span content, signature;
    struct fm_crypto port;
    uint8_t id[32];
    *out = (struct fm_request){.role = 0};
    fm_buf_init(&bytes, 0);
    int rc = unarmour_pair(&bytes, text, REQUEST_LINE, FM_REQUEST_FILE_BYTES_MAX, &content, &signature, FM_SIGNATURE_BYTES);
    if (rc == FM_OK)
        rc = read_request(out, content);
    if (rc == FM_OK) {
        request_id_of(id, content);
        fm_crypto_port(&port, NULL);
        rc = port.verify(port.ctx, signature.data, id, &out->author);
    }
    if (rc != FM_OK)
        *out = (struct fm_request){.role = 0};
    fm_buf_fini(&bytes);
    return rc;
}

int fm_request_read(struct fm_request *out, const char *file)
{
    struct fm_buf text;
    *out = (struct fm_request){.role = 0};
    fm_buf_init(&text, 0);
    int rc = fm_file_read(file, &text, text_max(FM_REQUEST_FILE_BYTES_MAX));
    if (rc == FM_OK)
        rc = fm_request_decode(out, fm_buf_span(&text));
    fm_buf_fini(&text);
    return rc;
}

/* --- grants --- */

int fm_grant_file_encode(struct fm_buf *out, const struct fm_mesh_id *mesh, const struct fm_key *root,
                         const struct fm_grant_id *grant, const struct fm_span *sets, size_t count)
{
    struct fm_buf content;
    struct fm_pack p;
    uint8_t check[CHECK_BYTES];
    if (count > FM_GRANT_FILE_SETS_MAX)
        return FM_ELIMIT;
    fm_buf_init(&content, FM_GRANT_FILE_BYTES_MAX);
    fm_pack_init(&p, &content);
    fm_pack_array(&p, 4);
    fm_pack_bin(&p, mesh->b, FM_MESH_ID_BYTES);
    fm_pack_bin(&p, root->b, FM_KEY_BYTES);
    fm_pack_bin(&p, grant->b, FM_GRANT_ID_BYTES);
    fm_pack_array(&p, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        fm_pack_bin(&p, sets[i].data, sets[i].len);
    int rc = p.error;
    if (rc == FM_OK) {
        fm_crypto_hash(check, sizeof check, content.data, content.len);
        rc = armour_pair(out, GRANT_LINE, &content, fm_span(check, sizeof check));
    }
    fm_buf_fini(&content);
    return rc;
}

int fm_grant_file_write(const char *file, const struct fm_mesh_id *mesh, const struct fm_key *root,
                        const struct fm_grant_id *grant, const struct fm_span *sets, size_t count)
{
    struct fm_buf text;
    fm_buf_init(&text, 0);
    int rc = fm_grant_file_encode(&text, mesh, root, grant, sets, count);
    if (rc == FM_OK)
        rc = fm_file_write(file, fm_buf_span(&text), 0644);
    fm_buf_fini(&text);
    return rc;
}

static int grant_sets(struct fm_grant_file *out, struct fm_walk *w)
{
    uint32_t count;
    int rc = fm_walk_array(w, &count);
    if (rc == FM_OK && count > FM_GRANT_FILE_SETS_MAX)
        return FM_ELIMIT;
    if (rc != FM_OK)
        return rc;
    out->sets = calloc((size_t)count + 1, sizeof out->sets[0]);
    if (out->sets == NULL)
        return FM_ENOMEM;
    for (out->count = 0; rc == FM_OK && out->count < count; out->count++)
        rc = fm_walk_bin(w, &out->sets[out->count], FM_SET_BYTES_MAX);
    return rc == FM_OK ? fm_walk_end(w) : rc;
}

int fm_grant_file_decode(struct fm_grant_file *out, struct fm_span text)
{
    struct fm_span content, check;
    struct fm_walk w;
    struct fm_mesh_id expected;
    uint8_t hash[CHECK_BYTES];
    *out = (struct fm_grant_file){.count = 0};
    fm_buf_init(&out->bytes, 0);
    int rc = unarmour_pair(&out->bytes, text, GRANT_LINE, FM_GRANT_FILE_BYTES_MAX, &content, &check, CHECK_BYTES);
    if (rc == FM_OK) {
        fm_crypto_hash(hash, sizeof hash, content.data, content.len);
        rc = memcmp(hash, check.data, sizeof hash) == 0 ? FM_OK : FM_EFORMAT;
    }
    if (rc == FM_OK) {
        fm_walk_init(&w, content, FM_GRANT_FILE_SETS_MAX + 8);
        rc = fm_walk_array_of(&w, 4);
    }
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, out->mesh.b, FM_MESH_ID_BYTES);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, out->root.b, FM_KEY_BYTES);
    if (rc == FM_OK)
        rc = fm_walk_bin_of(&w, out->grant.b, FM_GRANT_ID_BYTES);
    if (rc == FM_OK)
        rc = grant_sets(out, &w);
    if (rc == FM_OK) {
        fm_mesh_id_of(&expected, &out->root); /* a mesh is its root key */
        rc = fm_id_eq(&expected, &out->mesh) ? FM_OK : FM_EFORMAT;
    }
    if (rc != FM_OK)
        fm_grant_file_fini(out);
    return rc;
}

int fm_grant_file_read(struct fm_grant_file *out, const char *file)
{
    struct fm_buf text;
    *out = (struct fm_grant_file){.count = 0};
    fm_buf_init(&text, 0);
    int rc = fm_file_read(file, &text, text_max(FM_GRANT_FILE_BYTES_MAX));
    if (rc == FM_OK)
        rc = fm_grant_file_decode(out, fm_buf_span(&text));
    fm_buf_fini(&text);
    return rc;
}

void fm_grant_file_fini(struct fm_grant_file *f)
{
    free(f->sets);
    fm_buf_fini(&f->bytes);
    *f = (struct fm_grant_file){.count = 0};
}
