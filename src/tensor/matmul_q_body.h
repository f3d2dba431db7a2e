/* The quantised matrix product, written once over a vector's width. A file of an instruction set defines the operations
 * listed below and Q_NAME(x), then includes this body; it defines clo_matmul_q_<isa> and clo_acts_q8_pack_<isa>.
 *
 *   Q_VN            vectors in a line of 64 bytes (16 rows): 1, 2 or 4; a vector has 16 / Q_VN rows
 *   Q_U_BIAS        log2 of the bias of unpacked codes of U types, or -1; Q_S_BIAS  the same of S types
 *   Q_NT_MAX Q_PANELS  tokens (divides 12) and panels of a register tile;  Q_NT_EVEN  tokens where 8 or 4 are to be cut
 *   Q_FUSED_MAX     most tokens that are multiplied without unpacking
 *   Q_STREAMS Q_STREAMS_SUPER  panels read side by side then, by types without and with super-blocks
 *   Q_AHEAD Q_AHEAD_SUPER      how many bytes ahead each of these streams is asked for
 *   vi, vf          vectors of bytes or int32, and of floats;  dot  a sum under way;  qx  a quad of quants;  b16  sixteen bytes
 *   v_load v_store v_and v_or v_xor v_add8 v_set8 v_sh v_lut | f_f16 f_i8 f_exp f_load f_store f_set f_mul f_neg f_fma
 *   f_cvt | i_set i_sum | b_load b_store b_and b_or b_sub b_sh | q_load d_start d_step d_half d_end | quant_block
 *
 * Two ways: up to Q_FUSED_MAX tokens codes go from memory (for the second and later groups of 12 tokens from the caches)
 * through registers into the sums. More tokens: a slice of k of a panel is unpacked to bytes and float scales (in L1) and
 * used by all groups of tokens; tokens go in chunks whose activations stay in L2, and sums go on through y from slice to
 * slice, in the law's order.
 *
 * Classes of types, by what a sum of 16 products in a 16-bit lane can hold (AVX2; others ignore them). |q| <= 127:
 *   U   unsigned codes u = c + bias <= 63. Lane sums of c: Q4_0 16*8*127, Q4_1 Q4_K 16*15*127, Q5_0 16*16*127, MXFP4
 *       16*12*127; groups of 16: Q6_K 8*32*127, Q3_K 8*4*127, Q2_K 8*3*127; all at most 32512 < 2^15, so additions that
 *       wrap around end at the exact sum.
 *   U2  Q5_1 Q5_K: 16*31*127 does not fit, 8*31*127 = 31496 does: the lane is emptied after 16 columns.
 *   S   signed bytes down to -128 (Q8_0), table values (IQ4): each product pair is widened at once, 2*128*127 = 32512.
 * A group's whole sum is at most 32*128*127 = 520192 < 2^24 (a biased one 32*255*127 < 2^24): (float) of it is exact. */

#include "tensor/matmul_q_impl.h"

#define AI static inline __attribute__((always_inline))
#define Q_VB (64 / Q_VN)
#define Q_VR (16 / Q_VN)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define Q_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define Q_SANITIZED
#endif
#endif
/* UNROLL is for loops whose bodies need constant indices (shift counts), UNROLL_TILE for those over tokens and vectors,
 * whose sums then live in registers. Sanitizers multiply the code: there the latter stay loops. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed"
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#if defined(Q_SANITIZED)
#define UNROLL_TILE
#else
#define UNROLL_TILE UNROLL
#endif

/* Steps of 32 columns in a slice: two panels of them and a group's activations stay in L1. A step is at most 768 bytes. */
enum { TILE_STEPS = 16, PANEL_STEPS_BYTES = TILE_STEPS * 768, CHUNK_BYTES = 480 << 10 };


AI q_class class_of(clo_dtype t)
{
    switch (t) {
    case CLO_DTYPE_Q5_1:
    case CLO_DTYPE_Q5_K: return CLASS_U2;
    case CLO_DTYPE_Q8_0:
    case CLO_DTYPE_IQ4_NL:
    case CLO_DTYPE_IQ4_XS: return CLASS_S;
    default: return CLASS_U;
    }
}

