/* What the files of quant.h share: code tables and the packed scales of the super-blocks. Layouts:
 * docs/formats/blocks.md. */
#ifndef CLO_TENSOR_QUANT_IMPL_H
#define CLO_TENSOR_QUANT_IMPL_H

#include <stdint.h>
#include <string.h>

#include "base/cursor.h"
#include "base/half.h"
#include "tensor/quant.h"

#define QK 32      /* elements of a plain block */
#define QK_K 256   /* elements of a super-block */
#define K_GROUP 16 /* elements under one scale in Q2_K, Q3_K, Q6_K */
#define K_SUB 32   /* elements under one scale in Q4_K, Q5_K, IQ4_XS */

/* Values of the 16 codes of IQ4_NL and IQ4_XS, and of MXFP4 (E2M1, doubled). */
extern const int8_t clo_iq4_values[16];
extern const int8_t clo_mxfp4_values[16];

/* One block: x is block_len floats, all finite; b is block_bytes. */
typedef void clo_quantize_block_fn(uint8_t *b, const float *x);

clo_quantize_block_fn clo_quantize_q2_k, clo_quantize_q3_k, clo_quantize_q4_k, clo_quantize_q5_k, clo_quantize_q6_k;
clo_quantize_block_fn clo_quantize_iq4_nl, clo_quantize_iq4_xs;

/* The signed value whose magnitude is largest, the first of equals; +0 when all are zeros. */
float clo_signed_max(const float *x, size_t n);

static inline float load_f16(const uint8_t *b)
{
    return clo_f16_to_f32(clo_load_le16(b));
}

static inline void store_u16(uint8_t *b, uint16_t u)
{
    b[0] = (uint8_t)(u & 255u);
    b[1] = (uint8_t)(u >> 8);
}

static inline void store_f16(uint8_t *b, float f)
{
    store_u16(b, clo_f32_to_f16(f));
}

/* 2^(e-128): half of what E8M0 says, since the table holds doubled values. The two smallest are subnormal. */
static inline float mxfp4_scale(uint8_t e)
{
    return clo_bits_f32(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

/* Scale and minimum (6 bits each) of sub-block i < 8 from the 12 bytes of Q4_K and Q5_K:
 * bytes 0-3 hold scales 0-3, bytes 4-7 minima 0-3, bytes 8-11 the low nibbles of scale (low) and minimum (high) 4-7,
 * whose upper two bits sit on top of bytes 0-3 and 4-7. */
static inline void k4_scale_min(const uint8_t q[12], unsigned i, uint8_t *sc, uint8_t *mn)
{
    if (i < 4) {
        *sc = q[i] & 63;
        *mn = q[i + 4] & 63;
    } else {
        *sc = (uint8_t)((q[i + 4] & 15) | (q[i - 4] >> 6) << 4);
        *mn = (uint8_t)((q[i + 4] >> 4) | (q[i] >> 6) << 4);
    }
}

/* Scale, -32..31, of group g < 16 from the 12 bytes of Q3_K: bytes 0-7 hold the low nibbles of groups 0-7 (low) and
 * 8-15 (high), bytes 8-11 the upper two bits of groups 4k + i in byte 8 + i at bit 2k. */
static inline int q3_k_scale(const uint8_t q[12], unsigned g)
{
    int low = g < 8 ? q[g] & 15 : q[g - 8] >> 4;
    int high = (q[8 + g % 4] >> (2 * (g / 4))) & 3;
    return (low | high << 4) - 32;
}

#endif
