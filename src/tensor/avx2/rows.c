/* Row operations: AVX2. */
#include "tensor/avx2/vec16.h"
#include "tensor/kernels_impl.h"

#include "tensor/body/rows.h"
