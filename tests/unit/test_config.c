/* The config file is read strictly and says where it is wrong; paths and endpoints. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "node/config.h"
#include "node/identity.h"
#include "replication/error.h"

static char dir[64];
static struct fm_config config;
static char why[512];

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/fm_config_XXXXXX");
    return mkdtemp(dir) == NULL;
}
static int drop_dir(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* Reads this text; the file's path before ":LINE: …" is cut off why. */
static int read_text(const char *text, size_t len)
{
    char file[128];
    (void)snprintf(file, sizeof file, "%s/c.conf", dir);
    assert_int_equal(fm_file_write(file, fm_span(text, len), 0644), FM_OK);
    why[0] = '\0';
    int rc = fm_config_read(&config, file, why, sizeof why);
    if (rc != FM_OK) {
        assert_memory_equal(why, file, strlen(file));
        memmove(why, why + strlen(file), strlen(why) - strlen(file) + 1);
    }
    return rc;
}

static const char full[] = "; a comment\n"
                           "[node]\n"
                           "name = Dikwa camp\n"
                           "role = camp                 ; camp, relay or coordinator\n"
                           "[net]\n\n"
                           "\tlisten=0.0.0.0:0\r\n"
                           "beacon = on\n"
                           "# peers\n"
                           "peer = Maiduguri hub@10.8.0.1:7717\n"
                           "peer = 7KQ2-M4XD-2QZH-0V5T@[fe80::1]:7718\n"
                           "peer = a@b@10.0.0.1:1\n"
                           "[http] ; for people\n"
                           "listen = [::1]:7780\n"
                           "tls = /etc/ssl/a.crt  /etc/ssl/a.key\n"
                           "metrics = local\n"
                           "[store]\n"
                           "size = 512M\n"
                           "photos_max = 20G\n"
                           "backup = daily 02:00 keep 7\n"
                           "[limits]\nbatch = 100\nphoto = 25M\nrelay_carry = 5G\n"
                           "[coordinator]\nauto_settle = disjoint\nwaiting_alarm = 30d\n"
                           "[notify]\ncommand =                   ; run with one JSON line\n";

static void test_a_full_file_is_read(void **state)
{
    (void)state;
    if (read_text(full, strlen(full)) != FM_OK)
        fail_msg("%s", why);
    assert_string_equal(config.name, "Dikwa camp");
    assert_string_equal(config.role, "camp");
    assert_string_equal(config.listen, "0.0.0.0:0");
    assert_string_equal(config.http, "[::1]:7780");
    assert_int_equal(config.peer_count, 3);
    assert_string_equal(config.peers[0], "Maiduguri hub@10.8.0.1:7717");
    assert_string_equal(config.peers[1], "7KQ2-M4XD-2QZH-0V5T@[fe80::1]:7718");
    assert_string_equal(config.peers[2], "a@b@10.0.0.1:1");
    assert_int_equal(config.map_bytes, 512ull << 20);
    assert_true(config.auto_settle);
}

static void test_what_is_absent_has_a_default(void **state)
{
    (void)state;
    static const char least[] = "[node]\nname=x\nrole=relay";
    assert_int_equal(read_text(least, strlen(least)), FM_OK);
    assert_string_equal(config.listen, "0.0.0.0:7717");
    assert_string_equal(config.http, "0.0.0.0:7780");
    assert_int_equal(config.map_bytes, 16ull << 30);
    assert_int_equal(config.peer_count, 0);
    assert_false(config.auto_settle);
    char none[128];
    (void)snprintf(none, sizeof none, "%s/none.conf", dir);
    assert_int_equal(fm_config_read(&config, none, why, sizeof why), FM_ENOTFOUND);
}

