/* The link between core and net: every kind of message survives, bounds hold, nothing blocks; and the queue in front. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/link.h"
#include "node/queue.h"
#include "replication/error.h"

static uint8_t buffer[FM_LINK_BYTES_MAX], big[FM_LINK_BYTES_MAX + 1];

static void pair(int fds[2])
{
    assert_int_equal(fm_link_pair(fds), FM_OK);
}

static void unpair(int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static void test_every_kind_survives(void **state)
{
    (void)state;
    const struct fm_key key = {{1, 2, 3, [31] = 9}};
    const struct fm_link_message list[] = {
        {.kind = FM_LINK_START, .key = key, .bytes = fm_span_str("tcp://127.0.0.1:*")},
        {.kind = FM_LINK_ALLOW, .bytes = fm_span(big, 64)},
        {.kind = FM_LINK_ALLOW},
        {.kind = FM_LINK_CONNECT, .conn = 7, .key = key, .bytes = fm_span_str("tcp://127.0.0.1:1")},
        {.kind = FM_LINK_SEND, .conn = UINT32_MAX, .bytes = fm_span_str("x")},
        {.kind = FM_LINK_DROP, .conn = 1},
        {.kind = FM_LINK_READY, .bytes = fm_span_str("tcp://127.0.0.1:5")},
        {.kind = FM_LINK_UP, .conn = 3, .key = key, .initiator = true},
        {.kind = FM_LINK_UP, .conn = 3, .key = key},
        {.kind = FM_LINK_DOWN, .conn = 3, .bytes = fm_span_str("lost")},
        {.kind = FM_LINK_MESSAGE, .conn = 3, .bytes = fm_span(big, FM_MESSAGE_BYTES_MAX)},
        {.kind = FM_LINK_REFUSED, .key = key, .bytes = fm_span_str("no-grant")},
        {.kind = FM_LINK_MEMORY, .bytes = fm_span(big, 8)},
    };
    int fds[2];
    pair(fds);
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct fm_link_message got;
        assert_int_equal(fm_link_send(fds[0], &list[i]), FM_OK);
        assert_int_equal(fm_link_receive(fds[1], buffer, &got), FM_OK);
        assert_int_equal(got.kind, list[i].kind);
        assert_int_equal(got.conn, list[i].conn);
        assert_int_equal(got.initiator, list[i].initiator);
        assert_memory_equal(got.key.b, list[i].key.b, FM_KEY_BYTES);
        assert_true(fm_span_eq(got.bytes, list[i].bytes));
    }
    unpair(fds);
}

static void test_the_largest_fits_and_one_more_does_not(void **state)
{
    (void)state;
    int fds[2];
    struct fm_link_message got, m = {.kind = FM_LINK_SEND, .conn = 1, .bytes = fm_span(big, FM_LINK_BYTES_MAX - 5)};
    pair(fds);
    assert_int_equal(fm_link_send(fds[0], &m), FM_OK);
    assert_int_equal(fm_link_receive(fds[1], buffer, &got), FM_OK);
    assert_int_equal(got.bytes.len, FM_LINK_BYTES_MAX - 5);
    m.bytes.len++;
    assert_int_equal(fm_link_send(fds[0], &m), FM_ELIMIT);
    assert_int_equal(fm_link_receive(fds[1], buffer, &got), FM_EBUSY);
    unpair(fds);
}

static void test_what_is_no_message_is_refused(void **state)
{
    (void)state;
    const struct {
        const char *what;
        size_t len;
        uint8_t bytes[40];
    } list[] = {
        {"unknown kind", 5, {99}},
        {"kind 0", 1, {0}},
        {"no room for conn", 4, {FM_LINK_SEND, 0, 0, 0}},
        {"no room for key", 36, {FM_LINK_CONNECT}},
        {"initiator 2", 38, {FM_LINK_UP, [37] = 2}},
    };
    int fds[2];
    pair(fds);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct fm_link_message got;
        assert_int_equal(send(fds[0], list[i].bytes, list[i].len, 0), list[i].len);
        if (fm_link_receive(fds[1], buffer, &got) != FM_EFORMAT)
            fail_msg("%s was taken", list[i].what);
    }
    struct fm_link_message got;
    int more = 2 * (int)sizeof big;
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &more, sizeof more);
    big[0] = FM_LINK_ALLOW;
    assert_int_equal(send(fds[0], big, sizeof big, 0), sizeof big);
    assert_int_equal(fm_link_receive(fds[1], buffer, &got), FM_EFORMAT); /* one byte past the bound */
    unpair(fds);
}

static void test_full_is_busy_and_gone_is_gone(void **state)
{
    (void)state;
    int fds[2], sent = 0, got_count = 0, rc;
    struct fm_link_message got, m = {.kind = FM_LINK_SEND, .conn = 1, .bytes = fm_span(big, FM_MESSAGE_BYTES_MAX)};
    pair(fds);
    assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fds[1], F_GETFL) & O_NONBLOCK);
    assert_int_equal(fm_link_receive(fds[1], buffer, &got), FM_EBUSY);
    while ((rc = fm_link_send(fds[0], &m)) == FM_OK)
        assert_true(++sent < 1000);
    assert_int_equal(rc, FM_EBUSY);
    assert_true(sent >= 1);
    while (fm_link_receive(fds[1], buffer, &got) == FM_OK)
        got_count++;
    assert_int_equal(got_count, sent);
    close(fds[1]);
    assert_int_equal(fm_link_send(fds[0], &m), FM_EIO);
    assert_int_equal(fm_link_receive(fds[0], buffer, &got), FM_EIO);
    close(fds[0]);
}

static void test_queue_keeps_order_and_forgets_one_connection(void **state)
{
    (void)state;
    struct fm_queue q = {.first = NULL};
    int fds[2];
    pair(fds);
    for (uint8_t i = 0; i < 9; i++)
        assert_int_equal(
            fm_queue_push(&q, &(struct fm_link_message){.kind = FM_LINK_SEND, .conn = i % 3u, .bytes = fm_span(&i, 1)}),
            FM_OK);
    fm_queue_forget(&q, 2);
    assert_int_equal(q.count, 6);
    assert_int_equal(fm_queue_flush(&q, fds[0]), FM_OK);
    assert_null(fm_queue_first(&q));
    assert_int_equal(q.bytes, 0);
    for (uint8_t i = 0; i < 9; i++) {
        struct fm_link_message got;
        if (i % 3 == 2)
            continue;
        assert_int_equal(fm_link_receive(fds[1], buffer, &got), FM_OK);
        assert_int_equal(got.bytes.data[0], i);
    }
    for (uint8_t i = 0; i < 3; i++) /* the last one taken out of the middle and of the end */
        assert_int_equal(fm_queue_push(&q, &(struct fm_link_message){.kind = FM_LINK_SEND, .conn = i}), FM_OK);
    fm_queue_forget(&q, 2);
    fm_queue_forget(&q, 0);
    assert_int_equal(fm_queue_push(&q, &(struct fm_link_message){.kind = FM_LINK_DROP, .conn = 5}), FM_OK);
    assert_int_equal(fm_queue_first(&q)->conn, 1);
    fm_queue_pop(&q);
    assert_int_equal(fm_queue_first(&q)->conn, 5);
    fm_queue_fini(&q);
    unpair(fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_survives),
        cmocka_unit_test(test_the_largest_fits_and_one_more_does_not),
        cmocka_unit_test(test_what_is_no_message_is_refused),
        cmocka_unit_test(test_full_is_busy_and_gone_is_gone),
        cmocka_unit_test(test_queue_keeps_order_and_forgets_one_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
