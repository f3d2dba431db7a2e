/* Checked arithmetic for sizes that come from a file. True when the result fits; the result is unspecified if not. */
#ifndef CLO_BASE_CHECK_H
#define CLO_BASE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

static inline bool CLO_CHECK clo_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool CLO_CHECK clo_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* n rounded up to a multiple of `to` (a power of two). The caller knows that it fits. */
static inline size_t clo_round_up(size_t n, size_t to)
{
    return (n + to - 1) & ~(to - 1);
}

static inline size_t clo_ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static inline size_t clo_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t clo_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
