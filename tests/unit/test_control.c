/* The control socket: requests in pieces and in rows, answers in order, what is no request, who is too many. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/control.h"
#include "node/control_frame.h"
#include "replication/error.h"

static char dir[64];
static struct fm_paths paths;
static struct fm_control *server;

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/fm_control_XXXXXX");
    if (mkdtemp(dir) == NULL || fm_paths_of(&paths, dir) != FM_OK)
        return 1;
    return fm_control_open(&server, &paths);
}

static int teardown(void **state)
{
    (void)state;
    fm_control_close(server);
    return rmdir(dir); /* the socket file is gone: the folder is empty */
}

/* Serves for a while: each request {"n": N} is answered {"n": N}, in the order they are handed out. */
static void serve(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        struct pollfd fds[FM_CONTROL_CLIENTS_MAX + 1];
        size_t count = fm_control_poll(server, fds);
        poll(fds, (nfds_t)count, fm_control_ready(server) ? 0 : 5);
        fm_control_serve(server);
        uint32_t client;
        json_t *request;
        while ((request = fm_control_next(server, &client)) != NULL) {
            fm_control_answer(server, client, request);
            json_decref(request);
        }
        fm_control_serve(server);
    }
}

static int dial(void)
{
    int fd = fm_control_connect(&paths);
    assert_true(fd >= 0);
    return fd;
}

