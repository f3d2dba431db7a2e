/* Packing: weights re-laid for the kernels, once, at import.
 *
 * Panels of 16 output rows; within a panel the order is the order in which kernels read (see the layout table in
 * pack.c). No value changes, the bytes per weight stay those of the stored format (plus padding of the last panel), and
 * the layout is the same for every instruction set, so a prepared file can be carried between machines.
 */
#ifndef CLO_TENSOR_PACK_H
#define CLO_TENSOR_PACK_H

#include "base/err.h"
#include "tensor/kernel.h"

clo_acts_kind clo_acts_kind_of(clo_dtype t);

/* True when matrices of type t with n_cols columns can be packed and multiplied. */
bool clo_pack_can(clo_dtype t, size_t n_cols);

/* Bytes of the packed matrix, a multiple of 64; 0 on overflow. */
size_t clo_pack_bytes(clo_dtype t, size_t n_rows, size_t n_cols);

/* Packs panels [panel_begin, panel_end) from rows stored plainly one after another (row r at src + r*row_bytes, any
 * alignment) into dst (64-byte aligned, the whole matrix's buffer). `row_of` NULL: row r is stored row r; else stored
 * row row_of[r] is taken, which undoes row permutations. Different panels may be packed by different threads. */
void clo_pack_panels(void *dst, clo_dtype t, const void *src, size_t n_rows, size_t n_cols, const uint32_t *row_of,
                     size_t panel_begin, size_t panel_end);

/* y[0..n_cols) = row r of the packed matrix as floats, equal to clo_dequantize_row on the stored row: embeddings of a
 * tied table are read this way. */
void clo_packed_row(float *y, const clo_matrix *w, size_t r);

#endif
