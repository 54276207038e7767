/* Running nodes as processes, over their control sockets: they meet, go on when net dies, stop cleanly, refuse to double. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/cmd.h"
#include "node/compress.h"
#include "node/control.h"
#include "node/json.h"
#include "node/loop.h"
#include "replication/error.h"

#define WAIT_MS 20000

struct running {
    struct fm_paths paths;
    struct fm_identity identity;
    pid_t pid;
    int control;
    char name[16], address[64];
};
static char dir[64];
static struct running nodes[2];

/* --- two coordinators of one mesh: the root grants both in one set, which both take in while stopped --- */

static void grant(struct fm_act *act, struct fm_buf *bytes, const struct fm_crypto *crypto, struct running *r,
                  uint64_t serial, const struct fm_mesh_id *mesh)
{
    struct fm_key data_key = {{3}};
    struct fm_grant *g = &act->grant;
    const struct fm_device *d = &r->identity.device;
    act->kind = FM_ACT_GRANT;
    *g = (struct fm_grant){.author = d->author_public, .transport = d->transport_public, .box = d->box_public,
                           .name = fm_span_str(r->name), .role = FM_ROLE_COORDINATOR, .epoch_first = 1,
                           .epoch_last = UINT32_MAX, .serial = serial, .key_count = 1};
    const struct fm_span key_parts[] = {fm_span_str(FM_DOMAIN_DATA_KEY), fm_span(data_key.b, 32)};
    crypto->hash(crypto->ctx, g->keys[0].id.b, sizeof g->keys[0].id.b, key_parts, 2);
    assert_int_equal(crypto->box(crypto->ctx, g->keys[0].sealed, &data_key, &g->box), FM_OK);
    fm_buf_init(bytes, FM_CHANGE_BYTES_MAX);
    assert_int_equal(fm_grant_encode(bytes, g), FM_OK);
    g->bytes = fm_buf_span(bytes);
    const struct fm_span parts[] = {fm_span_str(FM_DOMAIN_GRANT), fm_span(mesh->b, 32), g->bytes};
    crypto->hash(crypto->ctx, r->identity.grant.b, 32, parts, 3);
}

static void take(const struct fm_paths *paths, struct fm_span set)
{
    struct fm_node *n;
    assert_int_equal(fm_node_open(&n, paths), FM_OK);
    assert_int_equal(fm_node_begin(n), FM_OK);
    assert_int_equal(fm_node_event(n, &(struct fm_event){.kind = FM_EVENT_TAKE, .bytes = set}), FM_OK);
    assert_int_equal(fm_node_commit(n), FM_OK);
    assert_int_equal(fm_repl_role(n->repl), FM_ROLE_COORDINATOR);
    fm_node_close(n);
}

static void make_mesh(void)
{
    static struct fm_act acts[2];
    const struct fm_act *list[] = {&acts[0], &acts[1]};
    struct fm_crypto crypto = {0};
    struct fm_buf bytes[2], set;
    for (int i = 0; i < 2; i++) {
        struct running *r = &nodes[i];
        struct fm_config config = {.role = "coordinator", .listen = "127.0.0.1:0", .http = "127.0.0.1:0"};
        char data[128];
        snprintf(r->name, sizeof r->name, "Hub %d", i);
        snprintf(config.name, sizeof config.name, "%s", r->name);
        snprintf(data, sizeof data, "%s/%d", dir, i);
        assert_int_equal(mkdir(data, 0700), 0);
        assert_int_equal(fm_paths_of(&r->paths, data), FM_OK);
        assert_int_equal(fm_identity_create(&r->identity, &r->paths), FM_OK);
        assert_int_equal(fm_config_write(&config, r->paths.config), FM_OK);
    }
    struct fm_identity *first = &nodes[0].identity, *second = &nodes[1].identity;
    assert_int_equal(fm_identity_create_root(first, &nodes[0].paths), FM_OK);
    fm_crypto_port(&crypto, &first->device);
    fm_compress_port(&crypto);
    for (int i = 0; i < 2; i++)
        grant(&acts[i], &bytes[i], &crypto, &nodes[i], 1 + (uint64_t)i, &first->mesh);
    second->has_mesh = true;
    second->mesh = first->mesh;
    second->root = first->root;
    fm_buf_init(&set, FM_SET_BYTES_MAX);
    assert_int_equal(fm_root_sign(&set, first, &nodes[0].paths, &crypto, list, 2, 1000), FM_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fm_identity_save_mesh(&nodes[i].identity, &nodes[i].paths), FM_OK);
        take(&nodes[i].paths, fm_buf_span(&set));
        fm_buf_fini(&bytes[i]);
    }
    fm_buf_fini(&set);
}

/* --- running --- */

static json_t *call(struct running *r, json_t *request)
{
    json_t *answer = NULL;
    assert_int_equal(fm_control_call(r->control, request, &answer), FM_OK);
    json_decref(request);
    if (json_object_get(answer, "error") != NULL)
        fail_msg("%s", json_string_value(json_object_get(json_object_get(answer, "error"), "message")));
    return answer;
}

