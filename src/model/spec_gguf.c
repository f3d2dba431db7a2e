/* The spec from GGUF keys ("{arch}.block_count" and the like). Source: ggml's GGUF key list; what llama.cpp's converter
 * leaves out (attention scale of Gemma 3, no-rope layers of SmolLM3, the name of OLMo 3) is in the family table. */
#include <math.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/cursor.h"
#include "model/spec_impl.h"

#define GGUF_KEY_MAX 256 /* bytes of "{arch}.{name}" that we look up */

typedef struct {
    const clo_gguf *g;
    const char *arch;       /* plain ASCII of a known family */
    char key[GGUF_KEY_MAX]; /* scratch: the last key built */
} gguf_view;

static const clo_gguf_kv *find(gguf_view *v, const char *name)
{
    (void)snprintf(v->key, sizeof v->key, "%s.%s", v->arch, name);
    return clo_gguf_find(v->g, v->key);
}

/* An unsigned count. Absent: *out stays. An array must hold one value throughout: layers of different shapes are not
 * built. */
static bool get_u32(uint32_t *out, gguf_view *v, const char *name, bool needed, clo_err *err)
{
    const clo_gguf_kv *kv = find(v, name);
    if (!kv) return !needed || clo_fail(err, CLO_ERR_FORMAT, "key '%s' is missing", v->key);
    int64_t x = -1;
    if (kv->type == CLO_GGUF_ARRAY) {
        if (kv->n > 0 && kv->elem != CLO_GGUF_BOOL && kv->elem != CLO_GGUF_STR) x = clo_gguf_array_int(kv, 0);
        for (uint64_t i = 1; i < kv->n && kv->elem != CLO_GGUF_STR; i++) {
            if (clo_gguf_array_int(kv, i) != x) {
                return clo_fail(err, CLO_ERR_UNSUPPORTED, "key '%s' differs from layer to layer", v->key);
            }
        }
    } else {
        x = clo_gguf_int(v->g, v->key, -1);
    }
    if (x < 0 || x > UINT32_MAX) return clo_fail(err, CLO_ERR_FORMAT, "key '%s' is no count", v->key);
    *out = (uint32_t)x;
    return true;
}

static bool get_num(double *out, gguf_view *v, const char *name, bool needed, clo_err *err)
{
    const clo_gguf_kv *kv = find(v, name);
    if (!kv) return !needed || clo_fail(err, CLO_ERR_FORMAT, "key '%s' is missing", v->key);
    double x = clo_gguf_num(v->g, v->key, NAN);
    if (!isfinite(x)) return clo_fail(err, CLO_ERR_FORMAT, "key '%s' is no finite number", v->key);
    *out = x;
    return true;
}

/* Keys whose presence changes the arithmetic in a way that is not built for these architectures. A zero is harmless. */
static bool refuse_unbuilt(gguf_view *v, const clo_family *f, clo_err *err)
{
    static const char *const names[] = {
        "expert_count",
        "expert_used_count",
        "logit_scale",
        "embedding_scale",
        "residual_scale",
        "rope.scaling.yarn_log_multiplier",
        "attention.max_alibi_bias",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (find(v, names[i]) && clo_gguf_num(v->g, v->key, 1) != 0) {
            return clo_fail(err, CLO_ERR_UNSUPPORTED, "key '%s' is not built for '%s'", v->key, v->arch);
        }
    }
    bool causal = !find(v, "attention.causal") ? !f->encoder : clo_gguf_bool(v->g, v->key, f->encoder);
    if (causal == f->encoder)
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "key '%s.attention.causal' is not built for this family", v->arch);
    return true;
}

