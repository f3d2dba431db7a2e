/* The scalar table: the law. */
#include "tensor/kernels_impl.h"
#include "tensor/table_impl.h"

CLO_TABLE_PRODUCTS(ref, ref)

const clo_kernels clo_kernels_scalar = CLO_TABLE_ROWS("scalar", ref);
