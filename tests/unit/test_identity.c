/* The key folder, the root's stream, and enrolment files: what is damaged, foreign or cut is refused, never half taken. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "node/compress.h"
#include "node/identity.h"
#include "node/keyfile.h"
#include "replication/change.h"
#include "replication/error.h"
#include "replication/set.h"

static char dir[64];
static struct fm_paths paths;

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/fm_identity_XXXXXX");
    if (mkdtemp(dir) == NULL)
        return 1;
    char data[128];
    (void)snprintf(data, sizeof data, "%s/node", dir);
    return fm_paths_of(&paths, data);
}
static int drop_dir(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static const char *in_dir(const char *name)
{
    static char paths_out[4][160]; /* a few at a time */
    static unsigned turn;
    char *path = paths_out[turn++ % 4];
    (void)snprintf(path, sizeof paths_out[0], "%s/%s", dir, name);
    return path;
}
static const char *in_keys(const char *name)
{
    static char path[FM_PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", paths.keys, name);
    return path;
}
static unsigned mode_of(const char *file)
{
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    return (unsigned)st.st_mode & 07777;
}
static void slurp(struct fm_buf *out, const char *file)
{
    fm_buf_init(out, 0);
    assert_int_equal(fm_file_read(file, out, 1 << 20), FM_OK);
}

static void test_a_device_is_made_once_and_loads_the_same(void **state)
{
    (void)state;
    struct fm_identity made, loaded;
    assert_int_equal(fm_identity_load(&loaded, &paths), FM_ENOTFOUND);
    assert_int_equal(fm_identity_create(&made, &paths), FM_OK);
    assert_int_equal(fm_identity_create(&loaded, &paths), FM_EEXISTS); /* the only copy of a key is never overwritten */
    assert_int_equal(fm_identity_load(&loaded, &paths), FM_OK);
    assert_memory_equal(&made.device, &loaded.device, sizeof made.device);
    assert_false(loaded.has_mesh);
    assert_false(loaded.has_root_secret);
    assert_int_equal(mode_of(paths.keys), 0700);
    assert_int_equal(mode_of(in_keys("device.seed")), 0600);
    struct fm_buf file;
    slurp(&file, in_keys("device.seed"));
    assert_int_equal(file.len, 8 + 32 + 16);
    assert_memory_equal(file.data + 8, made.device.seed.b, 32);
    fm_buf_fini(&file);
    fm_identity_wipe(&loaded);
    static const struct fm_identity nothing;
    assert_memory_equal(&loaded, &nothing, sizeof loaded);
}

/* Every flip and every cut of a key file is noticed. */
static void assert_damage_is_noticed(const char *name)
{
    struct fm_buf good;
    struct fm_identity id;
    char path[FM_PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s", in_keys(name));
    slurp(&good, path);
    for (size_t i = 0; i < good.len; i++) {
        good.data[i] ^= 0x10;
        assert_int_equal(fm_file_write(path, fm_buf_span(&good), 0600), FM_OK);
        if (fm_identity_load(&id, &paths) != FM_EKEY)
            fail_msg("%s: byte %zu flipped", name, i);
        good.data[i] ^= 0x10;
        assert_int_equal(fm_file_write(path, fm_span(good.data, i), 0600), FM_OK);
        if (fm_identity_load(&id, &paths) != FM_EKEY)
            fail_msg("%s: cut at %zu", name, i);
    }
    assert_int_equal(fm_buf_add(&good, "x", 1), FM_OK);
    assert_int_equal(fm_file_write(path, fm_buf_span(&good), 0600), FM_OK);
    assert_int_equal(fm_identity_load(&id, &paths), FM_EKEY);
    assert_int_equal(fm_file_write(path, fm_span(good.data, good.len - 1), 0600), FM_OK);
    assert_int_equal(fm_identity_load(&id, &paths), FM_OK);
    fm_identity_wipe(&id);
    fm_buf_fini(&good);
}

static void test_a_damaged_seed_is_no_key(void **state)
{
    (void)state;
    assert_damage_is_noticed("device.seed");
}

static void test_a_mesh_is_born_and_remembered(void **state)
{
    (void)state;
    struct fm_identity id, loaded;
    struct fm_mesh_id mesh;
    assert_int_equal(fm_identity_load(&id, &paths), FM_OK);
    assert_int_equal(fm_identity_create_root(&id, &paths), FM_OK);
    assert_true(id.has_mesh && id.has_root_secret);
    assert_memory_equal(id.root.b, id.root_device.author_public.b, 32);
    assert_memory_not_equal(id.root.b, id.device.author_public.b, 32);
    fm_mesh_id_of(&mesh, &id.root);
    assert_memory_equal(id.mesh.b, mesh.b, 32);
    /* Cut short here, the root key is known again. */
    assert_int_equal(fm_identity_load(&loaded, &paths), FM_OK);
    assert_true(loaded.has_mesh && loaded.has_root_secret);
    assert_memory_equal(loaded.mesh.b, mesh.b, 32);
    memset(id.grant.b, 0x5a, sizeof id.grant.b);
    assert_int_equal(fm_identity_save_mesh(&id, &paths), FM_OK);
    assert_int_equal(fm_identity_load(&loaded, &paths), FM_OK);
    assert_memory_equal(loaded.grant.b, id.grant.b, 32);
    assert_memory_equal(&loaded.root_device, &id.root_device, sizeof id.root_device);
    assert_int_equal(mode_of(in_keys("root.seed")), 0600);
    assert_int_equal(mode_of(in_keys("root.tip")), 0600);
    assert_int_equal(fm_identity_create_root(&id, &paths), FM_EEXISTS);
    assert_damage_is_noticed("mesh");
    assert_damage_is_noticed("root.seed");
    fm_identity_wipe(&id);
    fm_identity_wipe(&loaded);
}

/* A grant act that is as large as wanted. */
static struct fm_act *grant_act(const struct fm_identity *id, const char *name, struct fm_buf *bytes)
{
    struct fm_act *act = calloc(1, sizeof *act);
    assert_non_null(act);
    act->kind = FM_ACT_GRANT;
    act->grant = (struct fm_grant){.author = id->device.author_public, .transport = id->device.transport_public,
                                   .box = id->device.box_public, .name = fm_span_str(name), .role = FM_ROLE_COORDINATOR,
                                   .epoch_first = 1, .epoch_last = 9, .serial = 1};
    fm_buf_init(bytes, 0);
    assert_int_equal(fm_grant_encode(bytes, &act->grant), FM_OK);
    act->grant.bytes = fm_buf_span(bytes);
    return act;
}

static void assert_root_set(const struct fm_identity *id, struct fm_span bytes, uint64_t sequence, const struct fm_set_id *prev,
                            uint64_t time, uint32_t count, struct fm_set_id *set_id)
{
    struct fm_set set;
    struct fm_crypto port;
    struct fm_buf body;
    struct fm_span items[FM_SET_CHANGES_MAX];
    fm_crypto_port(&port, NULL);
    fm_compress_port(&port);
    assert_int_equal(fm_set_decode(&set, bytes), FM_OK);
    assert_memory_equal(set.header.stream.author.b, id->root.b, 32);
    assert_int_equal(set.header.stream.incarnation, 1);
    assert_int_equal(set.header.stream.lane, FM_LANE_MEMBERSHIP);
    assert_int_equal(set.header.sequence, sequence);
    assert_int_equal(set.header.has_prev, sequence > 1);
    if (sequence > 1)
        assert_memory_equal(set.header.prev.b, prev->b, 32);
    assert_false(set.header.has_grant);
    assert_false(set.header.sealed);
    assert_int_equal(set.header.epoch, 1);
    assert_int_equal(set.header.time, time);
    assert_int_equal(set.header.change_count, count);
    fm_set_id_of(set_id, &port, &id->mesh, set.header_bytes);
    assert_int_equal(port.verify(port.ctx, set.signature.data, set_id->b, &id->root), FM_OK);
    fm_buf_init(&body, 0);
    assert_int_equal(fm_set_open(&body, &port, &id->mesh, &set, NULL), FM_OK);
    assert_int_equal(fm_body_split(fm_buf_span(&body), items, count), FM_OK);
    struct fm_act *act = malloc(sizeof *act);
    assert_non_null(act);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(fm_act_decode(act, &port, &id->mesh, items[i]), FM_OK);
        assert_int_equal(act->kind, FM_ACT_GRANT);
        assert_memory_equal(act->grant.author.b, id->device.author_public.b, 32);
    }
    free(act);
    fm_buf_fini(&body);
}

static void test_root_sets_follow_each_other(void **state)
{
    (void)state;
    struct fm_identity id;
    struct fm_crypto port;
    struct fm_set_id first, second, third;
    struct fm_buf bytes, out, last;
    assert_int_equal(fm_identity_load(&id, &paths), FM_OK);
    fm_crypto_port(&port, &id.device);
    struct fm_act *act = grant_act(&id, "Maiduguri hub", &bytes);
    const struct fm_act *acts[3] = {act, act, act};
    fm_buf_init(&out, 0);
    fm_buf_init(&last, 0);
    assert_int_equal(fm_root_last(&last, &paths), FM_ENOTFOUND);
    uint64_t now = 1793524320000;
    assert_int_equal(fm_root_sign(&out, &id, &paths, &port, acts, 3, now), FM_OK);
    assert_root_set(&id, fm_buf_span(&out), 1, NULL, now << 16, 3, &first);
    size_t at = out.len;
    /* The clock stood still, then went back to 1970: time still rises above every act of before. */
    assert_int_equal(fm_root_sign(&out, &id, &paths, &port, acts, 1, now), FM_OK);
    assert_root_set(&id, fm_span(out.data + at, out.len - at), 2, &first, (now << 16) + 3, 1, &second);
    at = out.len;
    fm_identity_wipe(&id); /* another run of the program */
    assert_int_equal(fm_identity_load(&id, &paths), FM_OK);
    assert_int_equal(fm_root_sign(&out, &id, &paths, &port, acts, 2, 0), FM_OK);
    assert_root_set(&id, fm_span(out.data + at, out.len - at), 3, &second, (now << 16) + 4, 2, &third);
    /* What a crash kept from the store is still to be had. */
    assert_int_equal(fm_root_last(&last, &paths), FM_OK);
    assert_true(fm_span_eq(fm_buf_span(&last), fm_span(out.data + at, out.len - at)));
    at = out.len;
    /* A set that is too large costs no sequence number: adopt as many sets as an act may, in as many acts as it takes. */
    struct fm_act *big = calloc(1, sizeof *big);
    const struct fm_act *bigs[64];
    assert_non_null(big);
    big->kind = FM_ACT_ADOPT;
    big->adopt_count = FM_ADOPT_SETS_MAX;
    for (size_t i = 0; i < FM_ADOPT_SETS_MAX; i++) {
        fm_crypto_random(&big->adopts[i], sizeof big->adopts[i]);
        big->adopts[i].stream.lane = 1;
        big->adopts[i].sequence = i + 1;
    }
    for (size_t i = 0; i < 64; i++)
        bigs[i] = big;
    assert_int_equal(fm_root_sign(&out, &id, &paths, &port, bigs, 64, now), FM_ELIMIT);
    assert_int_equal(out.len, at);
    assert_int_equal(fm_root_sign(&out, &id, &paths, &port, acts, 1, now), FM_OK);
    assert_root_set(&id, fm_span(out.data + at, out.len - at), 4, &third, (now << 16) + 6, 1, &first);
    free(big);
    free(act);
    fm_buf_fini(&bytes);
    fm_buf_fini(&out);
    fm_buf_fini(&last);
    fm_identity_wipe(&id);
}

static void test_the_root_signs_only_with_secret_and_tip(void **state)
{
    (void)state;
    struct fm_identity id;
    struct fm_crypto port;
    struct fm_buf bytes, out;
    char seed[FM_PATH_MAX + 64], tip[FM_PATH_MAX + 64];
    (void)snprintf(seed, sizeof seed, "%s", in_keys("root.seed"));
    (void)snprintf(tip, sizeof tip, "%s", in_keys("root.tip"));
    assert_int_equal(fm_identity_load(&id, &paths), FM_OK);
    fm_crypto_port(&port, &id.device);
    struct fm_act *act = grant_act(&id, "x", &bytes);
    const struct fm_act *acts[1] = {act};
    fm_buf_init(&out, 0);
    /* Carried away on a stick while the node runs, and brought back. */
    assert_int_equal(rename(seed, in_dir("stick")), 0);
    assert_int_equal(fm_root_sign(&out, &id, &paths, &port, acts, 1, 1), FM_ENOTFOUND);
    assert_false(id.has_root_secret);
    static const struct fm_device wiped;
    assert_memory_equal(&id.root_device, &wiped, sizeof wiped);
    assert_int_equal(rename(in_dir("stick"), seed), 0);
    assert_int_equal(fm_root_sign(&out, &id, &paths, &port, acts, 1, 1), FM_OK);
    assert_true(id.has_root_secret);
    out.len = 0;
    /* Without its tip it would begin again at 1: a fork of the highest key there is. */
    assert_int_equal(rename(tip, in_dir("stick")), 0);
    assert_int_equal(fm_root_sign(&out, &id, &paths, &port, acts, 1, 1), FM_EKEY);
    assert_int_equal(fm_identity_create_root(&id, &paths), FM_EEXISTS);
    assert_int_equal(rename(in_dir("stick"), tip), 0);
    struct fm_buf good;
    slurp(&good, tip);
    for (size_t i = 0; i < good.len; i += 7) {
        good.data[i] ^= 1;
        assert_int_equal(fm_file_write(tip, fm_buf_span(&good), 0600), FM_OK);
        good.data[i] ^= 1;
        assert_int_equal(fm_root_sign(&out, &id, &paths, &port, acts, 1, 1), FM_EKEY);
        assert_int_equal(fm_file_write(tip, fm_span(good.data, i), 0600), FM_OK);
        assert_int_equal(fm_root_sign(&out, &id, &paths, &port, acts, 1, 1), FM_EKEY);
    }
    assert_int_equal(out.len, 0);
    assert_int_equal(fm_file_write(tip, fm_buf_span(&good), 0600), FM_OK);
    /* Another mesh's root key. */
    struct fm_key other;
    fm_crypto_random(&other, sizeof other);
    assert_int_equal(rename(seed, in_dir("stick")), 0);
    assert_int_equal(fm_keyfile_write(&paths, "root.seed", FM_KEYFILE_ROOT, fm_span(other.b, 32), true), FM_OK);
    struct fm_identity loaded;
    assert_int_equal(fm_identity_load(&loaded, &paths), FM_EKEY);
    assert_int_equal(fm_root_sign(&out, &id, &paths, &port, acts, 1, 1), FM_EKEY);
    assert_int_equal(rename(in_dir("stick"), seed), 0);
    assert_int_equal(fm_identity_load(&loaded, &paths), FM_OK);
    fm_identity_wipe(&loaded);
    /* A disk that takes nothing: no set leaves, and the next one is not a second of its number. */
    if (geteuid() != 0) {
        assert_int_equal(chmod(paths.keys, 0500), 0);
        assert_int_not_equal(fm_root_sign(&out, &id, &paths, &port, acts, 1, 1), FM_OK);
        assert_int_equal(out.len, 0);
        assert_int_equal(chmod(paths.keys, 0700), 0);
    }
    free(act);
    fm_buf_fini(&good);
    fm_buf_fini(&bytes);
    fm_buf_fini(&out);
    fm_identity_wipe(&id);
}

static void test_the_open_counter_steps_and_never_repeats(void **state)
{
    (void)state;
    uint64_t count = 99, next;
    bool begun = true;
    assert_int_equal(fm_identity_counter_read(&paths, &count, &begun), FM_OK);
    assert_true(count == 0 && !begun);
    for (uint64_t i = 1; i < 4; i++) {
        assert_int_equal(fm_identity_counter_begin(&paths, i), FM_OK);
        assert_int_equal(fm_identity_counter_read(&paths, &count, &begun), FM_OK);
        assert_true(count == i && begun);
        assert_int_equal(fm_identity_counter_done(&paths, i), FM_OK);
        assert_int_equal(fm_identity_counter_read(&paths, &count, &begun), FM_OK);
        assert_true(count == i && !begun);
    }
    /* Damaged: it goes on from a place that no store remembers, so a new incarnation is drawn. */
    assert_int_equal(fm_file_write(in_keys("open-counter"), fm_span_str("rubbish"), 0600), FM_OK);
    assert_int_equal(fm_identity_counter_read(&paths, &count, &begun), FM_OK);
    assert_true(count > 5 && !begun);
    assert_int_equal(fm_identity_counter_read(&paths, &next, &begun), FM_OK);
    assert_true(next != count);
    uint8_t a[16], b[16];
    fm_identity_machine(a);
    fm_identity_machine(b);
    assert_memory_equal(a, b, 16);
}

static struct fm_request request_of(const struct fm_device *device, const char *name, uint8_t role)
{
    struct fm_request r = {.author = device->author_public, .transport = device->transport_public, .box = device->box_public, .role = role};
    (void)snprintf(r.name, sizeof r.name, "%s", name);
    return r;
}

static void test_requests_are_signed_by_their_key(void **state)
{
    (void)state;
    struct fm_identity id;
    struct fm_device stranger;
    struct fm_key seed;
    struct fm_request back;
    char file[160];
    (void)snprintf(file, sizeof file, "%s", in_dir("request"));
    assert_int_equal(fm_identity_load(&id, &paths), FM_OK);
    fm_crypto_random(&seed, sizeof seed);
    fm_device_from_seed(&stranger, &seed);
    struct fm_request r = request_of(&id.device, "Dikwa camp \xc3\xa9", FM_ROLE_CAMP);
    assert_int_equal(fm_request_write(file, &r, &id.device), FM_OK);
    assert_int_equal(fm_request_read(&back, file), FM_OK);
    assert_memory_equal(&back, &r, sizeof r);
    struct fm_buf text;
    slurp(&text, file);
    assert_memory_equal(text.data, "fieldmesh request 1\n", 20);
    fm_buf_fini(&text);
    /* Keys swapped for the thief's own, name or role changed: the signature is of other content. */
    struct fm_device forger = id.device; /* says it is id, signs as the stranger */
    memcpy(forger.author_secret, stranger.author_secret, sizeof forger.author_secret);
    assert_int_equal(fm_request_write(file, &r, &forger), FM_OK);
    assert_int_equal(fm_request_read(&back, file), FM_ESIGNATURE);
    static const struct fm_request nothing;
    assert_memory_equal(&back, &nothing, sizeof back);
    /* Content that nobody honest writes. */
    static const char *const names[] = {"", "a\x1b[2J", "a\nb", "\x7f", "\xc2\x9b", "\xff", "\xed\xa0\x80"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        r = request_of(&id.device, names[i], FM_ROLE_CAMP);
        assert_int_equal(fm_request_write(file, &r, &id.device), FM_OK);
        assert_int_equal(fm_request_read(&back, file), FM_EFORMAT);
    }
    for (unsigned role = 0; role < 7; role++) {
        r = request_of(&id.device, "n", (uint8_t)role);
        assert_int_equal(fm_request_write(file, &r, &id.device), FM_OK);
        assert_int_equal(fm_request_read(&back, file), role >= FM_ROLE_COORDINATOR && role <= FM_ROLE_RELAY ? FM_OK : FM_EFORMAT);
    }
    r = request_of(&id.device, "n", FM_ROLE_CAMP);
    memset(r.name, 'n', FM_NAME_BYTES_MAX);
    assert_int_equal(fm_request_write(file, &r, &id.device), FM_OK);
    assert_int_equal(fm_request_read(&back, file), FM_OK);
    assert_int_equal(strlen(back.name), FM_NAME_BYTES_MAX);
    assert_int_equal(fm_request_read(&back, in_dir("none")), FM_ENOTFOUND);
    assert_int_equal(fm_request_read(&back, dir), FM_EIO);
    assert_int_equal(fm_file_write(file, fm_span_str("fieldmesh request 2\nAAAA"), 0644), FM_OK);
    assert_int_equal(fm_request_read(&back, file), FM_ENEWER);
    static char large[3 * FM_REQUEST_FILE_BYTES_MAX];
    memset(large, 'A', sizeof large);
    memcpy(large, "fieldmesh request 1\n", 20);
    assert_int_equal(fm_file_write(file, fm_span(large, sizeof large), 0644), FM_OK);
    assert_int_equal(fm_request_read(&back, file), FM_ELIMIT);
    fm_identity_wipe(&id);
}

static void test_a_damaged_request_is_refused_or_the_same(void **state)
{
    (void)state;
    struct fm_identity id;
    struct fm_buf good;
    struct fm_request back;
    char file[160];
    (void)snprintf(file, sizeof file, "%s", in_dir("request"));
    assert_int_equal(fm_identity_load(&id, &paths), FM_OK);
    struct fm_request r = request_of(&id.device, "Ngala", FM_ROLE_RELAY);
    assert_int_equal(fm_request_write(file, &r, &id.device), FM_OK);
    slurp(&good, file);
    for (size_t i = 0; i < good.len; i++) {
        static const uint8_t flips[] = {0x01, 0x20, 0x80, 0xff};
        for (size_t f = 0; f < sizeof flips; f++) {
            good.data[i] ^= flips[f];
            assert_int_equal(fm_file_write(file, fm_buf_span(&good), 0644), FM_OK);
            if (fm_request_read(&back, file) == FM_OK && memcmp(&back, &r, sizeof r) != 0)
                fail_msg("byte %zu flipped gave another request", i);
            good.data[i] ^= flips[f];
        }
        assert_int_equal(fm_file_write(file, fm_span(good.data, i), 0644), FM_OK);
        if (fm_request_read(&back, file) == FM_OK && memcmp(&back, &r, sizeof r) != 0)
            fail_msg("cut at %zu gave another request", i);
        if (i < good.len - 1)
            assert_int_not_equal(fm_request_read(&back, file), FM_OK);
    }
    fm_buf_fini(&good);
    fm_identity_wipe(&id);
}

#define SETS 3
static void grant_file(const char *file, const struct fm_identity *id, struct fm_span sets[SETS])
{
    static uint8_t bytes[SETS][150];
    for (size_t i = 0; i < SETS; i++) {
        memset(bytes[i], (int)i + 1, sizeof bytes[i]);
        sets[i] = fm_span(bytes[i], sizeof bytes[i] - i * 40);
    }
    struct fm_grant_id grant;
    memset(grant.b, 7, sizeof grant.b);
    assert_int_equal(fm_grant_file_write(file, &id->mesh, &id->root, &grant, sets, SETS), FM_OK);
}
static bool same_grant(const struct fm_grant_file *f, const struct fm_identity *id, const struct fm_span sets[SETS])
{
    bool same = f->count == SETS && fm_id_eq(&f->mesh, &id->mesh) && fm_id_eq(&f->root, &id->root) && f->grant.b[31] == 7;
    for (size_t i = 0; same && i < SETS; i++)
        same = fm_span_eq(f->sets[i], sets[i]);
    return same;
}

static void test_grant_files_come_back(void **state)
{
    (void)state;
    struct fm_identity id;
    struct fm_grant_file f;
    struct fm_span sets[SETS], big;
    char file[160];
    (void)snprintf(file, sizeof file, "%s", in_dir("grant"));
    assert_int_equal(fm_identity_load(&id, &paths), FM_OK);
    grant_file(file, &id, sets);
    assert_int_equal(fm_grant_file_read(&f, file), FM_OK);
    assert_true(same_grant(&f, &id, sets));
    fm_grant_file_fini(&f);
    fm_grant_file_fini(&f); /* twice is harmless */
    /* With line ends of the other world, as mail makes them. */
    struct fm_buf text, crlf;
    slurp(&text, file);
    fm_buf_init(&crlf, 0);
    for (size_t i = 0; i < text.len; i++)
        assert_int_equal(text.data[i] == '\n' ? fm_buf_add(&crlf, "\r\n", 2) : fm_buf_add(&crlf, text.data + i, 1), FM_OK);
    assert_int_equal(fm_file_write(file, fm_buf_span(&crlf), 0644), FM_OK);
    assert_int_equal(fm_grant_file_read(&f, file), FM_OK);
    assert_true(same_grant(&f, &id, sets));
    fm_grant_file_fini(&f);
    fm_buf_fini(&text);
    fm_buf_fini(&crlf);
    /* No sets; a set at the limit, and one past it. */
    struct fm_grant_id grant = {{1}};
    assert_int_equal(fm_grant_file_write(file, &id.mesh, &id.root, &grant, NULL, 0), FM_OK);
    assert_int_equal(fm_grant_file_read(&f, file), FM_OK);
    assert_int_equal(f.count, 0);
    fm_grant_file_fini(&f);
    uint8_t *bytes = calloc(1, FM_SET_BYTES_MAX + 1);
    assert_non_null(bytes);
    for (size_t extra = 0; extra < 2; extra++) {
        big = fm_span(bytes, FM_SET_BYTES_MAX + extra);
        assert_int_equal(fm_grant_file_write(file, &id.mesh, &id.root, &grant, &big, 1), FM_OK);
        assert_int_equal(fm_grant_file_read(&f, file), extra == 0 ? FM_OK : FM_ELIMIT);
        assert_int_equal(f.count, extra == 0 ? 1 : 0);
        fm_grant_file_fini(&f);
    }
    free(bytes);
    /* More sets than a file may hold. */
    struct fm_span *many = calloc(FM_GRANT_FILE_SETS_MAX + 1, sizeof *many);
    assert_non_null(many);
    assert_int_equal(fm_grant_file_write(file, &id.mesh, &id.root, &grant, many, FM_GRANT_FILE_SETS_MAX), FM_OK);
    assert_int_equal(fm_grant_file_read(&f, file), FM_OK);
    assert_int_equal(f.count, FM_GRANT_FILE_SETS_MAX);
    fm_grant_file_fini(&f);
    assert_int_equal(fm_grant_file_write(file, &id.mesh, &id.root, &grant, many, FM_GRANT_FILE_SETS_MAX + 1), FM_ELIMIT);
    free(many);
    /* A mesh is its root key. */
    struct fm_mesh_id other = id.mesh;
    other.b[0] ^= 1;
    assert_int_equal(fm_grant_file_write(file, &other, &id.root, &grant, NULL, 0), FM_OK);
    assert_int_equal(fm_grant_file_read(&f, file), FM_EFORMAT);
    assert_int_equal(fm_grant_file_read(&f, in_dir("none")), FM_ENOTFOUND);
    assert_int_equal(fm_file_write(file, fm_span_str("fieldmesh grant 2\nAAAA"), 0644), FM_OK);
    assert_int_equal(fm_grant_file_read(&f, file), FM_ENEWER);
    assert_int_equal(fm_file_write(file, fm_span_str("fieldmesh grant 10\nAAAA"), 0644), FM_OK);
    assert_int_equal(fm_grant_file_read(&f, file), FM_ENEWER);
    static const char *const rubbish[] = {"", "fieldmesh grant 1", "fieldmesh grant 1\n", "fieldmesh grant 1\n\n", "fieldmesh grant 1\nkg==\n",
                                          "fieldmesh grant 1\n!", "fieldmesh grant 0\nAAAA", "fieldmesh grant 1x\nAAAA",
                                          "fieldmesh request 1\nAAAA", "fieldmesh grant 1\n3f////8="};
    for (size_t i = 0; i < sizeof rubbish / sizeof rubbish[0]; i++) {
        assert_int_equal(fm_file_write(file, fm_span_str(rubbish[i]), 0644), FM_OK);
        if (fm_grant_file_read(&f, file) != FM_EFORMAT)
            fail_msg("rubbish %zu", i);
    }
    fm_identity_wipe(&id);
}

static void test_a_damaged_grant_file_is_refused_or_the_same(void **state)
{
    (void)state;
    struct fm_identity id;
    struct fm_grant_file f;
    struct fm_span sets[SETS];
    struct fm_buf good;
    char file[160];
    (void)snprintf(file, sizeof file, "%s", in_dir("grant"));
    assert_int_equal(fm_identity_load(&id, &paths), FM_OK);
    grant_file(file, &id, sets);
    slurp(&good, file);
    good.data[good.len - 1] = '\0'; /* no line's end, and no blank */
    assert_int_equal(fm_file_write(file, fm_buf_span(&good), 0644), FM_OK);
    assert_int_equal(fm_grant_file_read(&f, file), FM_EFORMAT);
    good.data[good.len - 1] = '\n';
    size_t refused = 0;
    for (size_t i = 0; i < good.len; i++) {
        static const uint8_t flips[] = {0x01, 0x20, 0x80};
        for (size_t flip = 0; flip < sizeof flips; flip++) {
            good.data[i] ^= flips[flip];
            assert_int_equal(fm_file_write(file, fm_buf_span(&good), 0644), FM_OK);
            int rc = fm_grant_file_read(&f, file);
            if (rc == FM_OK && !same_grant(&f, &id, sets))
                fail_msg("byte %zu flipped gave another grant", i);
            refused += rc != FM_OK;
            fm_grant_file_fini(&f);
            good.data[i] ^= flips[flip];
        }
        assert_int_equal(fm_file_write(file, fm_span(good.data, i), 0644), FM_OK);
        int rc = fm_grant_file_read(&f, file);
        if (i < good.len - 1)
            assert_int_not_equal(rc, FM_OK);
        else
            assert_true(rc == FM_OK && same_grant(&f, &id, sets)); /* only the last newline is missing */
        fm_grant_file_fini(&f);
    }
    assert_true(refused > 2 * good.len);
    fm_buf_fini(&good);
    fm_identity_wipe(&id);
}

static void test_files_are_whole_or_not_there(void **state)
{
    (void)state;
    struct fm_buf out;
    char file[160];
    (void)snprintf(file, sizeof file, "%s", in_dir("small"));
    fm_buf_init(&out, 0);
    assert_int_equal(fm_file_read(file, &out, 10), FM_ENOTFOUND);
    assert_int_equal(fm_file_write(file, fm_span_str("0123456789"), 0640), FM_OK);
    assert_int_equal(mode_of(file), 0640);
    assert_int_equal(fm_file_read(file, &out, 9), FM_ELIMIT);
    assert_int_equal(out.len, 0);
    assert_int_equal(fm_file_read(file, &out, 10), FM_OK);
    assert_int_equal(fm_file_read(file, &out, 10), FM_OK); /* it appends, and max is of this file */
    assert_int_equal(out.len, 20);
    assert_int_equal(fm_file_create(file, fm_span_str("other"), 0600), FM_EEXISTS);
    out.len = 0;
    assert_int_equal(fm_file_read(file, &out, 99), FM_OK);
    assert_int_equal(out.len, 10);
    assert_int_equal(fm_file_write(file, fm_span(NULL, 0), 0600), FM_OK);
    assert_int_equal(mode_of(file), 0600);
    out.len = 0;
    assert_int_equal(fm_file_read(file, &out, 99), FM_OK);
    assert_int_equal(out.len, 0);
    assert_int_equal(fm_file_write(in_dir("no/such/folder"), fm_span_str("x"), 0600), FM_ENOTFOUND);
    /* what a killed write leaves is removed, by name, and nothing that only looks like it */
    static const struct {
        const char *file, *of;
        bool swept;
    } left[] = {{"small.tmp-aB3xYz", "small", true}, {"small.tmp-aB3xYz", NULL, true},  {"small.tmp-aB3xYz", "smal", false},
                {"small.tmp-aB3xY", NULL, false},    {"small.tmp-aB3xYz1", NULL, false}, {"small.tmp", NULL, false}};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        char it[160];
        (void)snprintf(it, sizeof it, "%s", in_dir(left[i].file));
        assert_int_equal(fm_file_write(it, fm_span_str("x"), 0600), FM_OK);
        fm_file_sweep(dir, left[i].of);
        assert_int_equal(access(it, F_OK) != 0, left[i].swept);
        assert_int_equal(access(file, F_OK), 0);
        (void)unlink(it);
    }
    assert_int_equal(fm_file_read(dir, &out, 99), FM_EIO);
    char fifo[160];
    (void)snprintf(fifo, sizeof fifo, "%s", in_dir("fifo"));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(fm_file_read(fifo, &out, 99), FM_EIO); /* and does not wait */
    assert_int_equal(fm_file_folder(in_dir("a/b/c"), 0700), FM_OK);
    assert_int_equal(fm_file_folder(in_dir("a/b/c"), 0700), FM_OK);
    assert_int_equal(mode_of(in_dir("a/b/c")), 0700);
    assert_int_not_equal(fm_file_folder(in_dir("small/x"), 0700), FM_OK);
    assert_int_equal(fm_file_folder(in_dir("small"), 0700), FM_EIO);
    /* No temporary file is left by any of this. */
    char command[200];
    (void)snprintf(command, sizeof command, "! ls -AR %s | grep -q tmp-", dir);
    assert_int_equal(system(command), 0);
    fm_buf_fini(&out);
}

int main(void)
{
    if (fm_crypto_init() != FM_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_device_is_made_once_and_loads_the_same),
        cmocka_unit_test(test_a_damaged_seed_is_no_key),
        cmocka_unit_test(test_a_mesh_is_born_and_remembered),
        cmocka_unit_test(test_root_sets_follow_each_other),
        cmocka_unit_test(test_the_root_signs_only_with_secret_and_tip),
        cmocka_unit_test(test_the_open_counter_steps_and_never_repeats),
        cmocka_unit_test(test_requests_are_signed_by_their_key),
        cmocka_unit_test(test_a_damaged_request_is_refused_or_the_same),
        cmocka_unit_test(test_grant_files_come_back),
        cmocka_unit_test(test_a_damaged_grant_file_is_refused_or_the_same),
        cmocka_unit_test(test_files_are_whole_or_not_there),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
