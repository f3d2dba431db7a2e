/* safetensors: reading, single and sharded. Source: the safetensors format page; summary in docs/formats/safetensors.md.
 * Validation follows the reference (no holes, no overlaps, exact sizes) and adds: no duplicate keys, rank <= 8. */
#ifndef CLO_MODEL_SAFETENSORS_H
#define CLO_MODEL_SAFETENSORS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/checkpoint.h"

typedef struct {
    clo_tensor *tensors; /* [n_tensors] in order of their data */
    size_t n_tensors;
} clo_safetensors;

/* Parses a whole file; views borrow from it, the table is in `keep`. */
CLO_CHECK bool clo_safetensors_parse(clo_safetensors *out, clo_bytes file, clo_arena *keep, clo_err *err);

#endif
