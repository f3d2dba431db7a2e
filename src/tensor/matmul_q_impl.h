/* What the files of the quantised matrix products share: the packed layout of weights, the layout of activations, and
 * prototypes per instruction set. Both layouts are the same for all instruction sets, so that any row of the kernel
 * table reads what another row wrote. Contract and law: kernel.h (matmul, acts_pack).
 *
 * Packed weights. A panel is 16 rows. It starts with a head (Q3_K, Q6_K: f16 d [n_tiles][16]; MXFP4: u8 e
 * [n_tiles][2][16]; rounded up to 64 bytes; other types have none), then come tiles of 16 rows x 64 columns (x 256 for
 * types with super-blocks), each a multiple of 64 bytes, in the order of k. n_cols % 64 == 32 leaves the second half
 * of the last tile zero. A tile holds scales and codes; codes lie in lines of 64 bytes = 16 rows x 4 bytes, byte
 * 4r + i of a line belongs to row r and to columns 4m + i; the quad m of four columns counts 0..7 inside a block of 32:
 *   nibbles  4 lines a block:  line l has quad 2l in its low nibbles and quad 2l + 1 in the high ones
 *   pairs    2 lines a block:  line l has quad 4l + t in bits 2t, 2t+1
 *   bits     1 line a block:   quad m in bit m
 *   bytes    8 lines a block:  line m has quad m
 *
 *   type    scales in the tile (f16 unless noted)                                   codes: offset of nibbles/pairs/bits
 *   Q4_0    d[2][16]                                                                nibbles 64
 *   IQ4_NL  d[2][16]                                                                nibbles 64 (table index)
 *   MXFP4   (head)                                                                  nibbles 0 (table index)
 *   Q4_1    d[2][16] m[2][16]                                                       nibbles 128
 *   Q5_0    d[2][16]                                                                nibbles 64, bits 576
 *   Q5_1    d[2][16] m[2][16]                                                       nibbles 128, bits 640
 *   Q8_0    d[2][16]                                                                bytes 64
 *   Q2_K    d[16] dmin[16] u8 (sc | mn << 4)[16][16]                                pairs 320
 *   Q3_K    (head) u8 lo[8][16] hi[4][16]: 6-bit scales of 16 groups,               pairs 192, bits 1216
 *           lo[p] = low nibbles of groups 2p, 2p+1; hi[p] = upper two bits of groups 4p .. 4p+3
 *   Q4_K    d[16] dmin[16] u8 lo[8][16] hi[4][16]: lo[g] = sc & 15 | (mn & 15) << 4, nibbles 256
 *           hi[p] = sc >> 4 | mn >> 4 << 2 of group 2p, the same of 2p+1 << 4
 *   Q5_K    as Q4_K                                                                 nibbles 256, bits 2304
 *   Q6_K    (head) i8 sc[16][16]                                                    nibbles 256, pairs 2304
 *   IQ4_XS  d[16] u8 hi[2][16] lo[4][16]: as Q3_K, 8 groups                         nibbles 128 (table index)
 *
 * Packed activations. Tokens are cut in groups of 12 and a last group of at most 12, whose stride T is 1, 2, 4, 8 or
 * 12 (the unused tokens are zeros). A group is a row of blocks of 32 columns; a block is 16 arrays of T 4-byte items:
 *   0..7    the quads of q (four i8 each)
 *   8       d (f32)
 *   9       fl(d * (float)sum(q)) (f32)
 *   10      -128 * sum(q) (i32);  11, 12: the same of each half (16 columns)
 *   13      i16 pair: minus the sums of q at columns 0, 1 and at columns 2, 3 of the quads;  14, 15: of each half
 */
#ifndef CLO_TENSOR_MATMUL_Q_IMPL_H
#define CLO_TENSOR_MATMUL_Q_IMPL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tensor/kernel.h"

#define CLO_MATMUL_Q_DECLARE(isa)                                                                                      \
    void clo_matmul_q_##isa(float *y, size_t ldy, const clo_matrix *w, const void *acts, size_t n_tok,                 \
                            size_t panel_begin, size_t panel_end, void *scratch);                                      \
    void clo_acts_q8_pack_##isa(void *acts, const float *x, size_t ldx, size_t n_tok, size_t n_cols, size_t tok_begin, \
                                size_t tok_end)

CLO_MATMUL_Q_DECLARE(ref);
CLO_MATMUL_Q_DECLARE(avx2);
CLO_MATMUL_Q_DECLARE(avx512);
CLO_MATMUL_Q_DECLARE(avx512vnni);
CLO_MATMUL_Q_DECLARE(neon);
CLO_MATMUL_Q_DECLARE(neondot);

/* Bytes of packed activations, a multiple of 64; 0 on overflow. n_cols is a multiple of 32. */
size_t clo_acts_q8_bytes(size_t n_tok, size_t n_cols);

