/* Row operations: NEON. */
#include "tensor/neon/vec16.h"
#include "tensor/kernels_impl.h"

#include "tensor/body/rows.h"
