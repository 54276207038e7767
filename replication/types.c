#include "replication/types.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/bounds.h"
#include "replication/error.h"

void fm_buf_init(struct fm_buf *buf, size_t max)
{
    *buf = (struct fm_buf){.max = max};
}

void fm_buf_fini(struct fm_buf *buf)
{
    free(buf->data);
    *buf = (struct fm_buf){.max = buf->max};
}

int fm_buf_reserve(struct fm_buf *buf, size_t more)
{
    if (more > SIZE_MAX / 2 - buf->len || (buf->max != 0 && buf->len + more > buf->max))
        return FM_ELIMIT;
    size_t need = buf->len + more;
    if (need <= buf->cap)
        return FM_OK;
    size_t cap = buf->cap < 128 ? 128 : buf->cap;
    while (cap < need)
        cap *= 2;
    uint8_t *data = realloc(buf->data, cap);
    if (data == NULL)
        return FM_ENOMEM;
    buf->data = data;
    buf->cap = cap;
    return FM_OK;
}

int fm_buf_add(struct fm_buf *buf, const void *data, size_t len)
{
    int rc = fm_buf_reserve(buf, len);
    if (rc != FM_OK)
        return rc;
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return FM_OK;
}

struct fm_arena_block {
    struct fm_arena_block *next;
    size_t used, cap;
    _Alignas(16) uint8_t bytes[];
};
#ifdef FM_SANITIZED /* in tests each piece is one of its own: overruns show, and each can be refused */
#define BLOCK_BYTES ((size_t)16)
#else
#define BLOCK_BYTES ((size_t)64 * 1024)
#endif

void *fm_arena_take(struct fm_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    size_t need = (bytes + 15) & ~(size_t)15;
    struct fm_arena_block *block = arena->first;
    if (block == NULL || block->cap - block->used < need) {
        size_t cap = need > BLOCK_BYTES ? need : BLOCK_BYTES;
        block = malloc(sizeof *block + cap);
        if (block == NULL)
            return NULL;
        *block = (struct fm_arena_block){.next = arena->first, .cap = cap};
        arena->first = block;
    }
    void *out = block->bytes + block->used;
    block->used += need;
    memset(out, 0, need);
    return out;
}

uint8_t *fm_arena_copy(struct fm_arena *arena, struct fm_span bytes)
{
    uint8_t *out = fm_arena_take(arena, bytes.len == 0 ? 1 : bytes.len);
    if (out != NULL && bytes.len > 0)
        memcpy(out, bytes.data, bytes.len);
    return out;
}

void fm_arena_reset(struct fm_arena *arena)
{
    struct fm_arena_block *keep = NULL;
    while (arena->first != NULL) {
        struct fm_arena_block *block = arena->first;
        arena->first = block->next;
        if (keep == NULL && block->cap == BLOCK_BYTES)
            keep = block;
        else
            free(block);
    }
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
    arena->first = keep;
}

void fm_arena_fini(struct fm_arena *arena)
{
    fm_arena_reset(arena);
    free(arena->first);
    arena->first = NULL;
}

static const char *const kinds[] = {NULL, "assessment", "response", "media", "entity", "assignment", "user", "policy"};
static const char *const actions[] = {NULL, "create", "update", "delete", "undo"};
static const char *const roles[] = {NULL, "root", "coordinator", "camp", "relay"};
static const char *const verdicts[] = {NULL, "counted", "quarantined", "void", "unreadable"};
static const char *const places[] = {"", "winner", "line", "open", "replaced", "settled"};
static const char *const classes[] = {"", "same", "disjoint", "overlap", "delete"};
#define COUNT(list) ((int)(sizeof(list) / sizeof(list)[0]))

static int index_of(const char *const *list, int count, struct fm_span name)
{
    for (int i = 1; i < count; i++)
        if (fm_span_eq(fm_span_str(list[i]), name))
            return i;
    return 0;
}
static const char *name_of(const char *const *list, int count, int i)
{
    return i >= 0 && i < count ? list[i] : NULL;
}

const char *fm_kind_name(int kind)
{
    return name_of(kinds, COUNT(kinds), kind);
}
int fm_kind_from(struct fm_span name)
{
    return index_of(kinds, COUNT(kinds), name);
}
const char *fm_action_name(int action)
{
    return name_of(actions, COUNT(actions), action);
}
int fm_action_from(struct fm_span name)
{
    return index_of(actions, COUNT(actions), name);
}
const char *fm_role_name(int role)
{
    return name_of(roles, COUNT(roles), role);
}
int fm_role_from(struct fm_span name)
{
    return index_of(roles, COUNT(roles), name);
}
const char *fm_verdict_name(int verdict)
{
    return name_of(verdicts, COUNT(verdicts), verdict);
}
const char *fm_place_name(int place)
{
    return name_of(places, COUNT(places), place);
}
const char *fm_class_name(int cls)
{
    return name_of(classes, COUNT(classes), cls);
}

const char *fm_why_text(int why)
{
    switch (why) {
#define X(name, text) case name: return text;
    FM_VOID_REASONS(X)
#undef X
    default: return "";
    }
}
