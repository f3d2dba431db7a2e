/* Packed panels of plain float weights. The layout is stated in the header. */
#include "tensor/pack_float.h"

#include <string.h>

#include "base/check.h"
#include "base/half.h"

static size_t element_bytes(clo_dtype t)
{
    return t == CLO_DTYPE_F32 ? 4 : t == CLO_DTYPE_F16 || t == CLO_DTYPE_BF16 ? 2 : 0;
}

/* Byte offset of element (r, k) in its panel. */
static size_t offset_of(clo_dtype t, size_t r, size_t k)
{
    if (t == CLO_DTYPE_F32) return (k * CLO_PANEL_ROWS + r) * 4;
    if (t == CLO_DTYPE_F16) return (k * CLO_PANEL_ROWS + r) * 2;
    return (k / 2 * CLO_PANEL_ROWS + r) * 4 + k % 2 * 2;
}

size_t clo_pack_float_panel_bytes(clo_dtype t, size_t n_cols)
{
    size_t n_even, bytes;
    if (!clo_add(n_cols, n_cols & 1, &n_even)) return 0;
    if (!clo_mul(n_even, CLO_PANEL_ROWS * element_bytes(t), &bytes)) return 0;
    return t == CLO_DTYPE_F32 ? bytes - (n_even - n_cols) * 64 : bytes;
}

size_t clo_pack_float_bytes(clo_dtype t, size_t n_rows, size_t n_cols)
{
    size_t bytes;
    size_t n_panels = n_rows / CLO_PANEL_ROWS + (n_rows % CLO_PANEL_ROWS != 0);
    if (!clo_mul(n_panels, clo_pack_float_panel_bytes(t, n_cols), &bytes)) return 0;
    return bytes;
}

/* Blocks of 64 columns are turned one after another, so that the 16 rows read and the lines written stay in L1. */
void clo_pack_float_panel(void *panel_dst, clo_dtype t, const uint8_t *const rows[CLO_PANEL_ROWS], size_t n_cols)
{
    uint8_t *dst = panel_dst;
    size_t size = element_bytes(t);
    size_t panel_bytes = clo_pack_float_panel_bytes(t, n_cols);
    if (n_cols & 1 && size == 2) memset(dst + panel_bytes - 64, 0, 64);
    for (size_t k0 = 0; k0 < n_cols; k0 += 64) {
        size_t k1 = clo_min(k0 + 64, n_cols);
        for (size_t r = 0; r < CLO_PANEL_ROWS; r++) {
            for (size_t k = k0; k < k1; k++) {
                uint8_t *at = dst + offset_of(t, r, k);
                if (!rows[r]) memset(at, 0, size);
                else if (size == 4) memcpy(at, rows[r] + k * 4, 4);
                else memcpy(at, rows[r] + k * 2, 2);
            }
        }
    }
}

void clo_packed_float_row(float *y, const clo_matrix *w, size_t r)
{
    const uint8_t *panel = w->data + r / CLO_PANEL_ROWS * clo_pack_float_panel_bytes(w->dtype, w->n_cols);
    r %= CLO_PANEL_ROWS;
    for (size_t k = 0; k < w->n_cols; k++) {
        const uint8_t *at = panel + offset_of(w->dtype, r, k);
        uint16_t half;
        if (w->dtype == CLO_DTYPE_F32) {
            memcpy(&y[k], at, 4);
            continue;
        }
        memcpy(&half, at, 2);
        y[k] = w->dtype == CLO_DTYPE_F16 ? clo_f16_to_f32(half) : clo_bf16_to_f32(half);
    }
}
