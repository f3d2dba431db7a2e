/* Where tensors are found: one table from role to names and shape, for both containers.
 *
 * BERT's files have names of their own. In the others of Hugging Face "post_attention_layernorm" is the norm before the
 * feed-forward part in Llama-like models, and the norm after attention in families with post-norms (OLMo 2, Gemma 3): hence
 * three columns. */
#include "base/check.h"
#include "model/spec_impl.h"

#define NAME_MAX_BYTES 160

typedef enum {
    DIM_NONE,
    DIM_MODEL,
    DIM_VOCAB,
    DIM_FF,
    DIM_Q,
    DIM_KV,
    DIM_Q_NORM,
    DIM_K_NORM,
    DIM_POSITIONS,
    DIM_TYPES,
} dim_kind;

typedef struct {
    const char *gguf;    /* '#' stands for the layer */
    const char *hf;      /* after the prefix ("model."), save for the head */
    const char *hf_post; /* in families with post-norms; NULL: the same as hf */
    dim_kind rows, cols; /* cols DIM_NONE: a vector of `rows` */
    const char *bert;    /* after the prefix ("bert." or none) */
} role_info;

/* clang-format off */
static const role_info roles[CLO_ROLE_COUNT] = {
    [CLO_ROLE_EMBED] = { "token_embd.weight", "embed_tokens.weight", NULL, DIM_VOCAB, DIM_MODEL,
                         "embeddings.word_embeddings.weight" },
    [CLO_ROLE_HEAD] = { "output.weight", "lm_head.weight", NULL, DIM_VOCAB, DIM_MODEL, NULL },
    [CLO_ROLE_POSITIONS] = { "position_embd.weight", NULL, NULL, DIM_POSITIONS, DIM_MODEL,
                             "embeddings.position_embeddings.weight" },
    [CLO_ROLE_TYPES] = { "token_types.weight", NULL, NULL, DIM_TYPES, DIM_MODEL,
                         "embeddings.token_type_embeddings.weight" },
    [CLO_ROLE_EMBED_NORM] = { "token_embd_norm.weight", NULL, NULL, DIM_MODEL, DIM_NONE,
                              "embeddings.LayerNorm.weight" },
    [CLO_ROLE_EMBED_NORM_BIAS] = { "token_embd_norm.bias", NULL, NULL, DIM_MODEL, DIM_NONE,
                                   "embeddings.LayerNorm.bias" },
    [CLO_ROLE_FINAL_NORM] = { "output_norm.weight", "norm.weight", NULL, DIM_MODEL, DIM_NONE, NULL },
    [CLO_ROLE_ATTN_NORM] = { "blk.#.attn_norm.weight", "layers.#.input_layernorm.weight", NULL, DIM_MODEL, DIM_NONE, NULL },
    [CLO_ROLE_Q] = { "blk.#.attn_q.weight", "layers.#.self_attn.q_proj.weight", NULL, DIM_Q, DIM_MODEL,
                     "encoder.layer.#.attention.self.query.weight" },
    [CLO_ROLE_K] = { "blk.#.attn_k.weight", "layers.#.self_attn.k_proj.weight", NULL, DIM_KV, DIM_MODEL,
                     "encoder.layer.#.attention.self.key.weight" },
    [CLO_ROLE_V] = { "blk.#.attn_v.weight", "layers.#.self_attn.v_proj.weight", NULL, DIM_KV, DIM_MODEL,
                     "encoder.layer.#.attention.self.value.weight" },
    [CLO_ROLE_O] = { "blk.#.attn_output.weight", "layers.#.self_attn.o_proj.weight", NULL, DIM_MODEL, DIM_Q,
                     "encoder.layer.#.attention.output.dense.weight" },
    [CLO_ROLE_Q_BIAS] = { "blk.#.attn_q.bias", "layers.#.self_attn.q_proj.bias", NULL, DIM_Q, DIM_NONE,
                          "encoder.layer.#.attention.self.query.bias" },
    [CLO_ROLE_K_BIAS] = { "blk.#.attn_k.bias", "layers.#.self_attn.k_proj.bias", NULL, DIM_KV, DIM_NONE,
                          "encoder.layer.#.attention.self.key.bias" },
    [CLO_ROLE_V_BIAS] = { "blk.#.attn_v.bias", "layers.#.self_attn.v_proj.bias", NULL, DIM_KV, DIM_NONE,
                          "encoder.layer.#.attention.self.value.bias" },
    [CLO_ROLE_O_BIAS] = { "blk.#.attn_output.bias", "layers.#.self_attn.o_proj.bias", NULL, DIM_MODEL, DIM_NONE,
                          "encoder.layer.#.attention.output.dense.bias" },
    [CLO_ROLE_Q_NORM] = { "blk.#.attn_q_norm.weight", "layers.#.self_attn.q_norm.weight", NULL, DIM_Q_NORM, DIM_NONE, NULL },
    [CLO_ROLE_K_NORM] = { "blk.#.attn_k_norm.weight", "layers.#.self_attn.k_norm.weight", NULL, DIM_K_NORM, DIM_NONE, NULL },
    [CLO_ROLE_POST_ATTN_NORM] = { "blk.#.post_attention_norm.weight", "layers.#.post_attention_layernorm.weight", NULL,
                                  DIM_MODEL, DIM_NONE, NULL },
    [CLO_ROLE_FFN_NORM] = { "blk.#.ffn_norm.weight", "layers.#.post_attention_layernorm.weight",
                            "layers.#.pre_feedforward_layernorm.weight", DIM_MODEL, DIM_NONE, NULL },
    [CLO_ROLE_GATE] = { "blk.#.ffn_gate.weight", "layers.#.mlp.gate_proj.weight", NULL, DIM_FF, DIM_MODEL, NULL },
    [CLO_ROLE_UP] = { "blk.#.ffn_up.weight", "layers.#.mlp.up_proj.weight", NULL, DIM_FF, DIM_MODEL,
                      "encoder.layer.#.intermediate.dense.weight" },
    [CLO_ROLE_DOWN] = { "blk.#.ffn_down.weight", "layers.#.mlp.down_proj.weight", NULL, DIM_MODEL, DIM_FF,
                        "encoder.layer.#.output.dense.weight" },
    [CLO_ROLE_GATE_BIAS] = { "blk.#.ffn_gate.bias", "layers.#.mlp.gate_proj.bias", NULL, DIM_FF, DIM_NONE, NULL },
    [CLO_ROLE_UP_BIAS] = { "blk.#.ffn_up.bias", "layers.#.mlp.up_proj.bias", NULL, DIM_FF, DIM_NONE,
                           "encoder.layer.#.intermediate.dense.bias" },
    [CLO_ROLE_DOWN_BIAS] = { "blk.#.ffn_down.bias", "layers.#.mlp.down_proj.bias", NULL, DIM_MODEL, DIM_NONE,
                             "encoder.layer.#.output.dense.bias" },
    [CLO_ROLE_POST_FFN_NORM] = { "blk.#.post_ffw_norm.weight", "layers.#.post_feedforward_layernorm.weight", NULL,
                                 DIM_MODEL, DIM_NONE, NULL },
    [CLO_ROLE_ATTN_SUM_NORM] = { "blk.#.attn_output_norm.weight", NULL, NULL, DIM_MODEL, DIM_NONE,
                                 "encoder.layer.#.attention.output.LayerNorm.weight" },
    [CLO_ROLE_ATTN_SUM_NORM_BIAS] = { "blk.#.attn_output_norm.bias", NULL, NULL, DIM_MODEL, DIM_NONE,
                                      "encoder.layer.#.attention.output.LayerNorm.bias" },
    [CLO_ROLE_FFN_SUM_NORM] = { "blk.#.layer_output_norm.weight", NULL, NULL, DIM_MODEL, DIM_NONE,
                                "encoder.layer.#.output.LayerNorm.weight" },
    [CLO_ROLE_FFN_SUM_NORM_BIAS] = { "blk.#.layer_output_norm.bias", NULL, NULL, DIM_MODEL, DIM_NONE,
                                     "encoder.layer.#.output.LayerNorm.bias" },
};
/* clang-format on */