/* log2 of the bias of a type's codes as load_half gives them, -1 for none. */
AI int bias_of(clo_dtype t)
{
    switch (t) {
    case CLO_DTYPE_Q3_K: return 2;
    case CLO_DTYPE_Q4_0: return 3;
    case CLO_DTYPE_Q5_0:
    case CLO_DTYPE_MXFP4: return 4;
    case CLO_DTYPE_Q6_K: return 5;
    case CLO_DTYPE_Q8_0:
    case CLO_DTYPE_IQ4_NL:
    case CLO_DTYPE_IQ4_XS: return Q_S_BIAS;
    default: return -1;
    }
}

/* --- weights of a tile ---------------------------------------------------------------------------------------------*/

/* c[i] = codes of quad 4 * half + i of block j, vector h of its line. */
AI void load_half(clo_dtype t, const uint8_t *tile, size_t j, size_t half, size_t h, vi c[4])
{
    const clo_q_layout *l = &clo_q_layouts[t];
    const uint8_t *p = tile + h * Q_VB;

    if (l->byte != CLO_Q_NONE) {
        UNROLL for (size_t i = 0; i < 4; i++) {
            c[i] = v_load(p + l->byte + j * 512 + (4 * half + i) * 64);
            if (Q_S_BIAS == 7) c[i] = v_xor(c[i], v_set8(0x80));
        }
        return;
    }
    if (l->nib != CLO_Q_NONE) {
        UNROLL for (size_t i = 0; i < 2; i++) {
            vi v = v_load(p + l->nib + j * 256 + (2 * half + i) * 64);
            c[2 * i] = v_and(v, v_set8(15));
            c[2 * i + 1] = v_and(v_sh(v, -4), v_set8(15));
        }
    }
    if (l->two != CLO_Q_NONE) {
        vi v = v_load(p + l->two + j * 128 + half * 64);
        UNROLL for (int i = 0; i < 4; i++) {
            if (l->nib != CLO_Q_NONE) {
                c[i] = v_or(c[i], v_and(v_sh(v, 4 - 2 * i), v_set8(0x30)));
            } else {
                c[i] = v_and(v_sh(v, -2 * i), v_set8(3));
            }
        }
    }
    if (l->bit != CLO_Q_NONE) {
        int to = l->nib != CLO_Q_NONE ? 4 : 2;
        vi v = v_load(p + l->bit + j * 64);
        UNROLL for (int i = 0; i < 4; i++) {
            c[i] = v_or(c[i], v_and(v_sh(v, to - (half ? 4 : 0) - i), v_set8(1 << to)));
        }
    }
    if (t == CLO_DTYPE_IQ4_NL || t == CLO_DTYPE_IQ4_XS) {
        UNROLL for (size_t i = 0; i < 4; i++) c[i] = v_lut(Q_S_BIAS == 7 ? q_iq4_biased : clo_q_iq4, c[i]);
    } else if (t == CLO_DTYPE_MXFP4) {
        UNROLL for (size_t i = 0; i < 4; i++) c[i] = v_lut(q_mxfp4_biased, c[i]);
    }
}

/* Scales of a super-block, decoded once per tile. */
typedef struct {
    vf d[Q_VN], m[Q_VN];        /* d and -dmin of the rows */
    const int8_t *sc, *mn;      /* [group][16 rows], into the tile or the arrays below */
    int8_t sc_own[256], mn_own[256];
} super_scales;

/* 6-bit scales less 32 of n_group groups, as put_six of pack_q.c wrote them. */
AI void load_six(int8_t *sc, const uint8_t *lo, const uint8_t *hi, int n_group)
{
    UNROLL for (int g = 0; g < n_group; g++) {
        b16 low = b_and(b_sh(b_load(lo + g / 2 * 16), -4 * (g & 1)), 15);
        b16 high = b_and(b_sh(b_load(hi + g / 4 * 16), 4 - 2 * (g & 3)), 0x30);
        b_store(sc + 16 * g, b_sub(b_or(low, high), 32));
    }
}

