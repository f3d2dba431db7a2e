/* Quantised panels: written from stored blocks, read back one block at a time (the plain decoder, the law's view). */
#include "tensor/pack_q.h"

#include "base/half.h"
#include "tensor/matmul_q_impl.h"

#define ROWS CLO_PANEL_ROWS

/* --- stored blocks -> integer codes as stored and scales ----------------------------------------------------------*/

/* Codes of a block of 32, low nibbles first half: Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL, MXFP4, and IQ4_XS's sub-blocks. */
static void split_halves(uint8_t code[32], const uint8_t *qs, const uint8_t *qh)
{
    uint32_t high = 0;

    if (qh) high = qh[0] | (uint32_t)qh[1] << 8 | (uint32_t)qh[2] << 16 | (uint32_t)qh[3] << 24;
    for (size_t j = 0; j < 16; j++) {
        code[j] = (uint8_t)((qs[j] & 15) | ((high >> j & 1) << 4));
        code[j + 16] = (uint8_t)(qs[j] >> 4 | ((high >> (j + 16) & 1) << 4));
    }
}

/* Codes of a super-block, element e of half n = e / 128, strip j = e % 128 / 32, lane l = e % 32 (docs/formats). */
static void split_super(uint8_t code[256], clo_dtype t, const uint8_t *p)
{
    for (size_t e = 0; e < 256; e++) {
        size_t n = e / 128, j = e % 128 / 32, l = e % 32, b = e / 32, c = 0;
        switch (t) {
        case CLO_DTYPE_Q2_K: c = p[16 + 32 * n + l] >> 2 * j & 3; break;
        case CLO_DTYPE_Q3_K: c = (p[32 + 32 * n + l] >> 2 * j & 3) | (size_t)(p[l] >> b & 1) << 2; break;
        case CLO_DTYPE_Q4_K: c = p[16 + 32 * (b / 2) + l] >> 4 * (b & 1) & 15; break;
        case CLO_DTYPE_Q5_K:
            c = (p[48 + 32 * (b / 2) + l] >> 4 * (b & 1) & 15) | (size_t)(p[16 + l] >> b & 1) << 4;
            break;
        case CLO_DTYPE_Q6_K:
            c = (p[64 * n + l + 32 * (j & 1)] >> 4 * (j / 2) & 15) | (size_t)(p[128 + 32 * n + l] >> 2 * j & 3) << 4;
            break;
        default: /* IQ4_XS */ c = l < 16 ? p[8 + 16 * b + l] & 15 : p[8 + 16 * b + l - 16] >> 4; break;
        }
        code[e] = (uint8_t)c;
    }
}

/* The i-th 6-bit scale and minimum of the 12 bytes q of Q4_K and Q5_K. */
static void get_k4(uint8_t *sc, uint8_t *mn, const uint8_t *q, size_t i)
{
    if (i < 4) {
        *sc = q[i] & 63;
        *mn = q[i + 4] & 63;
    } else {
        *sc = (uint8_t)((q[i + 4] & 15) | q[i - 4] >> 6 << 4);
        *mn = (uint8_t)(q[i + 4] >> 4 | q[i] >> 6 << 4);
    }
}

static uint8_t get_k3(const uint8_t *q, size_t g)
{
    int low = g < 8 ? q[g] & 15 : q[g - 8] >> 4;
    int high = q[8 + g % 4] >> 2 * (g / 4) & 3;
    return (uint8_t)(low | high << 4);
}

static uint8_t get_iq4xs(const uint8_t *p, size_t g)
{
    int low = p[4 + g / 2] >> 4 * (g & 1) & 15;
    int high = (p[2] | p[3] << 8) >> 2 * g & 3;
    return (uint8_t)(low | high << 4);
}

/* --- placing -------------------------------------------------------------------------------------------------------*/

/* Places the codes of `n` columns from column `col` of a tile, row r. The tile was zeroed. */
static void put_codes(uint8_t *tile, const clo_q_layout *l, const uint8_t *code, size_t col, size_t n, size_t r)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = col + i, b = k / 32, m = k % 32 / 4, at = 4 * r + k % 4;
        uint32_t c = code[i];

        if (l->byte != CLO_Q_NONE) tile[l->byte + b * 512 + m * 64 + at] = (uint8_t)c;
        if (l->nib != CLO_Q_NONE) {
            uint8_t *p = &tile[l->nib + b * 256 + m / 2 * 64 + at];
            *p = (uint8_t)(*p | (c & 15) << 4 * (m & 1));
            c >>= 4;
        }
        if (l->two != CLO_Q_NONE) {
            uint8_t *p = &tile[l->two + b * 128 + m / 4 * 64 + at];
            *p = (uint8_t)(*p | (c & 3) << 2 * (m & 3));
            c >>= 2;
        }
        if (l->bit != CLO_Q_NONE) {
            uint8_t *p = &tile[l->bit + b * 64 + at];
            *p = (uint8_t)(*p | (c & 1) << m);
        }
    }
}

