/* Any bytes as ADDR:PORT. What is taken is an endpoint that libzmq reads as the same TCP address: never another transport,
 * never a host name or an interface (TRAPS Z21). */
#include <arpa/inet.h>

#include "node/config.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(1, 64)
{
    char out[128], again[128], address[64], *text = malloc(size + 1);
    struct in6_addr raw;
    FUZZ_CHECK(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (fm_endpoint_parse(out, text) == FM_OK) {
        FUZZ_CHECK(strncmp(out, "tcp://", 6) == 0 && strlen(out) < 100);
        const char *port = strrchr(out, ':');
        size_t len = (size_t)(port - (out + 6));
        FUZZ_CHECK(len > 0 && len < sizeof address && (strcmp(port, ":*") == 0 || strtol(port + 1, NULL, 10) <= 65535));
        memcpy(address, out + 6, len);
        address[len] = '\0';
        bool six = address[0] == '[';
        if (six)
            address[len - 1] = '\0';
        FUZZ_CHECK(inet_pton(six ? AF_INET6 : AF_INET, six ? address + 1 : address, &raw) == 1);
        if (strcmp(port, ":*") != 0) /* what was made of it is a text of the same form */
            FUZZ_CHECK(fm_endpoint_parse(again, out + 6) == FM_OK && strcmp(out, again) == 0);
    }
    free(text);
    return 0;
}
