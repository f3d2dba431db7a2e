/* Reading safetensors: u64le N, N bytes of JSON, data to the end of the file.
 *
 *   { "__metadata__": { str: str }, name: { "dtype": str, "shape": [n ...], "data_offsets": [begin, end] }, ... }
 *
 * Tensors sorted by begin must fill the data section without hole, overlap or rest. */
#include "model/safetensors.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/cursor.h"
#include "base/json.h"

#define ST_HEADER_BYTES_MAX 100000000u /* the reference's limit */
#define ST_TENSORS_MAX 1048576u
#define ST_NAME_BYTES_MAX 1024u

/* Key of the sort: where a tensor's bytes lie in the data section. */
typedef struct {
    clo_tensor tensor;
    uint64_t begin, end;
} st_entry;

/* The data section; its bytes may not be here. */
typedef struct {
    const uint8_t *ptr;
    uint64_t len;
} st_data;

static bool get_count(uint64_t *out, const json_t *v, const char *what, clo_err *err)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0) {
        return clo_fail(err, CLO_ERR_FORMAT, "%s is no count", what);
    }
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static bool read_shape(clo_tensor *t, const json_t *shape, clo_err *err)
{
    if (!json_is_array(shape)) return clo_fail(err, CLO_ERR_FORMAT, "no shape");
    if (json_array_size(shape) > CLO_TENSOR_DIMS_MAX) {
        return clo_fail(err, CLO_ERR_LIMIT, "rank %zu, at most %u", json_array_size(shape), CLO_TENSOR_DIMS_MAX);
    }
    t->n_dims = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (!get_count(&t->dims[i], json_array_get(shape, i), "a dimension", err)) return false;
    }
    return true;
}

static bool read_dtype(clo_tensor *t, const json_t *dtype, clo_err *err)
{
    /* Names of the format that no kernel of ours reads and dtype.h does not list. */
    static const char *const unbuilt[] = {"F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64", "F4", "F6_E2M3", "F6_E3M2"};
    if (!json_is_string(dtype)) return clo_fail(err, CLO_ERR_FORMAT, "no dtype");
    clo_str name = {json_string_value(dtype), json_string_length(dtype)};
    for (size_t i = 0; i < sizeof unbuilt / sizeof unbuilt[0]; i++) {
        if (clo_str_eq(name, clo_str_from(unbuilt[i]))) {
            return clo_fail(err, CLO_ERR_UNSUPPORTED, "dtype %s is not built", unbuilt[i]);
        }
    }
    t->dtype = clo_dtype_from_name(name);
    const clo_dtype_info *info = clo_dtype_info_of(t->dtype);
    /* dtype.h also knows block types and lower case: in safetensors only exact names of plain types count. */
    if (t->dtype == CLO_DTYPE_NONE || info->quantised || !clo_str_eq(name, clo_str_from(info->name))) {
        return clo_fail(err, CLO_ERR_FORMAT, "unknown dtype '%.40s'", name.ptr);
    }
    return true;
}

/* Bytes that dtype and shape ask for; an empty shape is one element. */
static bool want_bytes(size_t *out, const clo_tensor *t, clo_err *err)
{
    size_t n = clo_dtype_info_of(t->dtype)->block_bytes;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] > SIZE_MAX || !clo_mul(n, (size_t)t->dims[i], &n)) {
            return clo_fail(err, CLO_ERR_LIMIT, "size overflows");
        }
    }
    *out = n;
    return true;
}

static bool read_entry(st_entry *e, const json_t *v, clo_err *err)
{
    const json_t *offs = json_object_get(v, "data_offsets");
    if (!json_is_object(v)) return clo_fail(err, CLO_ERR_FORMAT, "not an object");
    if (json_object_size(v) != 3) return clo_fail(err, CLO_ERR_FORMAT, "%zu members, expected 3", json_object_size(v));
    if (!read_dtype(&e->tensor, json_object_get(v, "dtype"), err) ||
        !read_shape(&e->tensor, json_object_get(v, "shape"), err) || !want_bytes(&e->tensor.bytes, &e->tensor, err)) {
        return false;
    }
    if (!json_is_array(offs) || json_array_size(offs) != 2) {
        return clo_fail(err, CLO_ERR_FORMAT, "data_offsets is no pair");
    }
    if (!get_count(&e->begin, json_array_get(offs, 0), "begin", err) ||
        !get_count(&e->end, json_array_get(offs, 1), "end", err))
        return false;
    if (e->end < e->begin || e->end - e->begin != e->tensor.bytes) {
        return clo_fail(err, CLO_ERR_FORMAT, "data_offsets %llu to %llu, dtype and shape need %zu bytes",
                        (unsigned long long)e->begin, (unsigned long long)e->end, e->tensor.bytes);
    }
    return true;
}

static bool read_metadata(clo_safetensors *out, const json_t *v, clo_arena *keep, clo_err *err)
{
    if (!json_is_object(v)) return clo_fail(err, CLO_ERR_FORMAT, "__metadata__ is no object");
    const char *key;
    json_t *text;
    json_object_foreach((json_t *)(uintptr_t)v, key, text)
    {
        if (!json_is_string(text)) return clo_fail(err, CLO_ERR_FORMAT, "__metadata__ '%.60s' is no string", key);
    }
    out->metadata = CLO_NEW(keep, clo_safetensors_pair, json_object_size(v));
    if (!out->metadata) return clo_arena_full(keep, err);
    json_object_foreach((json_t *)(uintptr_t)v, key, text)
    {
        clo_safetensors_pair *p = &out->metadata[out->n_metadata++];
        p->key = clo_arena_copy_str(keep, clo_str_from(key));
        p->value = clo_arena_copy_str(keep, (clo_str){json_string_value(text), json_string_length(text)});
        if (!p->key.ptr || !p->value.ptr) return clo_arena_full(keep, err);
    }
    return true;
}

