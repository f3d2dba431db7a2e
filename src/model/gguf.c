/* Reading GGUF v2 and v3. Layout (all little-endian; docs/formats/gguf.md has the long form):
 *
 *   off  size  field
 *   0    4     magic "GGUF"
 *   4    4     version: 2 or 3; a zero low half means a big-endian file
 *   8    8     tensor count
 *   16   8     key count
 *   24         keys: str key, u32 type, value
 *        .     tensors: str name, u32 n_dims, u64 dims[n_dims] (fastest first), u32 type, u64 offset
 *        .     zeros up to the alignment
 *        .     data: tensor i at the end of tensor i-1 rounded up to the alignment
 *   str = u64 length and bytes; array = u32 element type, u64 count, elements
 *
 * Stricter than the reference reader: keys are printable ASCII, dimensions are not zero, nothing but padding follows the
 * last tensor. A file that llama.cpp's own tools wrote passes; what passes has one reading only. */
#include "model/gguf.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/cursor.h"

#define GGUF_KV_MAX 65536u
#define GGUF_TENSORS_MAX 131072u
#define GGUF_KEY_BYTES_MAX 65535u
#define GGUF_NAME_BYTES_MAX 255u
#define GGUF_ARRAY_MAX (1ull << 30)
#define GGUF_STR_BYTES_MAX (1ull << 30)
#define GGUF_DIMS_MAX 4u
#define GGUF_ALIGNMENT_MAX (1u << 20)
#define GGUF_ALIGNMENT_DEFAULT 32u
#define GGUF_KV_BYTES_MIN 14u     /* u64 length, one byte, u32 type, one byte of value */
#define GGUF_TENSOR_BYTES_MIN 33u /* u64 length, one byte, u32, one u64, u32, u64 */

/* Bytes of a scalar of each type; 0 for strings and arrays, whose size varies. */
static const uint8_t scalar_bytes[] = {
    [CLO_GGUF_U8] = 1,  [CLO_GGUF_I8] = 1,  [CLO_GGUF_U16] = 2,  [CLO_GGUF_I16] = 2, [CLO_GGUF_U32] = 4,
    [CLO_GGUF_I32] = 4, [CLO_GGUF_F32] = 4, [CLO_GGUF_BOOL] = 1, [CLO_GGUF_STR] = 0, [CLO_GGUF_ARRAY] = 0,
    [CLO_GGUF_U64] = 8, [CLO_GGUF_I64] = 8, [CLO_GGUF_F64] = 8,
};
#define GGUF_TYPES (sizeof scalar_bytes)

static clo_str read_str(clo_cursor *c, uint64_t max_bytes, const char *field)
{
    uint64_t n = clo_read_u64(c, field);
    if (n > max_bytes) n = UINT64_MAX; /* reported as more than is left */
    return clo_str_of(clo_read_bytes(c, n, field));
}

/* --- keys ---------------------------------------------------------------------------------------------------------- */

static bool key_ok(clo_str key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~') return false;
    }
    return key.len > 0;
}

/* Text for a message: names from outside are shown only when they are plain ASCII. */
static clo_str shown(clo_str name)
{
    if (!key_ok(name)) return CLO_STR("(unprintable)");
    return (clo_str){name.ptr, clo_min(name.len, 200)};
}

static bool read_array(clo_gguf_kv *kv, clo_cursor *c, clo_err *err)
{
    size_t at = c->off;
    uint32_t elem = clo_read_u32(c, "array element type");
    uint64_t n = clo_read_u64(c, "array length");
    if (!clo_cursor_ok(c, err)) return false;
    if (elem >= GGUF_TYPES) return clo_fail_at(err, at, "array element type %u, expected 0 to 12", elem);
    if (elem == CLO_GGUF_ARRAY) return clo_fail_at(err, at, "array of arrays");
    if (n > GGUF_ARRAY_MAX) return clo_fail(err, CLO_ERR_LIMIT, "array of %llu elements", (unsigned long long)n);
    kv->elem = (clo_gguf_type)elem;
    kv->n = n;
    size_t begin = c->off;
    if (elem == CLO_GGUF_STR) {
        for (uint64_t i = 0; i < n && !c->bad_field; i++)
            read_str(c, GGUF_STR_BYTES_MAX, "string of an array");
    } else {
        clo_read_bytes(c, n * scalar_bytes[elem], "array elements"); /* <= 2^30 * 8 */
    }
    if (!clo_cursor_ok(c, err)) return false;
    kv->raw = (clo_bytes){c->in.ptr + begin, c->off - begin};
    return true;
}

