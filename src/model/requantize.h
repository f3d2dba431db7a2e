/* A GGUF file with its matrices in another type.
 *
 *   clo_requantize_opts o = { .type = clo_mixture_find(CLO_STR("q4_k_m")) };
 *   clo_requantize_stats st;
 *   if (!clo_requantize("in-f16.gguf", "out-q4_k_m.gguf", &o, &st, &err)) ...
 *
 * Keys are copied but for general.file_type and general.quantization_version, tensors keep their order, what is no
 * matrix keeps its bytes. Work goes by slices of rows over a pool; memory is some tens of megabytes, whatever the model.
 * The result is a pure function of the input and the type: any number of threads writes the same file.
 */
#ifndef CLO_MODEL_REQUANTIZE_H
#define CLO_MODEL_REQUANTIZE_H

#include "model/mixture.h"
#include "model/model.h"

typedef struct {
    const clo_mixture *type;
    bool pure;                 /* every matrix the base type */
    bool allow_requantize;     /* take matrices that are quantised already; the loss of both adds up */
    size_t n_threads;          /* 0: as many as clo_cpu_quota says */
    clo_progress_fn *progress; /* bytes of output done; may be NULL */
    void *progress_ctx;
} clo_requantize_opts;

typedef struct {
    size_t n_tensors;
    size_t n_converted;                 /* tensors whose type changed */
    size_t n_fallback;                  /* matrices whose rows did not fit the type the rules chose */
    size_t n_of_type[CLO_DTYPE_COUNT];  /* in the output */
    uint64_t bytes_in, bytes_out;       /* of tensor data */
    uint64_t n_elements;
} clo_requantize_stats;

/* Reads `in` (a GGUF file, or the first of a split one) and writes `out` through a temporary file. stats may be NULL.
 * CLO_ERR_UNSUPPORTED: not GGUF. CLO_ERR_USAGE: a matrix is quantised already and that was not allowed. CLO_ERR_FORMAT,
 * CLO_ERR_LIMIT: a value that is no number, or that the type cannot hold; the text names tensor, row and element. */
CLO_CHECK bool clo_requantize(const char *in, const char *out, const clo_requantize_opts *opts,
                              clo_requantize_stats *stats, clo_err *err);

#endif
