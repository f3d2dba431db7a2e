/* Products with float weights: NEON. */
#include "tensor/neon/vec16.h"
#include "tensor/kernels_impl.h"

#include "tensor/body/matmul_f.h"
