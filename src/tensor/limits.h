/* What this machine can do at most: plain reading from memory and fused multiply-adds, measured by loops that do nothing
 * else. Speeds of a model are shown as fractions of these. */
#ifndef CLO_TENSOR_LIMITS_H
#define CLO_TENSOR_LIMITS_H

#include "base/err.h"
#include "base/thread.h"

typedef struct {
    double read_gb_s;   /* 1e9 bytes per second, all threads of the pool together, from memory */
    double fma_gflop_s; /* f32 fused multiply-adds counted as two, all threads together */
    const char *isa;    /* of the loops: "avx512", "avx2", "neon", "sse" */
} clo_limits;

/* Takes about half a second and 256 MiB. Wall time: other work on the machine shows. */
CLO_CHECK bool clo_measure_limits(clo_limits *out, clo_pool *pool, clo_err *err);

#endif
