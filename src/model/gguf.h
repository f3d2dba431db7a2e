/* GGUF v2 and v3, little-endian: reading and writing. Source: ggml's GGUF specification; summary in docs/formats/gguf.md.
 *
 * Bytes are hostile: every length is checked against the bytes left before it is used, keys and names are unique,
 * offsets aligned, in order, without overlap, inside the file. All views borrow from the input.
 */
#ifndef CLO_MODEL_GGUF_H
#define CLO_MODEL_GGUF_H

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/slice.h"
#include "model/checkpoint.h"

typedef enum {
    CLO_GGUF_U8 = 0, CLO_GGUF_I8, CLO_GGUF_U16, CLO_GGUF_I16, CLO_GGUF_U32, CLO_GGUF_I32, CLO_GGUF_F32, CLO_GGUF_BOOL,
    CLO_GGUF_STR, CLO_GGUF_ARRAY, CLO_GGUF_U64, CLO_GGUF_I64, CLO_GGUF_F64,
} clo_gguf_type;

typedef struct {
    clo_str key;
    clo_gguf_type type;
    clo_gguf_type elem;  /* of an array; arrays of arrays are refused */
    uint64_t n;          /* elements of an array, else 1 */
    clo_bytes raw;       /* the value's bytes: for strings and arrays of strings with their u64 lengths */
} clo_gguf_kv;

typedef struct clo_gguf {
    uint32_t version;
    uint64_t alignment;
    clo_gguf_kv *kv;     /* [n_kv] file order */
    size_t n_kv;
    clo_tensor *tensors; /* [n_tensors] file order */
    size_t n_tensors;
    uint64_t data_off;   /* of the data section in the file */
} clo_gguf;

/* Parses `file` (a whole file). Views in *out borrow from it; tables are in `keep`. */
CLO_CHECK bool clo_gguf_parse(clo_gguf *out, clo_bytes file, clo_arena *keep, clo_err *err);

/* The same of a file's beginning, with its size: tensors have no data then. *is_short: it failed for want of more bytes
 * than head has, and a longer head may do. */
CLO_CHECK bool clo_gguf_parse_head(clo_gguf *out, bool *is_short, clo_bytes head, uint64_t file_bytes, clo_arena *keep, clo_err *err);

const clo_gguf_kv *clo_gguf_find(const clo_gguf *g, const char *key);
/* Value of a scalar of any integer / float / bool type, or the fallback when the key is absent. A key of the wrong type
 * gives the fallback too. */
int64_t clo_gguf_int(const clo_gguf *g, const char *key, int64_t fallback);
double clo_gguf_num(const clo_gguf *g, const char *key, double fallback);
bool clo_gguf_bool(const clo_gguf *g, const char *key, bool fallback);
clo_str clo_gguf_str(const clo_gguf *g, const char *key, clo_str fallback);
/* Element i of an array of integers / numbers. */
int64_t clo_gguf_array_int(const clo_gguf_kv *kv, uint64_t i);
double clo_gguf_array_num(const clo_gguf_kv *kv, uint64_t i);
/* All strings of an array, as views: out[0..kv->n). kv was parsed, so the lengths are good. */
void clo_gguf_array_strs(const clo_gguf_kv *kv, clo_str *out);

/* A key as JSON: text (its first text_max bytes), number, bool; of an array {"elements": type, "n", "first": [its first few]}. */
json_t *clo_gguf_json(const clo_gguf_kv *kv, size_t text_max);
const char *clo_gguf_type_name(clo_gguf_type t); /* "u8", "str", "array" */

/* Writing: add keys and tensors, then write. Tensor data is given by a callback, so nothing is held in memory. */
typedef struct clo_gguf_writer clo_gguf_writer;
CLO_CHECK bool clo_gguf_writer_new(clo_gguf_writer **out, clo_err *err);
void clo_gguf_writer_free(clo_gguf_writer *w);
void clo_gguf_put_str(clo_gguf_writer *w, const char *key, clo_str value);
void clo_gguf_put_u32(clo_gguf_writer *w, const char *key, uint32_t value);
/* Copies a key as it was read. */
void clo_gguf_put_kv(clo_gguf_writer *w, const clo_gguf_kv *kv);
void clo_gguf_put_tensor(clo_gguf_writer *w, const clo_tensor *t); /* name, dtype, dims, bytes; data is not read */
typedef bool clo_gguf_data_fn(void *ctx, size_t i_tensor, clo_writer *out, clo_err *err);
CLO_CHECK bool clo_gguf_write(clo_gguf_writer *w, const char *path, clo_gguf_data_fn *fn, void *ctx, clo_err *err);

#endif
