/* What names this machine, so that a cloned or moved store is noticed (DESIGN.md section 5). It must not change by itself:
 * a new name costs an incarnation. So only burnt-in addresses count (Wi-Fi draws random ones, bridges and containers make
 * theirs up), and one that is not on USB is preferred (adapters come and go). */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/identity.h"
#include "replication/error.h"

#define MAC_BYTES 6u

static bool burnt_in_address(int fd, const char *name, uint8_t out[MAC_BYTES])
{
    /* The kernel writes the address behind the head. */
    _Alignas(struct ethtool_perm_addr) uint8_t raw[sizeof(struct ethtool_perm_addr) + 32] = {0};
    struct ethtool_perm_addr head = {.cmd = ETHTOOL_GPERMADDR, .size = 32};
    struct ifreq request = {.ifr_data = (char *)raw};
    static const uint8_t none[MAC_BYTES];
    memcpy(raw, &head, sizeof head);
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%.*s", (int)sizeof request.ifr_name - 1, name);
    if (ioctl(fd, SIOCETHTOOL, &request) != 0)
        return false;
    memcpy(&head, raw, sizeof head);
    memcpy(out, raw + sizeof head, MAC_BYTES);
    return head.size == MAC_BYTES && memcmp(out, none, MAC_BYTES) != 0;
}

static bool on_usb(const char *name)
{
    char link[64];
    (void)snprintf(link, sizeof link, "/sys/class/net/%.32s", name);
    char *real = realpath(link, NULL);
    bool usb = real != NULL && strstr(real, "/usb") != NULL;
    free(real);
    return usb;
}

/* The first by name. */
static bool first_address(uint8_t out[MAC_BYTES])
{
    char best[IF_NAMESIZE] = "";
    bool best_usb = true;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct if_nameindex *list = fd < 0 ? NULL : if_nameindex();
    for (struct if_nameindex *i = list; i != NULL && i->if_index != 0; i++) {
        uint8_t address[MAC_BYTES];
        if (!burnt_in_address(fd, i->if_name, address))
            continue;
        bool usb = on_usb(i->if_name);
        if (best[0] != '\0' && (usb != best_usb ? usb : strcmp(i->if_name, best) > 0))
            continue;
        (void)snprintf(best, sizeof best, "%s", i->if_name);
        best_usb = usb;
        memcpy(out, address, MAC_BYTES);
    }
    if (list != NULL)
        if_freenameindex(list);
    if (fd >= 0)
        (void)close(fd);
    return best[0] != '\0';
}

void fm_identity_machine(uint8_t out[16])
{
    static const char domain[] = "fieldmesh machine 1";
    uint8_t address[MAC_BYTES];
    struct fm_buf bytes;
    memset(out, 0, 16);
    fm_buf_init(&bytes, 0);
    int rc = fm_buf_add(&bytes, domain, sizeof domain);
    size_t before = bytes.len;
    if (rc == FM_OK && fm_file_read("/etc/machine-id", &bytes, 64) == FM_OK && bytes.len - before < 32)
        bytes.len = before; /* "uninitialized", or empty in an image */
    if (rc == FM_OK && first_address(address))
        rc = fm_buf_add(&bytes, address, sizeof address);
    if (rc == FM_OK && bytes.len > before)
        fm_crypto_hash(out, 16, bytes.data, bytes.len);
    fm_buf_fini(&bytes);
}