AI void load_super(super_scales *s, clo_dtype t, const uint8_t *tile, const uint8_t *head)
{
    const clo_q_layout *l = &clo_q_layouts[t];

    if (l->block_len == 32) return;
    UNROLL_TILE for (size_t h = 0; h < Q_VN; h++) s->d[h] = f_f16((l->head_bytes ? head : tile) + h * 2 * Q_VR);
    if (l->has_min) {
        UNROLL_TILE for (size_t h = 0; h < Q_VN; h++) s->m[h] = f_neg(f_f16(tile + 32 + h * 2 * Q_VR));
    }
    s->sc = s->sc_own;
    s->mn = s->mn_own;
    if (t == CLO_DTYPE_Q6_K) {
        s->sc = (const int8_t *)tile;
    } else if (t == CLO_DTYPE_Q3_K) {
        load_six(s->sc_own, tile, tile + 128, 16);
    } else if (t == CLO_DTYPE_IQ4_XS) {
        load_six(s->sc_own, tile + 64, tile + 32, 8);
    } else if (t == CLO_DTYPE_Q2_K) {
        UNROLL for (size_t g = 0; g < 16; g++) {
            b16 b = b_load(tile + 64 + 16 * g);
            b_store(s->sc_own + 16 * g, b_and(b, 15));
            b_store(s->mn_own + 16 * g, b_and(b_sh(b, -4), 15));
        }
    } else {
        UNROLL for (int g = 0; g < 8; g++) { /* Q4_K, Q5_K */
            b16 low = b_load(tile + 64 + 16 * g), high = b_sh(b_load(tile + 192 + 16 * (g / 2)), -4 * (g & 1));
            b_store(s->sc_own + 16 * g, b_or(b_and(low, 15), b_and(b_sh(high, 4), 0x30)));
            b_store(s->mn_own + 16 * g, b_or(b_and(b_sh(low, -4), 15), b_and(b_sh(high, 2), 0x30)));
        }
    }
}

/* Scale and minimum of group g of block j, vector h of the rows. */
AI void load_scale(vf *sc, vf *mn, const super_scales *s, clo_dtype t, const uint8_t *tile, const uint8_t *head, size_t j,
                   size_t g, size_t h)
{
    const clo_q_layout *l = &clo_q_layouts[t];
    size_t at = (j * l->n_group + g) * 16 + h * Q_VR;

    if (t == CLO_DTYPE_MXFP4) {
        *sc = f_exp(head + at);
    } else if (l->block_len == 32) {
        *sc = f_f16(tile + 2 * at);
        if (l->has_min) *mn = f_f16(tile + 64 + 2 * at);
    } else {
        *sc = f_mul(s->d[h], f_i8(s->sc + at));
        if (l->has_min) *mn = f_mul(s->m[h], f_i8(s->mn + at));
    }
}

/* --- one step: 32 columns of a panel by nt tokens ------------------------------------------------------------------*/

/* y += (s * d) * isum, and += m * (d * sum(q)). part: 0 the whole block, 1 and 2 its halves. a: the token's items. */
AI vf finish(vf y, vf sc, vf mn, bool has_min, q_class cls, int bias, dot ia, const uint8_t *a, size_t stride, size_t part)
{
    vf d = f_set(a + ACT_D * 4 * stride);

    y = f_fma(f_mul(sc, d), f_cvt(d_end(cls, bias, ia, a, stride, part)), y);
    if (!has_min) return y;
    return f_fma(mn, part == 0 ? f_set(a + ACT_DSUM * 4 * stride)
                               : f_mul(d, f_cvt(i_sum(a + (ACT_NSUM + part) * 4 * stride))), y);
}

AI void fused_step(clo_dtype t, size_t nt, vf acc[][Q_VN], const super_scales *s, const uint8_t *tile, const uint8_t *head,
                   size_t j, const uint8_t *a)
{
    const clo_q_layout *l = &clo_q_layouts[t];
    const q_class cls = class_of(t);
    const int bias = bias_of(t);
    dot ia[CLO_Q8_GROUP][Q_VN];

    UNROLL for (size_t half = 0; half < 2; half++) {
        const size_t part = l->n_group == 2 ? 1 + half : 0;
        if (part != 0 || half == 0) {
            UNROLL_TILE for (size_t i = 0; i < nt; i++)
                UNROLL_TILE for (size_t h = 0; h < Q_VN; h++) ia[i][h] = d_start(cls, bias, a + 4 * i, nt, part);
        } else {
            UNROLL_TILE for (size_t i = 0; i < nt; i++) UNROLL_TILE for (size_t h = 0; h < Q_VN; h++) ia[i][h] = d_half(cls, ia[i][h]);
        }
        UNROLL_TILE for (size_t h = 0; h < Q_VN; h++) {
            vi c[4];
            load_half(t, tile, j, half, h, c);
            UNROLL_TILE for (size_t m = 0; m < 4; m++)
                UNROLL_TILE for (size_t i = 0; i < nt; i++)
                    ia[i][h] = d_step(cls, ia[i][h], c[m], q_load(a + (4 * half + m) * 4 * nt + 4 * i));
        }
        if (part == 0 && half == 0) continue;
        UNROLL_TILE for (size_t h = 0; h < Q_VN; h++) {
            vf sc, mn = f_zero();
            load_scale(&sc, &mn, s, t, tile, head, j, part == 2, h);
            UNROLL_TILE for (size_t i = 0; i < nt; i++)
                acc[i][h] = finish(acc[i][h], sc, mn, l->has_min, cls, bias, ia[i][h], a + 4 * i, nt, part);
        }
    }
}

