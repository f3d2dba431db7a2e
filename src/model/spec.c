/* Families as a table, and the rules that hold for all of them.
 *
 * Sources: the config classes of Hugging Face transformers (defaults), ggml's GGUF key table, arXiv:2302.13971 (Llama),
 * arXiv:2412.15115 (Qwen2.5), arXiv:2402.00838 and arXiv:2501.00656 (OLMo 1, 2), arXiv:2503.19786 (Gemma 3),
 * arXiv:1810.04805 (BERT). Values in a model's own files go before these defaults always. */
#include "model/spec.h"

#include <math.h>

#include "model/spec_impl.h"
#include "tensor/mathf.h"

/* clang-format off */
static const clo_family families[] = {
    { .family = "llama", .hf_type = "llama", .hf_class = "LlamaForCausalLM", .gguf_arch = "llama", .norm_weight = true,
      .pre_norms = true, .permuted = true, .eps = 1e-6, .theta = 1e4 },
    { .family = "qwen2", .hf_type = "qwen2", .hf_class = "Qwen2ForCausalLM", .gguf_arch = "qwen2", .norm_weight = true,
      .pre_norms = true, .qkv_bias = true, .window = CLO_WINDOW_ABOVE, .eps = 1e-6, .theta = 1e4, .n_window = 4096 },
    { .family = "qwen3", .hf_type = "qwen3", .hf_class = "Qwen3ForCausalLM", .gguf_arch = "qwen3", .norm_weight = true,
      .pre_norms = true, .qk_norm = CLO_QK_NORM_HEAD, .window = CLO_WINDOW_ABOVE, .eps = 1e-6, .theta = 1e4,
      .head_dim = 128, .n_window = 4096 },
    { .family = "olmo", .hf_type = "olmo", .hf_class = "OlmoForCausalLM", .gguf_arch = "olmo", .norm = CLO_NORM_LAYER,
      .pre_norms = true, .permuted = true, .eps = 1e-5, .theta = 1e4 },
    { .family = "olmo2", .hf_type = "olmo2", .hf_class = "Olmo2ForCausalLM", .gguf_arch = "olmo2", .norm_weight = true,
      .post_norms = true, .qk_norm = CLO_QK_NORM_FULL, .eps = 1e-5, .theta = 1e4 },
    /* In GGUF files OLMo 3 is "olmo2" with attention.sliding_window. */
    { .family = "olmo3", .hf_type = "olmo3", .hf_class = "Olmo3ForCausalLM", .norm_weight = true, .post_norms = true,
      .qk_norm = CLO_QK_NORM_FULL, .two_ropes = true, .window = CLO_WINDOW_PATTERN, .pattern = 4, .eps = 1e-5,
      .theta = 1e4, .n_window = 4096 },
    { .family = "gemma3", .hf_type = "gemma3_text", .hf_class = "Gemma3ForCausalLM", .gguf_arch = "gemma3",
      .norm_weight = true, .plus_one = true, .pre_norms = true, .post_norms = true, .qk_norm = CLO_QK_NORM_HEAD,
      .act = CLO_ACT_GELU_TANH, .emb_sqrt = true, .two_ropes = true, .window = CLO_WINDOW_PATTERN, .pattern = 6,
      .tied = true, .eps = 1e-6, .theta = 1e6, .theta_sliding = 1e4, .n_layer = 26, .n_head = 8, .n_kv_head = 4,
      .head_dim = 256, .n_vocab = 262208, .n_ctx = 131072, .n_window = 4096 },
    { .family = "smollm3", .hf_type = "smollm3", .hf_class = "SmolLM3ForCausalLM", .gguf_arch = "smollm3",
      .norm_weight = true, .pre_norms = true, .permuted = true, .no_rope_every = 4, .window = CLO_WINDOW_NO_ROPE,
      .tied = true, .eps = 1e-6, .theta = 2e6, .n_kv_head = 4 },
    { .family = "bert", .hf_type = "bert", .hf_class = "BertModel", .gguf_arch = "bert", .norm = CLO_NORM_LAYER,
      .norm_weight = true, .qkv_bias = true, .act = CLO_ACT_GELU, .encoder = true, .eps = 1e-12, .theta = 1e4 },
};
/* clang-format on */
#define N_FAMILIES (sizeof families / sizeof families[0])

const clo_family *clo_family_of_hf(clo_str type)
{
    for (size_t i = 0; i < N_FAMILIES; i++) {
        if (clo_str_eq(type, clo_str_from(families[i].hf_type))) return &families[i];
        if (clo_str_eq(type, clo_str_from(families[i].hf_class))) return &families[i];
    }
    return NULL;
}

