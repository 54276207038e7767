/* The key folder: who this device is, and the files that enrol it (requests and grants). Keys are 0600, never in the config. */
#ifndef FM_NODE_IDENTITY_H
#define FM_NODE_IDENTITY_H

#include "crypto/crypto.h"
#include "node/config.h"
#include "replication/act.h"

struct fm_identity {
    struct fm_device device;
    bool has_mesh;                 /* joined, or its own mesh's coordinator */
    struct fm_mesh_id mesh;
    struct fm_key root;            /* the mesh's root public key */
    struct fm_grant_id grant;      /* zeros until joined */
    bool has_root_secret;
    struct fm_device root_device;  /* only where the mesh was born and until the root key is moved to a stick */
};
/* Makes the folder and a fresh seed. 0, FM_EEXISTS, FM_EIO. */
int fm_identity_create(struct fm_identity *out, const struct fm_paths *paths);
/* 0, FM_ENOTFOUND, FM_EKEY (a file is damaged), FM_EIO. */
int fm_identity_load(struct fm_identity *out, const struct fm_paths *paths);
int fm_identity_save_mesh(const struct fm_identity *id, const struct fm_paths *paths); /* mesh, root, grant */
int fm_identity_create_root(struct fm_identity *id, const struct fm_paths *paths);     /* root seed; sets mesh and root */
/* The root secret as the key folder holds it now; gone from *id if it is gone there. 0, FM_ENOTFOUND, FM_EKEY, FM_EIO. */
int fm_identity_reload_root(struct fm_identity *id, const struct fm_paths *paths);
void fm_identity_wipe(struct fm_identity *id);
/* Key folder's open counter, which tells a store from an older copy of it. An opening takes two steps around the store's
 * commit of the new count: begin and done, both synced. begun: the last opening got no further than its first step, so that
 * the store may be one behind. None yet: 0. Damaged: a count that no store can have. 0, FM_EIO … */
int fm_identity_counter_read(const struct fm_paths *paths, uint64_t *count, bool *begun);
int fm_identity_counter_begin(const struct fm_paths *paths, uint64_t count);
int fm_identity_counter_done(const struct fm_paths *paths, uint64_t count);
/* BLAKE2b of what names this machine (/etc/machine-id, first MAC); zeros if nothing does. */
void fm_identity_machine(uint8_t out[16]);

/* Root-signed sets: the root is an author with its own lane-0 stream; its sequence lives beside its secret (keys/root.tip).
 * Appends one set with these acts to out; the secret is read from the folder each time (it may be on a stick). 0,
 * FM_ENOTFOUND (no root secret here), FM_EKEY (secret or tip damaged, or another mesh's), FM_ELIMIT, FM_EIO. */
int fm_root_sign(struct fm_buf *out, struct fm_identity *id, const struct fm_paths *paths, const struct fm_crypto *crypto,
                 const struct fm_act *const *acts, size_t count, uint64_t now_ms);
/* The last set that was signed (appended). Take it in before signing another: a crash may have kept it from the store, and
 * nothing of the root could be held behind the hole. 0, FM_ENOTFOUND (none yet), FM_EKEY, FM_EIO. */
int fm_root_last(struct fm_buf *out, const struct fm_paths *paths);
int fm_root_tip_create(const struct fm_paths *paths); /* for create_root: sequence 0 */

/* Request file: "fieldmesh request 1\n" + base64 of msgpack [bin content, bin signature by author over its hash], content
 * [author, transport, box, name, role]. Grant file: "fieldmesh grant 1\n" + base64 of msgpack [bin content, bin check],
 * content [mesh id, root key, grant id, [set bytes, …]] (all lane-0 sets that the coordinator holds, in arrival order),
 * check = BLAKE2b-128 over content. WIRE.md has both byte for byte. FM_ENEWER: of a later version. */
struct fm_request {
    struct fm_key author, transport, box;
    char name[FM_NAME_BYTES_MAX + 1];
    uint8_t role;
};
int fm_request_write(const char *file, const struct fm_request *request, const struct fm_device *device);
/* 0, FM_EFORMAT, FM_ESIGNATURE, FM_ENEWER, FM_EIO, FM_ENOTFOUND, FM_ELIMIT. */
int fm_request_read(struct fm_request *out, const char *file);
/* The same without the file; encode appends. */
int fm_request_encode(struct fm_buf *out, const struct fm_request *request, const struct fm_device *device);
int fm_request_decode(struct fm_request *out, struct fm_span text);
int fm_grant_file_write(const char *file, const struct fm_mesh_id *mesh, const struct fm_key *root,
                        const struct fm_grant_id *grant, const struct fm_span *sets, size_t count);
struct fm_grant_file {
    struct fm_mesh_id mesh;
    struct fm_key root;
    struct fm_grant_id grant;
    struct fm_buf bytes;     /* owns */
    struct fm_span *sets;    /* owns the list, borrows the bytes */
    size_t count;
};
int fm_grant_file_read(struct fm_grant_file *out, const char *file);
int fm_grant_file_encode(struct fm_buf *out, const struct fm_mesh_id *mesh, const struct fm_key *root,
                         const struct fm_grant_id *grant, const struct fm_span *sets, size_t count);
int fm_grant_file_decode(struct fm_grant_file *out, struct fm_span text); /* copies */
void fm_grant_file_fini(struct fm_grant_file *f);

/* Whole small files: written beside, synced, renamed, folder synced. 0, FM_EIO, FM_EDISKFULL, FM_ENOTFOUND, FM_ELIMIT. */
int fm_file_write(const char *file, struct fm_span bytes, unsigned mode);
int fm_file_create(const char *file, struct fm_span bytes, unsigned mode); /* never replaces: FM_EEXISTS */
int fm_file_move(const char *from, const char *to); /* in place of to; the folder is synced */
int fm_file_error(int number); /* an errno as one of ours */
/* Removes what a fm_file_write that was killed left in a folder; it may be a seed, or another name of one. name: of that file
 * only; NULL: of any. Call it where nobody else can be writing there. */
void fm_file_sweep(const char *dir, const char *name);
int fm_file_folder(const char *dir, unsigned mode); /* with its parents; one that is there is good. Synced */
int fm_file_read(const char *file, struct fm_buf *out, size_t max);

#endif
