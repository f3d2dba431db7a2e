/* Element types of stored tensors: one table, with GGUF's type ids (ggml) and safetensors' names.
 *
 * A block is the unit of storage: `block_len` elements in `block_bytes` bytes along a row. Plain types have blocks of
 * one element. Source: the GGUF specification; shared block layouts in docs/formats/blocks.md.
 */
#ifndef CLO_TENSOR_DTYPE_H
#define CLO_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

typedef enum {
    CLO_DTYPE_NONE = 0,
    CLO_DTYPE_F32,
    CLO_DTYPE_F16,
    CLO_DTYPE_BF16,
    CLO_DTYPE_Q8_0,
    CLO_DTYPE_Q4_0,
    CLO_DTYPE_Q4_1,
    CLO_DTYPE_Q5_0,
    CLO_DTYPE_Q5_1,
    CLO_DTYPE_Q2_K,
    CLO_DTYPE_Q3_K,
    CLO_DTYPE_Q4_K,
    CLO_DTYPE_Q5_K,
    CLO_DTYPE_Q6_K,
    CLO_DTYPE_IQ4_NL,
    CLO_DTYPE_IQ4_XS,
    CLO_DTYPE_MXFP4,
    /* Stored in files, never multiplied: */
    CLO_DTYPE_F64,
    CLO_DTYPE_I8,
    CLO_DTYPE_I16,
    CLO_DTYPE_I32,
    CLO_DTYPE_I64,
    CLO_DTYPE_U8,
    CLO_DTYPE_U16,
    CLO_DTYPE_U32,
    CLO_DTYPE_U64,
    CLO_DTYPE_BOOL,
    CLO_DTYPE_F8_E4M3,
    CLO_DTYPE_F8_E5M2,
    CLO_DTYPE_COUNT
} clo_dtype;

typedef struct {
    const char *name;     /* "Q4_K", as ggml and safetensors spell it */
    uint32_t block_len;   /* elements */
    uint32_t block_bytes;
    int32_t ggml_id;      /* in GGUF files, or -1 */
    uint32_t ggml_ftype;  /* general.file_type of a file made mostly of it */
    bool quantised;       /* blocks with scales */
} clo_dtype_info;

/* Never NULL for a dtype of the enum; CLO_DTYPE_NONE gives name "none", block 1, 0 bytes. */
const clo_dtype_info *clo_dtype_info_of(clo_dtype t);

/* By GGUF id; CLO_DTYPE_NONE when unknown. *known_name names the types that are recognised and not built (IQ2_XXS, ...)
 * or is NULL. known_name may be NULL. */
clo_dtype clo_dtype_from_ggml(uint32_t id, const char **known_name);

/* By name, upper or lower case ("q4_k", "BF16"); CLO_DTYPE_NONE when unknown. */
clo_dtype clo_dtype_from_name(clo_str name);

/* Bytes of a row of n elements; false when n is no multiple of the block or the product overflows. */
CLO_CHECK bool clo_dtype_row_bytes(clo_dtype t, size_t n, size_t *out);

#endif