/* Asks for block j's share of the tile at `tile`. */
AI void prefetch_block(const clo_q_layout *l, const uint8_t *tile, size_t j)
{
    const size_t share = ((size_t)l->tile_bytes * 32 / l->tile_cols + 63) & ~(size_t)63;
    const uint8_t *p = tile + j * share;
    UNROLL for (size_t i = 0; i < share; i += 64) __builtin_prefetch(p + i, 0, 3);
}

/* One tile of a panel, n_blocks <= tile_cols / 32 of it, by nt tokens; what comes next lies `ahead` bytes further on. */
AI void fused_tile(clo_dtype t, size_t nt, vf acc[][Q_VN], const uint8_t *tile, const uint8_t *head, size_t n_blocks,
                   const uint8_t *a)
{
    const clo_q_layout *l = &clo_q_layouts[t];
    super_scales s;

    load_super(&s, t, tile, head);
    if (l->tile_cols == 64) {
        prefetch_block(l, tile + Q_AHEAD, 0);
        fused_step(t, nt, acc, &s, tile, head, 0, a);
        if (n_blocks == 1) return;
        prefetch_block(l, tile + Q_AHEAD, 1);
        fused_step(t, nt, acc, &s, tile, head, 1, a + CLO_Q8_BLOCK_BYTES * nt);
    } else {
        for (size_t j = 0; j < n_blocks; j++, a += CLO_Q8_BLOCK_BYTES * nt) {
            prefetch_block(l, tile + Q_AHEAD_SUPER, j);
            fused_step(t, nt, acc, &s, tile, head, j, a);
        }
    }
}

/* n_stream panels, `step` panels apart from p on, tile by tile in turn: memory gives more to several streams. */
AI void fused_streams(clo_dtype t, size_t nt, size_t n_stream, float *y, size_t ldy, const clo_matrix *w,
                      const uint8_t *acts, size_t n_tok, size_t p, size_t step)
{
    const clo_q_layout *l = &clo_q_layouts[t];
    const size_t n_tiles = clo_q_n_tiles(l, w->n_cols), panel_bytes = clo_q_panel_bytes(l, w->n_cols);
    const size_t tile_blocks = l->tile_cols / 32, n_blocks = w->n_cols / 32;
    const uint8_t *head = w->data + p * panel_bytes, *tile = head + clo_q_head_bytes(l, n_tiles);
    vf acc[Q_STREAMS][CLO_Q8_GROUP][Q_VN];

    for (size_t s = 0; s < n_stream; s++)
        UNROLL_TILE for (size_t i = 0; i < nt; i++) UNROLL_TILE for (size_t h = 0; h < Q_VN; h++) acc[s][i][h] = f_zero();
    for (size_t b = 0; b < n_blocks; b += tile_blocks, tile += l->tile_bytes, head += l->head_bytes) {
        const size_t n = n_blocks - b < tile_blocks ? n_blocks - b : tile_blocks;
        for (size_t s = 0; s < n_stream; s++)
            fused_tile(t, nt, acc[s], tile + s * step * panel_bytes, head + s * step * panel_bytes, n,
                       acts + b * CLO_Q8_BLOCK_BYTES * nt);
    }
    for (size_t s = 0; s < n_stream; s++)
        UNROLL_TILE for (size_t i = 0; i < nt; i++)
            UNROLL_TILE for (size_t h = 0; h < Q_VN; h++)
                if (i < n_tok) f_store(y + i * ldy + (p + s * step) * 16 + h * Q_VR, acc[s][i][h]);
}