const clo_family *clo_family_of_gguf(clo_str arch)
{
    for (size_t i = 0; i < N_FAMILIES; i++) {
        if (families[i].gguf_arch && clo_str_eq(arch, clo_str_from(families[i].gguf_arch))) return &families[i];
    }
    return NULL;
}

const clo_family *clo_family_named(const char *family)
{
    for (size_t i = 0; i < N_FAMILIES; i++) {
        if (strcmp(family, families[i].family) == 0) return &families[i];
    }
    return NULL;
}

double clo_yarn_mscale(double factor, double mscale)
{
    return factor <= 1.0 ? 1.0 : 0.1 * mscale * clo_log_f64(factor) + 1.0;
}

void clo_spec_begin(clo_spec *s, const clo_family *f)
{
    *s = (clo_spec){
        .family = f->family,
        .norm = f->norm,
        .norm_eps = (float)f->eps,
        .norm_weight = f->norm_weight,
        .pre_attn_norm = f->pre_norms,
        .pre_ffn_norm = f->pre_norms,
        .post_attn_norm = f->post_norms,
        .post_ffn_norm = f->post_norms,
        .qkv_bias = f->qkv_bias,
        .qk_norm = f->qk_norm,
        .act = f->act,
        .encoder = f->encoder,
        .embed_norm = f->encoder,
        .sum_norm = f->encoder,
        .norm_bias = f->encoder,
        .gated = !f->encoder,
        .learned_positions = f->encoder,
        .o_bias = f->encoder,
        .mlp_bias = f->encoder,
        .emb_scale = 1,
        .residual_scale = 1,
        .logit_scale = 1,
        .bos_id = -1,
    };
    for (int i = 0; i < 2; i++)
        s->rope[i] = (clo_rope){.theta = f->theta, .factor = 1, .attn_factor = 1};
    for (uint32_t i = 0; i < CLO_LAYERS_MAX; i++) {
        s->layer_rope[i] = f->encoder || (f->no_rope_every && (i + 1) % f->no_rope_every == 0) ? 0 : 1;
    }
}

void clo_spec_add_stop(clo_spec *s, int64_t id)
{
    if (id < 0 || id >= s->n_vocab || s->n_stop_ids == CLO_STOP_IDS_MAX) return;
    for (uint32_t i = 0; i < s->n_stop_ids; i++) {
        if (s->stop_ids[i] == id) return;
    }
    s->stop_ids[s->n_stop_ids++] = (int32_t)id;
}

/* True when min <= v <= max, else CLO_ERR_LIMIT. */
static bool in_range(uint32_t v, uint32_t min, uint32_t max, const char *what, clo_err *err)
{
    if (v >= min && v <= max) return true;
    return clo_fail(err, CLO_ERR_LIMIT, "%s is %u, expected %u to %u", what, v, min, max);
}

static bool act_ok(const clo_spec *s, clo_err *err)
{
    if ((s->act == CLO_ACT_GELU) != s->gated) return true;
    return clo_fail(err, CLO_ERR_UNSUPPORTED, "this activation is not built %s a gate", s->gated ? "with" : "without");
}

static bool positive(double v, double max)
{
    return v > 0 && v <= max; /* false for NaN */
}

static bool rope_ok(const clo_rope *r, clo_err *err)
{
    /* With frequencies of at most 1 an angle stays in the range of clo_sin_f64. */
    if (!positive(r->theta, 1e12) || r->theta < 2) return clo_fail(err, CLO_ERR_LIMIT, "rope theta is %g", r->theta);
    if (!positive(r->factor, 1e6) || r->factor < 1) return clo_fail(err, CLO_ERR_LIMIT, "rope factor is %g", r->factor);
    if (!positive(r->attn_factor, 1e3))
        return clo_fail(err, CLO_ERR_LIMIT, "rope attention factor is %g", r->attn_factor);
    bool scaled = r->kind == CLO_ROPE_LLAMA3 || r->kind == CLO_ROPE_YARN;
    if (scaled && !positive(r->original_ctx, SPEC_CTX_MAX)) {
        return clo_fail(err, CLO_ERR_LIMIT, "rope original context is %g", r->original_ctx);
    }
    if (r->kind == CLO_ROPE_LLAMA3 && !(positive(r->low_freq_factor, 1e6) && positive(r->high_freq_factor, 1e6) &&
                                        r->high_freq_factor > r->low_freq_factor)) {
        return clo_fail(err, CLO_ERR_LIMIT, "rope low and high frequency factors are %g and %g", r->low_freq_factor,
                        r->high_freq_factor);
    }
    if (r->kind == CLO_ROPE_YARN && !(positive(r->beta_fast, 1e6) && positive(r->beta_slow, 1e6))) {
        return clo_fail(err, CLO_ERR_LIMIT, "rope beta_fast and beta_slow are %g and %g", r->beta_fast, r->beta_slow);
    }
    return true;
}