static bool read_value(clo_gguf_kv *kv, clo_cursor *c, clo_err *err)
{
    size_t at = c->off;
    uint32_t type = clo_read_u32(c, "value type");
    if (!clo_cursor_ok(c, err)) return false;
    if (type >= GGUF_TYPES) return clo_fail_at(err, at, "value type %u, expected 0 to 12", type);
    kv->type = (clo_gguf_type)type;
    kv->n = 1;
    if (type == CLO_GGUF_ARRAY) return read_array(kv, c, err);
    size_t begin = c->off;
    if (type == CLO_GGUF_STR) {
        read_str(c, GGUF_STR_BYTES_MAX, "string");
    } else {
        clo_read_bytes(c, scalar_bytes[type], "value");
    }
    if (!clo_cursor_ok(c, err)) return false;
    kv->raw = (clo_bytes){c->in.ptr + begin, c->off - begin};
    if (type == CLO_GGUF_BOOL && kv->raw.ptr[0] > 1) {
        return clo_fail_at(err, begin, "bool is %u, expected 0 or 1", kv->raw.ptr[0]);
    }
    return true;
}

static bool read_kv(clo_gguf_kv *kv, clo_cursor *c, clo_err *err)
{
    size_t at = c->off;
    kv->key = read_str(c, GGUF_KEY_BYTES_MAX, "key");
    if (!clo_cursor_ok(c, err)) return false;
    if (!key_ok(kv->key)) return clo_fail_at(err, at, "key is empty or not printable ASCII");
    if (read_value(kv, c, err)) return true;
    clo_err_context(err, "key '" CLO_STR_FMT "'", CLO_STR_ARG(shown(kv->key)));
    return false;
}

/* --- tensors ------------------------------------------------------------------------------------------------------- */

static bool tensor_bytes(clo_tensor *t, const uint64_t *ne, uint64_t at, clo_err *err)
{
    const clo_dtype_info *info = clo_dtype_info_of(t->dtype);
    if (ne[0] % info->block_len) {
        return clo_fail_at(err, at, "rows of %llu elements, %s has blocks of %u", (unsigned long long)ne[0], info->name,
                           info->block_len);
    }
    size_t bytes = 0;
    bool ok = ne[0] <= SIZE_MAX && clo_dtype_row_bytes(t->dtype, (size_t)ne[0], &bytes);
    for (uint32_t i = 1; ok && i < t->n_dims; i++)
        ok = clo_mul(bytes, (size_t)ne[i], &bytes);
    if (!ok || bytes > INT64_MAX) return clo_fail(err, CLO_ERR_LIMIT, "size overflows");
    t->bytes = bytes;
    return true;
}

static bool read_dtype(clo_tensor *t, clo_cursor *c, clo_err *err)
{
    size_t at = c->off;
    uint32_t id = clo_read_u32(c, "tensor type");
    if (!clo_cursor_ok(c, err)) return false;
    const char *known = NULL;
    t->dtype = clo_dtype_from_ggml(id, &known);
    if (t->dtype != CLO_DTYPE_NONE) return true;
    if (known) return clo_fail(err, CLO_ERR_UNSUPPORTED, "type %s (%u) is not built", known, id);
    return clo_fail_at(err, at, "unknown type %u", id);
}