/* Panels [p0, p1) by one group of at most nt = stride tokens, read straight from the packed form. */
AI void fused_panels(clo_dtype t, size_t nt, float *y, size_t ldy, const clo_matrix *w, const uint8_t *acts, size_t n_tok,
                     size_t p0, size_t p1)
{
    const size_t n_stream = clo_q_layouts[t].tile_cols > 64 ? Q_STREAMS_SUPER : Q_STREAMS, step = (p1 - p0) / n_stream;

    for (size_t p = p0; p < p0 + step; p++) fused_streams(t, nt, n_stream, y, ldy, w, acts, n_tok, p, step);
    for (size_t p = p0 + step * n_stream; p < p1; p++) fused_streams(t, nt, 1, y, ldy, w, acts, n_tok, p, 0);
}

/* --- many tokens ---------------------------------------------------------------------------------------------------*/

/* What a tile's code depends on; unpacked steps are f32 s[n_group][16], m[n_group][16] if any, and 8 lines of codes. */
typedef struct {
    uint8_t n_group;
    bool has_min;
    q_class cls;
    int bias;
} q_kind;

AI q_kind kind_of(clo_dtype t)
{
    const clo_q_layout *l = &clo_q_layouts[t];
    int bias = bias_of(t);
    return (q_kind){l->n_group, l->has_min, class_of(t), bias < 0 ? -1 : class_of(t) == CLASS_S ? Q_S_BIAS : Q_U_BIAS};
}

AI size_t step_bytes(q_kind k)
{
    return 512 + 64u * k.n_group * (k.has_min ? 2 : 1);
}

/* Unpacks n_steps blocks of one panel, from the start of a tile; what comes after lies `ahead` bytes further on. */
AI void unpack_steps(clo_dtype t, uint8_t *out, const uint8_t *tile, const uint8_t *head, size_t n_steps, size_t ahead)
{
    const clo_q_layout *l = &clo_q_layouts[t];
    const q_kind k = kind_of(t);
    const int from = bias_of(t) < 0 ? 0 : 1 << bias_of(t), to = k.bias < 0 ? 0 : 1 << k.bias;
    const size_t tile_blocks = l->tile_cols / 32;

    for (size_t b = 0; b < n_steps; tile += l->tile_bytes, head += l->head_bytes) {
        super_scales s;
        load_super(&s, t, tile, head);
        for (size_t j = 0; j < tile_blocks && b < n_steps; j++, b++, out += step_bytes(k)) {
            uint8_t *lines = out + step_bytes(k) - 512;
            prefetch_block(l, tile + ahead, j);
            UNROLL_TILE for (size_t h = 0; h < Q_VN; h++) {
                UNROLL for (size_t g = 0; g < l->n_group; g++) {
                    vf sc, mn = f_zero();
                    load_scale(&sc, &mn, &s, t, tile, head, j, g, h);
                    f_store((float *)(void *)out + 16 * g + h * Q_VR, sc);
                    if (k.has_min) f_store((float *)(void *)out + 16 * (l->n_group + g) + h * Q_VR, mn);
                }
                UNROLL for (size_t half = 0; half < 2; half++) {
                    vi c[4];
                    load_half(t, tile, j, half, h, c);
                    UNROLL_TILE for (size_t m = 0; m < 4; m++) {
                        if (from != to) c[m] = v_add8(c[m], v_set8(to - from));
                        v_store(lines + (4 * half + m) * 64 + h * Q_VB, c[m]);
                    }
                }
            }
        }
    }
}

/* y[i] (nt tokens by 16 * n_panel rows, row i at y + i * ldy for i < n_valid) goes on over n_steps unpacked steps. u: the
 * panels' steps, PANEL_STEPS_BYTES apart; a: the first token's items in the group, whose stride is `stride`. */
