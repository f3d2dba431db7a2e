/* Packing: which types, how large, and the walk over panels. The layouts themselves: matmul_q_impl.h for quantised types
 * (written by pack_q.c), pack_float.h for plain ones. */
#include "tensor/pack.h"

#include "base/check.h"
#include "base/half.h"
#include "tensor/matmul_q_impl.h"
#include "tensor/pack_float.h"
#include "tensor/pack_q.h"

static bool is_float(clo_dtype t)
{
    return t == CLO_DTYPE_F32 || t == CLO_DTYPE_F16 || t == CLO_DTYPE_BF16;
}

clo_acts_kind clo_acts_kind_of(clo_dtype t)
{
    return is_float(t) ? CLO_ACTS_F32 : CLO_ACTS_Q8;
}

bool clo_pack_can(clo_dtype t, size_t n_cols)
{
    if (n_cols == 0 || (size_t)t >= CLO_DTYPE_COUNT) return false;
    if (is_float(t)) return true;
    return clo_q_layouts[t].block_len != 0 && n_cols % clo_q_layouts[t].block_len == 0;
}

size_t clo_pack_bytes(clo_dtype t, size_t n_rows, size_t n_cols)
{
    size_t n_panels = n_rows / CLO_PANEL_ROWS + (n_rows % CLO_PANEL_ROWS != 0), n_bytes;

    if (!clo_pack_can(t, n_cols)) return 0;
    if (is_float(t)) return clo_pack_float_bytes(t, n_rows, n_cols);
    /* a panel has at most 16 * 2 bytes a column and 256 columns of padding: a bound, so that the sum cannot wrap */
    if (n_cols > SIZE_MAX / 64 - 256) return 0;
    if (!clo_mul(n_panels, clo_q_panel_bytes(&clo_q_layouts[t], n_cols), &n_bytes)) return 0;
    return n_bytes;
}

void clo_pack_panels(void *dst, clo_dtype t, const void *src, size_t n_rows, size_t n_cols, const uint32_t *row_of,
                     size_t panel_begin, size_t panel_end)
{
    const clo_q_layout *l = &clo_q_layouts[t];
    size_t elem_bytes = t == CLO_DTYPE_F32 ? 4 : 2;
    size_t row_bytes = is_float(t) ? n_cols * elem_bytes : n_cols / l->block_len * l->block_bytes;
    size_t panel_bytes = is_float(t) ? clo_pack_float_bytes(t, CLO_PANEL_ROWS, n_cols) : clo_q_panel_bytes(l, n_cols);

    for (size_t p = panel_begin; p < panel_end; p++) {
        const uint8_t *rows[CLO_PANEL_ROWS];
        for (size_t i = 0; i < CLO_PANEL_ROWS; i++) {
            size_t r = p * CLO_PANEL_ROWS + i;
            rows[i] = r < n_rows ? (const uint8_t *)src + (row_of ? row_of[r] : r) * row_bytes : NULL;
        }
        uint8_t *panel = (uint8_t *)dst + p * panel_bytes;
        if (is_float(t)) {
            clo_pack_float_panel(panel, t, rows, n_cols);
        } else {
            clo_pack_q_panel(panel, t, rows, n_cols);
        }
    }
}

void clo_packed_row(float *y, const clo_matrix *w, size_t r)
{
    if (is_float(w->dtype)) {
        clo_packed_float_row(y, w, r);
        return;
    }
    bool has_min = clo_q_layouts[w->dtype].has_min;
    size_t group = CLO_ACT_BLOCK / clo_q_layouts[w->dtype].n_group;

    for (size_t b = 0; b < w->n_cols / CLO_ACT_BLOCK; b++) {
        int32_t c[CLO_ACT_BLOCK];
        float s[2], m[2];
        clo_q_unpack_block(w, r, b, c, s, m);
        for (size_t i = 0; i < CLO_ACT_BLOCK; i++) {
            float v = s[i / group] * (float)c[i];
            y[b * CLO_ACT_BLOCK + i] = has_min ? v + m[i / group] : v;
        }
    }
}
