/* Attention: NEON. */
#include "tensor/neon/vec16.h"
#include "tensor/kernels_impl.h"
#include "tensor/mathf.h"

#include "tensor/body/attend.h"