static void put(int fd, const char *text)
{
    uint8_t head[FM_CONTROL_HEAD_BYTES];
    fm_be_put(head, strlen(text), sizeof head);
    assert_int_equal(send(fd, head, sizeof head, 0), sizeof head);
    assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

/* The next answer, if it is there: caller's. */
static json_t *get(int fd)
{
    uint8_t head[FM_CONTROL_HEAD_BYTES];
    static char text[65536];
    if (recv(fd, head, sizeof head, MSG_DONTWAIT) != sizeof head)
        return NULL;
    size_t len = (size_t)fm_be_get(head, sizeof head);
    assert_true(len < sizeof text);
    assert_int_equal(recv(fd, text, len, MSG_WAITALL), len);
    json_t *answer = json_loadb(text, len, 0, NULL);
    assert_non_null(answer);
    return answer;
}

static const char *code_of(const json_t *answer)
{
    const char *code = json_string_value(json_object_get(json_object_get(answer, "error"), "code"));
    return code != NULL ? code : "";
}

static void test_the_socket_is_ours_alone(void **state)
{
    struct stat st;
    struct fm_control *second;
    (void)state;
    assert_int_equal(stat(paths.socket, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fm_control_open(&second, &paths), FM_EBUSY);
}

static void test_a_file_left_behind_is_taken_over(void **state)
{
    (void)state;
    struct fm_control *fresh;
    /* a node that was killed: its socket file stays */
    char kept[FM_PATH_MAX + 8];
    snprintf(kept, sizeof kept, "%s.kept", paths.socket);
    assert_int_equal(rename(paths.socket, kept), 0);
    fm_control_close(server);
    server = NULL;
    assert_int_equal(rename(kept, paths.socket), 0);
    assert_int_equal(fm_control_connect(&paths), FM_ENOTFOUND);
    assert_int_equal(fm_control_open(&fresh, &paths), FM_OK);
    server = fresh;
    close(dial());
}

static void test_answers_come_in_order(void **state)
{
    int one = dial(), two = dial();
    (void)state;
    for (int i = 0; i < 50; i++) {
        char text[32];
        snprintf(text, sizeof text, "{\"n\": %d}", i);
        put(one, text); /* all at once: the client does not wait */
        if (i == 25)
            put(two, "{\"n\": 1000}");
    }
    serve(120);
    for (int i = 0; i < 50; i++) {
        json_t *answer = get(one);
        assert_non_null(answer);
        assert_int_equal(json_integer_value(json_object_get(answer, "n")), i);
        json_decref(answer);
    }
    json_t *answer = get(two);
    assert_int_equal(json_integer_value(json_object_get(answer, "n")), 1000);
    json_decref(answer);
    close(one);
    close(two);
}

static void test_a_request_in_single_bytes(void **state)
{
    static const uint8_t frame[] = {0, 0, 0, 7, '{', '"', 'n', '"', ':', '5', '}'};
    int fd = dial();
    (void)state;
    for (size_t i = 0; i < sizeof frame; i++) {
        assert_int_equal(send(fd, frame + i, 1, 0), 1);
        assert_null(get(fd));
        serve(2);
    }
    json_t *answer = get(fd);
    assert_int_equal(json_integer_value(json_object_get(answer, "n")), 5);
    json_decref(answer);
    close(fd);
}

static void test_what_is_no_request_is_answered_and_the_next_one_counts(void **state)
{
    static const char *const list[] = {"", "{", "{\"n\":1}x", "{\"n\":1,\"n\":2}", "\xff"};
    int fd = dial();
    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        put(fd, list[i]);
        put(fd, "{\"n\": 7}");
        serve(10);
        json_t *answer = get(fd);
        assert_string_equal(code_of(answer), "format");
        json_decref(answer);
        answer = get(fd);
        assert_int_equal(json_integer_value(json_object_get(answer, "n")), 7);
        json_decref(answer);
    }
    close(fd);
}

static void test_past_the_bound_is_refused_before_it_is_read(void **state)
{
    int fd = dial(), other = dial();
    uint8_t head[FM_CONTROL_HEAD_BYTES];
    char end;
    (void)state;
    fm_be_put(head, FM_CONTROL_BYTES_MAX + 1u, sizeof head);
    assert_int_equal(send(fd, head, sizeof head, 0), sizeof head);
    serve(10);
    json_t *answer = get(fd);
    assert_string_equal(code_of(answer), "limit");
    json_decref(answer);
    serve(5);
    assert_int_equal(recv(fd, &end, 1, MSG_DONTWAIT), 0); /* what follows could not be told apart: it is closed */
    put(other, "{\"n\": 1}");
    serve(5);
    answer = get(other);
    assert_non_null(answer);
    json_decref(answer);
    close(fd);
    close(other);
}

static void test_as_many_clients_as_may_be(void **state)
{
    int fds[FM_CONTROL_CLIENTS_MAX + 1];
    (void)state;
    for (size_t i = 0; i <= FM_CONTROL_CLIENTS_MAX; i++) {
        fds[i] = dial();
        put(fds[i], "{\"n\": 1}");
        serve(3);
    }
    for (size_t i = 0; i < FM_CONTROL_CLIENTS_MAX; i++) {
        json_t *answer = get(fds[i]);
        assert_non_null(answer);
        json_decref(answer);
    }
    assert_null(get(fds[FM_CONTROL_CLIENTS_MAX])); /* waits at the door */
    close(fds[3]);
    serve(10);
    json_t *answer = get(fds[FM_CONTROL_CLIENTS_MAX]);
    assert_non_null(answer);
    json_decref(answer);
    for (size_t i = 0; i <= FM_CONTROL_CLIENTS_MAX; i++)
        if (i != 3)
            close(fds[i]);
    serve(5);
}

static void test_call_waits_for_its_answer_or_the_end(void **state)
{
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            json_t *request = json_pack("{s:i}", "n", 9), *answer = NULL;
            int fd = fm_control_connect(&paths);
            int rc = fd < 0 ? fd : fm_control_call(fd, request, &answer);
            bool same = rc == FM_OK && json_equal(request, answer);
            _exit(gone ? rc == FM_EIO : same);
        }
        if (gone) { /* the node goes away with the request in hand */
            uint32_t client;
            json_t *request = NULL;
            for (int i = 0; i < 2000 && request == NULL; i++) {
                fm_control_serve(server);
                request = fm_control_next(server, &client);
                poll(NULL, 0, 1);
            }
            assert_non_null(request);
            json_decref(request);
            fm_control_close(server);
            server = NULL;
        }
        int status = 0;
        for (int i = 0; i < 2000 && waitpid(pid, &status, WNOHANG) == 0; i++) {
            if (!gone)
                serve(1);
            else
                poll(NULL, 0, 2);
        }
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_socket_is_ours_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_left_behind_is_taken_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers_come_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_request_in_single_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_request_is_answered_and_the_next_one_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_past_the_bound_is_refused_before_it_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_as_many_clients_as_may_be, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_waits_for_its_answer_or_the_end, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
