/* The AVX-512 table (F, BW, VL, DQ: Skylake-X and later), without VNNI. */
#include "tensor/kernels_impl.h"
#include "tensor/table_impl.h"

CLO_TABLE_PRODUCTS(avx512, avx512)

const clo_kernels clo_kernels_avx512 = CLO_TABLE_ROWS("avx512", avx512);
