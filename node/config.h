/* DIR/fieldmesh.conf, written once by init, then the human's (UX.md "Config file"), and where everything lies. */
#ifndef FM_NODE_CONFIG_H
#define FM_NODE_CONFIG_H

#include "replication/bounds.h"
#include "replication/types.h"

#define FM_PATH_MAX 1024

/* All under one data folder (--data DIR, else $FIELDMESH_DATA, else the XDG state folder; UX.md). */
struct fm_paths {
    char data[FM_PATH_MAX];    /* DIR */
    char config[FM_PATH_MAX];  /* DIR/fieldmesh.conf */
    char keys[FM_PATH_MAX];    /* DIR/keys/ : device.seed, mesh, open-counter, root.seed (coordinator that gave birth) */
    char store[FM_PATH_MAX];   /* DIR/store/ : data.mdb, lock.mdb, lock */
    char socket[FM_PATH_MAX];  /* DIR/control.sock (a short name in /tmp is bound if the path is too long: socket says) */
    char run[FM_PATH_MAX];     /* DIR/run.json : what the running node listens on, pid */
};
/* data: NULL takes the environment's. 0 or FM_ELIMIT (path too long). */
int fm_paths_of(struct fm_paths *out, const char *data);

#define FM_CONFIG_PEERS_MAX 32
struct fm_config {
    char name[FM_NAME_BYTES_MAX + 1];
    char role[16];
    char listen[128];                         /* ADDR:PORT; port 0: a free one */
    char http[128];
    char peers[FM_CONFIG_PEERS_MAX][128];     /* NODE@ADDR:PORT, NODE a name or fingerprint */
    size_t peer_count;
    uint64_t map_bytes;
    bool auto_settle;                         /* coordinator.auto_settle = disjoint */
};
/* 0; FM_ENOTFOUND; FM_EFORMAT, and why holds one sentence with FILE:LINE. */
int fm_config_read(struct fm_config *out, const char *file, char *why, size_t why_len);
/* The same without reading the file: its text; file is named in why. */
int fm_config_decode(struct fm_config *out, struct fm_span text, const char *file, char *why, size_t why_len);
int fm_config_encode(struct fm_buf *out, const struct fm_config *config); /* appends */
/* Writes a commented file (temp, sync, rename). 0, FM_EIO, FM_EEXISTS. */
int fm_config_write(const struct fm_config *config, const char *file);
/* "ADDR:PORT" with ADDR an IPv4 or [IPv6] literal, port 0..65535 -> "tcp://ADDR:PORT" (port 0: "*"). 0 or FM_EFORMAT. */
int fm_endpoint_parse(char out[128], const char *text);

#endif