/* Entries of all tensors, in header order; names are copied, for the JSON tree goes away. */
static bool read_entries(clo_safetensors *out, st_entry *entries, size_t *n, json_t *header, clo_arena *keep, clo_err *err)
{
    const char *key;
    size_t key_len;
    json_t *v;
    json_object_keylen_foreach(header, key, key_len, v)
    {
        if (strcmp(key, "__metadata__") == 0) {
            if (!read_metadata(out, v, keep, err)) return false;
            continue;
        }
        st_entry *e = &entries[*n];
        if (key_len == 0 || key_len > ST_NAME_BYTES_MAX) {
            return clo_fail(err, CLO_ERR_LIMIT, "tensor name of %zu bytes, expected 1 to %u", key_len,
                            ST_NAME_BYTES_MAX);
        }
        e->tensor.name = clo_arena_copy_str(keep, (clo_str){key, key_len});
        if (!e->tensor.name.ptr) return clo_arena_full(keep, err);
        if (!read_entry(e, v, err)) {
            clo_err_context(err, "tensor '%.200s'", key);
            return false;
        }
        (*n)++;
    }
    return true;
}

static int cmp_entry(const void *a, const void *b)
{
    const st_entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return clo_str_cmp(x->tensor.name, y->tensor.name);
}

static bool place(st_entry *entries, size_t n, st_data data, uint64_t data_off, clo_err *err)
{
    uint64_t want = 0;
    if (n > 1) qsort(entries, n, sizeof *entries, cmp_entry);
    for (size_t i = 0; i < n; i++) {
        st_entry *e = &entries[i];
        if (e->begin != want) {
            return clo_fail_at(err, data_off, "tensor '%.200s' begins at %llu, expected %llu", e->tensor.name.ptr,
                               (unsigned long long)e->begin, (unsigned long long)want);
        }
        if (e->end > data.len) {
            return clo_fail_at(err, data_off, "tensor '%.200s' ends at %llu of %llu bytes", e->tensor.name.ptr,
                               (unsigned long long)e->end, (unsigned long long)data.len);
        }
        e->tensor.data = data.ptr ? data.ptr + e->begin : NULL;
        want = e->end;
    }
    if (want != data.len) {
        return clo_fail_at(err, data_off + want, "%llu bytes after the last tensor",
                           (unsigned long long)(data.len - want));
    }
    return true;
}

static bool read_header(clo_safetensors *out, json_t *header, st_data data, uint64_t data_off, clo_arena *keep,
                        clo_err *err)
{
    size_t n_max = json_object_size(header), n = 0;
    if (!json_is_object(header)) return clo_fail_at(err, 8, "header is no object");
    if (n_max > ST_TENSORS_MAX) return clo_fail(err, CLO_ERR_LIMIT, "%zu tensors, at most %u", n_max, ST_TENSORS_MAX);
    st_entry *entries = calloc(clo_max(n_max, 1), sizeof *entries);
    clo_tensor *tensors = CLO_NEW(keep, clo_tensor, n_max);
    bool ok = entries && tensors ? true : clo_fail(err, CLO_ERR_MEMORY, "no memory for %zu tensors", n_max);
    clo_safetensors st = {0};
    ok = ok && read_entries(&st, entries, &n, header, keep, err) && place(entries, n, data, data_off, err);
    for (size_t i = 0; ok && i < n; i++)
        tensors[i] = entries[i].tensor;
    free(entries);
    st.tensors = tensors;
    st.n_tensors = n;
    if (ok) *out = st;
    return ok;
}

static bool parse(clo_safetensors *out, clo_cursor *c, uint64_t file_bytes, clo_arena *keep, clo_err *err)
{
    uint64_t n = clo_read_u64(c, "header length");
    if (!clo_cursor_ok(c, err)) return false;
    if (n > ST_HEADER_BYTES_MAX) {
        return clo_fail(err, CLO_ERR_LIMIT, "header of %llu bytes, at most %u", (unsigned long long)n,
                        ST_HEADER_BYTES_MAX);
    }
    clo_bytes text = clo_read_bytes(c, n, "header");
    if (!clo_cursor_ok(c, err)) return false;
    if (text.len == 0 || text.ptr[0] != '{') return clo_fail_at(err, 8, "header does not begin with '{'");

    json_t *header = NULL;
    if (!clo_json_parse(&header, clo_str_of(text), ST_HEADER_BYTES_MAX, err)) {
        clo_err_context(err, "header");
        return false;
    }
    st_data data = {c->in.len == file_bytes ? c->in.ptr + c->off : NULL, file_bytes - c->off};
    bool ok = read_header(out, header, data, c->off, keep, err);
    json_decref(header);
    return ok;
}

bool clo_safetensors_parse(clo_safetensors *out, clo_bytes file, clo_arena *keep, clo_err *err)
{
    clo_cursor c = clo_cursor_on(file);
    return parse(out, &c, file.len, keep, err);
}

bool clo_safetensors_parse_head(clo_safetensors *out, bool *is_short, clo_bytes head, uint64_t file_bytes, clo_arena *keep, clo_err *err)
{
    clo_cursor c = clo_cursor_on(head);
    bool ok = parse(out, &c, file_bytes, keep, err);
    *is_short = !ok && c.bad_field && head.len < file_bytes;
    return ok;
}