/* One tensor info. *off is its stored offset from the start of the data section. */
static bool read_tensor(clo_tensor *t, uint64_t *off, clo_cursor *c, clo_err *err)
{
    size_t at = c->off;
    t->name = read_str(c, GGUF_NAME_BYTES_MAX, "tensor name");
    t->n_dims = clo_read_u32(c, "tensor rank");
    if (!clo_cursor_ok(c, err)) return false;
    if (!key_ok(t->name)) return clo_fail_at(err, at, "tensor name is empty or not printable ASCII");
    if (t->n_dims < 1 || t->n_dims > GGUF_DIMS_MAX) {
        return clo_fail_at(err, at, "tensor '" CLO_STR_FMT "': %u dimensions, expected 1 to %u", CLO_STR_ARG(t->name),
                           t->n_dims, GGUF_DIMS_MAX);
    }
    uint64_t ne[GGUF_DIMS_MAX] = {0};
    bool ok = true;
    for (uint32_t i = 0; i < t->n_dims; i++)
        ne[i] = clo_read_u64(c, "tensor dimension");
    ok = clo_cursor_ok(c, err);
    for (uint32_t i = 0; ok && i < t->n_dims; i++) {
        if (ne[i] == 0 || ne[i] > INT64_MAX) ok = clo_fail_at(err, at, "dimension %u is 0 or negative", i);
        t->dims[t->n_dims - 1 - i] = ne[i];
    }
    ok = ok && read_dtype(t, c, err) && tensor_bytes(t, ne, at, err);
    if (ok) {
        *off = clo_read_u64(c, "tensor offset");
        ok = clo_cursor_ok(c, err);
    }
    if (!ok) clo_err_context(err, "tensor '" CLO_STR_FMT "'", CLO_STR_ARG(t->name));
    return ok;
}

/* Tensors lie one after another in file order, each begun at the alignment; the last one ends the file, up to padding. */
static bool place_tensors(clo_gguf *g, const uint64_t *offs, clo_bytes head, uint64_t file_bytes, clo_err *err)
{
    uint64_t want = 0, left = file_bytes - g->data_off;
    for (size_t i = 0; i < g->n_tensors; i++) {
        clo_tensor *t = &g->tensors[i];
        if (offs[i] != want) {
            return clo_fail_at(err, g->data_off, "tensor '" CLO_STR_FMT "': offset %llu, expected %llu",
                               CLO_STR_ARG(t->name), (unsigned long long)offs[i], (unsigned long long)want);
        }
        if (want > left || t->bytes > left - want) {
            return clo_fail_at(err, g->data_off,
                               "tensor '" CLO_STR_FMT "': %zu bytes declared at %llu, %llu in the file",
                               CLO_STR_ARG(t->name), t->bytes, (unsigned long long)want, (unsigned long long)left);
        }
        t->data = head.len == file_bytes ? head.ptr + g->data_off + want : NULL;
        want += t->bytes; /* <= left, so rounding up cannot wrap */
        want = (want + g->alignment - 1) & ~(g->alignment - 1);
    }
    if (left > want) {
        return clo_fail_at(err, g->data_off + want, "%llu bytes after the last tensor",
                           (unsigned long long)(left - want));
    }
    return true;
}

/* --- the whole file ------------------------------------------------------------------------------------------------ */

static int cmp_str(const void *a, const void *b)
{
    return clo_str_cmp(*(const clo_str *)a, *(const clo_str *)b);
}

/* Refuses a name that occurs twice. names is sorted here. */
static bool all_unique(clo_str *names, size_t n, const char *what, clo_err *err)
{
    if (n > 1) qsort(names, n, sizeof *names, cmp_str);
    for (size_t i = 1; i < n; i++) {
        if (clo_str_eq(names[i - 1], names[i])) {
            return clo_fail(err, CLO_ERR_FORMAT, "%s '" CLO_STR_FMT "' occurs twice", what,
                            CLO_STR_ARG(shown(names[i])));
        }
    }
    return true;
}

static bool read_counts(clo_gguf *g, clo_cursor *c, uint64_t file_bytes, clo_err *err)
{
    clo_bytes magic = clo_read_bytes(c, 4, "magic");
    g->version = clo_read_u32(c, "version");
    if (!clo_cursor_ok(c, err)) return false;
    if (memcmp(magic.ptr, "GGUF", 4) != 0) return clo_fail_at(err, 0, "not a GGUF file");
    if ((g->version & 0xffffu) == 0) {
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "big-endian GGUF file (version field %08x)", g->version);
    }
    if (g->version < 2 || g->version > 3) {
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "GGUF version %u, expected 2 or 3", g->version);
    }
    uint64_t n_tensors = clo_read_u64(c, "tensor count"), n_kv = clo_read_u64(c, "key count");
    if (!clo_cursor_ok(c, err)) return false;
    if (n_tensors > GGUF_TENSORS_MAX || n_kv > GGUF_KV_MAX) {
        return clo_fail(err, CLO_ERR_LIMIT, "%llu tensors and %llu keys, at most %u and %u",
                        (unsigned long long)n_tensors, (unsigned long long)n_kv, GGUF_TENSORS_MAX, GGUF_KV_MAX);
    }
    uint64_t left = file_bytes - c->off;
    if (n_kv > left / GGUF_KV_BYTES_MIN || n_tensors > left / GGUF_TENSOR_BYTES_MIN) {
        return clo_fail_at(err, 8, "%llu tensors and %llu keys do not fit in %llu bytes", (unsigned long long)n_tensors,
                           (unsigned long long)n_kv, (unsigned long long)left);
    }
    g->n_tensors = (size_t)n_tensors;
    g->n_kv = (size_t)n_kv;
    return true;
}