static void put16(uint8_t *p, size_t r, const uint8_t *f16)
{
    memcpy(p + 2 * r, f16, 2);
}

/* A stored block of 32 becomes half b of a tile. head: the tile's part of the panel's head. */
static void put_block(uint8_t *tile, uint8_t *head, clo_dtype t, const uint8_t *p, size_t b, size_t r)
{
    const clo_q_layout *l = &clo_q_layouts[t];
    uint8_t code[32];

    switch (t) {
    case CLO_DTYPE_MXFP4:
        head[b * 16 + r] = p[0];
        split_halves(code, p + 1, NULL);
        break;
    case CLO_DTYPE_Q8_0: memcpy(code, p + 2, 32); break;
    case CLO_DTYPE_Q4_1: split_halves(code, p + 4, NULL); break;
    case CLO_DTYPE_Q5_0: split_halves(code, p + 6, p + 2); break;
    case CLO_DTYPE_Q5_1: split_halves(code, p + 8, p + 4); break;
    default: /* Q4_0, IQ4_NL */ split_halves(code, p + 2, NULL); break;
    }
    if (t != CLO_DTYPE_MXFP4) put16(tile + 32 * b, r, p);
    if (l->has_min) put16(tile + 64 + 32 * b, r, p + 2);
    put_codes(tile, l, code, 32 * b, 32, r);
}

/* 6-bit scales split in nibbles and upper pairs of bits: Q3_K (16 groups), IQ4_XS (8). */
static void put_six(uint8_t *lo, uint8_t *hi, uint32_t sc, size_t g, size_t r)
{
    lo[g / 2 * 16 + r] = (uint8_t)(lo[g / 2 * 16 + r] | (sc & 15) << 4 * (g & 1));
    hi[g / 4 * 16 + r] = (uint8_t)(hi[g / 4 * 16 + r] | (sc >> 4) << 2 * (g & 3));
}

/* A stored super-block becomes a tile. */
static void put_super(uint8_t *tile, uint8_t *head, clo_dtype t, const uint8_t *p, size_t r)
{
    uint8_t code[256], sc, mn;

    split_super(code, t, p);
    put_codes(tile, &clo_q_layouts[t], code, 0, 256, r);
    switch (t) {
    case CLO_DTYPE_Q2_K:
        put16(tile, r, p + 80);
        put16(tile + 32, r, p + 82);
        for (size_t g = 0; g < 16; g++) tile[64 + 16 * g + r] = p[g];
        break;
    case CLO_DTYPE_Q3_K:
        put16(head, r, p + 108);
        for (size_t g = 0; g < 16; g++) put_six(tile, tile + 128, get_k3(p + 96, g), g, r);
        break;
    case CLO_DTYPE_Q6_K:
        put16(head, r, p + 208);
        for (size_t g = 0; g < 16; g++) tile[16 * g + r] = p[192 + g];
        break;
    case CLO_DTYPE_IQ4_XS:
        put16(tile, r, p);
        for (size_t g = 0; g < 8; g++) put_six(tile + 64, tile + 32, get_iq4xs(p, g), g, r);
        break;
    default: /* Q4_K, Q5_K */
        put16(tile, r, p);
        put16(tile + 32, r, p + 2);
        for (size_t g = 0; g < 8; g++) {
            uint8_t *hi = &tile[192 + g / 2 * 16 + r];
            get_k4(&sc, &mn, p + 4, g);
            tile[64 + 16 * g + r] = (uint8_t)((sc & 15) | (mn & 15) << 4);
            *hi = (uint8_t)(*hi | (sc >> 4 | mn >> 4 << 2) << 4 * (g & 1));
        }
        break;
    }
}

void clo_pack_q_panel(uint8_t *panel, clo_dtype t, const uint8_t *const rows[CLO_PANEL_ROWS], size_t n_cols)
{
    static const uint8_t zero[256];
    const clo_q_layout *l = &clo_q_layouts[t];
    size_t n_tiles = clo_q_n_tiles(l, n_cols);
    uint8_t *tiles = panel + clo_q_head_bytes(l, n_tiles);

    memset(panel, 0, clo_q_panel_bytes(l, n_cols));
    for (size_t b = 0; b < n_cols / l->block_len; b++) {
        size_t i_tile = b * l->block_len / l->tile_cols;
        uint8_t *tile = tiles + i_tile * l->tile_bytes, *head = panel + i_tile * l->head_bytes;
        for (size_t r = 0; r < ROWS; r++) {
            const uint8_t *p = rows[r] ? rows[r] + b * l->block_bytes : zero;
            if (l->block_len == 32) {
                put_block(tile, head, t, p, b % 2, r);
            } else {
                put_super(tile, head, t, p, r);
            }
        }
    }
}

/* --- reading back --------------------------------------------------------------------------------------------------*/

static float get16(const uint8_t *p, size_t r)
{
    uint16_t h;
    memcpy(&h, p + 2 * r, 2);
    return clo_f16_to_f32(h);
}

