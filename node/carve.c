#include "node/carve.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "replication/error.h"
#include "replication/statement.h"
#include "replication/walk.h"

#define WINDOW_BYTES (4u << 20)
#define SKIP_BYTES 4096u /* what is passed over when the disk does not give it */
#define ARRAY_OF_TWO 0x92
#define ARRAY_OF_THREE 0x93
#define BIN8 0xc4
#define BIN16 0xc5
#define BIN32 0xc6

void fm_carve_init(struct fm_carve *c, const struct fm_crypto *crypto, const struct fm_mesh_id *mesh)
{
    *c = (struct fm_carve){.crypto = crypto, .mesh = *mesh};
}

void fm_carve_fini(struct fm_carve *c)
{
    for (size_t i = 0; i < c->fd_count; i++)
        close(c->fds[i]);
    free(c->at);
    *c = (struct fm_carve){.count = 0};
}

/* --- finding --- */

/* How long is the array of so many byte strings, the last a signature, that begins here? 0: there is none. */
static size_t length_of(struct fm_span bytes, uint32_t items)
{
    struct fm_walk w;
    struct fm_span part = {0};
    fm_walk_init(&w, bytes, items + 1);
    if (fm_walk_array_of(&w, items) != FM_OK)
        return 0;
    for (uint32_t i = 0; i < items; i++)
        if (fm_walk_bin(&w, &part, FM_SET_BYTES_MAX) != FM_OK)
            return 0;
    size_t len = (size_t)(w.at - bytes.data);
    return part.len == FM_SIGNATURE_BYTES && len <= FM_SET_BYTES_MAX ? len : 0;
}

static struct fm_carved *add(struct fm_carve *c)
{
    if (c->count == c->cap) {
        size_t cap = c->cap == 0 ? 1024 : 2 * c->cap;
        struct fm_carved *more = realloc(c->at, cap * sizeof *more);
        if (more == NULL)
            return NULL;
        c->at = more;
        c->cap = cap;
    }
    c->at[c->count] = (struct fm_carved){.file = (uint8_t)(c->fd_count - 1)};
    return &c->at[c->count++];
}

static int note_set(struct fm_carve *c, struct fm_span bytes, uint64_t offset, bool *whole)
{
    struct fm_set set;
    uint8_t hash[32];
    *whole = false;
    if (fm_set_decode(&set, bytes) != FM_OK)
        return FM_OK;
    struct fm_carved *one = add(c);
    if (one == NULL)
        return FM_ENOMEM;
    one->offset = offset;
    one->len = (uint32_t)bytes.len;
    one->stream = set.header.stream;
    one->sequence = set.header.sequence;
    one->time = set.header.time;
    one->has_prev = set.header.has_prev;
    one->prev = set.header.prev;
    fm_set_id_of(&one->id, c->crypto, &c->mesh, set.header_bytes);
    fm_body_hash_of(hash, c->crypto, set.body);
    *whole = one->whole = memcmp(hash, set.header.body_hash, sizeof hash) == 0;
    return FM_OK;
}

static int note_statement(struct fm_carve *c, struct fm_span bytes, uint64_t offset, bool *whole)
{
    struct fm_statement s;
    *whole = fm_statement_decode(&s, c->crypto, &c->mesh, bytes) == FM_OK;
    struct fm_carved *one = *whole ? add(c) : NULL;
    if (one == NULL)
        return *whole ? FM_ENOMEM : FM_OK;
    one->offset = offset;
    one->len = (uint32_t)bytes.len;
    one->statement = true;
    one->whole = true;
    one->time = s.counter;
    return FM_OK;
}

/* Looks at the beginnings below `end`; what begins there lies in the window. *at: where to look on. */
static int look(struct fm_carve *c, struct fm_span window, size_t end, uint64_t base, size_t *at)
{
    int rc = FM_OK;
    while (rc == FM_OK && *at < end) {
        const uint8_t *b = window.data + *at;
        struct fm_span rest = fm_span(b, window.len - *at);
        bool set = b[0] == ARRAY_OF_THREE, whole = false;
        size_t len = 0;
        if ((set || b[0] == ARRAY_OF_TWO) && rest.len > 1 && b[1] >= BIN8 && b[1] <= BIN32)
            len = length_of(rest, set ? 3 : 2);
        if (len > 0)
            rc = (set ? note_set : note_statement)(c, fm_span(b, len), base + *at, &whole);
        *at += whole ? len : 1;
    }
    return rc;
}

/* Fills the window; what cannot be read is zeros, and passed over. *read: bytes that were. */
static size_t fill(int fd, uint8_t *window, uint64_t offset, uint64_t size, uint64_t *read)
{
    size_t want = size - offset < WINDOW_BYTES ? (size_t)(size - offset) : WINDOW_BYTES, have = 0;
    while (have < want) {
        ssize_t got = pread(fd, window + have, want - have, (off_t)(offset + have));
        if (got > 0) {
            *read += (uint64_t)got;
        } else {
            got = want - have < SKIP_BYTES ? (ssize_t)(want - have) : SKIP_BYTES;
            memset(window + have, 0, (size_t)got);
        }
        have += (size_t)got;
    }
    return have;
}