static void test_errors_name_line_and_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"[net]\nlistn = 1\n", ":2: unknown key 'listn'; did you mean 'listen'?"},
        {"[net]\nbaecon = on\n", ":2: unknown key 'baecon'; did you mean 'beacon'?"},
        {"[net]\nsize = 4G\n", ":2: unknown key 'size' in [net]; it belongs in [store]"},
        {"[net]\nfrobnicate = 1\n", ":2: unknown key 'frobnicate' in [net]"},
        {"\n\n[store]\nsize = 4 Gb\n", ":4: store.size = '4 Gb': want a number with M or G, at most 1024G"},
        {"[store]\nsize = 4\n", ":2: store.size = '4': want a number with M or G, at most 1024G"},
        {"[store]\nsize = 0G\n", ":2: store.size = '0G': want a number with M or G, at most 1024G"},
        {"[store]\nsize = 1025G\n", ":2: store.size = '1025G': want a number with M or G, at most 1024G"},
        {"[store]\nsize = -1G\n", ":2: store.size = '-1G': want a number with M or G, at most 1024G"},
        {"[store]\nsize = 1000000000G\n", ":2: store.size = '1000000000G': want a number with M or G, at most 1024G"},
        {"[store]\nphotos_max = big\n", ":2: store.photos_max = 'big': want a number with M or G"},
        {"[store]\nbackup = daily 24:00 keep 7\n", ":2: store.backup = 'daily 24:00 keep 7': want off, or daily HH:MM keep N"},
        {"[store]\nbackup = daily 02:00 keep 7 x\n", ":2: store.backup = 'daily 02:00 keep 7 x': want off, or daily HH:MM keep N"},
        {"[node]\nname = a\nname = b\n", ":3: node.name = 'b': want this key only once"},
        {"[node]\nname =\n", ":2: node.name = '': want 1 to 64 bytes of text"},
        {"[node]\nname = a\x1b[2J\n", ":2: node.name = 'a\x1b[2J': want 1 to 64 bytes of text"},
        {"[node]\nname = a\xc2\x85\n", ":2: node.name = 'a\xc2\x85': want 1 to 64 bytes of text"},
        {"[node]\nname = \xff\n", ":2: node.name = '\xff': want 1 to 64 bytes of text"},
        {"[node]\nrole = hub\n", ":2: node.role = 'hub': want camp, relay or coordinator"},
        {"[node]\nname = x\n", ":3: [node] has no 'role'"},
        {"", ":1: [node] has no 'name'"},
        {"[net]\npeer = 10.8.0.1:7717\n", ":2: net.peer = '10.8.0.1:7717': want NODE@ADDRESS:PORT, NODE a name or fingerprint; at most 32 peers"},
        {"[net]\npeer = a@10.8.0.1:0\n", ":2: net.peer = 'a@10.8.0.1:0': want NODE@ADDRESS:PORT, NODE a name or fingerprint; at most 32 peers"},
        {"[net]\nlisten = hub.lan:7717\n", ":2: net.listen = 'hub.lan:7717': want ADDRESS:PORT, the address in digits, as 0.0.0.0:7717 or [::]:7717"},
        {"[net]\nbeacon = yes\n", ":2: net.beacon = 'yes': want on or off"},
        {"[http]\ntls = a.crt a.key\n", ":2: http.tls = 'a.crt a.key': want off, or the paths of a certificate file and a key file"},
        {"[http]\nmetrics = all\n", ":2: http.metrics = 'all': want local, on or off"},
        {"[limits]\nbatch = 101\n", ":2: limits.batch = '101': want a number from 1 to 100"},
        {"[coordinator]\nauto_settle = always\n", ":2: coordinator.auto_settle = 'always': want never or disjoint"},
        {"[coordinator]\nwaiting_alarm = 30\n", ":2: coordinator.waiting_alarm = '30': want a number with d or h"},
        {"[nodes]\n", ":1: unknown section [nodes]; did you mean [node]?"},
        {"[something]\n", ":1: unknown section [something]"},
        {"[node\n", ":1: '[node': want [SECTION]"},
        {"name = x\n", ":1: 'name': stands before any [SECTION]"},
        {"[node]\nname\n", ":2: 'name': want KEY = VALUE"},
        {"[node]\nname = \"x\n", ":2: 'name': the value's quotes do not close, or text follows them"},
        {"[node]\nname = \"x\" y\n", ":2: 'name': the value's quotes do not close, or text follows them"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int rc = read_text(cases[i].text, strlen(cases[i].text));
        if (rc != FM_EFORMAT || strcmp(why, cases[i].why) != 0)
            fail_msg("case %zu: %d '%s', expected '%s'", i, rc, why, cases[i].why);
    }
    assert_int_equal(read_text("[node]\0", 7), FM_EFORMAT);
    assert_string_equal(why, ":1: this is no text file");
}

static void test_peers_and_sizes_at_their_limits(void **state)
{
    (void)state;
    char text[8192], *at = stpcpy(text, "[node]\nname = x\nrole = camp\n[net]\n");
    for (size_t i = 0; i < FM_CONFIG_PEERS_MAX; i++)
        at = stpcpy(at, "peer = n@10.0.0.1:1\n");
    assert_int_equal(read_text(text, strlen(text)), FM_OK);
    assert_int_equal(config.peer_count, FM_CONFIG_PEERS_MAX);
    (void)stpcpy(at, "peer = n@10.0.0.1:1\n");
    assert_int_equal(read_text(text, strlen(text)), FM_EFORMAT);
    for (size_t len = FM_NAME_BYTES_MAX - 1; len <= FM_NAME_BYTES_MAX + 1; len++) {
        at = stpcpy(text, "[node]\nrole = camp\nname = ");
        memset(at, 'n', len);
        at[len] = '\0';
        assert_int_equal(read_text(text, strlen(text)), len <= FM_NAME_BYTES_MAX ? FM_OK : FM_EFORMAT);
    }
    char *big = malloc(FM_CONFIG_BYTES_MAX + 1);
    assert_non_null(big);
    memset(big, '\n', FM_CONFIG_BYTES_MAX + 1);
    memcpy(big, "[node]\nname=x\nrole=camp", 23);
    assert_int_equal(read_text(big, FM_CONFIG_BYTES_MAX), FM_OK);
    assert_int_equal(read_text(big, FM_CONFIG_BYTES_MAX + 1), FM_EFORMAT);
    free(big);
}

