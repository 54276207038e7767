#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/control.h"
#include "node/control_frame.h"
#include "node/json.h"
#include "replication/bounds.h"
#include "replication/error.h"

int fm_control_frame(struct fm_span bytes, struct fm_span *text)
{
    if (bytes.len < FM_CONTROL_HEAD_BYTES)
        return FM_ENOTFOUND;
    uint64_t len = fm_be_get(bytes.data, FM_CONTROL_HEAD_BYTES);
    if (len > FM_CONTROL_BYTES_MAX)
        return FM_ELIMIT;
    if (bytes.len - FM_CONTROL_HEAD_BYTES < len)
        return FM_ENOTFOUND;
    if (text != NULL)
        *text = fm_span(bytes.data + FM_CONTROL_HEAD_BYTES, (size_t)len);
    return FM_OK;
}

int fm_control_frame_add(struct fm_buf *out, const json_t *value)
{
    char *text = fm_json_text(value);
    if (text == NULL)
        return FM_ENOMEM;
    size_t len = strlen(text);
    uint8_t head[FM_CONTROL_HEAD_BYTES];
    fm_be_put(head, len, sizeof head);
    int rc = len > FM_CONTROL_BYTES_MAX ? FM_ELIMIT : fm_buf_reserve(out, sizeof head + len);
    if (rc == FM_OK) {
        fm_buf_add(out, head, sizeof head);
        fm_buf_add(out, text, len);
    }
    free(text);
    return rc;
}

static int write_all(int fd, struct fm_span bytes)
{
    for (size_t at = 0; at < bytes.len;) {
        ssize_t sent = send(fd, bytes.data + at, bytes.len - at, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return FM_EIO;
        at += sent > 0 ? (size_t)sent : 0;
    }
    return FM_OK;
}

/* Exactly one: behind it the next answer may stand. */
static int read_frame(int fd, struct fm_buf *in, struct fm_span *text)
{
    int rc;
    while ((rc = fm_control_frame(fm_buf_span(in), text)) == FM_ENOTFOUND) {
        uint8_t bytes[65536];
        size_t whole = FM_CONTROL_HEAD_BYTES;
        if (in->len >= FM_CONTROL_HEAD_BYTES)
            whole += (size_t)fm_be_get(in->data, FM_CONTROL_HEAD_BYTES);
        ssize_t got = recv(fd, bytes, whole - in->len < sizeof bytes ? whole - in->len : sizeof bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return FM_EIO;
        rc = fm_buf_add(in, bytes, (size_t)got);
        if (rc != FM_OK)
            return rc;
    }
    return rc == FM_OK ? FM_OK : FM_EFORMAT;
}

int fm_control_ask(int fd, const json_t *request)
{
    struct fm_buf buf;
    fm_buf_init(&buf, FM_CONTROL_BYTES_MAX + FM_CONTROL_HEAD_BYTES);
    int rc = fm_control_frame_add(&buf, request);
    if (rc == FM_OK)
        rc = write_all(fd, fm_buf_span(&buf));
    fm_buf_fini(&buf);
    return rc;
}

int fm_control_call(int fd, const json_t *request, json_t **answer)
{
    int rc = fm_control_ask(fd, request);
    return rc == FM_OK ? fm_control_hear(fd, answer) : rc;
}

int fm_control_hear(int fd, json_t **answer)
{
    struct fm_buf buf;
    struct fm_span text;
    fm_buf_init(&buf, FM_CONTROL_BYTES_MAX + FM_CONTROL_HEAD_BYTES);
    int rc = read_frame(fd, &buf, &text);
    if (rc == FM_OK) {
        json_error_t error;
        /* our own node's text: depth is bounded by jansson, numbers and keys by what wrote it */
        *answer = json_loadb((const char *)text.data, text.len, 0, &error);
        rc = *answer == NULL ? FM_EFORMAT : FM_OK;
    }
    fm_buf_fini(&buf);
    return rc;
}