AI void tile_tokens(q_kind k, size_t n_panel, size_t nt, size_t stride, float *y, size_t ldy, size_t n_valid,
                    const uint8_t *u, const uint8_t *a, size_t n_steps, bool first)
{
    const size_t n_vec = n_panel * Q_VN; /* vector v: rows [v * Q_VR, (v + 1) * Q_VR) */
    vf acc[Q_NT_MAX][Q_PANELS * Q_VN];

    UNROLL_TILE for (size_t i = 0; i < nt; i++)
        UNROLL_TILE for (size_t v = 0; v < n_vec; v++)
            acc[i][v] = first || i >= n_valid ? f_zero() : f_load(y + i * ldy + v * Q_VR);

    for (size_t b = 0; b < n_steps; b++, u += step_bytes(k), a += CLO_Q8_BLOCK_BYTES * stride) {
        const uint8_t *lines = u + step_bytes(k) - 512;
        dot ia[Q_NT_MAX][Q_PANELS * Q_VN];
        UNROLL for (size_t half = 0; half < 2; half++) {
            const size_t part = k.n_group == 2 ? 1 + half : 0;
            UNROLL_TILE for (size_t i = 0; i < nt; i++)
                UNROLL_TILE for (size_t v = 0; v < n_vec; v++)
                    ia[i][v] = part != 0 || half == 0 ? d_start(k.cls, k.bias, a + 4 * i, stride, part)
                                                      : d_half(k.cls, ia[i][v]);
            UNROLL_TILE for (size_t m = 0; m < 4; m++) {
                vi c[Q_PANELS * Q_VN];
                UNROLL_TILE for (size_t v = 0; v < n_vec; v++)
                    c[v] = v_load(lines + v / Q_VN * PANEL_STEPS_BYTES + (4 * half + m) * 64 + v % Q_VN * Q_VB);
                UNROLL_TILE for (size_t i = 0; i < nt; i++) {
                    const qx x = q_load(a + (4 * half + m) * 4 * stride + 4 * i);
                    UNROLL_TILE for (size_t v = 0; v < n_vec; v++) ia[i][v] = d_step(k.cls, ia[i][v], c[v], x);
                }
            }
            if (part == 0 && half == 0) continue;
            UNROLL_TILE for (size_t v = 0; v < n_vec; v++) {
                const uint8_t *scales = u + v / Q_VN * PANEL_STEPS_BYTES + 64 * (part == 2) + v % Q_VN * 4 * Q_VR;
                vf sc = f_load((const float *)(const void *)scales), mn = f_zero();
                if (k.has_min) mn = f_load((const float *)(const void *)(scales + 64 * k.n_group));
                UNROLL_TILE for (size_t i = 0; i < nt; i++)
                    acc[i][v] = finish(acc[i][v], sc, mn, k.has_min, k.cls, k.bias, ia[i][v], a + 4 * i, stride, part);
            }
        }
    }
    UNROLL_TILE for (size_t i = 0; i < nt; i++) {
        UNROLL_TILE for (size_t v = 0; v < n_vec; v++)
            if (i < n_valid) f_store(y + i * ldy + v * Q_VR, acc[i][v]);
    }
}

/* A whole group of tokens in register tiles. */
AI void tile_group(q_kind k, size_t n_panel, size_t stride, float *y, size_t ldy, size_t n_valid, const uint8_t *u,
                   const uint8_t *a, size_t n_steps, bool first)
{
    const size_t nt = stride <= Q_NT_MAX ? stride : stride % Q_NT_MAX == 0 ? Q_NT_MAX : Q_NT_EVEN;

    for (size_t i = 0; i < stride && i < n_valid; i += nt) {
        tile_tokens(k, n_panel, nt, stride, y + i * ldy, ldy, n_valid - i, u, a + 4 * i, n_steps, first);
    }
}

/* --- one function per type (or kind) and stride ---------------------------------------------------------------------*/

typedef void fused_fn(float *y, size_t ldy, const clo_matrix *w, const uint8_t *acts, size_t n_tok, size_t p0, size_t p1);
typedef void unpack_fn(uint8_t *out, const uint8_t *tile, const uint8_t *head, size_t n_steps, size_t ahead);
typedef void tile_fn(float *y, size_t ldy, size_t n_valid, const uint8_t *u, const uint8_t *a, size_t n_steps, bool first,
                     size_t n_panel);

