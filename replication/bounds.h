/* Every limit of fieldmesh, by name. A limit that enters a verdict belongs to the format number (law 6): changing it
 * changes FM_FORMAT. Each has a test at the limit and one past it. Reasons: docs/ARCHITECTURE.md, "Bounds". */
#ifndef FM_REPLICATION_BOUNDS_H
#define FM_REPLICATION_BOUNDS_H

#define FM_FORMAT 1u

/* Change sets and changes (enter verdicts). */
#define FM_SET_CHANGES_MAX 256u                    /* changes in one set */
#define FM_SET_BYTES_MAX (192u * 1024u)            /* one set as it travels: header, body, signature */
#define FM_SET_HEADER_BYTES_MAX 512u
#define FM_BODY_BYTES_MAX (1024u * 1024u)          /* a body after unsealing and decompression */
#define FM_CHANGE_BYTES_MAX (64u * 1024u)
#define FM_PARENTS_MAX 64u
#define FM_VERSION_MAX 2147483647u
#define FM_VERSION_STEP_MAX 1000u                  /* above the highest parent; also the highest first version */
#define FM_DEPTH_MAX 16u                           /* msgpack nesting, per change */
#define FM_MAP_ENTRIES_MAX 256u
#define FM_ARRAY_ITEMS_MAX 1024u
#define FM_NODES_MAX 4096u                         /* msgpack values in one change */
#define FM_STRING_BYTES_MAX (16u * 1024u)
#define FM_KEY_BYTES_MAX 64u
#define FM_ACTOR_BYTES_MAX 64u
#define FM_OFFLINE_ID_BYTES_MAX 64u
#define FM_NAME_BYTES_MAX 64u                      /* a node's given name */
#define FM_GRANT_DATA_KEYS_MAX 64u
#define FM_CUT_STREAMS_MAX 128u
#define FM_ADOPT_SETS_MAX 256u
#define FM_TIME_MAX ((UINT64_C(1) << 63) - 1)      /* hybrid time: 48 bits of milliseconds, 16 of counter */

/* What one node holds. */
#define FM_GRANTS_MAX 4096u
#define FM_STREAMS_MAX 8192u
#define FM_STREAM_TIPS_MAX 16u                     /* branches of a forked stream followed */
#define FM_HOLDERS_MAX 16u                         /* sets that hold one version (forks) */
#define FM_RECORD_VERSIONS_MAX 65536u              /* versions of one record; one with more shows nothing on any node */
#define FM_RECORD_VERSIONS_WRITE_MAX 32768u        /* no submission adds to it: what others write meanwhile has room */
#define FM_STATEMENT_BYTES_MAX (64u * 1024u)
#define FM_STATEMENTS_MAX 8192u

/* Sessions. */
#define FM_FRAME_BYTES_MAX (256u * 1024u)          /* one ZeroMQ frame */
#define FM_MESSAGE_FRAMES_MAX 3u
#define FM_MESSAGE_BYTES_MAX (200u * 1024u)        /* one session message; fits a SOCK_SEQPACKET datagram */
#define FM_PEERS_MAX 64u
#define FM_HANDSHAKES_MAX 16u
#define FM_CREDIT_BYTES (1024u * 1024u)            /* DATA in flight to one peer */
#define FM_BAD_VERIFIES_PER_S_MAX 20u
#define FM_STRIKES_MAX 3u
#define FM_RECEIPT_INTERVAL_MS 60000u
#define FM_SESSION_IDLE_MS 30000u
#define FM_SESSION_PING_MS 10000u

/* The shell. */
#define FM_LOOP_TURN_MS_MAX 5u
#define FM_LOOP_BACKLOG_MS_MAX 50u                 /* of what peers bring, while nobody waits for an answer */
#define FM_TURN_DIRTY_BYTES_MAX (64u * 1024u * 1024u)
#define FM_BATCH_CHANGES_MAX 100u                  /* over HTTP */
#define FM_CONTROL_BYTES_MAX (16u * 1024u * 1024u) /* one request or answer on the local control socket */
#define FM_CONTROL_CLIENTS_MAX 32u
#define FM_JSON_VALUES_MAX (1024u * 1024u)         /* values in one JSON text: the parser's memory is a multiple of it */
#define FM_CONFIG_BYTES_MAX (64u * 1024u)
#define FM_REQUEST_FILE_BYTES_MAX 4096u
#define FM_GRANT_FILE_BYTES_MAX (32u * 1024u * 1024u)
#define FM_GRANT_FILE_SETS_MAX 65536u
#define FM_NET_MEMORY_BYTES_MAX (512u * 1024u * 1024u)
#define FM_HANDSHAKE_MS_MAX 5000u
#define FM_CLOCK_AHEAD_MS_MAX (24u * 3600u * 1000u)
#define FM_OPENED_BYTES_MAX (64u * 1024u * 1024u)  /* cache of opened sets */
#define FM_PULL_PAGE_MAX 1000u
#define FM_FOLDS_PER_TURN_MAX 2000u                /* records of the to-do list folded in one turn */

#endif
