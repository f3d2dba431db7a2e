/* Row operations: AVX512. */
#include "tensor/avx512/vec16.h"
#include "tensor/kernels_impl.h"

#include "tensor/body/rows.h"