static bool read_sizes(clo_spec *s, gguf_view *v, clo_err *err)
{
    if (!get_u32(&s->n_layer, v, "block_count", true, err) || !get_u32(&s->n_ctx, v, "context_length", true, err) ||
        !get_u32(&s->n_dim, v, "embedding_length", true, err) ||
        !get_u32(&s->n_ff, v, "feed_forward_length", true, err) ||
        !get_u32(&s->n_head, v, "attention.head_count", true, err))
        return false;
    s->n_kv_head = s->n_head;
    if (!get_u32(&s->n_kv_head, v, "attention.head_count_kv", false, err)) return false;
    if (s->n_head == 0) return clo_fail(err, CLO_ERR_FORMAT, "no attention heads");
    if (s->n_layer > CLO_LAYERS_MAX) {
        return clo_fail(err, CLO_ERR_LIMIT, "%u layers, at most %u", s->n_layer, CLO_LAYERS_MAX);
    }
    s->head_dim = s->n_dim / s->n_head;
    if (!get_u32(&s->head_dim, v, "attention.key_length", false, err)) return false;
    uint32_t value_dim = s->head_dim;
    if (!get_u32(&value_dim, v, "attention.value_length", false, err)) return false;
    if (value_dim != s->head_dim) {
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "heads of %u for keys and %u for values", s->head_dim, value_dim);
    }
    s->n_rot = s->head_dim;
    return get_u32(&s->n_rot, v, "rope.dimension_count", false, err);
}

static bool read_numbers(clo_spec *s, const clo_family *f, gguf_view *v, clo_err *err)
{
    double eps = 0, clip = 0, scale = 0, attn_cap = 0, logit_cap = 0;
    const char *eps_key = f->norm == CLO_NORM_RMS ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon";
    if (!get_num(&eps, v, eps_key, true, err) || !get_num(&clip, v, "attention.clamp_kqv", false, err) ||
        !get_num(&scale, v, "attention.scale", false, err) ||
        !get_num(&attn_cap, v, "attn_logit_softcapping", false, err) ||
        !get_num(&logit_cap, v, "final_logit_softcapping", false, err))
        return false;
    s->norm_eps = (float)eps;
    s->qkv_clip = (float)clip;
    s->attn_scale = (float)scale; /* 0: head_dim^-0.5 */
    s->attn_softcap = (float)attn_cap;
    s->logit_softcap = (float)logit_cap;
    /* Gemma 3 27B divides by the share of a head in the width, not by its head size; files do not say so. */
    if (strcmp(f->family, "gemma3") == 0 && s->n_layer == 62 && scale == 0) {
        s->attn_scale = (float)(1.0 / sqrt((double)(s->n_dim / s->n_head)));
    }
    return true;
}

/* --- rope ---------------------------------------------------------------------------------------------------------- */

/* The magnitude of yarn is 0.1 ln f + 1, once. Converters disagree on whether attn_factor repeats it; any other value
 * is refused. */
static bool read_yarn(clo_rope *r, gguf_view *v, uint32_t n_ctx, clo_err *err)
{
    double key = 1, ext = 1;
    r->kind = CLO_ROPE_YARN;
    r->original_ctx = n_ctx;
    r->beta_fast = 32;
    r->beta_slow = 1;
    r->truncate = true;
    r->attn_factor = clo_yarn_mscale(r->factor, 1);
    if (!get_num(&r->original_ctx, v, "rope.scaling.original_context_length", false, err) ||
        !get_num(&r->beta_fast, v, "rope.scaling.yarn_beta_fast", false, err) ||
        !get_num(&r->beta_slow, v, "rope.scaling.yarn_beta_slow", false, err) ||
        !get_num(&ext, v, "rope.scaling.yarn_ext_factor", false, err) ||
        !get_num(&key, v, "rope.scaling.attn_factor", false, err))
        return false;
    if (ext != 1) return clo_fail(err, CLO_ERR_UNSUPPORTED, "yarn extrapolation factor %g", ext);
    if (fabs(key - 1) > 1e-3 && fabs(key - r->attn_factor) > 1e-3) {
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "yarn attention factor %g, expected 1 or %g", key, r->attn_factor);
    }
    return true;
}

static bool read_scaling(clo_rope *r, gguf_view *v, uint32_t n_ctx, clo_err *err)
{
    const clo_gguf_kv *kv = find(v, "rope.scaling.type");
    clo_str type = kv ? clo_gguf_str(v->g, v->key, CLO_STR("")) : CLO_STR("none");
    double linear = 1;
    if (!get_num(&linear, v, "rope.scale_linear", false, err)) return false;
    if (!kv && linear != 1 && linear != 0) type = CLO_STR("linear");
    r->factor = linear != 0 ? linear : 1;
    if (!get_num(&r->factor, v, "rope.scaling.factor", false, err)) return false;
    if (clo_str_eq(type, CLO_STR("none"))) {
        r->factor = 1;
    } else if (clo_str_eq(type, CLO_STR("linear"))) {
        r->kind = CLO_ROPE_LINEAR;
    } else if (clo_str_eq(type, CLO_STR("yarn"))) {
        return read_yarn(r, v, n_ctx, err);
    } else {
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "rope scaling type '" CLO_STR_FMT "' is not built",
                        CLO_STR_ARG(((clo_str){type.ptr, clo_min(type.len, 40)})));
    }
    return true;
}

