/* The NEON table with the dot product instructions of ARMv8.2 (SDOT): quantised products differ. */
#include "tensor/kernels_impl.h"
#include "tensor/table_impl.h"

CLO_TABLE_PRODUCTS(neon, neondot)

const clo_kernels clo_kernels_neondot = CLO_TABLE_ROWS("neondot", neon);
