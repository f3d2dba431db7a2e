/* Attention: AVX512. */
#include "tensor/avx512/vec16.h"
#include "tensor/kernels_impl.h"
#include "tensor/mathf.h"

#include "tensor/body/attend.h"