/* rope_freqs.weight [n_rot/2] f32: llama 3's scaling as divisors, made by the converter. */
static bool read_divisors(clo_spec *s, const clo_checkpoint *ck, clo_arena *keep, clo_err *err)
{
    const clo_tensor *t = clo_checkpoint_find(ck, CLO_STR("rope_freqs.weight"));
    if (!t) return true;
    size_t n = s->n_rot / 2;
    if (s->rope[0].kind != CLO_ROPE_DEFAULT) {
        return clo_fail(err, CLO_ERR_FORMAT, "rope_freqs.weight beside another rope scaling");
    }
    if (t->dtype != CLO_DTYPE_F32 || t->n_dims != 1 || t->dims[0] != n) {
        return clo_fail(err, CLO_ERR_FORMAT, "rope_freqs.weight is no f32 [%zu]", n);
    }
    float *d = CLO_NEW(keep, float, n);
    if (!d) return clo_arena_full(keep, err);
    for (size_t i = 0; i < n; i++) {
        uint32_t u = clo_load_le32(t->data + 4 * i);
        memcpy(&d[i], &u, 4);
        if (!(d[i] >= 0.5f && d[i] < 1e6f))
            return clo_fail(err, CLO_ERR_LIMIT, "rope_freqs.weight[%zu] is %g", i, (double)d[i]);
    }
    s->rope[0].kind = CLO_ROPE_DIVISORS;
    s->rope[0].divisors = d;
    return true;
}

static bool read_ropes(clo_spec *s, const clo_family *f, gguf_view *v, const clo_checkpoint *ck, clo_arena *keep,
                       clo_err *err)
{
    s->rope[0].theta = 1e4; /* GGUF's default, whatever the family's */
    if (!get_num(&s->rope[0].theta, v, "rope.freq_base", false, err)) return false;
    s->rope[1].theta = f->theta_sliding != 0 ? f->theta_sliding : s->rope[0].theta;
    if (!get_num(&s->rope[1].theta, v, "rope.freq_base_swa", false, err)) return false;
    return read_scaling(&s->rope[0], v, s->n_ctx, err) && read_divisors(s, ck, keep, err);
}

/* --- windows ------------------------------------------------------------------------------------------------------- */

static bool read_windows(clo_spec *s, const clo_family *f, gguf_view *v, clo_err *err)
{
    uint32_t window = 0, pattern = f->pattern;
    if (!get_u32(&window, v, "attention.sliding_window", false, err)) return false;
    if (window == 0) return true;
    if (f->window != CLO_WINDOW_PATTERN) {
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "a sliding window is not built for '%s' in GGUF", v->arch);
    }
    const clo_gguf_kv *kv = find(v, "attention.sliding_window_pattern");
    bool listed = kv && kv->type == CLO_GGUF_ARRAY;
    if (listed && (kv->n < s->n_layer || kv->elem == CLO_GGUF_STR)) {
        return clo_fail(err, CLO_ERR_FORMAT, "key '%s' has %llu entries for %u layers", v->key,
                        (unsigned long long)kv->n, s->n_layer);
    }
    if (!listed && !get_u32(&pattern, v, "attention.sliding_window_pattern", false, err)) return false;
    if (!listed && pattern == 0) return clo_fail(err, CLO_ERR_FORMAT, "sliding window pattern is 0");
    for (uint32_t i = 0; i < s->n_layer; i++) {
        bool slides = listed ? clo_gguf_array_int(kv, i) != 0 : (i + 1) % pattern != 0;
        s->layer_window[i] = slides ? window : 0;
    }
    return true;
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