/* Bytes of a thread's scratch for products with at most n_cols_max columns, a multiple of 64. */
size_t clo_matmul_q_scratch_bytes(size_t n_cols_max);

/* --- weights -------------------------------------------------------------------------------------------------------*/

#define CLO_Q_NONE 0xffffu

/* A type's place in the table above. Offsets are bytes from the start of a tile, CLO_Q_NONE where there is none. */
typedef struct {
    uint16_t block_len, block_bytes; /* as stored in files */
    uint16_t tile_cols, tile_bytes;
    uint16_t head_bytes;             /* per tile, in the panel's head */
    uint16_t nib, two, bit, byte;
    uint8_t n_group;                 /* scale groups in a block of 32 columns: 1 or 2 */
    bool has_min;
} clo_q_layout;

static const clo_q_layout clo_q_layouts[CLO_DTYPE_COUNT] = {
    [CLO_DTYPE_Q4_0] = {32, 18, 64, 576, 0, 64, CLO_Q_NONE, CLO_Q_NONE, CLO_Q_NONE, 1, false},
    [CLO_DTYPE_Q4_1] = {32, 20, 64, 640, 0, 128, CLO_Q_NONE, CLO_Q_NONE, CLO_Q_NONE, 1, true},
    [CLO_DTYPE_Q5_0] = {32, 22, 64, 704, 0, 64, CLO_Q_NONE, 576, CLO_Q_NONE, 1, false},
    [CLO_DTYPE_Q5_1] = {32, 24, 64, 768, 0, 128, CLO_Q_NONE, 640, CLO_Q_NONE, 1, true},
    [CLO_DTYPE_Q8_0] = {32, 34, 64, 1088, 0, CLO_Q_NONE, CLO_Q_NONE, CLO_Q_NONE, 64, 1, false},
    [CLO_DTYPE_IQ4_NL] = {32, 18, 64, 576, 0, 64, CLO_Q_NONE, CLO_Q_NONE, CLO_Q_NONE, 1, false},
    [CLO_DTYPE_MXFP4] = {32, 17, 64, 512, 32, 0, CLO_Q_NONE, CLO_Q_NONE, CLO_Q_NONE, 1, false},
    [CLO_DTYPE_Q2_K] = {256, 84, 256, 1344, 0, CLO_Q_NONE, 320, CLO_Q_NONE, CLO_Q_NONE, 2, true},
    [CLO_DTYPE_Q3_K] = {256, 110, 256, 1728, 32, CLO_Q_NONE, 192, 1216, CLO_Q_NONE, 2, false},
    [CLO_DTYPE_Q4_K] = {256, 144, 256, 2304, 0, 256, CLO_Q_NONE, CLO_Q_NONE, CLO_Q_NONE, 1, true},
    [CLO_DTYPE_Q5_K] = {256, 176, 256, 2816, 0, 256, CLO_Q_NONE, 2304, CLO_Q_NONE, 1, true},
    [CLO_DTYPE_Q6_K] = {256, 210, 256, 3328, 32, 256, 2304, CLO_Q_NONE, CLO_Q_NONE, 2, false},
    [CLO_DTYPE_IQ4_XS] = {256, 136, 256, 2176, 0, 128, CLO_Q_NONE, CLO_Q_NONE, CLO_Q_NONE, 1, false},
};

/* Table values of IQ4_NL and IQ4_XS, and of MXFP4 (twice E2M1). */
static const int8_t clo_q_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static const int8_t clo_q_mxfp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* The same for products of unsigned codes: + 128 and + 16. */
static const int8_t q_iq4_biased[16] = {1,         24,        45,        63,        79,        93,        106,       118,
                                        (int8_t)129, (int8_t)141, (int8_t)153, (int8_t)166, (int8_t)181, (int8_t)197,
                                        (int8_t)217, (int8_t)241};
static const int8_t q_mxfp4_biased[16] = {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};

/* How a type's products may be summed in 16-bit lanes: matmul_q_body.h. */
typedef enum { CLASS_U, CLASS_U2, CLASS_S } q_class;

static inline size_t clo_q_n_tiles(const clo_q_layout *l, size_t n_cols)
{
    return n_cols / l->tile_cols + (n_cols % l->tile_cols != 0);
}

static inline size_t clo_q_head_bytes(const clo_q_layout *l, size_t n_tiles)
{
    return (n_tiles * l->head_bytes + 63) & ~(size_t)63;
}

static inline size_t clo_q_panel_bytes(const clo_q_layout *l, size_t n_cols)
{
    size_t n = clo_q_n_tiles(l, n_cols);
    return clo_q_head_bytes(l, n) + n * l->tile_bytes;
}