/* Whether this spec has the tensor at all. */
static bool has_role(const clo_spec *s, clo_role role)
{
    /* clang-format off */
    switch (role) {
    case CLO_ROLE_HEAD: return !s->tied && !s->encoder;
    case CLO_ROLE_FINAL_NORM: return s->norm_weight && !s->encoder;
    case CLO_ROLE_POSITIONS: return s->learned_positions;
    case CLO_ROLE_TYPES: return s->n_types > 0;
    case CLO_ROLE_EMBED_NORM: return s->embed_norm && s->norm_weight;
    case CLO_ROLE_EMBED_NORM_BIAS: return s->embed_norm && s->norm_bias;
    case CLO_ROLE_ATTN_SUM_NORM: case CLO_ROLE_FFN_SUM_NORM: return s->sum_norm && s->norm_weight;
    case CLO_ROLE_ATTN_SUM_NORM_BIAS: case CLO_ROLE_FFN_SUM_NORM_BIAS: return s->sum_norm && s->norm_bias;
    case CLO_ROLE_GATE: return s->gated;
    case CLO_ROLE_ATTN_NORM: return s->norm_weight && s->pre_attn_norm;
    case CLO_ROLE_FFN_NORM: return s->norm_weight && s->pre_ffn_norm;
    case CLO_ROLE_POST_ATTN_NORM: return s->norm_weight && s->post_attn_norm;
    case CLO_ROLE_POST_FFN_NORM: return s->norm_weight && s->post_ffn_norm;
    case CLO_ROLE_Q_NORM: case CLO_ROLE_K_NORM: return s->qk_norm != CLO_QK_NORM_NONE;
    case CLO_ROLE_Q_BIAS: case CLO_ROLE_K_BIAS: case CLO_ROLE_V_BIAS: return s->qkv_bias;
    case CLO_ROLE_O_BIAS: return s->o_bias;
    case CLO_ROLE_GATE_BIAS: return s->gated && s->mlp_bias;
    case CLO_ROLE_UP_BIAS: case CLO_ROLE_DOWN_BIAS: return s->mlp_bias;
    default: return true;
    }
    /* clang-format on */
}

