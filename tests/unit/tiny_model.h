/* The small shared model (no tokenizer), opened for a test; NULL session parts when it is not there. */
#ifndef CLO_TESTS_TINY_MODEL_H
#define CLO_TESTS_TINY_MODEL_H

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "infer/decoder.h"

typedef struct {
    clo_pool *pool;
    clo_model *model;
    clo_decoder *decoder;
} tiny_model;

/* False when the shared data is absent. */
static inline bool tiny_path(char out[4096])
{
    const char *shared = getenv("CLOCHE_SHARED");
    snprintf(out, 4096, "%s/data/models/llama-2m", shared ? shared : "../shared");
    return clo_path_exists(out);
}

static inline bool tiny_open(tiny_model *t, size_t n_threads, size_t n_chunk)
{
    char path[4096];
    clo_err err = {0};
    *t = (tiny_model){0};
    if (!tiny_path(path)) return false;
    if (clo_pool_open(&t->pool, n_threads, &err) &&
        clo_model_open(&t->model, path, (clo_model_opts){.pool = t->pool}, &err) &&
        clo_decoder_open(&t->decoder, t->model, t->pool, (clo_decoder_opts){.n_tok_max = n_chunk}, &err))
        return true;
    fprintf(stderr, "%s\n", err.text);
    abort();
}

static inline void tiny_close(tiny_model *t)
{
    clo_decoder_close(t->decoder);
    clo_model_close(t->model);
    clo_pool_close(t->pool);
}

#endif