static pid_t run(const struct fm_paths *paths)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close_range(3, ~0u, 0);
        exit(fm_run(paths, false, true)); /* exit: ASan looks for leaks */
    }
    return pid;
}

static void start(struct running *r)
{
    r->pid = run(&r->paths);
    r->address[0] = '\0';
    for (int i = 0; i < WAIT_MS / 20 && r->address[0] == '\0'; i++, poll(NULL, 0, 20)) {
        struct fm_buf text;
        char why[100];
        fm_buf_init(&text, 65536);
        json_t *o =
            fm_file_read(r->paths.run, &text, 65536) == FM_OK ? fm_json_parse(fm_buf_span(&text), why, sizeof why) : NULL;
        const char *at = json_string_value(json_object_get(o, "nodes"));
        if (at != NULL && json_integer_value(json_object_get(o, "pid")) == r->pid)
            snprintf(r->address, sizeof r->address, "%s", at + strlen("tcp://"));
        json_decref(o);
        fm_buf_fini(&text);
    }
    assert_true(r->address[0] != '\0');
    r->control = fm_control_connect(&r->paths);
    assert_true(r->control >= 0);
}

static int wait_exit(pid_t pid)
{
    int status = -1;
    for (int i = 0; i < WAIT_MS / 20; i++, poll(NULL, 0, 20))
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1000;
}

