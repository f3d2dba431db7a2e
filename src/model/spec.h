/* A model family is data: everything in which decoders differ, read from config.json or GGUF keys into one struct that
 * one decoder executes (infer/forward.c) and one trainer differentiates.
 *
 * Per position, hidden h of n_dim (see docs/architecture.md):
 *   h = E[token] * emb_scale
 *   each layer: a = pre_attn_norm ? N(h) : h;  q,k,v = W a (+ bias);  clamp;  qk norm;  rope;  attention;
 *               o = W o (+ bias);  post_attn_norm?;  h += o * residual_scale;
 *               f = pre_ffn_norm ? N(h) : h;  f = Wdown(act(Wgate f) * Wup f);  post_ffn_norm?;  h += f * residual_scale
 *   logits = Whead N(h) * logit_scale, then softcap
 *
 * An encoder (BERT) has no head and sees its whole text at once; it adds rows of learned tables to E, and norms sums:
 *   h = N(E[token] + T[0] + P[position]);  each layer: h = N(h + o);  h = N(h + Wdown act(Wup h))
 */
#ifndef CLO_MODEL_SPEC_H
#define CLO_MODEL_SPEC_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/checkpoint.h"

#define CLO_LAYERS_MAX 512
#define CLO_STOP_IDS_MAX 16
#define CLO_LENGTHS_MAX 16

typedef enum { CLO_NORM_RMS, CLO_NORM_LAYER } clo_norm_kind;
typedef enum { CLO_QK_NORM_NONE, CLO_QK_NORM_HEAD, CLO_QK_NORM_FULL } clo_qk_norm_kind;
typedef enum { CLO_ACT_SILU, CLO_ACT_GELU_TANH, CLO_ACT_GELU } clo_act_kind; /* the last by erf, and without a gate */
typedef enum { CLO_ROPE_DEFAULT, CLO_ROPE_LINEAR, CLO_ROPE_LLAMA3, CLO_ROPE_YARN, CLO_ROPE_DIVISORS } clo_rope_kind;

/* How the last hidden states of a text become one vector; NONE: the model is not for that. */
typedef enum { CLO_POOL_NONE, CLO_POOL_MEAN, CLO_POOL_FIRST, CLO_POOL_LAST } clo_pool_kind;

typedef struct {
    clo_rope_kind kind;
    double theta;
    double factor;                 /* linear, llama3, yarn */
    double low_freq_factor, high_freq_factor; /* llama3 */
    double original_ctx;           /* llama3, yarn */
    double beta_fast, beta_slow;   /* yarn */
    double attn_factor;            /* yarn: multiplies cos and sin; resolved at reading, 1 elsewhere */
    bool truncate;                 /* yarn: floor and ceil of the ramp's ends */
    const float *divisors;         /* CLO_ROPE_DIVISORS: [n_rot/2], borrowed from rope_freqs.weight */
} clo_rope;

typedef struct {
    const char *family;            /* "llama", "qwen2", "qwen3", "olmo", "olmo2", "olmo3", "gemma3", "smollm3",
                                      "bert" */
    uint32_t n_layer, n_dim, n_head, n_kv_head, head_dim, n_ff;
    uint32_t n_vocab;              /* rows of the embedding */
    uint32_t n_ctx;                /* trained context */
    uint32_t n_rot;                /* rotated dims of a head, normally head_dim */

    clo_norm_kind norm;
    float norm_eps;
    bool norm_weight;              /* false: OLMo 1, norms without weights */
    bool norm_plus_one;            /* stored weights need +1 (Gemma from safetensors; GGUF has it added already) */
    bool pre_attn_norm, pre_ffn_norm, post_attn_norm, post_ffn_norm;
    bool qkv_bias, o_bias, mlp_bias;
    clo_qk_norm_kind qk_norm;
    float qkv_clip;                /* 0: off */
    float attn_scale;              /* on scores */
    float attn_softcap, logit_softcap; /* 0: off */
    clo_act_kind act;
    float emb_scale, residual_scale, logit_scale; /* 1: none */
    bool tied;                     /* the head is the embedding table */
    bool qk_permuted;              /* rows of q and k are in GGUF's interleaved order: undone when packing */

    bool encoder;                  /* tokens see all of their text; no head; a text is at most n_ctx tokens */
    bool embed_norm;               /* of the embedding */
    bool sum_norm;                 /* of h after each sum */
    bool norm_bias;
    bool gated;                    /* the feed-forward part has a gate */
    uint32_t n_types;              /* rows of the table of token types, of which row 0 is added; 0: none */
    bool learned_positions;        /* a table of n_ctx rows */

    clo_pool_kind pooling;
    uint32_t n_text;               /* tokens of a text that becomes a vector, at most; n_ctx where the files say no less */
    bool shortens;                 /* trained so that the first so many numbers of a vector are one themselves: */
    uint32_t lengths[CLO_LENGTHS_MAX]; /* [n_lengths] which; none listed: any */
    uint32_t n_lengths;

    clo_rope rope[2];              /* [0] for full-attention layers, [1] for sliding ones */
    uint8_t layer_rope[CLO_LAYERS_MAX];    /* 0: none, 1: rope[0], 2: rope[1] */
    uint32_t layer_window[CLO_LAYERS_MAX]; /* 0: full attention */

    int32_t bos_id;                /* -1: none */
    int32_t stop_ids[CLO_STOP_IDS_MAX]; /* all that config, generation_config and GGUF keys name */
    uint32_t n_stop_ids;
} clo_spec;

