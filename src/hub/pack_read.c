/* See pack.h: reading. Two passes: every entry is inflated where it stands, and what is no delta is staged; then
 * deltas, each as soon as its base is there. A result is staged whole, so a delta costs its base and itself, however
 * long the chain is; what all of them may come to is limited before anything is made. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <zlib.h>

#include "hub/commit.h"
#include "hub/git_impl.h"
#include "hub/pack.h"

#define KIND_OFS_DELTA 6
#define KIND_REF_DELTA 7
#define HEAD_BYTES 12
#define NONE UINT32_MAX

typedef struct {
    uint64_t off;         /* of its head in the pack */
    uint64_t data_off;    /* of its zlib stream */
    uint64_t data_len;    /* bytes of the stream */
    uint64_t size;        /* bytes that it inflates to */
    unsigned kind;        /* 1 to 4, 6, 7 */
    clo_oid name;         /* once known; REF_DELTA until then: its base */
    uint32_t child, next; /* OFS_DELTA: the first that has this one as base; the next with the same base */
    bool done;
} entry;

typedef struct {
    clo_git *g;
    clo_bytes pack;
    size_t at;
    entry *rows; /* owned [n] */
    size_t n;
    uint32_t *by_base; /* owned [n_refs]: REF_DELTAs by their base */
    size_t n_refs;
    uint64_t inflated; /* bytes of all objects so far */
    clo_oid_map *names;
} reader;

static bool bad(clo_err *err, uint64_t at, const char *what)
{
    return clo_fail_at(err, at, "pack: %s", what);
}

/* --- deltas -------------------------------------------------------------------------------------------------------*/

static bool delta_int(uint64_t *out, clo_bytes *d, clo_err *err)
{
    uint64_t v = 0;
    for (unsigned shift = 0; d->len && shift < 63; shift += 7) {
        uint8_t b = d->ptr[0];
        *d = (clo_bytes){d->ptr + 1, d->len - 1};
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            *out = v;
            return true;
        }
    }
    return clo_fail(err, CLO_ERR_FORMAT, "delta: a size is cut or too long");
}

bool clo_delta_size(uint64_t *base, uint64_t *result, clo_bytes *delta, clo_err *err)
{
    return delta_int(base, delta, err) && delta_int(result, delta, err);
}

/* A number of a copy: the bytes that the bits of `op` name, little-endian. */
static bool copy_part(uint64_t *out, clo_bytes *d, unsigned bits, unsigned n)
{
    *out = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!(bits >> i & 1)) continue;
        if (d->len == 0) return false;
        *out |= (uint64_t)d->ptr[0] << (8 * i);
        *d = (clo_bytes){d->ptr + 1, d->len - 1};
    }
    return true;
}

bool clo_delta_apply(clo_buf *out, clo_bytes base, clo_bytes delta, clo_err *err)
{
    uint64_t n_base, n_result, off, n;
    size_t before = out->len;
    if (!clo_delta_size(&n_base, &n_result, &delta, err)) return false;
    if (n_base != base.len)
        return clo_fail(err, CLO_ERR_FORMAT, "delta: for a base of %llu bytes, not %zu", (unsigned long long)n_base,
                        base.len);
    if (n_result > CLO_GIT_OBJECT_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "delta: makes %llu bytes", (unsigned long long)n_result);
    while (delta.len) {
        uint8_t op = delta.ptr[0];
        delta = (clo_bytes){delta.ptr + 1, delta.len - 1};
        clo_bytes from = base;
        if (op & 0x80) {
            if (!copy_part(&off, &delta, op & 15, 4) || !copy_part(&n, &delta, op >> 4 & 7, 3))
                return clo_fail(err, CLO_ERR_FORMAT, "delta: a copy is cut");
            if (n == 0) n = 0x10000;
        } else {
            if (op == 0) return clo_fail(err, CLO_ERR_FORMAT, "delta: an unknown order");
            from = delta;
            off = 0;
            n = op;
        }
        if (off > from.len || n > from.len - off)
            return clo_fail(err, CLO_ERR_FORMAT, "delta: bytes beyond their source");
        if (n > n_result - (out->len - before)) return clo_fail(err, CLO_ERR_FORMAT, "delta: makes more than it says");
        clo_buf_add(out, (clo_str){(const char *)from.ptr + off, (size_t)n});
        if (!(op & 0x80)) delta = (clo_bytes){delta.ptr + n, delta.len - (size_t)n};
    }
    if (out->len - before != n_result)
        return out->failed ? clo_buf_ok(out, err) : clo_fail(err, CLO_ERR_FORMAT, "delta: makes less than it says");
    return clo_buf_ok(out, err);
}

