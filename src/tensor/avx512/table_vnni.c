/* The AVX-512 table with VNNI (Cascade Lake, Zen 4 and later): quantised products differ. */
#include "tensor/kernels_impl.h"
#include "tensor/table_impl.h"

CLO_TABLE_PRODUCTS(avx512, avx512vnni)

const clo_kernels clo_kernels_avx512vnni = CLO_TABLE_ROWS("avx512vnni", avx512);
