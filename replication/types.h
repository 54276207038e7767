/* The nouns that all rooms share: spans, ids, kinds, roles, verdicts. No function here allocates. */
#ifndef FM_REPLICATION_TYPES_H
#define FM_REPLICATION_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes; the function that hands one out says until when. */
struct fm_span {
    const uint8_t *data;
    size_t len;
};

static inline struct fm_span fm_span(const void *data, size_t len)
{
    return (struct fm_span){.data = data, .len = len};
}
static inline struct fm_span fm_span_str(const char *text)
{
    return fm_span(text, strlen(text));
}
static inline bool fm_span_eq(struct fm_span a, struct fm_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A growing buffer of its owner; max bounds it (0: FM_EFORMAT is never, FM_ENOMEM only). Freed with fm_buf_fini. */
struct fm_buf {
    uint8_t *data;
    size_t len, cap, max;
};
void fm_buf_init(struct fm_buf *buf, size_t max);
void fm_buf_fini(struct fm_buf *buf);
/* 0, FM_ENOMEM, FM_ELIMIT (past max; nothing is added). */
int fm_buf_add(struct fm_buf *buf, const void *data, size_t len);
int fm_buf_reserve(struct fm_buf *buf, size_t more);
static inline struct fm_span fm_buf_span(const struct fm_buf *buf)
{
    return fm_span(buf->data, buf->len);
}

/* Memory that is given back all at once. fm_arena_take returns zeroed, 16-byte aligned memory, or NULL. */
struct fm_arena {
    struct fm_arena_block *first;
};
void *fm_arena_take(struct fm_arena *arena, size_t bytes);
/* A copy that lives as long as the arena; NULL if there is no memory. */
uint8_t *fm_arena_copy(struct fm_arena *arena, struct fm_span bytes);
void fm_arena_reset(struct fm_arena *arena); /* keeps one block for the next use */
void fm_arena_fini(struct fm_arena *arena);

#define FM_MESH_ID_BYTES 32
#define FM_SET_ID_BYTES 32
#define FM_GRANT_ID_BYTES 32
#define FM_VERSION_ID_BYTES 24
#define FM_RECORD_ID_BYTES 16
#define FM_DATA_KEY_ID_BYTES 16
#define FM_CONFLICT_ID_BYTES 16
#define FM_STREAM_HASH_BYTES 24
#define FM_KEY_BYTES 32       /* every public key and secret key of ours */
#define FM_SIGNATURE_BYTES 64
#define FM_DIGEST_BYTES 32
#define FM_STORE_ID_BYTES 8

struct fm_mesh_id { uint8_t b[FM_MESH_ID_BYTES]; };
struct fm_set_id { uint8_t b[FM_SET_ID_BYTES]; };
struct fm_grant_id { uint8_t b[FM_GRANT_ID_BYTES]; };
struct fm_version_id { uint8_t b[FM_VERSION_ID_BYTES]; };
struct fm_record_id { uint8_t b[FM_RECORD_ID_BYTES]; };
struct fm_data_key_id { uint8_t b[FM_DATA_KEY_ID_BYTES]; };
struct fm_conflict_id { uint8_t b[FM_CONFLICT_ID_BYTES]; };
struct fm_key { uint8_t b[FM_KEY_BYTES]; };
struct fm_digest { uint8_t b[FM_DIGEST_BYTES]; };
struct fm_store_id { uint8_t b[FM_STORE_ID_BYTES]; };

/* fm_id_eq(x, y) for two pointers to the same id type. */
#define fm_id_eq(x, y) (memcmp((x)->b, (y)->b, sizeof((x)->b)) == 0)
#define fm_id_cmp(x, y) (memcmp((x)->b, (y)->b, sizeof((x)->b)))

/* DESIGN.md section 5: an author writes two lanes per incarnation, each its own sequence and hash chain. */
enum fm_lane { FM_LANE_MEMBERSHIP = 0, FM_LANE_RECORDS = 1 };
struct fm_stream {
    struct fm_key author;
    uint64_t incarnation;
    uint8_t lane;
};
static inline bool fm_stream_eq(const struct fm_stream *a, const struct fm_stream *b)
{
    return a->lane == b->lane && a->incarnation == b->incarnation && fm_id_eq(&a->author, &b->author);
}

/* The numbers are the format's (WIRE.md); a kind above FM_KIND_LAST and below FM_ACT_FIRST is one of a later version. */
enum fm_kind {
    FM_KIND_ASSESSMENT = 1, FM_KIND_RESPONSE = 2, FM_KIND_MEDIA = 3, FM_KIND_ENTITY = 4,
    FM_KIND_ASSIGNMENT = 5, FM_KIND_USER = 6, FM_KIND_POLICY = 7, FM_KIND_LAST = 7
};
enum fm_verb { FM_CREATE = 1, FM_UPDATE = 2, FM_DELETE = 3, FM_UNDO = 4 };
enum fm_role { FM_ROLE_NONE = 0, FM_ROLE_ROOT = 1, FM_ROLE_COORDINATOR = 2, FM_ROLE_CAMP = 3, FM_ROLE_RELAY = 4 };

/* Lower-case names ("assessment", "create", "camp"); NULL for a number that is none. And back: 0 if the name is none. */
const char *fm_kind_name(int kind);
int fm_kind_from(struct fm_span name);
const char *fm_action_name(int action);
int fm_action_from(struct fm_span name);
const char *fm_role_name(int role);
int fm_role_from(struct fm_span name);

/* What a held set is (section 3). */
enum fm_verdict { FM_COUNTED = 1, FM_QUARANTINED = 2, FM_VOID = 3, FM_UNREADABLE = 4 };
const char *fm_verdict_name(int verdict);

/* Why a set or a version is void; listed for people, never decides anything. */
#define FM_VOID_REASONS(X)                                                              \
    X(FM_WHY_NONE, "")                                                                  \
    X(FM_WHY_EPOCH, "its epoch lies outside its grant or below its predecessor's")      \
    X(FM_WHY_TIME, "its time lies below its predecessor's")                             \
    X(FM_WHY_BODY, "its body cannot be opened or is no list of changes")                \
    X(FM_WHY_CHANGE, "the change is not in canonical form or passes a limit")           \
    X(FM_WHY_LANE, "written in the wrong lane")                                         \
    X(FM_WHY_ROLE, "its author's role may not do this")                                 \
    X(FM_WHY_ACTION, "its action and its parents do not fit")                           \
    X(FM_WHY_NUMBER, "its version number does not fit its parents")                     \
    X(FM_WHY_PARENT, "a parent is void, of another record, or out of order")            \
    X(FM_WHY_UNDO, "it undoes what is no decision")                                     \
    X(FM_WHY_VERIFICATION, "it changes a verification that only a coordinator may")     \
    X(FM_WHY_SET, "the set that holds it is void")
enum fm_why {
#define X(name, text) name,
    FM_VOID_REASONS(X)
#undef X
};
const char *fm_why_text(int why);

/* What a version is, apart from whether its author's authority counts. */
enum fm_status { FM_VALID = 1, FM_STATUS_VOID = 2, FM_WAITING = 3, FM_UNKNOWN = 4 };
/* Where a counted version stands (section 4); FM_PLACE_NONE if it does not count. */
enum fm_place { FM_PLACE_NONE = 0, FM_PLACE_WINNER, FM_PLACE_LINE, FM_PLACE_OPEN, FM_PLACE_REPLACED, FM_PLACE_SETTLED };
enum fm_class { FM_CLASS_NONE = 0, FM_CLASS_SAME, FM_CLASS_DISJOINT, FM_CLASS_OVERLAP, FM_CLASS_DELETE };
const char *fm_place_name(int place); /* "winner", "line", "open", "replaced", "settled", "" */
const char *fm_class_name(int cls);   /* "same", "disjoint", "overlap", "delete", "" */

/* Big-endian integers, as in keys and hash inputs. */
static inline void fm_be_put(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[bytes - 1 - i] = (uint8_t)(value >> (8 * i));
}
static inline uint64_t fm_be_get(const uint8_t *in, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | in[i];
    return value;
}

#endif