/* The code of column k of a tile as stored (Q8_0: its byte). */
static uint32_t get_code(const uint8_t *tile, const clo_q_layout *l, size_t k, size_t r)
{
    size_t b = k / 32, m = k % 32 / 4, at = 4 * r + k % 4, shift = 0;
    uint32_t c = 0;

    if (l->byte != CLO_Q_NONE) return tile[l->byte + b * 512 + m * 64 + at];
    if (l->nib != CLO_Q_NONE) {
        c = tile[l->nib + b * 256 + m / 2 * 64 + at] >> 4 * (m & 1) & 15;
        shift = 4;
    }
    if (l->two != CLO_Q_NONE) {
        c |= (uint32_t)(tile[l->two + b * 128 + m / 4 * 64 + at] >> 2 * (m & 3) & 3) << shift;
        shift += 2;
    }
    if (l->bit != CLO_Q_NONE) c |= (uint32_t)(tile[l->bit + b * 64 + at] >> m & 1) << shift;
    return c;
}

static int32_t code_value(clo_dtype t, uint32_t c)
{
    switch (t) {
    case CLO_DTYPE_Q4_0: return (int32_t)c - 8;
    case CLO_DTYPE_Q5_0: return (int32_t)c - 16;
    case CLO_DTYPE_Q6_K: return (int32_t)c - 32;
    case CLO_DTYPE_Q3_K: return (int32_t)c - 4;
    case CLO_DTYPE_Q8_0: return (int8_t)c;
    case CLO_DTYPE_IQ4_NL:
    case CLO_DTYPE_IQ4_XS: return clo_q_iq4[c];
    case CLO_DTYPE_MXFP4: return clo_q_mxfp4[c];
    default: return (int32_t)c;
    }
}

/* 2^(e - 128), subnormal for e < 2. */
static float exp_scale(uint32_t e)
{
    return clo_bits_f32(e < 2 ? 0x00200000u << e : (e - 1) << 23);
}

static float get_six(const uint8_t *lo, const uint8_t *hi, size_t g, size_t r)
{
    int c = (lo[g / 2 * 16 + r] >> 4 * (g & 1) & 15) | (hi[g / 4 * 16 + r] >> 2 * (g & 3) & 3) << 4;
    return (float)(c - 32);
}

/* Scale and minimum of group g of a tile (of 32 or 16 columns), row r. */
static void get_scale(float *s, float *m, clo_dtype t, const uint8_t *tile, const uint8_t *head, size_t g, size_t r)
{
    *m = 0.0f;
    switch (t) {
    case CLO_DTYPE_MXFP4: *s = exp_scale(head[16 * g + r]); break;
    case CLO_DTYPE_Q4_1:
    case CLO_DTYPE_Q5_1:
        *s = get16(tile + 32 * g, r);
        *m = get16(tile + 64 + 32 * g, r);
        break;
    case CLO_DTYPE_Q2_K:
        *s = get16(tile, r) * (float)(tile[64 + 16 * g + r] & 15);
        *m = -(get16(tile + 32, r) * (float)(tile[64 + 16 * g + r] >> 4));
        break;
    case CLO_DTYPE_Q3_K: *s = get16(head, r) * get_six(tile, tile + 128, g, r); break;
    case CLO_DTYPE_IQ4_XS: *s = get16(tile, r) * get_six(tile + 64, tile + 32, g, r); break;
    case CLO_DTYPE_Q6_K: *s = get16(head, r) * (float)(int8_t)tile[16 * g + r]; break;
    case CLO_DTYPE_Q4_K:
    case CLO_DTYPE_Q5_K: {
        int lo = tile[64 + 16 * g + r], hi = tile[192 + g / 2 * 16 + r] >> 4 * (g & 1);
        *s = get16(tile, r) * (float)((lo & 15) | (hi & 3) << 4);
        *m = -(get16(tile + 32, r) * (float)(lo >> 4 | (hi >> 2 & 3) << 4));
        break;
    }
    default: *s = get16(tile + 32 * g, r); break;
    }
}

void clo_q_unpack_block(const clo_matrix *w, size_t r, size_t b, int32_t c[32], float s[2], float m[2])
{
    const clo_q_layout *l = &clo_q_layouts[w->dtype];
    size_t n_tiles = clo_q_n_tiles(l, w->n_cols), i_tile = b * 32 / l->tile_cols, col = b * 32 % l->tile_cols;
    const uint8_t *panel = w->data + r / ROWS * clo_q_panel_bytes(l, w->n_cols);
    const uint8_t *tile = panel + clo_q_head_bytes(l, n_tiles) + i_tile * l->tile_bytes;
    const uint8_t *head = panel + i_tile * l->head_bytes;

    for (size_t i = 0; i < 32; i++) c[i] = code_value(w->dtype, get_code(tile, l, col + i, r % ROWS));
    for (size_t g = 0; g < l->n_group; g++) {
        get_scale(&s[g], &m[g], w->dtype, tile, head, col / 32 * l->n_group + g, r % ROWS);
    }
}
