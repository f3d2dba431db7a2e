/* The rules of mixture.h as llama-quantize has them, without those for importance matrices and mixtures of experts. */
#include "model/mixture.h"

#include "model/gguf.h"
#include "tensor/quant.h"

enum {
    FT_Q2_K = 10,
    FT_Q3_K_M = 12,
    FT_Q3_K_L = 13,
    FT_Q4_K_S = 14,
    FT_Q4_K_M = 15,
    FT_Q5_K_M = 17,
    FT_IQ4_NL = 25,
    FT_IQ4_XS = 30,
    FT_MXFP4 = 38,
};

static const clo_mixture TABLE[] = {
    {"q8_0", CLO_DTYPE_Q8_0, 7, "8.5 bits a weight, nearly no loss"},
    {"q6_k", CLO_DTYPE_Q6_K, 18, "6.6 bits, very little loss"},
    {"q5_k_m", CLO_DTYPE_Q5_K, FT_Q5_K_M, "5.7 bits"},
    {"q5_k_s", CLO_DTYPE_Q5_K, 16, "5.5 bits"},
    {"q4_k_m", CLO_DTYPE_Q4_K, FT_Q4_K_M, "4.8 bits, the usual choice"},
    {"q4_k_s", CLO_DTYPE_Q4_K, FT_Q4_K_S, "4.6 bits"},
    {"iq4_nl", CLO_DTYPE_IQ4_NL, FT_IQ4_NL, "4.5 bits, not linear"},
    {"iq4_xs", CLO_DTYPE_IQ4_XS, FT_IQ4_XS, "4.3 bits, not linear"},
    {"mxfp4", CLO_DTYPE_MXFP4, FT_MXFP4, "4.3 bits, OCP microscaling"},
    {"q3_k_l", CLO_DTYPE_Q3_K, FT_Q3_K_L, "4.3 bits"},
    {"q3_k_m", CLO_DTYPE_Q3_K, FT_Q3_K_M, "3.9 bits"},
    {"q3_k_s", CLO_DTYPE_Q3_K, 11, "3.5 bits"},
    {"q2_k", CLO_DTYPE_Q2_K, FT_Q2_K, "3 bits, much loss"},
    {"q4_0", CLO_DTYPE_Q4_0, 2, "4.5 bits, simple and fast"},
    {"q4_1", CLO_DTYPE_Q4_1, 3, "5 bits, simple"},
    {"q5_0", CLO_DTYPE_Q5_0, 8, "5.5 bits, simple"},
    {"q5_1", CLO_DTYPE_Q5_1, 9, "6 bits, simple"},
    {"f16", CLO_DTYPE_F16, 1, "16 bits"},
    {"bf16", CLO_DTYPE_BF16, 32, "16 bits, the range of f32"},
    {"f32", CLO_DTYPE_F32, 0, "32 bits"},
};

const clo_mixture *clo_mixture_at(size_t i)
{
    return i < sizeof TABLE / sizeof TABLE[0] ? &TABLE[i] : NULL;
}

static bool eq_folded(clo_str s, clo_str lower)
{
    if (s.len != lower.len) return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] - 'A' + 'a') : s.ptr[i];
        if (c != lower.ptr[i]) return false;
    }
    return true;
}

const clo_mixture *clo_mixture_find(clo_str name)
{
    static const char *const medium[][2] = {{"q3_k", "q3_k_m"}, {"q4_k", "q4_k_m"}, {"q5_k", "q5_k_m"}};
    for (size_t i = 0; i < sizeof medium / sizeof medium[0]; i++) {
        if (eq_folded(name, clo_str_from(medium[i][0]))) name = clo_str_from(medium[i][1]);
    }
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        if (eq_folded(name, clo_str_from(TABLE[i].name))) return &TABLE[i];
    }
    return NULL;
}

/* "{arch}.{key}" as a number of the model; per-layer arrays give their first element. */
static uint32_t arch_count(const struct clo_gguf *g, const char *key)
{
    char full[256];
    clo_str arch = clo_gguf_str(g, "general.architecture", CLO_STR(""));
    int n = snprintf(full, sizeof full, CLO_STR_FMT ".%s", CLO_STR_ARG(arch), key);
    if (n < 0 || (size_t)n >= sizeof full) return 0;
    const clo_gguf_kv *kv = clo_gguf_find(g, full);
    if (!kv) return 0;
    int64_t v = kv->type == CLO_GGUF_ARRAY && kv->n > 0 ? clo_gguf_array_int(kv, 0) : clo_gguf_int(g, full, 0);
    return v > 0 && v <= 1 << 20 ? (uint32_t)v : 0;
}

clo_mixture_facts clo_mixture_facts_of(const struct clo_gguf *g, const clo_checkpoint *ck)
{
    clo_str arch = clo_gguf_str(g, "general.architecture", CLO_STR(""));
    uint32_t n_head = arch_count(g, "attention.head_count"), n_kv_head = arch_count(g, "attention.head_count_kv");
    clo_mixture_facts f = {.n_layers = arch_count(g, "block_count"), .n_gqa = 1};

    if (n_kv_head > 0) f.n_gqa = n_head / n_kv_head;
    f.tied = clo_checkpoint_find(ck, CLO_STR("output.weight")) == NULL;
    f.is_70b =
        f.n_layers == 80 && f.n_gqa > 1 && (clo_str_eq(arch, CLO_STR("llama")) || clo_str_eq(arch, CLO_STR("qwen2")));
    return f;
}

/* --- what a tensor is, by its name --------------------------------------------------------------------------------- */

