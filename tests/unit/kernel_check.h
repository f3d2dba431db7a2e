/* What the kernel tests share: numbers to try, guarded buffers, comparison of bits. */
#ifndef CLO_TESTS_KERNEL_CHECK_H
#define CLO_TESTS_KERNEL_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/half.h"
#include "tensor/kernel.h"

static uint64_t check_state = 88172645463325252ull;

static inline uint32_t check_random(void)
{
    check_state ^= check_state << 13;
    check_state ^= check_state >> 7;
    check_state ^= check_state << 17;
    return (uint32_t)(check_state >> 16);
}

/* In (-1, 1). */
static inline float check_uniform(void)
{
    return (float)((int32_t)check_random() >> 8) * 0x1p-23f;
}

/* A number of a kind: 0 plain, 1 wide exponents, 2 subnormals and zeros among plain, 3 infinities and NaN too. */
static inline float check_number(int kind)
{
    uint32_t r = check_random();
    if (kind == 1) return check_uniform() * clo_bits_f32((64u + r % 126u) << 23);
    if (kind >= 2 && r % 4 == 0) return clo_bits_f32((r & 0x80000000u) | (check_random() & 0x7fffffu));
    if (kind >= 2 && r % 4 == 1) return r & 64 ? 0.0f : -0.0f;
    if (kind == 3 && r % 64 == 2) return r & 256 ? -__builtin_inff() : __builtin_inff();
    if (kind == 3 && r % 64 == 6) return __builtin_nanf("");
    return check_uniform() * 4.0f;
}

static inline void check_fill(float *x, size_t n, int kind)
{
    for (size_t i = 0; i < n; i++) x[i] = check_number(kind);
}

/* True when the bits agree; any NaN equals any NaN. */
static inline bool check_same(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (clo_f32_bits(a[i]) == clo_f32_bits(b[i])) continue;
        if (a[i] != a[i] && b[i] != b[i]) continue;
        print_message("element %zu of %zu: %a, expected %a\n", i, n, (double)a[i], (double)b[i]);
        return false;
    }
    return true;
}

static inline void *check_alloc(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 127) & ~(size_t)63);
    assert_non_null(p);
    return p;
}

#endif
