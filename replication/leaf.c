/* Comparing and merging documents by leaf paths (DESIGN.md section 4; model/order.py leaves(), changed(), class_of()).
 *
 * Maps are sorted, so the maps at one path are walked side by side and no list of leaves is ever made: nothing here
 * allocates but the merge's output. Recursion goes one level down per map and is bounded by FM_DEPTH_MAX, as the
 * documents are checked. An empty map has no leaf: it differs from a missing one in nothing that is compared. */
#include "replication/doc.h"

#include <assert.h>

#include "replication/bounds.h"
#include "replication/error.h"
#include "replication/pack.h"
#include "replication/token.h"

enum { BASE, MINE, THEIRS, SIDES };

/* What stands at one path in the three documents; an empty span: nothing. */
struct place {
    struct fm_span at[SIDES];
};
/* The entries of the maps at one path. */
struct cursor {
    struct fm_span left[SIDES];
    struct fm_span key[SIDES], value[SIDES]; /* the entry in front; key.data NULL: none */
};

static bool is_map(struct fm_span value)
{
    return value.len > 0 && fm_token_of(value).type == FM_TOKEN_MAP;
}

/* The leaf that stands at this very path; an empty span: none. */
static struct fm_span leaf(struct fm_span value)
{
    return is_map(value) ? fm_span(NULL, 0) : value;
}

static void cursor_load(struct cursor *c, int side)
{
    struct fm_span *left = &c->left[side];
    c->key[side] = fm_span(NULL, 0);
    if (left->len == 0)
        return;
    struct fm_token key = fm_token_of(*left);
    assert(key.type == FM_TOKEN_STR);
    c->key[side] = key.text;
    *left = fm_span(left->data + key.len, left->len - key.len);
    c->value[side] = fm_span(left->data, fm_token_value_len(*left));
    *left = fm_span(left->data + c->value[side].len, left->len - c->value[side].len);
}

/* Over the entries of whichever of the three are maps. */
static void cursor_open(struct cursor *c, const struct place *p)
{
    for (int side = 0; side < SIDES; side++) {
        c->left[side] = fm_span(NULL, 0);
        if (is_map(p->at[side])) {
            size_t len = fm_token_of(p->at[side]).len;
            c->left[side] = fm_span(p->at[side].data + len, p->at[side].len - len);
        }
        cursor_load(c, side);
    }
}

/* The lowest key that is left, and what stands under it. */
static bool cursor_next(struct cursor *c, struct fm_span *key, struct place *below)
{
    *key = fm_span(NULL, 0);
    for (int side = 0; side < SIDES; side++)
        if (c->key[side].data != NULL && (key->data == NULL || fm_token_text_cmp(c->key[side], *key) < 0))
            *key = c->key[side];
    if (key->data == NULL)
        return false;
    for (int side = 0; side < SIDES; side++) {
        below->at[side] = fm_span(NULL, 0);
        if (c->key[side].data != NULL && fm_token_text_cmp(c->key[side], *key) == 0) {
            below->at[side] = c->value[side];
            cursor_load(c, side);
        }
    }
    return true;
}

static const char *const not_compared[] = {"createdAt",     "updatedAt",  "syncStatus",
                                           "versionNumber", "assessorId", "responderId"};
static const char *const verification[] = {"verificationStatus", "rejectionReason", "rejectionFeedback",
                                           "verifiedAt", "verifiedBy"};
#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static bool listed(struct fm_span key, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fm_span_eq(key, fm_span_str(list[i])))
            return true;
    return false;
}

enum scope { BELOW, TOP, TOP_CONTENT }; /* which keys of this map are left out */

static bool left_out(enum scope scope, struct fm_span key)
{
    return scope != BELOW && (listed(key, not_compared, COUNT(not_compared)) ||
                              (scope == TOP_CONTENT && listed(key, verification, COUNT(verification))));
}

/* What is known of the leaves at and under one path. */
struct tally {
    bool mine, theirs; /* changed against the base, and not alike on both sides */
    bool differ;       /* the sides have some leaf that is not the same */
    bool meet;         /* a path one side changed is one the other changed, or a beginning of it */
};

static void compare(const struct place *p, enum scope scope, struct tally *out)
{
    struct fm_span base = leaf(p->at[BASE]), mine = leaf(p->at[MINE]), theirs = leaf(p->at[THEIRS]);
    struct tally here = {.differ = !fm_span_eq(mine, theirs)};
    struct tally under = {.mine = false};
    struct cursor c;
    struct place below;
    struct fm_span key;

    if (here.differ) { /* a leaf both set alike is no difference */
        here.mine = !fm_span_eq(base, mine);
        here.theirs = !fm_span_eq(base, theirs);
    }
    cursor_open(&c, p);
    while (!under.meet && cursor_next(&c, &key, &below)) {
        struct tally one;
        if (left_out(scope, key))
            continue;
        compare(&below, BELOW, &one);
        under.mine |= one.mine;
        under.theirs |= one.theirs;
        under.differ |= one.differ;
        under.meet |= one.meet;
    }
    *out = (struct tally){
        .mine = here.mine || under.mine,
        .theirs = here.theirs || under.theirs,
        .differ = here.differ || under.differ,
        .meet = under.meet || (here.mine && (here.theirs || under.theirs)) || (here.theirs && under.mine),
    };
}