/* --- entries ------------------------------------------------------------------------------------------------------*/

static bool read_head(entry *e, reader *r, clo_err *err)
{
    size_t at = r->at;
    unsigned shift = 4;
    uint8_t b;
    e->off = at;
    if (at >= r->pack.len) return bad(err, at, "ends before its last object");
    b = r->pack.ptr[at++];
    e->kind = b >> 4 & 7;
    e->size = b & 15;
    while (b & 0x80) {
        if (at >= r->pack.len || shift > 57) return bad(err, e->off, "the size of an object is cut or too long");
        b = r->pack.ptr[at++];
        e->size |= (uint64_t)(b & 0x7f) << shift;
        shift += 7;
    }
    r->at = at;
    return (e->kind >= 1 && e->kind <= 4) || e->kind == KIND_OFS_DELTA || e->kind == KIND_REF_DELTA ||
           bad(err, e->off, "an object of unknown kind");
}

static uint32_t entry_at(const reader *r, uint64_t off, size_t n)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (r->rows[mid].off < off) low = mid + 1;
        else high = mid;
    }
    return low < n && r->rows[low].off == off ? (uint32_t)low : NONE;
}

static bool read_base(entry *e, reader *r, size_t i, clo_err *err)
{
    if (e->kind == KIND_REF_DELTA) {
        if (r->pack.len - r->at < CLO_OID_BYTES) return bad(err, r->at, "the name of a base is cut");
        memcpy(e->name.b, r->pack.ptr + r->at, CLO_OID_BYTES);
        r->at += CLO_OID_BYTES;
        r->by_base[r->n_refs++] = (uint32_t)i;
        return true;
    }
    uint64_t back = 0;
    for (int k = 0;; k++) {
        if (r->at >= r->pack.len || k > 8) return bad(err, e->off, "the distance to a base is cut or too long");
        uint8_t b = r->pack.ptr[r->at++];
        back = (k ? (back + 1) << 7 : 0) | (b & 0x7f);
        if (!(b & 0x80)) break;
    }
    uint32_t base = back && back <= e->off ? entry_at(r, e->off - back, i) : NONE;
    if (base == NONE) return bad(err, e->off, "a base that is no object before");
    e->next = r->rows[base].child;
    r->rows[base].child = (uint32_t)i;
    return true;
}

/* What an object may come to, before it is made. */
static bool count_bytes(reader *r, const entry *e, uint64_t size, clo_err *err)
{
    if (size > CLO_GIT_OBJECT_MAX || (e->kind == CLO_GIT_BLOB && size > CLO_COMMIT_FILE_MAX))
        return clo_fail(err, CLO_ERR_LIMIT,
                        "a file of %llu bytes: files over %zu MiB are kept with git-lfs (git lfs migrate import)",
                        (unsigned long long)size, CLO_COMMIT_FILE_MAX >> 20);
    r->inflated += size;
    return r->inflated <= CLO_PACK_INFLATED_MAX || clo_fail(err, CLO_ERR_LIMIT, "pack: more than %llu bytes of objects",
                                                            (unsigned long long)CLO_PACK_INFLATED_MAX);
}

/* Inflates the stream at the reading position, which must give exactly size bytes, and goes on behind it. */
static bool inflate_here(uint8_t *out, entry *e, reader *r, clo_err *err)
{
    z_stream z = {0};
    uint8_t none;
    if (inflateInit(&z) != Z_OK) return clo_fail(err, CLO_ERR_MEMORY, "pack");
    z.next_in = (Bytef *)(uintptr_t)(r->pack.ptr + r->at);
    z.avail_in = (uInt)(r->pack.len - r->at);
    z.next_out = e->size ? out : &none;
    z.avail_out = (uInt)e->size + (e->size ? 0 : 1);
    int rc = inflate(&z, Z_FINISH);
    bool ok = rc == Z_STREAM_END && z.total_out == e->size;
    e->data_off = r->at;
    e->data_len = z.total_in;
    inflateEnd(&z);
    r->at += e->data_len;
    return ok || bad(err, e->off, "an object does not inflate to its size");
}

static bool note_name(reader *r, const clo_oid *name, clo_err *err)
{
    bool is_new;
    return clo_oid_map_put(r->names, name, &is_new) != NULL || clo_fail(err, CLO_ERR_MEMORY, "pack");
}

