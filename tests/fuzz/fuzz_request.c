/* Any bytes as a request file. Text that starts with 'f' is taken as it stands; else the first byte is left out and the
 * rest is the content, signed and armoured here: what is taken then is written again as the same file. */
#include "crypto/crypto.h"
#include "node/identity.h"
#include "tests/fuzz/armour.h"

static void is_bounded(const struct fm_request *request)
{
    size_t len = strlen(request->name);
    FUZZ_CHECK(len > 0 && len <= FM_NAME_BYTES_MAX && fm_role_name(request->role) != NULL);
    for (size_t i = 0; i < len; i++)
        FUZZ_CHECK((uint8_t)request->name[i] >= 0x20 && request->name[i] != 0x7f);
}

static void content(const struct fm_device *device, struct fm_span bytes)
{
    const struct fm_span parts[2] = {fm_span_str(FM_DOMAIN_REQUEST), bytes};
    uint8_t id[32], signature[FM_SIGNATURE_BYTES];
    struct fm_crypto port;
    struct fm_request request;
    struct fm_buf text, again;

    fm_buf_init(&text, 0);
    memset(signature, 0, sizeof signature);
    fuzz_armour(&text, "fieldmesh request 1\n", bytes, fm_span(signature, sizeof signature));
    int unsigned_rc = fm_request_decode(&request, fm_buf_span(&text));
    fm_buf_fini(&text);
    FUZZ_CHECK(unsigned_rc != FM_OK);
    if (unsigned_rc != FM_ESIGNATURE)
        return; /* nonsense, whoever signed it: no signature is worth its time */
    fm_crypto_port(&port, device);
    port.hash(port.ctx, id, sizeof id, parts, 2);
    port.sign(port.ctx, signature, id);
    fm_buf_init(&text, 0);
    fuzz_armour(&text, "fieldmesh request 1\n", bytes, fm_span(signature, sizeof signature));
    if (fm_request_decode(&request, fm_buf_span(&text)) == FM_OK) {
        is_bounded(&request);
        FUZZ_CHECK(fm_id_eq(&request.author, &device->author_public)); /* nobody else's signature is taken */
        fm_buf_init(&again, 0);
        FUZZ_CHECK(fm_request_encode(&again, &request, device) == FM_OK);
        fuzz_same(&again, fm_buf_span(&text));
    }
    fm_buf_fini(&text);
}

FUZZ_TARGET(16, 1 << 13)
{
    static const struct fm_key seed = {{7}};
    static struct fm_device device;
    static bool ready;
    struct fm_request request;

    if (!ready) {
        FUZZ_CHECK(fm_crypto_init() == FM_OK);
        fm_device_from_seed(&device, &seed);
        ready = true;
    }
    if (size > 0 && data[0] != 'f')
        content(&device, fm_span(data + 1, size - 1));
    else if (fm_request_decode(&request, fm_span(data, size)) == FM_OK)
        is_bounded(&request);
    return 0;
}
