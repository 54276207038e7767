#include "tests/support/hub.h"

#include <assert.h>
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/compress.h"
#include "node/json.h"
#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/set.h"

/* The grant that makes this device a coordinator, with the mesh's first data key; id->grant names it. */
static void grant_of(struct fm_act *act, struct fm_buf *bytes, struct fm_identity *id, const struct fm_crypto *c)
{
    static const struct fm_key data_key = {{1}};
    struct fm_grant *g = &act->grant;
    act->kind = FM_ACT_GRANT;
    *g = (struct fm_grant){.author = id->device.author_public,
                           .transport = id->device.transport_public,
                           .box = id->device.box_public,
                           .name = fm_span_str("Hub"),
                           .role = FM_ROLE_COORDINATOR,
                           .epoch_first = 1,
                           .epoch_last = UINT32_MAX,
                           .serial = 1,
                           .key_count = 1};
    fm_data_key_id_of(&g->keys[0].id, c, &data_key);
    int rc = c->box(c->ctx, g->keys[0].sealed, &data_key, &g->box);
    assert(rc == FM_OK);
    rc = fm_grant_encode(bytes, g);
    assert(rc == FM_OK);
    g->bytes = fm_buf_span(bytes);
    const struct fm_span parts[] = {fm_span_str(FM_DOMAIN_GRANT), fm_span(id->mesh.b, sizeof id->mesh.b), g->bytes};
    c->hash(c->ctx, id->grant.b, sizeof id->grant.b, parts, 3);
}

static void birth(struct fm_hub *h, struct fm_buf *set)
{
    static struct fm_act act;
    const struct fm_act *acts[] = {&act};
    const struct fm_config config = {.name = "Hub", .role = "coordinator", .listen = "127.0.0.1:0", .http = "127.0.0.1:0"};
    struct fm_identity id;
    struct fm_crypto crypto = {0};
    struct fm_buf bytes;
    int rc = fm_identity_create(&id, &h->paths);
    assert(rc == FM_OK);
    rc = fm_identity_create_root(&id, &h->paths);
    assert(rc == FM_OK);
    fm_crypto_port(&crypto, &id.device);
    fm_compress_port(&crypto);
    fm_buf_init(&bytes, FM_CHANGE_BYTES_MAX);
    grant_of(&act, &bytes, &id, &crypto);
    rc = fm_root_sign(set, &id, &h->paths, &crypto, acts, 1, 1000);
    assert(rc == FM_OK);
    rc = fm_identity_save_mesh(&id, &h->paths);
    assert(rc == FM_OK);
    rc = fm_config_write(&config, h->paths.config);
    assert(rc == FM_OK);
    fm_buf_fini(&bytes);
    fm_identity_wipe(&id);
}

void fm_hub_open(struct fm_hub *h)
{
    char data[80];
    struct fm_buf set;
    int rc = fm_crypto_init();
    assert(rc == FM_OK);
    const char *tmp = getenv("TMPDIR");
    snprintf(h->dir, sizeof h->dir, "%s/fm-hub-XXXXXX", tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
    char *made = mkdtemp(h->dir);
    assert(made != NULL);
    (void)made;
    snprintf(data, sizeof data, "%s/node", h->dir);
    rc = mkdir(data, 0700);
    assert(rc == 0);
    rc = fm_paths_of(&h->paths, data);
    assert(rc == FM_OK);
    fm_buf_init(&set, FM_SET_BYTES_MAX);
    birth(h, &set);
    rc = fm_client_open(&h->client, &h->paths);
    assert(rc == FM_OK);
    struct fm_node *n = fm_client_node(h->client);
    rc = fm_node_begin(n);
    assert(rc == FM_OK);
    rc = fm_node_event(n, &(struct fm_event){.kind = FM_EVENT_TAKE, .bytes = fm_buf_span(&set)});
    assert(rc == FM_OK);
    rc = fm_node_commit(n);
    assert(rc == FM_OK);
    fm_buf_fini(&set);
}

static void remove_all(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char path[600];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (unlink(path) != 0)
            remove_all(path);
    }
    if (d != NULL)
        closedir(d);
    rmdir(dir);
}

void fm_hub_close(struct fm_hub *h)
{
    if (h->client != NULL)
        fm_client_close(h->client);
    h->client = NULL;
    remove_all(h->dir);
}

json_t *fm_hub_call(struct fm_hub *h, const char *request)
{
    char why[200];
    json_t *answer = NULL, *value = fm_json_parse(fm_span_str(request), why, sizeof why);
    assert(value != NULL);
    int rc = fm_client_call(h->client, value, &answer);
    assert(rc == FM_OK && answer != NULL);
    json_decref(value);
    return answer;
}
