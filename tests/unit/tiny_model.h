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

static inline void tiny_open_at(tiny_model *t, const char *path, size_t n_threads, size_t n_chunk)
{
    clo_err err = {0};
    *t = (tiny_model){0};
    if (clo_pool_open(&t->pool, n_threads, &err) &&
        clo_model_open(&t->model, path, (clo_model_opts){.pool = t->pool}, &err) &&
        clo_decoder_open(&t->decoder, t->model, t->pool, (clo_decoder_opts){.n_tok_max = n_chunk}, &err))
        return;
    fprintf(stderr, "%s\n", err.text);
    abort();
}

static inline bool tiny_open(tiny_model *t, size_t n_threads, size_t n_chunk)
{
    char path[4096];
    if (!tiny_path(path)) return false;
    tiny_open_at(t, path, n_threads, n_chunk);
    return true;
}

/* Models with a tokenizer, which tests/tiny_models.py writes to a folder of this process: setup and teardown of a group
 * of tests. */
static char tiny_folder[] = "/tmp/cloche-tiny-XXXXXX";

static inline int tiny_text_make(void **state)
{
    char command[4096];
    (void)state;
    if (!mkdtemp(tiny_folder)) return -1;
    snprintf(command, sizeof command, "python3 tests/tiny_models.py %s >/dev/null", tiny_folder);
    return system(command);
}

static inline int tiny_text_remove(void **state)
{
    static const char *const types[] = {"f32", "bf16", "q8_0", "q4_0", "q4_k", "pooled", "bert"};
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/tiny-%s.gguf", tiny_folder, types[i]);
        if (remove(path) != 0) return -1;
    }
    return remove(tiny_folder);
}

static inline void tiny_text_open(tiny_model *t, const char *type, size_t n_threads)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/tiny-%s.gguf", tiny_folder, type);
    tiny_open_at(t, path, n_threads, 0);
}

static inline void tiny_close(tiny_model *t)
{
    clo_decoder_close(t->decoder);
    clo_model_close(t->model);
    clo_pool_close(t->pool);
}

#endif
