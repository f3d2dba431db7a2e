/* Perplexity as llama.cpp measures it: the text is cut into windows of n_ctx tokens that do not overlap; each begins with
 * BOS if the model wants one; the second half of each window is scored.
 *
 *   ppl = exp(mean of -ln p(token[j+1] | token[0..j]) over j in [n_ctx/2, n_ctx - 2] of every window)
 */
#ifndef CLO_INFER_PERPLEXITY_H
#define CLO_INFER_PERPLEXITY_H

#include "base/err.h"
#include "infer/decoder.h"

typedef struct {
    double ppl;
    double nll;        /* mean, in nats */
    double stderr_ppl; /* standard error, as llama.cpp prints it */
    size_t n_tokens;   /* of the text */
    size_t n_windows, n_scored;
} clo_perplexity;

/* progress may be NULL; it is told after each window. */
CLO_CHECK bool clo_perplexity_of(clo_perplexity *out, clo_decoder *d, clo_pool *pool, const int32_t *ids, size_t n,
                                 size_t n_ctx, bool add_bos, clo_progress_fn *progress, void *ctx, clo_err *err);

#endif