static void test_what_is_written_reads_back(void **state)
{
    (void)state;
    static const char *const names[] = {"Dikwa camp", "a ; b", "a;b", "# one", "\"quoted\"", " blanks ", "back\\slash ; \"x\"", "caf\xc3\xa9", "="};
    char file[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct fm_config c = {.role = "coordinator", .listen = "127.0.0.1:0", .http = "", .map_bytes = i % 2 ? 3ull << 30 : 100ull << 20};
        (void)snprintf(c.name, sizeof c.name, "%s", names[i]);
        (void)snprintf(c.peers[0], sizeof c.peers[0], "%s@10.0.0.1:7717", names[i]);
        c.peer_count = 1;
        c.auto_settle = i % 2;
        (void)snprintf(file, sizeof file, "%s/w%zu.conf", dir, i);
        assert_int_equal(fm_config_write(&c, file), FM_OK);
        assert_int_equal(fm_config_write(&c, file), FM_EEXISTS); /* it is the human's now */
        if (fm_config_read(&config, file, why, sizeof why) != FM_OK)
            fail_msg("%s", why);
        assert_string_equal(config.name, c.name);
        assert_string_equal(config.role, c.role);
        assert_string_equal(config.listen, c.listen);
        assert_string_equal(config.http, "");
        assert_string_equal(config.peers[0], c.peers[0]);
        assert_int_equal(config.peer_count, 1);
        assert_int_equal(config.map_bytes, c.map_bytes);
        assert_int_equal(config.auto_settle, c.auto_settle);
    }
}