static bool stage_whole(entry *e, reader *r, const uint8_t *bytes, clo_err *err)
{
    git_oid id;
    int rc = git_odb_hash(&id, e->size ? bytes : (const uint8_t *)"", (size_t)e->size, (git_object_t)e->kind);
    if (rc < 0) return clo_git_fail(err, rc, "name an object");
    e->name = clo_oid_of(&id);
    e->done = true;
    return clo_git_stage_deflated(r->g, &e->name, (clo_git_kind)e->kind, (size_t)e->size,
                                  (clo_bytes){r->pack.ptr + e->data_off, (size_t)e->data_len}, err) &&
           note_name(r, &e->name, err);
}

static bool read_entry(reader *r, size_t i, clo_err *err)
{
    entry *e = &r->rows[i];
    bool is_delta;
    *e = (entry){.child = NONE, .next = NONE};
    if (!read_head(e, r, err)) return false;
    is_delta = e->kind >= KIND_OFS_DELTA;
    if ((is_delta && !read_base(e, r, i, err)) || !count_bytes(r, e, e->size, err)) return false;
    uint8_t *bytes = malloc((size_t)e->size + 1);
    if (!bytes) return clo_fail(err, CLO_ERR_MEMORY, "pack");
    bool ok = inflate_here(bytes, e, r, err);
    if (ok && !is_delta) ok = stage_whole(e, r, bytes, err);
    if (ok && is_delta) {
        uint64_t n_base, n_result;
        clo_bytes d = {bytes, (size_t)e->size};
        ok = clo_delta_size(&n_base, &n_result, &d, err) && count_bytes(r, e, n_result, err);
    }
    free(bytes);
    return ok;
}

/* --- resolving ----------------------------------------------------------------------------------------------------*/

/* The bytes of a delta, inflated again: keeping them all would double what a pack costs. */
static bool delta_bytes(clo_buf *out, const entry *e, const reader *r, clo_err *err)
{
    uLongf n = (uLongf)e->size;
    char *p = clo_buf_reserve(out, (size_t)e->size + 1);
    if (!p) return clo_buf_ok(out, err);
    if (uncompress((Bytef *)p, &n, r->pack.ptr + e->data_off, (uLong)e->data_len) != Z_OK)
        return bad(err, e->off, "a delta does not inflate");
    out->len += n;
    return true;
}

static bool apply(entry *e, reader *r, clo_bytes base, clo_git_kind kind, clo_err *err)
{
    clo_buf delta = {.max = CLO_GIT_OBJECT_MAX + 64}, bytes = {.max = CLO_GIT_OBJECT_MAX + 64};
    bool ok = delta_bytes(&delta, e, r, err) && clo_delta_apply(&bytes, base, clo_bytes_of(clo_buf_str(&delta)), err);
    if (ok && kind == CLO_GIT_BLOB && bytes.len > CLO_COMMIT_FILE_MAX)
        ok = clo_fail(err, CLO_ERR_LIMIT,
                      "a file of %zu bytes: files over %zu MiB are kept with git-lfs (git lfs migrate import)",
                      bytes.len, CLO_COMMIT_FILE_MAX >> 20);
    ok = ok && clo_git_put(&e->name, r->g, kind, clo_bytes_of(clo_buf_str(&bytes)), err) && note_name(r, &e->name, err);
    e->done = ok;
    clo_buf_free(&delta);
    clo_buf_free(&bytes);
    return ok;
}

static int by_base(const void *pa, const void *pb, void *ctx)
{
    const reader *r = ctx;
    return memcmp(r->rows[*(const uint32_t *)pa].name.b, r->rows[*(const uint32_t *)pb].name.b, CLO_OID_BYTES);
}

/* The first REF_DELTA whose base is not before `name`. */
static size_t first_with_base(const reader *r, const clo_oid *bases, const clo_oid *name)
{
    size_t low = 0, high = r->n_refs;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (memcmp(bases[mid].b, name->b, CLO_OID_BYTES) < 0) low = mid + 1;
        else high = mid;
    }
    return low;
}

typedef struct {
    uint32_t *stack; /* owned [n]: entries that are there and whose dependents are to be made */
    size_t depth;
    clo_oid *bases; /* owned [n_refs]: of by_base, for entries lose theirs when they are named */
} work;

/* Makes everything that stands on an object which is there. */
static bool make_dependents(reader *r, work *w, const clo_oid *name, uint32_t first_child, clo_err *err)
{
    clo_buf base = {.max = CLO_GIT_OBJECT_MAX + 64};
    clo_git_kind kind = CLO_GIT_BLOB;
    size_t ref = first_with_base(r, w->bases, name);
    bool any_ref = ref < r->n_refs && clo_oid_eq(&w->bases[ref], name);
    if (first_child == NONE && !any_ref) return true;
    bool ok = clo_git_read(&base, &kind, r->g, name, err);
    clo_bytes bytes = clo_bytes_of(clo_buf_str(&base));
    for (uint32_t i = first_child; ok && i != NONE; i = r->rows[i].next) {
        ok = apply(&r->rows[i], r, bytes, kind, err);
        if (ok) w->stack[w->depth++] = i;
    }
    for (; ok && ref < r->n_refs && clo_oid_eq(&w->bases[ref], name); ref++) {
        uint32_t i = r->by_base[ref];
        if (r->rows[i].done) continue;
        ok = apply(&r->rows[i], r, bytes, kind, err);
        if (ok) w->stack[w->depth++] = i;
    }
    clo_buf_free(&base);
    return ok;
}

