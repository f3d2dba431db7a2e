/* Packing of quantised panels: stored blocks to the layout of matmul_q_impl.h. Internal to tensor/. */
#ifndef CLO_TENSOR_PACK_Q_H
#define CLO_TENSOR_PACK_Q_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/kernel.h"

/* Writes one panel of clo_q_panel_bytes from 16 stored rows; a NULL row is a row of zero bytes, whose product is 0
 * in every type.
 *   panel  64-byte aligned;  rows  any alignment;  n_cols  a multiple of the type's block */
void clo_pack_q_panel(uint8_t *panel, clo_dtype t, const uint8_t *const rows[CLO_PANEL_ROWS], size_t n_cols);

#endif