static void test_endpoints(void **state)
{
    (void)state;
    static const struct {
        const char *text, *endpoint; /* NULL: refused */
    } cases[] = {
        {"0.0.0.0:7717", "tcp://0.0.0.0:7717"}, {"127.0.0.1:0", "tcp://127.0.0.1:*"}, {"[::1]:65535", "tcp://[::1]:65535"},
        {"[::]:0", "tcp://[::]:*"}, {"10.0.0.1:65536", NULL}, {"10.0.0.1:-1", NULL}, {"10.0.0.1:+1", NULL}, {"10.0.0.1:", NULL},
        {"10.0.0.1", NULL}, {":7717", NULL}, {"", NULL}, {"10.0.0.1:077", NULL}, {"10.0.0.1:7 ", NULL}, {"hub:7717", NULL},
        {"::1:7717", NULL}, {"[::1]", NULL}, {"[]:1", NULL}, {"[10.0.0.1]:1", NULL}, {"10.0.0:1", NULL}, {"tcp://10.0.0.1:1", NULL},
        {"*:7717", NULL}, {"10.0.0.1:*", NULL}, {"eth0;10.0.0.1:1", NULL}, {"ipc:///tmp/x:1", NULL}, {"10.0.0.1:99999999999999999999", NULL},
        {"[fe80:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[128] = "";
        int rc = fm_endpoint_parse(out, cases[i].text);
        if (rc != (cases[i].endpoint ? FM_OK : FM_EFORMAT) || (rc == FM_OK && strcmp(out, cases[i].endpoint) != 0))
            fail_msg("%s: %d %s", cases[i].text, rc, out);
    }
}

static void test_paths_follow_the_environment(void **state)
{
    (void)state;
    struct fm_paths p;
    char expected[FM_PATH_MAX];
    assert_int_equal(fm_paths_of(&p, dir), FM_OK);
    assert_string_equal(p.data, dir);
    (void)snprintf(expected, sizeof expected, "%s/fieldmesh.conf", dir);
    assert_string_equal(p.config, expected);
    (void)snprintf(expected, sizeof expected, "%s/keys", dir);
    assert_string_equal(p.keys, expected);
    (void)snprintf(expected, sizeof expected, "%s/store", dir);
    assert_string_equal(p.store, expected);
    (void)snprintf(expected, sizeof expected, "%s/run.json", dir);
    assert_string_equal(p.run, expected);
    (void)snprintf(expected, sizeof expected, "%s/control.sock", dir);
    assert_string_equal(p.socket, expected);

    setenv("HOME", dir, 1);
    unsetenv("XDG_STATE_HOME");
    unsetenv("FIELDMESH_DATA");
    assert_int_equal(fm_paths_of(&p, NULL), FM_OK);
    (void)snprintf(expected, sizeof expected, "%s/.local/state/fieldmesh", dir);
    assert_string_equal(p.data, expected);
    setenv("XDG_STATE_HOME", dir, 1);
    assert_int_equal(fm_paths_of(&p, NULL), FM_OK);
    (void)snprintf(expected, sizeof expected, "%s/fieldmesh", dir);
    assert_string_equal(p.data, expected);
    setenv("FIELDMESH_DATA", "/tmp", 1);
    assert_int_equal(fm_paths_of(&p, NULL), FM_OK);
    assert_string_equal(p.data, "/tmp");
    assert_int_equal(fm_paths_of(&p, "/"), FM_OK);
    assert_string_equal(p.data, "/");
    unsetenv("FIELDMESH_DATA");
}

static void test_one_folder_has_one_socket_however_it_is_called(void **state)
{
    (void)state;
    char deep[400], link[128], up[512];
    struct fm_paths direct, other;
    (void)snprintf(deep, sizeof deep, "%s/%080d/%080d", dir, 1, 2);
    unsetenv("XDG_RUNTIME_DIR");
    assert_int_equal(fm_paths_of(&other, deep), FM_OK); /* before it exists */
    assert_int_equal(fm_file_folder(deep, 0700), FM_OK);
    assert_int_equal(fm_paths_of(&direct, deep), FM_OK);
    assert_string_equal(direct.socket, other.socket);
    assert_true(strlen(direct.socket) < sizeof(((struct sockaddr_un *)0)->sun_path));
    assert_memory_equal(direct.socket, "/tmp/fieldmesh-", 15);
    (void)snprintf(link, sizeof link, "%s/short", dir);
    assert_int_equal(symlink(deep, link), 0);
    assert_int_equal(fm_paths_of(&other, link), FM_OK);
    assert_string_equal(direct.socket, other.socket);
    (void)snprintf(up, sizeof up, "%s/../%080d//", deep, 2);
    assert_int_equal(fm_paths_of(&other, up), FM_OK);
    assert_string_equal(direct.socket, other.socket);
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(fm_paths_of(&other, "short"), FM_OK);
    assert_string_equal(direct.data, other.data);
    /* The user's own run-time folder, if it is one. */
    setenv("XDG_RUNTIME_DIR", dir, 1);
    assert_int_equal(fm_paths_of(&other, deep), FM_OK);
    assert_memory_equal(other.socket, dir, strlen(dir));
    assert_string_equal(other.socket + strlen(dir), direct.socket + strlen("/tmp"));
    setenv("XDG_RUNTIME_DIR", deep, 1); /* itself too long */
    assert_int_equal(fm_paths_of(&other, deep), FM_OK);
    assert_string_equal(other.socket, direct.socket);
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    assert_int_equal(fm_paths_of(&other, deep), FM_OK);
    assert_string_equal(other.socket, direct.socket);
    /* Two folders, two sockets; exactly 107 bytes still fit. */
    (void)stpcpy(deep + strlen(deep), "x");
    assert_int_equal(fm_paths_of(&other, deep), FM_OK);
    assert_string_not_equal(other.socket, direct.socket);
    char edge[200];
    for (int room = 107; room <= 108; room++) {
        (void)snprintf(edge, sizeof edge, "%s/%0*d", dir, room - (int)strlen(dir) - 1 - (int)strlen("/control.sock"), 0);
        assert_int_equal(fm_paths_of(&other, edge), FM_OK);
        assert_int_equal(strncmp(other.socket, dir, strlen(dir)) == 0, room == 107);
    }
    /* A path past what we keep. */
    char endless[FM_PATH_MAX + 10];
    memset(endless, 'a', sizeof endless - 1);
    endless[0] = '/';
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(fm_paths_of(&other, endless), FM_ELIMIT);
    endless[FM_PATH_MAX - 5] = '\0';
    assert_int_equal(fm_paths_of(&other, endless), FM_ELIMIT);
}

int main(void)
{
    if (fm_crypto_init() != FM_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_file_is_read),
        cmocka_unit_test(test_what_is_absent_has_a_default),
        cmocka_unit_test(test_errors_name_line_and_remedy),
        cmocka_unit_test(test_peers_and_sizes_at_their_limits),
        cmocka_unit_test(test_what_is_written_reads_back),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_paths_follow_the_environment),
        cmocka_unit_test(test_one_folder_has_one_socket_however_it_is_called),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
