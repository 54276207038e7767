#include "node/refill.h"

#include <stdlib.h>

#include "replication/error.h"

static void file_of(const struct fm_node *n, char out[FM_PATH_MAX + 8])
{
    snprintf(out, FM_PATH_MAX + 8, "%s/grant", n->paths.keys);
}

struct kept {
    struct fm_span *sets;
    size_t count;
    struct fm_arena arena;
};

static int keep_one(struct kept *k, const struct fm_port *port, const struct fm_set_meta *meta)
{
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    int rc = port->set_bytes(port->ctx, meta->arrival, &bytes);
    struct fm_span *more = rc == FM_OK ? realloc(k->sets, (k->count + 1) * sizeof *more) : NULL;
    uint8_t *copy = more != NULL ? fm_arena_copy(&k->arena, fm_buf_span(&bytes)) : NULL;
    if (more != NULL)
        k->sets = more;
    if (copy != NULL)
        k->sets[k->count++] = fm_span(copy, bytes.len);
    fm_buf_fini(&bytes);
    return rc != FM_OK ? rc : copy != NULL ? FM_OK : FM_ENOMEM;
}

int fm_refill_save(struct fm_node *n)
{
    const struct fm_port *port = fm_store_port(n->store);
    struct kept k = {0};
    struct fm_set_meta meta = {0};
    char file[FM_PATH_MAX + 8];
    int rc;
    while ((rc = port->set_next(port->ctx, meta.arrival + 1, &meta)) == FM_OK)
        if (meta.stream.lane == FM_LANE_MEMBERSHIP && (rc = keep_one(&k, port, &meta)) != FM_OK)
            break;
    file_of(n, file);
    if (rc == FM_ENOTFOUND)
        rc = fm_grant_file_write(file, &n->identity.mesh, &n->identity.root, &n->identity.grant, k.sets, k.count);
    free(k.sets);
    fm_arena_fini(&k.arena);
    return rc;
}

int fm_refill_take(struct fm_node *n)
{
    const struct fm_port *port = fm_store_port(n->store);
    struct fm_grant_file kept;
    char file[FM_PATH_MAX + 8];
    uint64_t last = 0;
    int rc = port->arrival_last(port->ctx, &last);
    if (rc != FM_OK || last > 0 || !n->identity.has_mesh)
        return rc;
    file_of(n, file);
    if (fm_grant_file_read(&kept, file) != FM_OK)
        return FM_OK; /* none, or damaged: the grant must be brought again */
    rc = fm_id_eq(&kept.mesh, &n->identity.mesh) ? fm_node_begin(n) : FM_EFOREIGN;
    if (rc == FM_OK) {
        for (size_t i = 0; rc == FM_OK && i < kept.count; i++)
            rc = fm_node_event(n, &(struct fm_event){.kind = FM_EVENT_TAKE, .bytes = kept.sets[i]});
        int committed = fm_node_commit(n);
        rc = rc != FM_OK ? rc : committed;
    }
    fm_grant_file_fini(&kept);
    return rc == FM_EFOREIGN ? FM_OK : rc;
}
