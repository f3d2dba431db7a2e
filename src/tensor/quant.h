/* Block formats: from stored bytes to floats, and back by the reference procedures.
 *
 * These are the plain, scalar definitions. Values equal the `gguf` Python package's reference bit for bit. Bytes
 * equal ggml's reference quantisers (no importance matrix) for every type, and the `gguf` package's for those it
 * writes, but for the sign of a zero scale: of a block of zeros with both signs it may store the other. Layouts:
 * docs/formats/blocks.md. */
#ifndef CLO_TENSOR_QUANT_H
#define CLO_TENSOR_QUANT_H

#include "base/err.h"
#include "tensor/dtype.h"

/* y[i] = value of element i of the row at src, i < n.
 *   y    [n] f32 out
 *   src  one row of type t, any alignment; n is a multiple of the block
 * t is F32, F16, BF16 or a quantised type (the caller checked: clo_dequantize_can). Any thread, allocates nothing. */
void clo_dequantize_row(clo_dtype t, float *y, const void *src, size_t n);
bool clo_dequantize_can(clo_dtype t);

/* Writes the row x[0..n) in type t to dst (clo_dtype_row_bytes long). n is a multiple of the block. False with
 * CLO_ERR_UNSUPPORTED when t has no reference procedure here. NaN or infinity in x: CLO_ERR_FORMAT with its index. A
 * value that the type cannot hold (its f16 scale would be infinite): CLO_ERR_LIMIT. */
CLO_CHECK bool clo_quantize_row(clo_dtype t, void *dst, const float *x, size_t n, clo_err *err);
bool clo_quantize_can(clo_dtype t);

/* The type that takes the place of t for rows of n elements that its block does not divide, as llama.cpp chooses
 * (in 2026; until then Q2_K and Q3_K gave IQ4_NL): Q2_K Q3_K -> Q4_0, Q4_K -> Q5_0, Q5_K -> Q5_1, Q6_K -> Q8_0,
 * IQ4_XS -> IQ4_NL, and F16 when 32 does not divide n. */
clo_dtype clo_quantize_fallback(clo_dtype t, size_t n);

#endif
