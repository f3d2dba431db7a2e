/* The AVX2 table (with FMA and F16C: Haswell, Zen and later). */
#include "tensor/kernels_impl.h"
#include "tensor/table_impl.h"

CLO_TABLE_PRODUCTS(avx2, avx2)

const clo_kernels clo_kernels_avx2 = CLO_TABLE_ROWS("avx2", avx2);
