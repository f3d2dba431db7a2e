/* The NEON table (every 64-bit ARM). */
#include "tensor/kernels_impl.h"
#include "tensor/table_impl.h"

CLO_TABLE_PRODUCTS(neon, neon)

const clo_kernels clo_kernels_neon = CLO_TABLE_ROWS("neon", neon);
