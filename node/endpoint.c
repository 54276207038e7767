/* Addresses as people type them -> endpoints for libzmq, of which only tcp:// is ever let through (TRAPS Z21). */
#include <arpa/inet.h>

#include "node/config.h"
#include "replication/error.h"

static int port_of(const char *text)
{
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 5 || text[len] != '\0' || (text[0] == '0' && len > 1))
        return -1;
    long port = strtol(text, NULL, 10);
    return port <= 65535 ? (int)port : -1;
}

int fm_endpoint_parse(char out[128], const char *text)
{
    char address[64];
    struct in6_addr parsed;
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    if (len == 0 || len >= sizeof address)
        return FM_EFORMAT;
    memcpy(address, text, len);
    address[len] = '\0';
    int port = port_of(colon + 1);
    bool six = len > 2 && address[0] == '[' && address[len - 1] == ']';
    if (six)
        address[len - 1] = '\0';
    if (port < 0 || inet_pton(six ? AF_INET6 : AF_INET, six ? address + 1 : address, &parsed) != 1)
        return FM_EFORMAT;
    if (six)
        address[len - 1] = ']';
    if (port == 0)
        (void)snprintf(out, 128, "tcp://%s:*", address);
    else
        (void)snprintf(out, 128, "tcp://%s:%d", address, port);
    return FM_OK;
}
