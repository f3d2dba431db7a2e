/* Writing GGUF v3: keys and tensor infos are gathered, then the file goes out in one pass, data by callback. The layout
 * is the table in gguf.c. The alignment is always 32 and a file is never split, so those keys are not copied. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "model/gguf.h"

#define WRITE_ALIGNMENT 32u
#define WRITE_KV_MAX 65536u
#define WRITE_TENSORS_MAX 131072u
#define WRITE_BYTES_MAX (1u << 30) /* of keys and infos */

typedef struct {
    clo_str key;
    clo_bytes value; /* as in the file: u32 type, then the value */
} write_kv;

struct clo_gguf_writer {
    clo_arena arena; /* owned: every string and value */
    write_kv *kv;    /* [n_kv] owned */
    size_t n_kv, cap_kv;
    clo_tensor *tensors; /* [n_tensors] owned; data is not set */
    size_t n_tensors, cap_tensors;
    clo_err fault; /* the first one; told by clo_gguf_write */
};

bool clo_gguf_writer_new(clo_gguf_writer **out, clo_err *err)
{
    clo_gguf_writer *w = calloc(1, sizeof *w);
    if (!w) return clo_fail(err, CLO_ERR_MEMORY, "no memory for a GGUF writer");
    w->arena = clo_arena_make(WRITE_BYTES_MAX);
    *out = w;
    return true;
}

void clo_gguf_writer_free(clo_gguf_writer *w)
{
    if (!w) return;
    clo_arena_free(&w->arena);
    free(w->kv);
    free(w->tensors);
    free(w);
}

/* Room for one more element of a table. */
static bool grow(clo_gguf_writer *w, void **table, size_t n, size_t *cap, size_t size, size_t max)
{
    if (n < *cap) return true;
    if (n >= max) return clo_fail(&w->fault, CLO_ERR_LIMIT, "more than %zu entries", max);
    size_t cap_new = clo_min(max, *cap ? *cap * 2 : 64);
    void *p = realloc(*table, cap_new * size);
    if (!p) return clo_fail(&w->fault, CLO_ERR_MEMORY, "no memory for %zu entries", cap_new);
    *table = p;
    *cap = cap_new;
    return true;
}

/* Keys that describe a file's own layout, not the model. */
static bool is_layout_key(clo_str key)
{
    return clo_str_eq(key, CLO_STR("general.alignment")) || clo_str_starts_with(key, CLO_STR("split."));
}

/* Adds or replaces a key; the value has `head` (type and lengths) before `body`. Both are copied. */
static void put(clo_gguf_writer *w, clo_str key, clo_bytes head, clo_bytes body)
{
    size_t i = 0;
    if (w->fault.code != CLO_OK || is_layout_key(key)) return;
    while (i < w->n_kv && !clo_str_eq(w->kv[i].key, key))
        i++;
    if (i == w->n_kv && !grow(w, (void **)&w->kv, i, &w->cap_kv, sizeof *w->kv, WRITE_KV_MAX)) return;
    clo_str copy = clo_arena_copy_str(&w->arena, key);
    uint8_t *value = clo_arena_alloc(&w->arena, head.len + body.len);
    if (!copy.ptr || !value) {
        (void)clo_arena_full(&w->arena, &w->fault);
        return;
    }
    memcpy(value, head.ptr, head.len);
    if (body.len) memcpy(value + head.len, body.ptr, body.len);
    w->kv[i] = (write_kv){copy, {value, head.len + body.len}};
    if (i == w->n_kv) w->n_kv++;
}

static size_t store_le(uint8_t *p, uint64_t v, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        p[i] = (uint8_t)(v >> 8 * i);
    return n_bytes;
}

void clo_gguf_put_str(clo_gguf_writer *w, const char *key, clo_str value)
{
    uint8_t head[12];
    store_le(head, CLO_GGUF_STR, 4);
    store_le(head + 4, value.len, 8);
    put(w, clo_str_from(key), (clo_bytes){head, sizeof head}, clo_bytes_of(value));
}

void clo_gguf_put_u32(clo_gguf_writer *w, const char *key, uint32_t value)
{
    uint8_t head[8];
    store_le(head, CLO_GGUF_U32, 4);
    store_le(head + 4, value, 4);
    put(w, clo_str_from(key), (clo_bytes){head, sizeof head}, (clo_bytes){0});
}