static bool contains(clo_str s, const char *part)
{
    return memmem(s.ptr, s.len, part, strlen(part)) != NULL;
}

bool clo_mixture_applies(const clo_tensor *t)
{
    static const char *const never[] = {
        "_norm.weight",
        "ffn_gate_inp.weight",
        "ssm_conv1d",
        "shortconv.conv.weight",
        "attn_rel_b.weight",
        "altup",
        "laurel",
        "position_embd",
        "token_types.weight",
        "per_layer_model_proj",
    };
    if (t->n_dims < 2 || !clo_str_ends_with(t->name, CLO_STR("weight"))) return false;
    if (!clo_dequantize_can(t->dtype)) return false;
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        if (contains(t->name, never[i])) return false;
    }
    return true;
}

/* N of "blk.N.", or -1. */
static int64_t layer_of(clo_str name)
{
    int64_t n = 0;
    size_t i = 4;
    if (!clo_str_starts_with(name, CLO_STR("blk."))) return -1;
    for (; i < name.len && name.ptr[i] >= '0' && name.ptr[i] <= '9' && n < 1 << 20; i++)
        n = n * 10 + (name.ptr[i] - '0');
    return i > 4 && i < name.len && name.ptr[i] == '.' ? n : -1;
}

/* Layers that get more bits: the first and the last eighth, and every third between. */
static bool wants_more_bits(int64_t i, int64_t n)
{
    return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

static clo_dtype choose_output(const clo_mixture *m, size_t n_cols)
{
    if (m->ftype == FT_MXFP4 || n_cols % clo_dtype_info_of(m->base)->block_len != 0) return CLO_DTYPE_Q8_0;
    return m->base == CLO_DTYPE_Q8_0 ? CLO_DTYPE_Q8_0 : CLO_DTYPE_Q6_K;
}

static clo_dtype choose_attn_v(const clo_mixture *m, const clo_mixture_facts *f, int64_t i)
{
    clo_dtype t = m->base;
    switch (m->ftype) {
    case FT_Q2_K:
        t = f->n_gqa >= 4 ? CLO_DTYPE_Q4_K : CLO_DTYPE_Q3_K;
        break;
    case FT_Q3_K_M:
        t = i < 2 ? CLO_DTYPE_Q5_K : CLO_DTYPE_Q4_K;
        break;
    case FT_Q3_K_L:
        t = CLO_DTYPE_Q5_K;
        break;
    case FT_Q4_K_S:
        t = i < 4 ? CLO_DTYPE_Q5_K : t;
        break;
    case FT_Q4_K_M:
    case FT_Q5_K_M:
        t = wants_more_bits(i, f->n_layers) ? CLO_DTYPE_Q6_K : t;
        break;
    case FT_IQ4_NL:
    case FT_IQ4_XS:
        t = f->n_gqa >= 4 ? CLO_DTYPE_Q5_K : t;
        break;
    default:
        break;
    }
    /* Eight heads share this matrix there, so it is small and worth its bits. */
    if (f->is_70b && (t == CLO_DTYPE_Q3_K || t == CLO_DTYPE_Q4_K)) t = CLO_DTYPE_Q5_K;
    return t;
}

static clo_dtype choose_ffn_down(const clo_mixture *m, const clo_mixture_facts *f, int64_t i)
{
    int64_t n = f->n_layers;
    switch (m->ftype) {
    case FT_Q2_K:
        return CLO_DTYPE_Q3_K;
    case FT_Q3_K_M:
        return i < n / 16 ? CLO_DTYPE_Q5_K : CLO_DTYPE_Q4_K;
    case FT_Q3_K_L:
        return CLO_DTYPE_Q5_K;
    case FT_Q4_K_M:
    case FT_Q5_K_M:
        return wants_more_bits(i, n) ? CLO_DTYPE_Q6_K : m->base;
    case FT_Q4_K_S:
    case FT_IQ4_NL:
    case FT_IQ4_XS:
        return i < n / 8 ? CLO_DTYPE_Q5_K : m->base;
    default:
        return m->base;
    }
}

static clo_dtype choose_attn_output(const clo_mixture *m)
{
    switch (m->ftype) {
    case FT_Q2_K:
        return CLO_DTYPE_Q3_K;
    case FT_Q3_K_M:
        return CLO_DTYPE_Q4_K;
    case FT_Q3_K_L:
        return CLO_DTYPE_Q5_K;
    default:
        return m->base;
    }
}

static clo_dtype choose_by_name(const clo_mixture *m, const clo_mixture_facts *f, clo_str name, size_t n_cols)
{
    int64_t i = layer_of(name);
    if (clo_str_eq(name, CLO_STR("output.weight"))) return choose_output(m, n_cols);
    if (clo_str_eq(name, CLO_STR("token_embd.weight"))) return f->tied ? choose_output(m, n_cols) : m->base;
    if (contains(name, "attn_v.weight") || contains(name, "attn_qkv.weight")) return choose_attn_v(m, f, i);
    if (contains(name, "attn_output.weight")) return choose_attn_output(m);
    if (contains(name, "ffn_down")) return choose_ffn_down(m, f, i);
    return m->base;
}

clo_dtype clo_mixture_choose(const clo_mixture *m, const clo_mixture_facts *f, bool pure, const clo_tensor *t)
{
    size_t n_cols = (size_t)t->dims[t->n_dims - 1];
    clo_dtype type = m->base;
    if (!pure && clo_dtype_info_of(m->base)->quantised) type = choose_by_name(m, f, t->name, n_cols);
    return type;
}
