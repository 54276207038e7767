/* Any bytes as fieldmesh.conf: what is taken is written so that it reads back the same, and its name is one that a request
 * may carry (or a node would be named what its coordinator refuses). */
#include "crypto/crypto.h"
#include "node/config.h"
#include "node/identity.h"
#include "replication/error.h"
#include "tests/fuzz/fuzz.h"

static void same_config(const struct fm_config *a, const struct fm_config *b)
{
    FUZZ_CHECK(strcmp(a->name, b->name) == 0 && strcmp(a->role, b->role) == 0);
    FUZZ_CHECK(strcmp(a->listen, b->listen) == 0 && strcmp(a->http, b->http) == 0);
    FUZZ_CHECK(a->map_bytes == b->map_bytes && a->auto_settle == b->auto_settle && a->peer_count == b->peer_count);
    for (size_t i = 0; i < a->peer_count; i++)
        FUZZ_CHECK(strcmp(a->peers[i], b->peers[i]) == 0);
}

static void can_ask_to_join(const struct fm_config *config)
{
    static const struct fm_key seed = {{9}};
    static struct fm_device device;
    static char tried[4096][FM_NAME_BYTES_MAX + 1]; /* one name of 16, and not again: a signature takes 20 times what the rest does */
    static bool ready;
    struct fm_request request = {.role = FM_ROLE_CAMP}, back;
    struct fm_buf text;
    if (!ready) {
        FUZZ_CHECK(fm_crypto_init() == FM_OK);
        fm_device_from_seed(&device, &seed);
        ready = true;
    }
    size_t slot = 0;
    for (const char *at = config->name; *at != '\0'; at++)
        slot = slot * 31 + (uint8_t)*at;
    char *before = tried[slot % 4096];
    if (slot % 16 != 0 || strcmp(before, config->name) == 0)
        return;
    memcpy(before, config->name, strlen(config->name) + 1);
    request.author = device.author_public;
    memcpy(request.name, config->name, strlen(config->name) + 1);
    fm_buf_init(&text, 0);
    FUZZ_CHECK(fm_request_encode(&text, &request, &device) == FM_OK);
    FUZZ_CHECK(fm_request_decode(&back, fm_buf_span(&text)) == FM_OK && strcmp(back.name, config->name) == 0);
    fm_buf_fini(&text);
}

FUZZ_TARGET(8, 1 << 16)
{
    static struct fm_config config, back;
    char why[300] = "", endpoint[128];
    struct fm_buf text;

    if (fm_config_decode(&config, fm_span(data, size), "fieldmesh.conf", why, sizeof why) != FM_OK) {
        FUZZ_CHECK(strncmp(why, "fieldmesh.conf:", 15) == 0); /* it says where */
        return 0;
    }
    FUZZ_CHECK(config.peer_count <= FM_CONFIG_PEERS_MAX && fm_endpoint_parse(endpoint, config.listen) == FM_OK);
    fm_buf_init(&text, 0);
    FUZZ_CHECK(fm_config_encode(&text, &config) == FM_OK && text.len <= FM_CONFIG_BYTES_MAX);
    FUZZ_CHECK(fm_config_decode(&back, fm_buf_span(&text), "again", why, sizeof why) == FM_OK);
    same_config(&config, &back);
    can_ask_to_join(&config);
    fm_buf_fini(&text);
    return 0;
}