static bool heads_ok(const clo_spec *s, clo_err *err)
{
    if (!in_range(s->n_head, 1, SPEC_HEADS_MAX, "number of heads", err)) return false;
    if (!in_range(s->n_kv_head, 1, s->n_head, "number of key-value heads", err)) return false;
    if (s->n_head % s->n_kv_head) {
        return clo_fail(err, CLO_ERR_FORMAT, "%u heads do not share %u key-value heads", s->n_head, s->n_kv_head);
    }
    if (!in_range(s->head_dim, 16, SPEC_HEAD_DIM_MAX, "head size", err)) return false;
    if (s->head_dim % 16) return clo_fail(err, CLO_ERR_UNSUPPORTED, "head size %u is no multiple of 16", s->head_dim);
    if (s->n_rot < 2 || s->n_rot > s->head_dim || s->n_rot % 2) {
        return clo_fail(err, CLO_ERR_FORMAT, "%u rotated dimensions of a head of %u", s->n_rot, s->head_dim);
    }
    return true;
}

bool clo_spec_end(clo_spec *s, const clo_family *f, clo_err *err)
{
    if (!in_range(s->n_layer, 1, CLO_LAYERS_MAX, "number of layers", err)) return false;
    if (!in_range(s->n_dim, 1, SPEC_DIM_MAX, "hidden size", err)) return false;
    if (!in_range(s->n_ff, 1, SPEC_FF_MAX, "feed-forward size", err)) return false;
    if (!in_range(s->n_vocab, 1, SPEC_VOCAB_MAX, "vocabulary", err)) return false;
    if (!in_range(s->n_ctx, 1, SPEC_CTX_MAX, "context", err)) return false;
    if (!in_range(s->n_types, 0, SPEC_TYPES_MAX, "number of token types", err)) return false;
    if (!heads_ok(s, err) || !act_ok(s, err)) return false;
    if (!positive((double)s->norm_eps, 1))
        return clo_fail(err, CLO_ERR_LIMIT, "norm epsilon is %g", (double)s->norm_eps);
    if (!(s->qkv_clip >= 0) || !(s->attn_softcap >= 0) || !(s->logit_softcap >= 0)) {
        return clo_fail(err, CLO_ERR_LIMIT, "a clip or softcap is negative");
    }
    if (s->attn_scale == 0) s->attn_scale = (float)(1.0 / sqrt((double)s->head_dim));
    if (!positive((double)s->attn_scale, 1e6))
        return clo_fail(err, CLO_ERR_LIMIT, "attention scale is %g", (double)s->attn_scale);
    if (f->emb_sqrt) s->emb_scale = (float)sqrt((double)s->n_dim);
    for (uint32_t i = 0; i < s->n_layer; i++) {
        if (f->two_ropes && s->layer_window[i]) s->layer_rope[i] = 2;
        if (s->layer_window[i] > SPEC_CTX_MAX) return clo_fail(err, CLO_ERR_LIMIT, "window of %u", s->layer_window[i]);
    }
    for (uint32_t i = s->n_layer; i < CLO_LAYERS_MAX; i++)
        s->layer_rope[i] = 0;
    s->n_text = s->n_ctx;
    return rope_ok(&s->rope[0], err) && rope_ok(&s->rope[1], err);
}

static bool from_folder(clo_spec *s, const clo_family **f, const clo_checkpoint *ck, clo_err *err)
{
    clo_arena scratch = clo_arena_make(4u << 20);
    clo_str config, generation;
    bool ok =
        clo_file_read_beside(&config, ck->folder, "config.json", SPEC_CONFIG_BYTES_MAX, &scratch, err) &&
        clo_file_read_beside(&generation, ck->folder, "generation_config.json", SPEC_CONFIG_BYTES_MAX, &scratch, err);
    if (ok && !config.ptr) ok = clo_fail(err, CLO_ERR_NOT_FOUND, "no config.json in '%s'", ck->folder);
    ok = ok && clo_spec_from_config(s, f, config, generation, err) && clo_spec_pooling_from_folder(s, ck->folder, err);
    clo_arena_free(&scratch);
    return ok;
}

bool clo_spec_read(clo_spec *out, const clo_checkpoint *ck, clo_arena *keep, clo_err *err)
{
    clo_spec s;
    const clo_family *f = NULL;
    bool gguf = ck->container == CLO_CONTAINER_GGUF;
    if (gguf ? !clo_spec_from_gguf(&s, &f, ck, keep, err) : !from_folder(&s, &f, ck, err)) return false;
    if (!clo_spec_check_tensors(&s, ck, err)) return false;
    *out = s;
    return true;
}