void clo_gguf_put_kv(clo_gguf_writer *w, const clo_gguf_kv *kv)
{
    uint8_t head[16];
    size_t n = store_le(head, (uint64_t)kv->type, 4);
    if (kv->type == CLO_GGUF_ARRAY) {
        n += store_le(head + n, (uint64_t)kv->elem, 4);
        n += store_le(head + n, kv->n, 8);
    }
    put(w, kv->key, (clo_bytes){head, n}, kv->raw);
}

void clo_gguf_put_tensor(clo_gguf_writer *w, const clo_tensor *t)
{
    if (w->fault.code != CLO_OK) return;
    if (t->n_dims < 1 || t->n_dims > 4 || clo_dtype_info_of(t->dtype)->ggml_id < 0) {
        (void)clo_fail(&w->fault, CLO_ERR_UNSUPPORTED,
                       "tensor '" CLO_STR_FMT "': rank %u of type %s has no place in GGUF", CLO_STR_ARG(t->name),
                       t->n_dims, clo_dtype_info_of(t->dtype)->name);
        return;
    }
    if (!grow(w, (void **)&w->tensors, w->n_tensors, &w->cap_tensors, sizeof *w->tensors, WRITE_TENSORS_MAX)) return;
    clo_tensor copy = *t;
    copy.name = clo_arena_copy_str(&w->arena, t->name);
    if (!copy.name.ptr) {
        (void)clo_arena_full(&w->arena, &w->fault);
        return;
    }
    w->tensors[w->n_tensors++] = copy;
}

/* --- output -------------------------------------------------------------------------------------------------------- */

static void add_le(clo_buf *b, uint64_t v, size_t n_bytes)
{
    uint8_t p[8];
    store_le(p, v, n_bytes);
    clo_buf_add(b, (clo_str){(const char *)p, n_bytes});
}

static void add_str(clo_buf *b, clo_str s)
{
    add_le(b, s.len, 8);
    clo_buf_add(b, s);
}

static void add_header(clo_buf *b, const clo_gguf_writer *w)
{
    uint64_t off = 0;
    clo_buf_add(b, CLO_STR("GGUF"));
    add_le(b, 3, 4);
    add_le(b, w->n_tensors, 8);
    add_le(b, w->n_kv, 8);
    for (size_t i = 0; i < w->n_kv; i++) {
        add_str(b, w->kv[i].key);
        clo_buf_add(b, clo_str_of(w->kv[i].value));
    }
    for (size_t i = 0; i < w->n_tensors; i++) {
        const clo_tensor *t = &w->tensors[i];
        add_str(b, t->name);
        add_le(b, t->n_dims, 4);
        for (uint32_t d = t->n_dims; d-- > 0;)
            add_le(b, t->dims[d], 8);
        add_le(b, (uint64_t)clo_dtype_info_of(t->dtype)->ggml_id, 4);
        add_le(b, off, 8);
        off += clo_round_up(t->bytes, WRITE_ALIGNMENT);
    }
}

static bool put_data(const clo_gguf_writer *w, clo_writer *out, clo_gguf_data_fn *fn, void *ctx, clo_err *err)
{
    for (size_t i = 0; i < w->n_tensors; i++) {
        const clo_tensor *t = &w->tensors[i];
        uint64_t begin = out->n_written;
        if (!fn(ctx, i, out, err)) {
            clo_err_context(err, "tensor '" CLO_STR_FMT "'", CLO_STR_ARG(t->name));
            return false;
        }
        if (out->n_written - begin != t->bytes) {
            return clo_fail(err, CLO_ERR_USAGE, "tensor '" CLO_STR_FMT "': %llu bytes were given, %zu declared",
                            CLO_STR_ARG(t->name), (unsigned long long)(out->n_written - begin), t->bytes);
        }
        if (!clo_writer_align(out, WRITE_ALIGNMENT, err)) return false;
    }
    return true;
}

bool clo_gguf_write(clo_gguf_writer *w, const char *path, clo_gguf_data_fn *fn, void *ctx, clo_err *err)
{
    clo_buf header = {.max = WRITE_BYTES_MAX};
    clo_writer out;
    if (w->fault.code != CLO_OK) {
        if (err) *err = w->fault;
        return false;
    }
    add_header(&header, w);
    bool ok = clo_buf_ok(&header, err);
    if (ok) {
        ok = clo_writer_open(&out, path, err);
        if (ok) {
            ok = clo_writer_put(&out, header.ptr, header.len, err) && clo_writer_align(&out, WRITE_ALIGNMENT, err) &&
                 put_data(w, &out, fn, ctx, err) && clo_writer_commit(&out, err);
            if (!ok) clo_writer_abandon(&out);
        }
    }
    clo_buf_free(&header);
    return ok;
}