/* Where a tensor of the decoder is found, by role. */
typedef enum {
    CLO_ROLE_EMBED, CLO_ROLE_HEAD, CLO_ROLE_POSITIONS, CLO_ROLE_TYPES, CLO_ROLE_EMBED_NORM, CLO_ROLE_EMBED_NORM_BIAS,
    CLO_ROLE_FINAL_NORM, /* the last one per model */
    CLO_ROLE_ATTN_NORM, CLO_ROLE_Q, CLO_ROLE_K, CLO_ROLE_V, CLO_ROLE_O, CLO_ROLE_Q_BIAS, CLO_ROLE_K_BIAS,
    CLO_ROLE_V_BIAS, CLO_ROLE_O_BIAS, CLO_ROLE_Q_NORM, CLO_ROLE_K_NORM, CLO_ROLE_POST_ATTN_NORM, CLO_ROLE_FFN_NORM,
    CLO_ROLE_GATE, CLO_ROLE_UP, CLO_ROLE_DOWN, CLO_ROLE_GATE_BIAS, CLO_ROLE_UP_BIAS, CLO_ROLE_DOWN_BIAS,
    CLO_ROLE_POST_FFN_NORM, CLO_ROLE_ATTN_SUM_NORM, CLO_ROLE_ATTN_SUM_NORM_BIAS, CLO_ROLE_FFN_SUM_NORM,
    CLO_ROLE_FFN_SUM_NORM_BIAS,
    CLO_ROLE_COUNT
} clo_role;

/* Reads the spec of a checkpoint: GGUF keys, or config.json (+ generation_config.json, and what sentence-transformers puts
 * beside it: spec_pooling.c) beside safetensors. Every value
 * that sizes something is checked against limits and against the shapes of the tensors. An unknown architecture is
 * CLO_ERR_UNSUPPORTED by name. */
CLO_CHECK bool clo_spec_read(clo_spec *out, const clo_checkpoint *ck, clo_arena *keep, clo_err *err);

/* Whether a folder inside a model's is one of those, as "1_Pooling", whose config.json is read. */
bool clo_pooling_folder_name(clo_str name);

/* The tensor of a role in layer i_layer (ignored for per-model roles), shape-checked against the spec; NULL with err
 * set when a needed one is missing, NULL with err->code == CLO_OK when this spec has no such tensor. */
const clo_tensor *clo_spec_tensor(const clo_spec *s, const clo_checkpoint *ck, clo_role role, uint32_t i_layer,
                                  clo_err *err);

/* inv_freq[i] for i < n_rot/2, f32, with the family's scaling applied (docs/profile-n1.md, RoPE). Angles are
 * fl32(position * inv_freq[i]); cos and sin are clo_cos_f64/clo_sin_f64 of the angle times attn_factor, rounded. */
void clo_rope_inv_freq(float *inv_freq, const clo_rope *r, size_t n_rot);

#endif