/* Block b (32 columns) of row r of a packed matrix, the plain way: integer codes, and per group (n_group of the layout)
 * scale s and minimum m, so that value = s * c + m (m is 0 and not to be added in types without a minimum). */
void clo_q_unpack_block(const clo_matrix *w, size_t r, size_t b, int32_t c[32], float s[2], float m[2]);

/* --- activations ---------------------------------------------------------------------------------------------------*/

#define CLO_Q8_GROUP 12        /* tokens of a full group */
#define CLO_Q8_BLOCK_BYTES 64  /* per token and block of 32 */
enum { ACT_Q = 0, ACT_D = 8, ACT_DSUM = 9, ACT_NSUM = 10, ACT_LANES = 13 };

/* Amax at and above which a block has non-zero quants; below it 127 / amax could overflow. */
#define CLO_Q8_AMAX_MIN 0x1p-100f

/* Stride of a last group of n tokens, 1 <= n <= 12. */
static inline size_t clo_q8_stride(size_t n)
{
    return n <= 2 ? n : n <= 4 ? 4 : n <= 8 ? 8 : 12;
}

/* Stride of the group that starts at token `tok` (a multiple of 12, < n_tok). */
static inline size_t clo_q8_group_stride(size_t n_tok, size_t tok)
{
    return n_tok - tok >= CLO_Q8_GROUP ? CLO_Q8_GROUP : clo_q8_stride(n_tok - tok);
}

/* Start of the group that holds token tok. */
static inline size_t clo_q8_group_off(size_t n_cols, size_t tok)
{
    return tok / CLO_Q8_GROUP * CLO_Q8_GROUP * (n_cols / CLO_ACT_BLOCK) * CLO_Q8_BLOCK_BYTES;
}

/* Writes one block of one token: quants q, scale d, and the sums of q over the lanes described above:
 * lane[half][0] over columns 0, 1 and lane[half][1] over columns 2, 3 of the half's quads. */
static inline void clo_q8_put_block(uint8_t *block, size_t stride, size_t slot, const int8_t q[32], float d,
                                      const int16_t lane[2][2])
{
    int32_t half[2] = {lane[0][0] + lane[0][1], lane[1][0] + lane[1][1]};
    float dsum = d * (float)(half[0] + half[1]);
    int32_t nsum[3] = {-128 * (half[0] + half[1]), -128 * half[0], -128 * half[1]};
    uint8_t *p = block + 4 * slot;

    for (size_t m = 0; m < 8; m++) memcpy(p + (ACT_Q + m) * 4 * stride, q + 4 * m, 4);
    memcpy(p + ACT_D * 4 * stride, &d, 4);
    memcpy(p + ACT_DSUM * 4 * stride, &dsum, 4);
    for (size_t i = 0; i < 3; i++) {
        int lo = i == 0 ? lane[0][0] + lane[1][0] : lane[i - 1][0];
        int hi = i == 0 ? lane[0][1] + lane[1][1] : lane[i - 1][1];
        uint32_t pair = ((uint32_t)-lo & 0xffffu) | (uint32_t)-hi << 16;
        memcpy(p + (ACT_NSUM + i) * 4 * stride, &nsum[i], 4);
        memcpy(p + (ACT_LANES + i) * 4 * stride, &pair, 4);
    }
}

/* Quantises one block: q, the scale d, the lane sums. One function per instruction set, the same results. */
typedef void clo_q8_quant_fn(int8_t q[32], float *d, int16_t lane[2][2], const float *x);

/* The walk over tokens and blocks that all acts_q8_pack functions share; the last token's writer fills the unused
 * tokens of its group with zeros. */
static inline __attribute__((always_inline)) void clo_q8_walk(clo_q8_quant_fn *quant, void *acts, const float *x,
                                                                size_t ldx, size_t n_tok, size_t n_cols,
                                                                size_t tok_begin, size_t tok_end)
{
    for (size_t t = tok_begin; t < tok_end; t++) {
        size_t slot = t % CLO_Q8_GROUP, stride = clo_q8_group_stride(n_tok, t - slot);
        uint8_t *block = (uint8_t *)acts + clo_q8_group_off(n_cols, t);

        for (size_t b = 0; b < n_cols / CLO_ACT_BLOCK; b++, block += CLO_Q8_BLOCK_BYTES * stride) {
            int8_t q[32];
            int16_t lane[2][2];
            float d;
            quant(q, &d, lane, x + t * ldx + b * CLO_ACT_BLOCK);
            clo_q8_put_block(block, stride, slot, q, d, (const int16_t(*)[2])lane);
            if (t + 1 != n_tok) continue;
            for (size_t i = slot + 1; i < stride; i++) {
                static const int8_t zero[32];
                static const int16_t no_lane[2][2];
                clo_q8_put_block(block, stride, i, zero, 0.0f, no_lane);
            }
        }
    }
}

#endif