static uint64_t dim_of(const clo_spec *s, dim_kind k)
{
    uint64_t n_q = (uint64_t)s->n_head * s->head_dim, n_kv = (uint64_t)s->n_kv_head * s->head_dim;
    bool full = s->qk_norm == CLO_QK_NORM_FULL;
    /* clang-format off */
    switch (k) {
    case DIM_NONE: return 0;
    case DIM_MODEL: return s->n_dim;
    case DIM_VOCAB: return s->n_vocab;
    case DIM_FF: return s->n_ff;
    case DIM_Q: return n_q;
    case DIM_KV: return n_kv;
    case DIM_Q_NORM: return full ? n_q : s->head_dim;
    case DIM_K_NORM: return full ? n_kv : s->head_dim;
    case DIM_POSITIONS: return s->n_ctx;
    case DIM_TYPES: return s->n_types;
    }
    /* clang-format on */
    return 0;
}

/* --- names --------------------------------------------------------------------------------------------------------- */

/* Where checkpoints of one language model put it: alone, inside a multimodal one (two conventions), or bare. */
static const struct {
    const char *body, *head;
} prefixes[] = {
    {"model.", ""},
    {"language_model.model.", "language_model."},
    {"model.language_model.", ""},
    {"", ""},
    {"bert.", ""},
};

/* Index of the prefix under which the embedding lies; 0 when there is none. */
static size_t prefix_of(const clo_spec *s, const clo_checkpoint *ck)
{
    char name[NAME_MAX_BYTES];
    const role_info *embed = &roles[CLO_ROLE_EMBED];
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        int n = snprintf(name, sizeof name, "%s%s", prefixes[i].body, s->encoder ? embed->bert : embed->hf);
        if (clo_checkpoint_find(ck, (clo_str){name, (size_t)n})) return i;
    }
    return 0;
}

/* Writes the name of a role; the patterns are ours and short, so it fits. */
static clo_str name_of(char out[NAME_MAX_BYTES], const clo_spec *s, const clo_checkpoint *ck, clo_role role,
                       uint32_t i_layer)
{
    const role_info *r = &roles[role];
    const char *prefix = "", *pattern = r->gguf;
    if (ck->container == CLO_CONTAINER_SAFETENSORS) {
        size_t p = prefix_of(s, ck);
        prefix = role == CLO_ROLE_HEAD ? prefixes[p].head : prefixes[p].body;
        pattern = s->encoder ? r->bert : r->hf_post && s->post_attn_norm ? r->hf_post : r->hf;
    }
    size_t head = strcspn(pattern, "#");
    int n = pattern[head] == '#'
                ? snprintf(out, NAME_MAX_BYTES, "%s%.*s%u%s", prefix, (int)head, pattern, i_layer, pattern + head + 1)
                : snprintf(out, NAME_MAX_BYTES, "%s%s", prefix, pattern);
    return (clo_str){out, (size_t)n};
}

/* BERT's first files call weight and bias of a LayerNorm gamma and beta. */
static const clo_tensor *find_by_old_name(const clo_checkpoint *ck, clo_str name)
{
    static const struct {
        const char *tail, *old;
    } names[] = {{".LayerNorm.weight", ".LayerNorm.gamma"}, {".LayerNorm.bias", ".LayerNorm.beta"}};
    char buf[NAME_MAX_BYTES];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!clo_str_ends_with(name, clo_str_from(names[i].tail))) continue;
        int n = snprintf(buf, sizeof buf, "%.*s%s", (int)(name.len - strlen(names[i].tail)), name.ptr, names[i].old);
        return clo_checkpoint_find(ck, (clo_str){buf, (size_t)n});
    }
    return NULL;
}

/* --- fetching ------------------------------------------------------------------------------------------------------ */

