/* 16-bit floats. Conversions are exact or round to nearest, ties to even; subnormals are kept (IEEE 754 binary16;
 * bfloat16 is the upper half of binary32). Software, branch-light, the same bits everywhere: the law for the vector
 * conversions in tensor/. */
#ifndef CLO_BASE_HALF_H
#define CLO_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float clo_bits_f32(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline uint32_t clo_f32_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static inline float clo_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exp = (h >> 10) & 31u, man = h & 1023u;
    if (exp == 31) return clo_bits_f32(sign | 0x7f800000u | man << 13 | (man ? 0x400000u : 0));
    if (exp == 0) { /* zero or subnormal: man * 2^-24, exact in binary32 */
        float f = (float)man * 0x1p-24f;
        return clo_bits_f32(clo_f32_bits(f) | sign);
    }
    return clo_bits_f32(sign | (exp + 112u) << 23 | man << 13);
}

static inline uint16_t clo_f32_to_f16(float f)
{
    uint32_t u = clo_f32_bits(f);
    uint32_t sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((a >> 13) & 0x3ffu)); /* NaN stays NaN, quiet */
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);                       /* >= 65520 rounds to infinity */
    if (a < 0x38800000u) { /* subnormal result: align to 2^-24 and round once by an exact addition */
        float r = clo_bits_f32(a) + 0.5f; /* ulp of 0.5 is 2^-24 in [0.5, 1) */
        return (uint16_t)(sign | (clo_f32_bits(r) - 0x3f000000u));
    }
    uint32_t r = a + 0xfffu + ((a >> 13) & 1u);
    return (uint16_t)(sign | ((r >> 13) - (112u << 10)));
}

static inline float clo_bf16_to_f32(uint16_t b)
{
    return clo_bits_f32((uint32_t)b << 16);
}

static inline uint16_t clo_f32_to_bf16(float f)
{
    uint32_t u = clo_f32_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 64u);
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

#endif