static bool find_family(const clo_family **f, gguf_view *v, clo_err *err)
{
    clo_str arch = clo_gguf_str(v->g, "general.architecture", CLO_STR(""));
    if (arch.len == 0) return clo_fail(err, CLO_ERR_FORMAT, "key 'general.architecture' is missing");
    *f = clo_family_of_gguf(arch);
    if (!*f) {
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "architecture '" CLO_STR_FMT "' is not built",
                        CLO_STR_ARG(((clo_str){arch.ptr, clo_min(arch.len, 40)})));
    }
    v->arch = (*f)->gguf_arch;
    if (strcmp((*f)->family, "olmo2") == 0 && find(v, "attention.sliding_window")) *f = clo_family_named("olmo3");
    return true;
}

static bool look_at_types(clo_spec *s, const clo_checkpoint *ck, clo_err *err)
{
    const clo_tensor *types = clo_checkpoint_find(ck, CLO_STR("token_types.weight"));
    if (types && (types->n_dims != 2 || types->dims[0] > SPEC_TYPES_MAX))
        return clo_fail(err, CLO_ERR_FORMAT, "token_types.weight is no matrix of up to %u rows", SPEC_TYPES_MAX);
    s->n_types = types ? (uint32_t)types->dims[0] : 0;
    return true;
}

/* pooling_type: 0 none, 1 mean, 2 the first token, 3 the last; 4 gives a rank and no vector. An encoder without the key
 * takes the mean. */
static bool read_pooling(clo_spec *s, const clo_family *f, gguf_view *v, clo_err *err)
{
    static const clo_pool_kind kinds[] = {CLO_POOL_NONE, CLO_POOL_MEAN, CLO_POOL_FIRST, CLO_POOL_LAST};
    uint32_t kind = f->encoder ? 1 : 0;
    if (!get_u32(&kind, v, "pooling_type", false, err)) return false;
    if (kind >= sizeof kinds / sizeof *kinds)
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "key '%s' is %u, expected 0 to 3", v->key, kind);
    s->pooling = kinds[kind];
    return true;
}

/* Biases, tying and the vocabulary are seen from the tensors: no key tells of them. */
static bool look_at_tensors(clo_spec *s, const clo_family *f, const clo_checkpoint *ck, clo_err *err)
{
    const clo_tensor *embed = clo_checkpoint_find(ck, CLO_STR("token_embd.weight"));
    if (!embed) return clo_fail(err, CLO_ERR_NOT_FOUND, "tensor 'token_embd.weight' is missing: a vocabulary only?");
    if (embed->n_dims != 2 || embed->dims[0] > UINT32_MAX) {
        return clo_fail(err, CLO_ERR_FORMAT, "token_embd.weight is no matrix");
    }
    s->n_vocab = (uint32_t)embed->dims[0];
    s->tied = clo_checkpoint_find(ck, CLO_STR("output.weight")) == NULL;
    if (clo_checkpoint_find(ck, CLO_STR("blk.0.attn_q.bias"))) s->qkv_bias = true;
    if (f->encoder) return look_at_types(s, ck, err);
    s->o_bias = clo_checkpoint_find(ck, CLO_STR("blk.0.attn_output.bias")) != NULL;
    s->mlp_bias = clo_checkpoint_find(ck, CLO_STR("blk.0.ffn_up.bias")) != NULL;
    return true;
}

bool clo_spec_from_gguf(clo_spec *out, const clo_family **family, const clo_checkpoint *ck, clo_arena *keep,
                        clo_err *err)
{
    clo_spec s;
    const clo_family *f = NULL;
    gguf_view v = {.g = ck->gguf};
    if (!find_family(&f, &v, err)) return false;
    clo_spec_begin(&s, f);
    s.qk_permuted = f->permuted;
    if (!refuse_unbuilt(&v, f, err) || !read_sizes(&s, &v, err) || !read_numbers(&s, f, &v, err) ||
        !read_windows(&s, f, &v, err) || !look_at_tensors(&s, f, ck, err) || !read_ropes(&s, f, &v, ck, keep, err)) {
        return false;
    }
    static const char *const stops[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                        "tokenizer.ggml.eom_token_id"};
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++)
        clo_spec_add_stop(&s, clo_gguf_int(v.g, stops[i], -1));
    int64_t bos = clo_gguf_int(v.g, "tokenizer.ggml.bos_token_id", -1);
    s.bos_id = bos >= 0 && bos < s.n_vocab ? (int32_t)bos : -1;
    if (!read_pooling(&s, f, &v, err) || !clo_spec_end(&s, f, err)) return false;
    *out = s;
    *family = f;
    return true;
}
