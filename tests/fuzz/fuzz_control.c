/* Any bytes at the control socket of a running node: each whole frame gets one answer, in its turn; past the bound is the
 * end of the connection; nothing that a client sends takes more memory than it sent. */
#include <sys/socket.h>
#include <unistd.h>

#include "node/control.h"
#include "node/control_frame.h"
#include "node/json.h"
#include "replication/bounds.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX 65536u /* fits the socket's buffer: one process plays both sides */

static char dir[64];
static struct fm_paths paths;
static struct fm_control *server;

static void leave(void)
{
    fm_control_close(server);
    (void)rmdir(dir);
}

static void open_server(void)
{
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/fm-fuzz-XXXXXX", tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
    FUZZ_CHECK(mkdtemp(dir) != NULL && fm_paths_of(&paths, dir) == FM_OK && fm_control_open(&server, &paths) == FM_OK);
    FUZZ_CHECK(atexit(leave) == 0);
}

/* Frames that are whole; *past: then comes one that is longer than any may be. */
static size_t frames(struct fm_span bytes, bool *past)
{
    struct fm_span text;
    size_t count = 0;
    int rc;
    while ((rc = fm_control_frame(bytes, &text)) == FM_OK) {
        FUZZ_CHECK(text.data == bytes.data + FM_CONTROL_HEAD_BYTES);
        bytes = fm_span(text.data + text.len, bytes.len - FM_CONTROL_HEAD_BYTES - text.len);
        count++;
    }
    FUZZ_CHECK(rc == FM_ENOTFOUND || rc == FM_ELIMIT);
    *past = rc == FM_ELIMIT;
    return count;
}

/* Requests are answered with themselves. Reads what is there; the number of answers. */
static size_t serve(int fd, struct fm_buf *in, bool *ended)
{
    uint8_t bytes[65536];
    uint32_t client;
    json_t *request;
    ssize_t got;
    fm_control_serve(server);
    while ((request = fm_control_next(server, &client)) != NULL) {
        fm_control_answer(server, client, request);
        json_decref(request);
    }
    fm_control_serve(server);
    while ((got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        FUZZ_CHECK(fm_buf_add(in, bytes, (size_t)got) == FM_OK);
    *ended = got == 0;
    bool past;
    size_t count = frames(fm_buf_span(in), &past);
    FUZZ_CHECK(!past);
    return count;
}

FUZZ_TARGET(256, 1 << 17)
{
    struct fm_buf in;
    bool past, ended = false;
    size_t answers = 0, wanted;

    if (size > INPUT_MAX)
        return 0;
    if (server == NULL)
        open_server();
    wanted = frames(fm_span(data, size), &past) + (past ? 1 : 0);
    int fd = fm_control_connect(&paths);
    FUZZ_CHECK(fd >= 0);
    fm_buf_init(&in, 0);
    fm_control_serve(server);
    FUZZ_CHECK(size == 0 || send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size);
    for (size_t i = 0; i < wanted + 3 && (answers < wanted || ended != past); i++)
        answers = serve(fd, &in, &ended);
    answers = serve(fd, &in, &ended); /* and none that was not asked for */
    FUZZ_CHECK(answers == wanted && (!past || ended));
    (void)close(fd);
    for (int i = 0; i < 2; i++) /* the server sees that it has gone */
        fm_control_serve(server);
    struct pollfd fds[FM_CONTROL_CLIENTS_MAX + 1];
    FUZZ_CHECK(fm_control_poll(server, fds) == 1);
    fm_buf_fini(&in);
    return 0;
}