static bool read_alignment(clo_gguf *g, clo_err *err)
{
    const clo_gguf_kv *kv = clo_gguf_find(g, "general.alignment");
    g->alignment = GGUF_ALIGNMENT_DEFAULT;
    if (!kv) return true;
    uint32_t a = kv->type == CLO_GGUF_U32 ? clo_load_le32(kv->raw.ptr) : 0;
    if (a < 8 || a > GGUF_ALIGNMENT_MAX || (a & (a - 1)) != 0) {
        return clo_fail(err, CLO_ERR_FORMAT, "general.alignment is no u32 power of two in 8 to %u", GGUF_ALIGNMENT_MAX);
    }
    g->alignment = a;
    return true;
}

static bool read_tables(clo_gguf *g, clo_str *names, uint64_t *offs, clo_cursor *c, clo_err *err)
{
    for (size_t i = 0; i < g->n_kv; i++) {
        if (!read_kv(&g->kv[i], c, err)) return false;
        names[i] = g->kv[i].key;
    }
    if (!all_unique(names, g->n_kv, "key", err) || !read_alignment(g, err)) return false;
    for (size_t i = 0; i < g->n_tensors; i++) {
        if (!read_tensor(&g->tensors[i], &offs[i], c, err)) return false;
        names[i] = g->tensors[i].name;
    }
    return all_unique(names, g->n_tensors, "tensor", err);
}

static bool parse(clo_gguf *out, clo_cursor *c, uint64_t file_bytes, clo_arena *keep, clo_err *err)
{
    clo_gguf g = {0};
    if (!read_counts(&g, c, file_bytes, err)) return false;
    g.kv = CLO_NEW(keep, clo_gguf_kv, g.n_kv);
    g.tensors = CLO_NEW(keep, clo_tensor, g.n_tensors);
    clo_str *names = CLO_NEW(keep, clo_str, clo_max(g.n_kv, g.n_tensors));
    uint64_t *offs = CLO_NEW(keep, uint64_t, g.n_tensors);
    if (!g.kv || !g.tensors || !names || !offs) return clo_arena_full(keep, err);
    if (!read_tables(&g, names, offs, c, err)) return false;

    g.data_off = clo_round_up(c->off, (size_t)g.alignment);
    if (g.data_off > file_bytes) {
        if (g.n_tensors > 0) return clo_fail_at(err, c->off, "file ends before the data section");
        g.data_off = file_bytes;
    }
    if (!place_tensors(&g, offs, c->in, file_bytes, err)) return false;
    *out = g;
    return true;
}

bool clo_gguf_parse(clo_gguf *out, clo_bytes file, clo_arena *keep, clo_err *err)
{
    clo_cursor c = clo_cursor_on(file);
    return parse(out, &c, file.len, keep, err);
}

bool clo_gguf_parse_head(clo_gguf *out, bool *is_short, clo_bytes head, uint64_t file_bytes, clo_arena *keep, clo_err *err)
{
    clo_cursor c = clo_cursor_on(head);
    bool ok = parse(out, &c, file_bytes, keep, err);
    *is_short = !ok && c.bad_field && head.len < file_bytes;
    return ok;
}

/* --- looking up ---------------------------------------------------------------------------------------------------- */

const clo_gguf_kv *clo_gguf_find(const clo_gguf *g, const char *key)
{
    clo_str want = clo_str_from(key);
    for (size_t i = 0; i < g->n_kv; i++) {
        if (clo_str_eq(g->kv[i].key, want)) return &g->kv[i];
    }
    return NULL;
}