bool fm_doc_same_content(struct fm_span a, struct fm_span b)
{
    struct tally t;
    compare(&(struct place){{fm_span(NULL, 0), a, b}}, TOP_CONTENT, &t);
    return !t.differ;
}

enum fm_class fm_doc_class(struct fm_span base, struct fm_span a, struct fm_span b)
{
    struct tally t;
    compare(&(struct place){{base, a, b}}, TOP, &t);
    if (!t.differ)
        return FM_CLASS_SAME;
    return t.meet ? FM_CLASS_OVERLAP : FM_CLASS_DISJOINT;
}

/* The map's entries stand at the end of out, from `start` on: puts their count before them. */
static int close_map(struct fm_buf *out, size_t start, uint32_t count)
{
    uint8_t mark[8];
    size_t body = out->len - start;
    struct fm_pack p;

    fm_pack_init(&p, out);
    fm_pack_map(&p, count);
    if (p.error != FM_OK)
        return p.error;
    size_t len = out->len - start - body;
    assert(len <= sizeof mark);
    memcpy(mark, out->data + start + body, len);
    memmove(out->data + start + len, out->data + start, body);
    memcpy(out->data + start, mark, len);
    return FM_OK;
}

/* What the merge appended for one path. */
struct merged {
    uint32_t count; /* entries, of a map */
    bool has_leaf;  /* at this path or under it; an empty map and maps of such have none */
};

static int merge(struct fm_buf *out, const struct place *p, enum scope scope, bool is_document, bool *has_leaf);

/* Appends the merged entries of the maps at one path. */
static int merge_entries(struct fm_buf *out, const struct place *p, enum scope scope, struct merged *merged)
{
    struct cursor c;
    struct place below;
    struct fm_span key;

    *merged = (struct merged){.count = 0};
    cursor_open(&c, p);
    while (cursor_next(&c, &key, &below)) {
        struct fm_pack pack;
        size_t before = out->len;
        bool has_leaf;
        if (left_out(scope, key)) /* no difference, so nothing of it is laid over */
            below.at[BASE] = below.at[THEIRS] = fm_span(NULL, 0);
        fm_pack_init(&pack, out);
        fm_pack_str(&pack, key);
        if (pack.error != FM_OK)
            return pack.error;
        size_t value = out->len;
        int rc = merge(out, &below, BELOW, false, &has_leaf);
        if (rc != FM_OK)
            return rc;
        merged->has_leaf |= has_leaf;
        if (out->len > value)
            merged->count++;
        else
            out->len = before;
    }
    return FM_OK;
}

/* Appends what stands at this path after the merge; nothing if nothing does. */
static int merge(struct fm_buf *out, const struct place *p, enum scope scope, bool is_document, bool *has_leaf)
{
    struct fm_span base = leaf(p->at[BASE]), mine = leaf(p->at[MINE]), theirs = leaf(p->at[THEIRS]);
    bool laid_over = !fm_span_eq(base, theirs);
    size_t start = out->len;
    struct merged merged;

    *has_leaf = true;
    if (laid_over && theirs.len > 0)
        return fm_buf_add(out, theirs.data, theirs.len);
    int rc = merge_entries(out, p, scope, &merged);
    if (rc != FM_OK)
        return rc;
    if (!merged.has_leaf && mine.len > 0 && !laid_over) { /* their maps without leaves are nothing against my leaf */
        out->len = start;
        return fm_buf_add(out, mine.data, mine.len);
    }
    *has_leaf = merged.has_leaf;
    if (merged.count == 0 && !is_document) {
        /* An empty map is no leaf; it stands where it stood, unless they put it in or took it out. */
        bool in_base = is_map(p->at[BASE]), in_theirs = is_map(p->at[THEIRS]);
        if (!(in_base == in_theirs ? is_map(p->at[MINE]) : in_theirs))
            return FM_OK;
    }
    return close_map(out, start, merged.count);
}

int fm_doc_merge(struct fm_buf *out, struct fm_span base, struct fm_span a, struct fm_span b)
{
    size_t start = out->len;
    bool has_leaf;
    int rc = merge(out, &(struct place){{base, a, b}}, TOP, true, &has_leaf);
    if (rc == FM_OK)
        rc = fm_doc_check(fm_span(out->data + start, out->len - start));
    assert(rc != FM_EFORMAT);
    if (rc != FM_OK)
        out->len = start;
    return rc;
}
