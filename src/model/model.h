/* A model ready to run: spec, weights packed for the kernels, tokenizer, chat template, digests.
 *
 * The first opening packs the weights into `<data>/prepared/` and later ones map that file, so a second start is
 * instant. A prepared file is a cache: its name comes from the identity of the source files, it carries their SHA-256
 * digests, and it may be deleted at any time.
 *
 *   clo_model *m = NULL;
 *   if (!clo_model_open(&m, "SmolLM2.gguf", (clo_model_opts){ .pool = pool }, &err)) ...
 *   clo_model_close(m);
 */
#ifndef CLO_MODEL_MODEL_H
#define CLO_MODEL_MODEL_H

#include "base/digest.h"
#include "base/err.h"
#include "base/thread.h"
#include "model/spec.h"
#include "model/template.h"
#include "model/tokenizer.h"
#include "tensor/kernel.h"

typedef struct clo_model clo_model;

typedef void clo_progress_fn(void *ctx, const char *what, uint64_t done, uint64_t total);

typedef struct {
    clo_pool *pool;             /* borrowed; packs with all its threads; NULL: packs alone */
    const char *data_dir;       /* where prepared/ lies; NULL: packed in memory, nothing is written */
    bool *not_kept;             /* NULL: a data_dir that cannot be written is an error; else it becomes true, and the
                                   weights are packed in memory */
    clo_progress_fn *progress;  /* may be NULL */
    void *progress_ctx;
} clo_model_opts;

/* path: a GGUF file or a Hugging Face folder. */
CLO_CHECK bool clo_model_open(clo_model **out, const char *path, clo_model_opts opts, clo_err *err);
void clo_model_close(clo_model *m);
/* Removes the prepared form of the model at path from data_dir, where there is one: before the model itself goes. */
void clo_model_forget(const char *path, const char *data_dir);

/* Moves about budget_bytes of weights (whole matrices) from the mapped file to memory in huge pages, where there is enough of it: a model
 * starts at once from the mapping, and streams faster a few tokens later. Changes no value, only where it lies; the mapped
 * pages are given back, so the memory in use stays that of one copy. No pass may be running. True while more is left. */
bool clo_model_settle(clo_model *m, clo_pool *pool, size_t budget_bytes);

const clo_spec *clo_model_spec(const clo_model *m);
/* NULL when the files carry no tokenizer. */
const clo_tok *clo_model_tokenizer(const clo_model *m);
/* Hash over everything that decides the output: weights files, config, as docs/formats/receipt.md defines it. */
clo_sha256 clo_model_digest(const clo_model *m);
clo_sha256 clo_model_tokenizer_digest(const clo_model *m);
/* Bytes of weights that one decoded token reads, and of everything mapped. */
uint64_t clo_model_bytes_per_token(const clo_model *m);
uint64_t clo_model_bytes(const clo_model *m);
/* Most common matrix type, for showing. */
clo_dtype clo_model_main_dtype(const clo_model *m);

/* Packed weights of a layer. Pointers borrow from the model; absent ones are NULL or have n_rows 0. */
typedef struct {
    clo_matrix q, k, v, o, gate, up, down;
    const float *q_bias, *k_bias, *v_bias, *o_bias, *gate_bias, *up_bias, *down_bias; /* padded to 16 */
    const float *attn_norm, *q_norm, *k_norm, *post_attn_norm, *ffn_norm, *post_ffn_norm;
    const float *attn_sum_norm, *attn_sum_norm_bias, *ffn_sum_norm, *ffn_sum_norm_bias;
} clo_layer;

const clo_layer *clo_model_layer(const clo_model *m, uint32_t i);
const clo_matrix *clo_model_head(const clo_model *m);   /* n_rows = n_vocab; data NULL: an encoder has none */
const float *clo_model_final_norm(const clo_model *m);  /* NULL: without weight */
/* y[0..n_dim) = row `id` of the embedding table, not scaled. id < n_vocab. */
void clo_model_embed(const clo_model *m, float *y, int32_t id);
/* The same of the table of positions (i < n_ctx) and of row 0 of the table of token types; of a spec that has them. */
void clo_model_position(const clo_model *m, float *y, size_t i);
void clo_model_type(const clo_model *m, float *y);
const float *clo_model_embed_norm(const clo_model *m, const float **bias); /* of a spec that has one */

#endif
