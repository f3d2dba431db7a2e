/* What a model is, from its files alone: nothing is computed, packed or kept open. */
#ifndef CLO_INFER_FACTS_H
#define CLO_INFER_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "infer/sampler.h"
#include "tensor/dtype.h"

typedef struct {
    bool gguf;              /* else safetensors */
    char family[24];        /* "llama", "olmo2": clo_spec's */
    uint64_t n_weights, weight_bytes;
    clo_dtype main_dtype;   /* that holds most bytes */
    uint32_t n_layer, n_dim, n_head, n_kv_head, head_dim, n_ff, n_vocab, n_ctx;
    bool tied;
    bool encoder;           /* answers nothing */
    bool embeds;            /* makes vectors of texts */
    uint32_t n_text;        /* tokens of such a text at most */
    bool has_template, shows_tools, shows_thinking; /* what its chat template speaks of */
    char license[64], basename[64];                 /* as its files name them; often empty */
} clo_facts;

/* path: a GGUF file or a Hugging Face folder. */
CLO_CHECK bool clo_facts_read(clo_facts *out, const char *path, clo_err *err);

/* Sampling that the model's publisher recommends (generation_config.json in its folder), put over what *io holds. A GGUF
 * file recommends nothing. */
CLO_CHECK bool clo_facts_sampler(clo_sampler_params *io, const char *path, clo_err *err);

#endif
