/* safetensors: reading, single and sharded. Source: the safetensors format page; summary in docs/formats/safetensors.md.
 * Validation follows the reference (no holes, no overlaps, exact sizes) and adds: no duplicate keys, rank <= 8. */
#ifndef CLO_MODEL_SAFETENSORS_H
#define CLO_MODEL_SAFETENSORS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/checkpoint.h"

typedef struct {
    clo_str key, value; /* in keep */
} clo_safetensors_pair;

typedef struct {
    clo_tensor *tensors; /* [n_tensors] in order of their data */
    size_t n_tensors;
    clo_safetensors_pair *metadata; /* [n_metadata] what stands under __metadata__ */
    size_t n_metadata;
} clo_safetensors;

/* Parses a whole file; views borrow from it, the table is in `keep`. */
CLO_CHECK bool clo_safetensors_parse(clo_safetensors *out, clo_bytes file, clo_arena *keep, clo_err *err);
/* The same of a file's beginning, with its size: tensors have no data then. *is_short: it failed for want of more bytes
 * than head has, and a longer head may do. */
CLO_CHECK bool clo_safetensors_parse_head(clo_safetensors *out, bool *is_short, clo_bytes head, uint64_t file_bytes, clo_arena *keep,
                                          clo_err *err);

#endif
