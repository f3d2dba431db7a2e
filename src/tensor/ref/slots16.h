/* The fold of a row reduction: 16 slots to one sum, in the order that a vector register folds by halves. */
#ifndef CLO_TENSOR_REF_SLOTS16_H
#define CLO_TENSOR_REF_SLOTS16_H

#include <stddef.h>

static inline float clo_slots16_fold(float s[16])
{
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++) s[i] += s[i + half];
    return s[0];
}

#endif
