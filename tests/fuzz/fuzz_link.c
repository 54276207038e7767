/* Any bytes as a datagram between core and net: what is taken is sent again as the same bytes. */
#include <sys/socket.h>

#include "node/link.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(1, 512)
{
    static uint8_t received[FM_LINK_BYTES_MAX + 1];
    static int fds[2];
    struct fm_link_message m, back;

    if (fds[0] == 0)
        FUZZ_CHECK(fm_link_pair(fds) == FM_OK);
    if (size > FM_LINK_BYTES_MAX || fm_link_decode(&m, fm_span(data, size)) != FM_OK)
        return 0;
    FUZZ_CHECK(m.bytes.len < size && m.bytes.data + m.bytes.len == data + size);
    FUZZ_CHECK(fm_link_send(fds[0], &m) == FM_OK);
    FUZZ_CHECK(recv(fds[1], received, sizeof received, MSG_DONTWAIT) == (ssize_t)size && memcmp(received, data, size) == 0);
    FUZZ_CHECK(fm_link_send(fds[0], &m) == FM_OK && fm_link_receive(fds[1], received, &back) == FM_OK);
    FUZZ_CHECK(back.kind == m.kind && back.conn == m.conn && back.initiator == m.initiator && fm_id_eq(&back.key, &m.key));
    FUZZ_CHECK(fm_span_eq(back.bytes, m.bytes));
    return 0;
}