static bool type_ok(const clo_tensor *t, clo_err *err)
{
    const clo_dtype_info *info = clo_dtype_info_of(t->dtype);
    if (info->quantised || t->dtype == CLO_DTYPE_F32 || t->dtype == CLO_DTYPE_F16 || t->dtype == CLO_DTYPE_BF16) {
        return true;
    }
    return clo_fail(err, CLO_ERR_UNSUPPORTED, "type %s is not built for weights", info->name);
}

static bool shape_ok(const clo_tensor *t, uint64_t rows, uint64_t cols, clo_err *err)
{
    uint32_t n_dims = cols ? 2 : 1;
    if (t->n_dims == n_dims && t->dims[0] == rows && (!cols || t->dims[1] == cols)) return true;
    return clo_fail(err, CLO_ERR_FORMAT, "rank %u, shape [%llu, %llu ...], expected rank %u, [%llu, %llu]", t->n_dims,
                    (unsigned long long)t->dims[0], (unsigned long long)t->dims[1], n_dims, (unsigned long long)rows,
                    (unsigned long long)cols);
}

const clo_tensor *clo_spec_tensor(const clo_spec *s, const clo_checkpoint *ck, clo_role role, uint32_t i_layer,
                                  clo_err *err)
{
    char buf[NAME_MAX_BYTES];
    if (err) *err = (clo_err){0};
    if (!has_role(s, role)) return NULL;
    clo_str name = name_of(buf, s, ck, role, i_layer);
    const clo_tensor *t = clo_checkpoint_find(ck, name);
    if (!t) t = find_by_old_name(ck, name);
    if (!t) {
        (void)clo_fail(err, CLO_ERR_NOT_FOUND, "tensor '%s' is missing", buf);
        return NULL;
    }
    if (!type_ok(t, err) || !shape_ok(t, dim_of(s, roles[role].rows), dim_of(s, roles[role].cols), err)) {
        clo_err_context(err, "tensor '%s'", buf);
        return NULL;
    }
    return t;
}

/* --- nothing left over --------------------------------------------------------------------------------------------- */

/* Buffers and parts of a larger model that a text decoder does not read. */
static bool is_ignored(clo_str name, const clo_spec *s, const clo_checkpoint *ck)
{
    static const char *const tails[] = {".rotary_emb.inv_freq", ".attention.masked_bias", ".attention.bias"};
    static const char *const heads[] = {"vision_tower.", "multi_modal_projector.", "model.vision_tower.",
                                        "model.multi_modal_projector."};
    static const char *const bert[] = {"pooler.", "bert.pooler.", "cls.", "embeddings.position_ids",
                                       "bert.embeddings.position_ids"};
    if (ck->container == CLO_CONTAINER_GGUF) return clo_str_eq(name, CLO_STR("rope_freqs.weight"));
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        if (clo_str_ends_with(name, clo_str_from(tails[i]))) return true;
    }
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        if (strcmp(s->family, "gemma3") == 0 && clo_str_starts_with(name, clo_str_from(heads[i]))) return true;
    }
    for (size_t i = 0; s->encoder && i < sizeof bert / sizeof bert[0]; i++) {
        if (clo_str_starts_with(name, clo_str_from(bert[i]))) return true;
    }
    return s->tied && clo_str_ends_with(name, CLO_STR("lm_head.weight")); /* config.json says that it is a copy */
}

static bool mark(bool *used, const clo_spec *s, const clo_checkpoint *ck, clo_role role, uint32_t i_layer, clo_err *err)
{
    clo_err why = {0};
    const clo_tensor *t = clo_spec_tensor(s, ck, role, i_layer, &why);
    if (t) used[t - ck->tensors] = true;
    if (t || why.code == CLO_OK) return true;
    if (err) *err = why;
    return false;
}

bool clo_spec_check_tensors(const clo_spec *s, const clo_checkpoint *ck, clo_err *err)
{
    bool *used = calloc(clo_max(ck->n_tensors, 1), sizeof *used);
    if (!used) return clo_fail(err, CLO_ERR_MEMORY, "no memory for %zu marks", ck->n_tensors);
    bool ok = true;
    for (int role = 0; ok && role < CLO_ROLE_COUNT; role++) {
        uint32_t n = role <= CLO_ROLE_FINAL_NORM ? 1 : s->n_layer;
        for (uint32_t i = 0; ok && i < n; i++)
            ok = mark(used, s, ck, (clo_role)role, i, err);
    }
    for (size_t i = 0; ok && i < ck->n_tensors; i++) {
        if (used[i] || is_ignored(ck->tensors[i].name, s, ck)) continue;
        ok = clo_fail(err, CLO_ERR_UNSUPPORTED, "tensor '" CLO_STR_FMT "' is no part of family '%s' as built",
                      CLO_STR_ARG(((clo_str){ck->tensors[i].name.ptr, clo_min(ck->tensors[i].name.len, 150)})),
                      s->family);
    }
    free(used);
    return ok;
}