static void stop(struct running *r, int sig)
{
    kill(r->pid, sig);
    assert_int_equal(wait_exit(r->pid), 0);
    close(r->control);
    assert_int_not_equal(access(r->paths.run, F_OK), 0);
    assert_int_not_equal(access(r->paths.socket, F_OK), 0);
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/fm_run_XXXXXX");
    if (mkdtemp(dir) == NULL || fm_crypto_init() != FM_OK)
        return 1;
    make_mesh();
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void dial(struct running *from, const struct running *to)
{
    char peer[128];
    snprintf(peer, sizeof peer, "%s@%s", to->name, to->address);
    json_decref(call(from, json_pack("{s:s, s:s}", "op", "connect", "peer", peer)));
}

/* How many connections stand at r, and how many are in step. */
static void count_peers(struct running *r, size_t *connected, size_t *in_step)
{
    json_t *answer = call(r, json_pack("{s:s}", "op", "peers")), *p;
    size_t i;
    *connected = *in_step = 0;
    json_array_foreach(json_object_get(answer, "peers"), i, p)
    {
        *connected += json_is_true(json_object_get(p, "connected"));
        *in_step += strcmp(json_string_value(json_object_get(p, "phase")), "in step") == 0;
    }
    json_decref(answer);
}

static bool both_in_step(void)
{
    size_t connected, in_step, all = 0;
    for (int i = 0; i < 2; i++) {
        count_peers(&nodes[i], &connected, &in_step);
        all += connected == 1 && in_step == 1;
    }
    return all == 2;
}

static bool same_digest(void)
{
    json_t *one = call(&nodes[0], json_pack("{s:s}", "op", "digest")),
           *two = call(&nodes[1], json_pack("{s:s}", "op", "digest"));
    bool same = json_equal(one, two);
    json_decref(one);
    json_decref(two);
    return same;
}

static void eventually(bool (*holds)(void), const char *what)
{
    for (int i = 0; i < WAIT_MS / 50; i++, poll(NULL, 0, 50))
        if (holds())
            return;
    fail_msg("never: %s", what);
}

static void add_entity(struct running *r, const char *name)
{
    json_t *answer = call(r, json_pack("{s:s, s:[{s:s, s:s, s:s, s:i, s:{s:s, s:s, s:b}}]}", "op", "submit", "changes",
                                       "type", "entity", "action", "create", "offlineId", name, "versionNumber", 1, "data",
                                       "name", name, "type", "CAMP", "isActive", 1));
    const json_t *result = json_array_get(json_object_get(answer, "results"), 0);
    if (strcmp(json_string_value(json_object_get(result, "status")), "success") != 0)
        fail_msg("%s", json_string_value(json_object_get(result, "message")));
    json_decref(answer);
}

static json_int_t records(struct running *r)
{
    json_t *answer = call(r, json_pack("{s:s}", "op", "status"));
    json_int_t count = json_integer_value(json_object_get(answer, "entities"));
    json_decref(answer);
    return count;
}
static bool two_each(void)
{
    return records(&nodes[0]) == 2 && records(&nodes[1]) == 2;
}
static bool three_each(void)
{
    return records(&nodes[0]) == 3 && records(&nodes[1]) == 3;
}

static pid_t net_pid(struct running *r)
{
    json_t *answer = call(r, json_pack("{s:s}", "op", "status"));
    pid_t pid = (pid_t)json_integer_value(json_object_get(json_object_get(answer, "net"), "pid"));
    json_decref(answer);
    return pid;
}

static void test_two_nodes_that_dial_each_other_keep_one_connection(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        start(&nodes[i]);
    add_entity(&nodes[0], "ward 1");
    dial(&nodes[0], &nodes[1]);
    dial(&nodes[1], &nodes[0]);
    eventually(both_in_step, "both in step over one connection");
    add_entity(&nodes[1], "ward 2"); /* pushed at once while connected */
    eventually(two_each, "both hold both");
    eventually(same_digest, "one digest");
    poll(NULL, 0, 2500);
    assert_true(both_in_step()); /* they do not flap */
    stop(&nodes[0], SIGTERM);
    stop(&nodes[1], SIGINT);
}

static void test_a_net_that_dies_is_started_again(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        start(&nodes[i]);
    add_entity(&nodes[0], "ward 1");
    add_entity(&nodes[1], "ward 2");
    dial(&nodes[0], &nodes[1]);
    eventually(two_each, "both hold both");
    for (int i = 0; i < 2; i++) { /* the one that dials, the one that is dialled */
        pid_t before = net_pid(&nodes[i]);
        assert_true(before > 1);
        kill(before, SIGKILL);
        for (int t = 0; t < WAIT_MS / 50 && net_pid(&nodes[i]) == before; t++)
            poll(NULL, 0, 50);
        assert_int_not_equal(net_pid(&nodes[i]), before);
        if (i == 1)
            add_entity(&nodes[0], "ward 3");
    }
    eventually(three_each, "what was added while they were apart");
    eventually(same_digest, "one digest");
    for (int i = 0; i < 2; i++)
        stop(&nodes[i], SIGTERM);
}

static bool nobody_connected(void)
{
    size_t connected, in_step, all = 0;
    for (int i = 0; i < 2; i++) {
        count_peers(&nodes[i], &connected, &in_step);
        all += connected;
    }
    return all == 0;
}

static void test_disconnect_ends_it_and_sync_needs_a_peer(void **state)
{
    json_t *answer = NULL;
    (void)state;
    for (int i = 0; i < 2; i++)
        start(&nodes[i]);
    dial(&nodes[0], &nodes[1]);
    eventually(both_in_step, "in step");
    json_decref(call(&nodes[0], json_pack("{s:s, s:s}", "op", "disconnect", "peer", nodes[1].name)));
    eventually(nobody_connected, "disconnected");
    poll(NULL, 0, 1500);
    assert_true(nobody_connected()); /* it is not dialled again */
    json_t *request = json_pack("{s:s, s:s}", "op", "sync", "peer", "Nobody");
    assert_int_equal(fm_control_call(nodes[0].control, request, &answer), FM_OK);
    assert_string_equal(json_string_value(json_object_get(json_object_get(answer, "error"), "code")), "peer-unknown");
    json_decref(request);
    json_decref(answer);
    dial(&nodes[0], &nodes[1]);
    eventually(both_in_step, "in step again");
    json_decref(call(&nodes[0], json_pack("{s:s}", "op", "stop")));
    assert_int_equal(wait_exit(nodes[0].pid), 0);
    close(nodes[0].control);
    stop(&nodes[1], SIGTERM);
}

static void test_a_second_node_on_the_folder_or_the_port_is_refused(void **state)
{
    struct fm_config config = {.name = "Hub 1", .role = "coordinator", .http = "127.0.0.1:0"};
    (void)state;
    start(&nodes[0]);
    assert_int_equal(wait_exit(run(&nodes[0].paths)), FM_EXIT_BUSY);
    assert_int_equal(access(nodes[0].paths.socket, F_OK), 0); /* the first one's is left alone */
    assert_int_equal(access(nodes[0].paths.run, F_OK), 0);
    snprintf(config.listen, sizeof config.listen, "%s", nodes[0].address);
    unlink(nodes[1].paths.config);
    assert_int_equal(fm_config_write(&config, nodes[1].paths.config), FM_OK);
    assert_int_equal(wait_exit(run(&nodes[1].paths)), FM_EXIT_FAILED);
    json_decref(call(&nodes[0], json_pack("{s:s}", "op", "status")));
    stop(&nodes[0], SIGTERM);
}

/* Killed without warning: net goes with it, the next start takes over what was left lying. */
static void test_after_a_kill_the_next_start_goes_on(void **state)
{
    (void)state;
    start(&nodes[0]);
    add_entity(&nodes[0], "ward 1");
    pid_t net = net_pid(&nodes[0]);
    kill(nodes[0].pid, SIGKILL);
    assert_int_equal(wait_exit(nodes[0].pid), -SIGKILL);
    close(nodes[0].control);
    for (int i = 0; i < 250 && kill(net, 0) == 0; i++)
        poll(NULL, 0, 20);
    assert_int_not_equal(kill(net, 0), 0);
    start(&nodes[0]);
    assert_int_equal(records(&nodes[0]), 1);
    stop(&nodes[0], SIGTERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_nodes_that_dial_each_other_keep_one_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_net_that_dies_is_started_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disconnect_ends_it_and_sync_needs_a_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_second_node_on_the_folder_or_the_port_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_after_a_kill_the_next_start_goes_on, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