static bool drain(reader *r, work *w, clo_err *err)
{
    while (w->depth) {
        const entry *e = &r->rows[w->stack[--w->depth]];
        if (!make_dependents(r, w, &e->name, e->child, err)) return false;
    }
    return true;
}

static bool resolve(reader *r, clo_err *err)
{
    work w = {.stack = calloc(r->n ? r->n : 1, sizeof *w.stack),
              .bases = calloc(r->n_refs ? r->n_refs : 1, sizeof *w.bases)};
    bool ok = (w.stack && w.bases) || clo_fail(err, CLO_ERR_MEMORY, "pack");
    if (ok) {
        if (r->n_refs > 1) qsort_r(r->by_base, r->n_refs, sizeof *r->by_base, by_base, r);
        for (size_t i = 0; i < r->n_refs; i++) w.bases[i] = r->rows[r->by_base[i]].name;
        /* Whole objects first, then bases that only the repository has. */
        for (size_t i = r->n; i-- > 0;)
            if (r->rows[i].done) w.stack[w.depth++] = (uint32_t)i;
        ok = drain(r, &w, err);
    }
    for (size_t i = 0; ok && i < r->n_refs; i++) {
        if (r->rows[r->by_base[i]].done) continue;
        const entry *e = &r->rows[r->by_base[i]];
        clo_git_kind kind;
        uint64_t size = 0;
        if (!clo_git_head(&kind, &size, r->g, &w.bases[i], NULL))
            ok = bad(err, e->off, "a delta whose base is not there");
        ok = ok && count_bytes(r, e, size, err) && make_dependents(r, &w, &w.bases[i], NONE, err) && drain(r, &w, err);
    }
    for (size_t i = 0; ok && i < r->n; i++)
        ok = r->rows[i].done || bad(err, r->rows[i].off, "a delta whose base is not there");
    free(w.stack);
    free(w.bases);
    return ok;
}

/* --- the whole ----------------------------------------------------------------------------------------------------*/

static bool check_sum(clo_bytes pack, clo_err *err)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    size_t n = pack.len - CLO_OID_BYTES;
    if (EVP_Digest(pack.ptr, n, sum, NULL, EVP_sha1(), NULL) != 1) return clo_fail(err, CLO_ERR_MEMORY, "pack");
    return memcmp(sum, pack.ptr + n, CLO_OID_BYTES) == 0 || bad(err, n, "its SHA-1 is another");
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool clo_pack_read(clo_oid_map *names, clo_git *g, clo_bytes pack, clo_err *err)
{
    reader r = {.g = g, .at = HEAD_BYTES, .names = names};
    if (pack.len > CLO_PACK_BYTES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "pack: %zu bytes, limit %zu", pack.len, CLO_PACK_BYTES_MAX);
    if (pack.len < HEAD_BYTES + CLO_OID_BYTES || memcmp(pack.ptr, "PACK", 4) != 0)
        return bad(err, 0, "it does not begin like one");
    uint32_t version = be32(pack.ptr + 4), n = be32(pack.ptr + 8);
    if (version != 2 && version != 3) return bad(err, 4, "its version is neither 2 nor 3");
    if (n > CLO_PACK_OBJECTS_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "pack: %u objects, limit %d", n, CLO_PACK_OBJECTS_MAX);
    if (n > pack.len / 4) return bad(err, 8, "more objects than bytes for them");
    if (!check_sum(pack, err)) return false;
    r.pack = (clo_bytes){pack.ptr, pack.len - CLO_OID_BYTES};
    r.rows = calloc(n ? n : 1, sizeof *r.rows);
    r.by_base = calloc(n ? n : 1, sizeof *r.by_base);
    bool ok = (r.rows && r.by_base) || clo_fail(err, CLO_ERR_MEMORY, "pack");
    for (; ok && r.n < n; r.n++) ok = read_entry(&r, r.n, err);
    if (ok && r.at != r.pack.len) ok = bad(err, r.at, "bytes behind its last object");
    ok = ok && resolve(&r, err);
    free(r.rows);
    free(r.by_base);
    return ok;
}
