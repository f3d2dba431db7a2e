/* Packed panels of plain float weights (F32, F16, BF16): the layout, and the way in and out of it.
 *
 * A panel holds 16 rows. Within it, k runs slowest so that one vector holds the same k of 16 rows:
 *
 *   type  unit                                    panel bytes
 *   F32   [n_cols][16] f32                        n_cols * 64
 *   F16   [n_even][16] f16                        n_even * 32      n_even = n_cols rounded up to 2
 *   BF16  [n_even / 2][16] u32: low half k even,  n_even * 32
 *         high half k odd (a shift and a mask widen 16 rows of two k from one 64-byte line)
 *
 * The fill of an odd n_cols is zero and never multiplied. All integers are little endian.
 */
#ifndef CLO_TENSOR_PACK_FLOAT_H
#define CLO_TENSOR_PACK_FLOAT_H

#include "tensor/kernel.h"

/* Bytes of one panel, a multiple of 64; 0 on overflow or when t is no float type of the list above. */
size_t clo_pack_float_panel_bytes(clo_dtype t, size_t n_cols);

/* Bytes of the packed matrix, a multiple of 64; 0 on overflow or when t is no float type of the list above. */
size_t clo_pack_float_bytes(clo_dtype t, size_t n_rows, size_t n_cols);

/* Packs one panel.
 *   panel_dst  clo_pack_float_panel_bytes(t, n_cols) bytes, 64-byte aligned, written whole
 *   rows       16 stored rows of n_cols elements, any alignment; NULL is a row of zeros
 * Any thread, allocates nothing. */
void clo_pack_float_panel(void *panel_dst, clo_dtype t, const uint8_t *const rows[CLO_PANEL_ROWS], size_t n_cols);

/* y[0..n_cols) = row r of a packed float matrix, widened exactly; r < n_rows. */
void clo_packed_float_row(float *y, const clo_matrix *w, size_t r);

#endif