/* Integer of a type at p; false when the type is none or the value does not fit. */
static bool load_int(int64_t *out, clo_gguf_type type, const uint8_t *p)
{
    /* clang-format off */
    switch (type) {
    case CLO_GGUF_U8: case CLO_GGUF_BOOL: *out = p[0]; return true;
    case CLO_GGUF_I8: *out = (int8_t)p[0]; return true;
    case CLO_GGUF_U16: *out = clo_load_le16(p); return true;
    case CLO_GGUF_I16: *out = (int16_t)clo_load_le16(p); return true;
    case CLO_GGUF_U32: *out = clo_load_le32(p); return true;
    case CLO_GGUF_I32: *out = (int32_t)clo_load_le32(p); return true;
    case CLO_GGUF_U64: *out = (int64_t)clo_load_le64(p); return clo_load_le64(p) <= INT64_MAX;
    case CLO_GGUF_I64: *out = (int64_t)clo_load_le64(p); return true;
    case CLO_GGUF_F32: case CLO_GGUF_F64: case CLO_GGUF_STR: case CLO_GGUF_ARRAY: break;
    }
    /* clang-format on */
    return false;
}

static bool load_num(double *out, clo_gguf_type type, const uint8_t *p)
{
    int64_t i = 0;
    if (type == CLO_GGUF_F32) {
        uint32_t u = clo_load_le32(p);
        float f;
        memcpy(&f, &u, 4);
        *out = (double)f;
        return true;
    }
    if (type == CLO_GGUF_F64) {
        uint64_t u = clo_load_le64(p);
        memcpy(out, &u, 8);
        return true;
    }
    if (type == CLO_GGUF_BOOL || !load_int(&i, type, p)) return false;
    *out = (double)i;
    return true;
}

int64_t clo_gguf_int(const clo_gguf *g, const char *key, int64_t fallback)
{
    const clo_gguf_kv *kv = clo_gguf_find(g, key);
    int64_t v = 0;
    return kv && kv->type != CLO_GGUF_BOOL && load_int(&v, kv->type, kv->raw.ptr) ? v : fallback;
}

double clo_gguf_num(const clo_gguf *g, const char *key, double fallback)
{
    const clo_gguf_kv *kv = clo_gguf_find(g, key);
    double v = 0;
    return kv && load_num(&v, kv->type, kv->raw.ptr) ? v : fallback;
}

bool clo_gguf_bool(const clo_gguf *g, const char *key, bool fallback)
{
    const clo_gguf_kv *kv = clo_gguf_find(g, key);
    return kv && kv->type == CLO_GGUF_BOOL ? kv->raw.ptr[0] != 0 : fallback;
}

clo_str clo_gguf_str(const clo_gguf *g, const char *key, clo_str fallback)
{
    const clo_gguf_kv *kv = clo_gguf_find(g, key);
    if (!kv || kv->type != CLO_GGUF_STR) return fallback;
    return (clo_str){(const char *)kv->raw.ptr + 8, kv->raw.len - 8};
}

int64_t clo_gguf_array_int(const clo_gguf_kv *kv, uint64_t i)
{
    int64_t v = 0;
    if (kv->type != CLO_GGUF_ARRAY || i >= kv->n) return 0;
    return load_int(&v, kv->elem, kv->raw.ptr + i * scalar_bytes[kv->elem]) ? v : 0;
}

double clo_gguf_array_num(const clo_gguf_kv *kv, uint64_t i)
{
    double v = 0;
    if (kv->type != CLO_GGUF_ARRAY || i >= kv->n) return 0;
    return load_num(&v, kv->elem, kv->raw.ptr + i * scalar_bytes[kv->elem]) ? v : 0;
}

void clo_gguf_array_strs(const clo_gguf_kv *kv, clo_str *out)
{
    size_t off = 0;
    if (kv->type != CLO_GGUF_ARRAY || kv->elem != CLO_GGUF_STR) return;
    for (uint64_t i = 0; i < kv->n; i++) {
        size_t n = (size_t)clo_load_le64(kv->raw.ptr + off);
        out[i] = (clo_str){(const char *)kv->raw.ptr + off + 8, n};
        off += 8 + n;
    }
}