#define FUSED(type, n)                                                                                                 \
    static void fused_##type##_##n(float *y, size_t ldy, const clo_matrix *w, const uint8_t *acts, size_t n_tok,       \
                                   size_t p0, size_t p1)                                                               \
    {                                                                                                                  \
        fused_panels(CLO_DTYPE_##type, n, y, ldy, w, acts, n_tok, p0, p1);                                             \
    }
#if Q_FUSED_MAX > 2
#define FUSED_ALL(type) FUSED(type, 1) FUSED(type, 2) FUSED(type, 4) FUSED(type, 8) FUSED(type, 12)
#define FUSED_ROW(type) {fused_##type##_1, fused_##type##_2, fused_##type##_4, fused_##type##_8, fused_##type##_12}
#else
#define FUSED_ALL(type) FUSED(type, 1) FUSED(type, 2)
#define FUSED_ROW(type) {fused_##type##_1, fused_##type##_2, NULL, NULL, NULL}
#endif
#define TILE(type, n)                                                                                                  \
    static void tile_##type##_##n(float *y, size_t ldy, size_t n_valid, const uint8_t *u, const uint8_t *a,            \
                                  size_t n_steps, bool first, size_t n_panel)                                          \
    {                                                                                                                  \
        if (n_panel == 1) {                                                                                            \
            tile_group(kind_of(CLO_DTYPE_##type), 1, n, y, ldy, n_valid, u, a, n_steps, first);                        \
        } else {                                                                                                       \
            tile_group(kind_of(CLO_DTYPE_##type), Q_PANELS, n, y, ldy, n_valid, u, a, n_steps, first);                 \
        }                                                                                                              \
    }
#define TILE_ALL(type) TILE(type, 1) TILE(type, 2) TILE(type, 4) TILE(type, 8) TILE(type, 12)
#define TILE_ROW(type) {tile_##type##_1, tile_##type##_2, tile_##type##_4, tile_##type##_8, tile_##type##_12}
#define UNPACK(type)                                                                                                   \
    static void unpack_##type(uint8_t *out, const uint8_t *tile, const uint8_t *head, size_t n_steps, size_t ahead)    \
    {                                                                                                                  \
        unpack_steps(CLO_DTYPE_##type, out, tile, head, n_steps, ahead);                                               \
    }

#define ALL_TYPES(X) X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q8_0) X(Q2_K) X(Q3_K) X(Q4_K) X(Q5_K) X(Q6_K) X(IQ4_NL) X(IQ4_XS) X(MXFP4)
ALL_TYPES(FUSED_ALL)
ALL_TYPES(UNPACK)
/* Types of one kind share their tiles; these six stand for their kinds. */
TILE_ALL(Q4_0) TILE_ALL(Q4_1) TILE_ALL(Q5_1) TILE_ALL(Q8_0) TILE_ALL(Q6_K) TILE_ALL(Q2_K)

#define ROW(type, kind) [CLO_DTYPE_##type] = {FUSED_ROW(type), unpack_##type, TILE_ROW(kind)}
static const struct {
    fused_fn *fused[5];
    unpack_fn *unpack;
    tile_fn *tile[5];
} type_rows[CLO_DTYPE_COUNT] = {
    ROW(Q4_0, Q4_0), ROW(Q4_1, Q4_1), ROW(Q5_0, Q4_0),   ROW(Q5_1, Q5_1),   ROW(Q8_0, Q8_0),
    ROW(Q2_K, Q2_K), ROW(Q3_K, Q6_K), ROW(Q4_K, Q4_1),   ROW(Q5_K, Q5_1),   ROW(Q6_K, Q6_K),
    ROW(MXFP4, Q4_0), ROW(IQ4_NL, Q8_0), ROW(IQ4_XS, Q8_0),
};

/* 0..4 for strides 1, 2, 4, 8, 12. */
AI size_t stride_index(size_t stride)
{
    return stride == 12 ? 4 : stride == 8 ? 3 : stride / 2;
}

/* What the loops over slices, panels and groups of tokens share. */
typedef struct {
    float *y;
    size_t ldy;
    const clo_matrix *w;
    const uint8_t *acts;
    size_t n_tok, t0, t1; /* tokens of the call; of this chunk, t0 a multiple of 12 */
    uint8_t *scratch;     /* Q_PANELS * PANEL_STEPS_BYTES */
} q_job;

/* Tokens of the chunk by n_panel panels from p and the slice of k that starts at block b. */
static void matmul_slice(const q_job *job, size_t p, size_t n_panel, size_t b, size_t ahead)
{
    const clo_matrix *w = job->w;
    const clo_q_layout *l = &clo_q_layouts[w->dtype];
    const size_t n_tiles = clo_q_n_tiles(l, w->n_cols), panel_bytes = clo_q_panel_bytes(l, w->n_cols);
    const size_t n_blocks = w->n_cols / 32, i_tile = b / (l->tile_cols / 32);
    const size_t n_steps = n_blocks - b < TILE_STEPS ? n_blocks - b : TILE_STEPS;

    for (size_t i = 0; i < n_panel; i++) {
        const uint8_t *head = w->data + (p + i) * panel_bytes, *tile = head + clo_q_head_bytes(l, n_tiles);
        type_rows[w->dtype].unpack(job->scratch + i * PANEL_STEPS_BYTES, tile + i_tile * l->tile_bytes,
                                   head + i_tile * l->head_bytes, n_steps, ahead);
    }
    for (size_t t = job->t0, stride; t < job->t1; t += stride) {
        stride = clo_q8_group_stride(job->n_tok, t);
        size_t n_valid = job->t1 - t < stride ? job->t1 - t : stride;
        const uint8_t *a = job->acts + clo_q8_group_off(w->n_cols, t) + b * CLO_Q8_BLOCK_BYTES * stride;
        float *y = job->y + t * job->ldy + p * CLO_PANEL_ROWS;

        for (size_t i = stride; i < 2 * stride && t + i < job->t1; i++) { /* the next group's outputs */
            __builtin_prefetch(y + i * job->ldy, 1, 3);
            if (Q_PANELS > 1) __builtin_prefetch(y + i * job->ldy + CLO_PANEL_ROWS, 1, 3);
        }
        type_rows[w->dtype].tile[stride_index(stride)](y, job->ldy, n_valid, job->scratch, a, n_steps, b == 0, n_panel);
    }
}

/* A chunk by panels [p0, p1). Slices run outside of panels when the chunk's activations do not all stay in L2; otherwise
 * inside, so that weights are one linear stream. */
static void matmul_chunk(const q_job *job, size_t p0, size_t p1)
{
    const clo_q_layout *l = &clo_q_layouts[job->w->dtype];
    const size_t n_blocks = job->w->n_cols / 32, panel_bytes = clo_q_panel_bytes(l, job->w->n_cols);
    const bool outside = (job->t1 - job->t0) * n_blocks * CLO_Q8_BLOCK_BYTES > CHUNK_BYTES;
    const size_t run = outside ? TILE_STEPS : n_blocks; /* blocks for which a panel is kept */
    const size_t ahead = outside ? Q_PANELS * panel_bytes : (size_t)l->tile_bytes * 32 * TILE_STEPS / l->tile_cols;

    for (size_t b0 = 0; b0 < n_blocks; b0 += run) {
        for (size_t p = p0, n_panel; p < p1; p += n_panel) {
            n_panel = p1 - p < Q_PANELS ? 1 : Q_PANELS;
            for (size_t b = b0; b < n_blocks && b < b0 + run; b += TILE_STEPS) matmul_slice(job, p, n_panel, b, ahead);
        }
    }
}

/* Panel by panel, each read once for every group of tokens: from memory the first time, then from the caches. */
static void matmul_fused(float *y, size_t ldy, const clo_matrix *w, const uint8_t *acts, size_t n_tok, size_t p0, size_t p1)
{
    const size_t run = n_tok > CLO_Q8_GROUP ? 1 : p1 - p0;

    for (size_t p = p0; p < p1; p += run) {
        for (size_t t = 0, stride; t < n_tok; t += stride) {
            stride = clo_q8_group_stride(n_tok, t);
            type_rows[w->dtype].fused[stride_index(stride)](y + t * ldy, ldy, w, acts + clo_q8_group_off(w->n_cols, t),
                                                            n_tok - t, p, p + run);
        }
    }
}

void Q_NAME(clo_matmul_q)(float *y, size_t ldy, const clo_matrix *w, const void *acts, size_t n_tok, size_t panel_begin,
                          size_t panel_end, void *scratch)
{
    if (n_tok == 0 || panel_begin >= panel_end) return;
    if (n_tok <= Q_FUSED_MAX) {
        matmul_fused(y, ldy, w, (const uint8_t *)acts, n_tok, panel_begin, panel_end);
        return;
    }
    size_t cols = w->n_cols < 32 * TILE_STEPS ? w->n_cols : 32 * TILE_STEPS;
    size_t n_group = CHUNK_BYTES / (CLO_Q8_GROUP * (cols / 32) * CLO_Q8_BLOCK_BYTES);
    for (size_t t = 0, end; t < n_tok; t = end) {
        end = n_tok - t > n_group * CLO_Q8_GROUP ? t + n_group * CLO_Q8_GROUP : n_tok;
        q_job job = {y, ldy, w, (const uint8_t *)acts, n_tok, t, end, (uint8_t *)scratch};
        matmul_chunk(&job, panel_begin, panel_end);
    }
}

void Q_NAME(clo_acts_q8_pack)(void *acts, const float *x, size_t ldx, size_t n_tok, size_t n_cols, size_t tok_begin,
                              size_t tok_end)
{
    clo_q8_walk(quant_block, acts, x, ldx, n_tok, n_cols, tok_begin, tok_end);
}