int fm_carve_file(struct fm_carve *c, const char *file, const struct fm_store_progress *progress)
{
    uint8_t *window = malloc(WINDOW_BYTES);
    int fd = c->fd_count < FM_CARVE_FILES ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
    int rc = window == NULL ? FM_ENOMEM : fd < 0 ? FM_ENOTFOUND : end < 0 ? FM_EIO : FM_OK;
    uint64_t size = end > 0 ? (uint64_t)end : 0, read = 0;
    if (fd >= 0)
        c->fds[c->fd_count++] = fd;
    for (uint64_t base = 0; rc == FM_OK && base < size;) {
        size_t len = fill(fd, window, base, size, &read), at = 0;
        bool last = base + len == size;
        rc = look(c, fm_span(window, len), last ? len : len - FM_SET_BYTES_MAX, base, &at);
        base += at;
        if (progress != NULL && progress->at != NULL)
            progress->at(progress->ctx, base, size);
    }
    free(window);
    return rc == FM_OK && size > 0 && read == 0 ? FM_EIO : rc;
}

/* --- order --- */

static int by_number(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_id(const void *x, const void *y)
{
    const struct fm_carved *a = x, *b = y;
    int order = (int)a->statement - (int)b->statement;
    if (order == 0)
        order = fm_id_cmp(&a->id, &b->id);
    return order != 0 ? order : (int)b->whole - (int)a->whole; /* a whole copy first */
}

static int by_stream(const void *x, const void *y)
{
    const struct fm_carved *a = x, *b = y;
    int order = (int)a->statement - (int)b->statement;
    if (order == 0)
        order = fm_id_cmp(&a->stream.author, &b->stream.author);
    if (order == 0)
        order = by_number(a->stream.incarnation, b->stream.incarnation);
    if (order == 0)
        order = (int)a->stream.lane - (int)b->stream.lane;
    return order != 0 ? order : by_number(a->sequence, b->sequence);
}

static int by_time(const void *x, const void *y)
{
    const struct fm_carved *a = x, *b = y;
    int order = (int)a->statement - (int)b->statement; /* statements last: their signers are known then */
    if (order == 0)
        order = by_number(a->time, b->time);
    return order != 0 ? order : by_number(a->sequence, b->sequence);
}

/* A flipped bit of a header makes another set of it, with another place and time: only the author's word tells. */
static bool is_signed(const struct fm_carve *c, const struct fm_carved *one)
{
    struct fm_set set;
    struct fm_buf bytes;
    fm_buf_init(&bytes, 0);
    bool good = fm_carve_read(c, one, &bytes) == FM_OK && fm_set_decode(&set, fm_buf_span(&bytes)) == FM_OK &&
                c->crypto->verify(c->crypto->ctx, set.signature.data, one->id.b, &one->stream.author) == FM_OK;
    fm_buf_fini(&bytes);
    return good;
}

static void keep_once(struct fm_carve *c)
{
    size_t kept = 0;
    if (c->count > 0)
        qsort(c->at, c->count, sizeof *c->at, by_id);
    for (size_t i = 0; i < c->count; i++) {
        const struct fm_carved *one = &c->at[i];
        if (!one->statement && i > 0 && fm_id_eq(&one->id, &c->at[i - 1].id) && !c->at[i - 1].statement)
            continue;
        if (one->whole && (one->statement || is_signed(c, one)))
            c->at[kept++] = *one;
        else
            c->damaged++;
    }
    c->count = kept;
}

/* Does a set of the group that begins at `next` follow this one? */
static bool is_followed(const struct fm_carve *c, const struct fm_carved *one, size_t next)
{
    for (size_t i = next; i < c->count && !c->at[i].statement && c->at[i].sequence == one->sequence + 1 &&
                          fm_stream_eq(&c->at[i].stream, &one->stream);
         i++)
        if (c->at[i].has_prev && fm_id_eq(&c->at[i].prev, &one->id))
            return true;
    return false;
}

/* A turn that was cut off leaves sets on free pages; later ones of the same numbers took their place. Both would be a fork
 * of our own. What is followed goes before what is not, then the later one. */
static void drop_ghosts(struct fm_carve *c, const struct fm_key *self)
{
    size_t kept = 0, end;
    if (c->count > 0)
        qsort(c->at, c->count, sizeof *c->at, by_stream);
    for (size_t i = 0; i < c->count; i = end) {
        for (end = i + 1; end < c->count && by_stream(&c->at[i], &c->at[end]) == 0; end++)
            ;
        bool own = !c->at[i].statement && end - i > 1 && fm_id_eq(&c->at[i].stream.author, self);
        size_t best = i;
        for (size_t k = i; own && k < end; k++) {
            bool follows = is_followed(c, &c->at[k], end), had = is_followed(c, &c->at[best], end);
            if (follows != had ? follows : c->at[k].time > c->at[best].time)
                best = k;
        }
        struct fm_carved chosen = c->at[best];
        for (size_t k = i; k < end; k++)
            if (!own || k == i)
                c->at[kept++] = own ? chosen : c->at[k];
    }
    c->count = kept;
}

void fm_carve_order(struct fm_carve *c, const struct fm_key *self)
{
    keep_once(c);
    drop_ghosts(c, self);
    if (c->count > 0)
        qsort(c->at, c->count, sizeof *c->at, by_time);
}

int fm_carve_read(const struct fm_carve *c, const struct fm_carved *one, struct fm_buf *out)
{
    int rc = fm_buf_reserve(out, one->len);
    if (rc != FM_OK)
        return rc;
    if (pread(c->fds[one->file], out->data + out->len, one->len, (off_t)one->offset) != (ssize_t)one->len)
        return FM_EIO;
    out->len += one->len;
    return FM_OK;
}
