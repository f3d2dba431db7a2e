/* Layout of activations for float weights (CLO_ACTS_F32): the same for every instruction set.
 *
 * Tokens stand in groups of 6, the last group narrower; a group of `width` tokens is [n_cols][width] f32, and groups
 * follow one another. So one token is a plain row, and a tile of 6 tokens reads its six values of a k together. */
#ifndef CLO_TENSOR_ACTS_F32_H
#define CLO_TENSOR_ACTS_F32_H

#include <stddef.h>

#include "base/check.h"

#define CLO_ACTS_GROUP 6

typedef struct {
    const float *x; /* the asked token's value k at x[k * width] */
    size_t width;   /* tokens in the group */
} clo_acts_group;

static inline clo_acts_group clo_acts_f32_group(const void *acts, size_t n_tok, size_t n_cols, size_t t)
{
    size_t first = t - t % CLO_ACTS_GROUP;
    clo_acts_group g;
    g.x = (const float *)acts + first * n_cols + (t - first);
    g.width = clo_min(CLO_ACTS_GROUP, n_tok - first);
    return g;
}

/* Writes rows [tok_begin, tok_end) of x [n_tok, ldx] in that layout. */
void clo_acts_f32_pack(void *acts, const float *x, size_t ldx, size_t n_tok, size_t n_cols, size_t tok_begin,
                       size_t tok_end);

#endif
