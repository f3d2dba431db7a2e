/* Products with float weights, scalar: the law. One chain over k per output. */
#include <string.h>

#include "base/half.h"
#include "tensor/acts_f32.h"
#include "tensor/pack_float.h"
#include "tensor/kernels_impl.h"

/* Element (r, k) of a panel, widened exactly: the layout table of pack_float.h. */
static float weight_at(clo_dtype t, const uint8_t *panel, size_t r, size_t k)
{
    float f;
    uint16_t h;
    switch (t) {
    case CLO_DTYPE_F32:
        memcpy(&f, panel + (k * 16 + r) * 4, 4);
        return f;
    case CLO_DTYPE_F16:
        memcpy(&h, panel + (k * 16 + r) * 2, 2);
        return clo_f16_to_f32(h);
    default: /* BF16 */
        memcpy(&h, panel + (k / 2 * 16 + r) * 4 + k % 2 * 2, 2);
        return clo_bf16_to_f32(h);
    }
}

void clo_matmul_f_ref(float *y, size_t ldy, const clo_matrix *w, const void *acts, size_t n_tok, size_t panel_begin,
                      size_t panel_end)
{
    size_t panel_bytes = clo_pack_float_panel_bytes(w->dtype, w->n_cols);
    for (size_t p = panel_begin; p < panel_end; p++) {
        const uint8_t *panel = w->data + p * panel_bytes;
        for (size_t t = 0; t < n_tok; t++) {
            clo_acts_group g = clo_acts_f32_group(acts, n_tok, w->n_cols, t);
            float sum[16] = {0};
            for (size_t k = 0; k < w->n_cols; k++)
                for (size_t r = 0; r < 16; r++)
                    sum[r] = __builtin_fmaf(weight_at(w->dtype, panel, r, k), g.x[k * g.width], sum[r]);
            memcpy(y + t * ldy + p * 16, sum, sizeof sum);
        }
    }
}
