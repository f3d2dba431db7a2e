/* The spec from config.json and generation_config.json. Source: the configuration classes of Hugging Face transformers,
 * 4.x (rope_theta, rope_scaling) and 5.x (rope_parameters, nested by layer type where a family has two tables).
 *
 * Unknown keys are ignored, for files carry many; keys known to change the arithmetic in a way that is not built are
 * refused by name. */
#include <math.h>

#include "base/check.h"
#include "base/json.h"
#include "model/spec_impl.h"

/* --- values -------------------------------------------------------------------------------------------------------- */

/* Member of obj, NULL when absent or null. */
static const json_t *member(const json_t *obj, const char *key)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_null(v) ? NULL : v;
}

/* A count. Absent: the fallback, which is refused when it is 0. */
static bool get_u32(uint32_t *out, const json_t *obj, const char *key, uint32_t fallback, clo_err *err)
{
    const json_t *v = member(obj, key);
    *out = fallback;
    if (!v && fallback == 0) return clo_fail(err, CLO_ERR_FORMAT, "'%s' is missing", key);
    if (!v) return true;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > UINT32_MAX) {
        return clo_fail(err, CLO_ERR_FORMAT, "'%s' is no count", key);
    }
    *out = (uint32_t)json_integer_value(v);
    return true;
}

static bool get_num(double *out, const json_t *obj, const char *key, double fallback, clo_err *err)
{
    const json_t *v = member(obj, key);
    *out = v ? json_number_value(v) : fallback;
    if (v && (!json_is_number(v) || !isfinite(*out))) {
        return clo_fail(err, CLO_ERR_FORMAT, "'%s' is no finite number", key);
    }
    return true;
}

static bool get_bool(bool *out, const json_t *obj, const char *key, bool fallback, clo_err *err)
{
    const json_t *v = member(obj, key);
    *out = v ? json_is_true(v) : fallback;
    if (v && !json_is_boolean(v)) return clo_fail(err, CLO_ERR_FORMAT, "'%s' is neither true nor false", key);
    return true;
}

/* Text of a member, at most 60 bytes of it for messages; empty when absent. */
static clo_str get_text(const json_t *obj, const char *key)
{
    return clo_json_str(obj, key, CLO_STR(""));
}

static bool unbuilt(const char *what, clo_str name, clo_err *err)
{
    name.len = clo_min(name.len, 60);
    return clo_fail(err, CLO_ERR_UNSUPPORTED, "%s '" CLO_STR_FMT "' is not built", what, CLO_STR_ARG(name));
}

/* --- what is refused ----------------------------------------------------------------------------------------------- */

static bool refuse_unbuilt(const json_t *c, clo_err *err)
{
    static const char *const counts[] = {"num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"};
    static const char *const objects[] = {"quantization_config", "compression_config"};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const json_t *v = member(c, counts[i]);
        if (v && !(json_is_integer(v) && json_integer_value(v) == 0))
            return unbuilt("config.json:", clo_str_from(counts[i]), err);
    }
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
        if (member(c, objects[i])) return unbuilt("config.json:", clo_str_from(objects[i]), err);
    }
    if (json_is_true(json_object_get(c, "use_bidirectional_attention"))) {
        return unbuilt("config.json:", CLO_STR("use_bidirectional_attention"), err);
    }
    return true;
}

static bool read_act(clo_spec *s, const json_t *c, clo_err *err)
{
    static const struct {
        const char *name;
        clo_act_kind act;
    } names[] = {{"silu", CLO_ACT_SILU},
                 {"swish", CLO_ACT_SILU},
                 {"gelu_pytorch_tanh", CLO_ACT_GELU_TANH},
                 {"gelu_new", CLO_ACT_GELU_TANH},
                 {"gelu", CLO_ACT_GELU}};
    /* Gemma's files carry both keys; hidden_activation is the one that its code reads. */
    const char *key = member(c, "hidden_activation") ? "hidden_activation" : "hidden_act";
    const json_t *v = member(c, key);
    if (!v || (strcmp(s->family, "gemma3") == 0 && strcmp(key, "hidden_act") == 0)) return true;
    clo_str name = get_text(c, key);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (clo_str_eq(name, clo_str_from(names[i].name))) {
            s->act = names[i].act;
            return true;
        }
    }
    return unbuilt("activation", name, err);
}

/* --- sizes and numbers --------------------------------------------------------------------------------------------- */

static bool read_sizes(clo_spec *s, const clo_family *f, const json_t *c, clo_err *err)
{
    if (!get_u32(&s->n_layer, c, "num_hidden_layers", f->n_layer, err) ||
        !get_u32(&s->n_dim, c, "hidden_size", 0, err) || !get_u32(&s->n_ff, c, "intermediate_size", 0, err) ||
        !get_u32(&s->n_head, c, "num_attention_heads", f->n_head, err) ||
        !get_u32(&s->n_vocab, c, "vocab_size", f->n_vocab, err) ||
        !get_u32(&s->n_ctx, c, "max_position_embeddings", f->n_ctx, err))
        return false;
    if (s->n_head == 0) return clo_fail(err, CLO_ERR_FORMAT, "'num_attention_heads' is 0");
    if (s->n_layer > CLO_LAYERS_MAX) {
        return clo_fail(err, CLO_ERR_LIMIT, "%u layers, at most %u", s->n_layer, CLO_LAYERS_MAX);
    }
    uint32_t head_dim = f->head_dim ? f->head_dim : s->n_dim / s->n_head;
    if (head_dim == 0) return clo_fail(err, CLO_ERR_FORMAT, "%u heads in a width of %u", s->n_head, s->n_dim);
    if (!get_u32(&s->n_kv_head, c, "num_key_value_heads", f->n_kv_head ? f->n_kv_head : s->n_head, err) ||
        !get_u32(&s->head_dim, c, "head_dim", head_dim, err))
        return false;
    if (!member(c, "head_dim") && !f->head_dim && s->n_dim % s->n_head) {
        return clo_fail(err, CLO_ERR_FORMAT, "%u heads do not divide a width of %u", s->n_head, s->n_dim);
    }
    return true;
}

static bool read_numbers(clo_spec *s, const clo_family *f, const json_t *c, clo_err *err)
{
    double eps = f->eps, clip = 0, scalar = 0, attn_cap = 0, logit_cap = 0;
    bool bias = false;
    /* OLMo 1 has no key: its norm's epsilon is fixed. */
    const char *eps_key = f->encoder ? "layer_norm_eps" : f->norm == CLO_NORM_RMS ? "rms_norm_eps" : NULL;
    if (eps_key && !get_num(&eps, c, eps_key, f->eps, err)) return false;
    if (!get_num(&clip, c, "clip_qkv", 0, err) || !get_num(&scalar, c, "query_pre_attn_scalar", 0, err) ||
        !get_num(&attn_cap, c, "attn_logit_softcapping", 0, err) ||
        !get_num(&logit_cap, c, "final_logit_softcapping", 0, err) ||
        !get_bool(&bias, c, "attention_bias", false, err) || !get_bool(&s->mlp_bias, c, "mlp_bias", s->mlp_bias, err) ||
        !get_bool(&s->tied, c, "tie_word_embeddings", f->tied, err))
        return false;
    s->norm_eps = (float)eps;
    s->qkv_clip = (float)clip;
    s->attn_softcap = (float)attn_cap;
    s->logit_softcap = (float)logit_cap;
    s->norm_plus_one = f->plus_one;
    if (bias && !f->qkv_bias) s->qkv_bias = s->o_bias = true;
    if (strcmp(f->family, "gemma3") == 0) {
        if (scalar == 0) scalar = 256;
        if (!(scalar > 0)) return clo_fail(err, CLO_ERR_LIMIT, "'query_pre_attn_scalar' is %g", scalar);
        s->attn_scale = (float)(1.0 / sqrt(scalar));
    }
    return true;
}

/* --- rope ---------------------------------------------------------------------------------------------------------- */

static bool read_llama3(clo_rope *r, const json_t *o, clo_err *err)
{
    r->kind = CLO_ROPE_LLAMA3;
    return get_num(&r->low_freq_factor, o, "low_freq_factor", 0, err) &&
           get_num(&r->high_freq_factor, o, "high_freq_factor", 0, err);
}

static bool read_yarn(clo_rope *r, const json_t *o, clo_err *err)
{
    double attn = 0, scale = 0, scale_all = 0;
    r->kind = CLO_ROPE_YARN;
    if (!get_num(&r->beta_fast, o, "beta_fast", 32, err) || !get_num(&r->beta_slow, o, "beta_slow", 1, err) ||
        !get_bool(&r->truncate, o, "truncate", true, err) || !get_num(&attn, o, "attention_factor", 0, err) ||
        !get_num(&scale, o, "mscale", 0, err) || !get_num(&scale_all, o, "mscale_all_dim", 0, err))
        return false;
    if (r->beta_fast == 0) r->beta_fast = 32;
    if (r->beta_slow == 0) r->beta_slow = 1;
    r->attn_factor = attn;
    if (attn == 0) {
        bool ratio = scale != 0 && scale_all != 0;
        r->attn_factor = ratio ? clo_yarn_mscale(r->factor, scale) / clo_yarn_mscale(r->factor, scale_all)
                               : clo_yarn_mscale(r->factor, 1);
    }
    return true;
}

/* One object of rope_parameters or rope_scaling. theta is what holds when the object does not say. */
static bool read_rope(clo_rope *r, const json_t *o, double theta, uint32_t n_ctx, clo_err *err)
{
    *r = (clo_rope){.theta = theta, .factor = 1, .attn_factor = 1};
    if (!o) return true;
    if (!json_is_object(o)) return clo_fail(err, CLO_ERR_FORMAT, "rope parameters are no object");
    clo_str type = get_text(o, member(o, "rope_type") ? "rope_type" : "type");
    if (!get_num(&r->theta, o, "rope_theta", theta, err)) return false;
    if (type.len == 0 || clo_str_eq(type, CLO_STR("default"))) return true;
    if (!member(o, "factor")) return clo_fail(err, CLO_ERR_FORMAT, "rope 'factor' is missing");
    if (!get_num(&r->factor, o, "factor", 1, err) ||
        !get_num(&r->original_ctx, o, "original_max_position_embeddings", n_ctx, err))
        return false;
    if (clo_str_eq(type, CLO_STR("linear"))) {
        r->kind = CLO_ROPE_LINEAR;
        return true;
    }
    /* yarn divides by r->factor in a logarithm while reading, so it is checked here, before clo_spec_end. */
    if (!(r->factor >= 1 && r->factor <= 1e6)) return clo_fail(err, CLO_ERR_LIMIT, "rope factor is %g", r->factor);
    if (clo_str_eq(type, CLO_STR("llama3"))) return read_llama3(r, o, err);
    if (clo_str_eq(type, CLO_STR("yarn"))) return read_yarn(r, o, err);
    return unbuilt("rope type", type, err);
}

/* Rotated width: partial_rotary_factor of a head. */
static bool read_n_rot(clo_spec *s, const json_t *c, const json_t *rope, clo_err *err)
{
    double part = 1;
    if (!get_num(&part, c, "partial_rotary_factor", 1, err) ||
        !get_num(&part, rope, "partial_rotary_factor", part, err))
        return false;
    if (!(part > 0 && part <= 1)) return clo_fail(err, CLO_ERR_LIMIT, "'partial_rotary_factor' is %g", part);
    s->n_rot = (uint32_t)(part * (double)s->head_dim);
    return true;
}

/* The scaling of a family with two tables belongs to the full layers only; the sliding ones keep the plain table, at
 * rope_local_base_freq (Gemma 3) or at the same theta (OLMo 3). */
static bool read_ropes(clo_spec *s, const clo_family *f, const json_t *c, clo_err *err)
{
    double theta = f->theta, local = 0;
    if (!get_num(&theta, c, "rope_theta", f->theta, err) || !get_num(&local, c, "rope_local_base_freq", 0, err))
        return false;
    const json_t *params = member(c, "rope_parameters");
    const json_t *scaling = params ? params : member(c, "rope_scaling");
    const json_t *full = scaling, *sliding = NULL;
    if (json_is_object(scaling) &&
        (json_object_get(scaling, "full_attention") || json_object_get(scaling, "sliding_attention"))) {
        if (!f->two_ropes)
            return clo_fail(err, CLO_ERR_UNSUPPORTED, "rope parameters by layer type in '%s'", f->family);
        full = member(scaling, "full_attention");
        sliding = member(scaling, "sliding_attention");
    }
    if (!read_rope(&s->rope[0], full, theta, s->n_ctx, err)) return false;
    if (local == 0) local = f->theta_sliding != 0 ? f->theta_sliding : s->rope[0].theta;
    return read_rope(&s->rope[1], sliding, local, s->n_ctx, err) && read_n_rot(s, c, full, err);
}

/* --- layers -------------------------------------------------------------------------------------------------------- */

/* no_rope_layers: 1 where rope is used (the name says the opposite), else every n-th layer goes without. */
static bool read_no_rope(clo_spec *s, const clo_family *f, const json_t *c, clo_err *err)
{
    uint32_t every = f->no_rope_every;
    if (every == 0) return true;
    const json_t *list = member(c, "no_rope_layers");
    if (!get_u32(&every, c, "no_rope_layer_interval", every, err)) return false;
    if (every == 0) return clo_fail(err, CLO_ERR_FORMAT, "'no_rope_layer_interval' is 0");
    if (list && (!json_is_array(list) || json_array_size(list) != s->n_layer)) {
        return clo_fail(err, CLO_ERR_FORMAT, "'no_rope_layers' is no list of %u", s->n_layer);
    }
    for (uint32_t i = 0; i < s->n_layer; i++) {
        const json_t *v = list ? json_array_get(list, i) : NULL;
        if (v && !(json_is_integer(v) && (json_integer_value(v) == 0 || json_integer_value(v) == 1))) {
            return clo_fail(err, CLO_ERR_FORMAT, "'no_rope_layers' holds something else than 0 and 1");
        }
        s->layer_rope[i] = v ? json_integer_value(v) == 1 : (i + 1) % every != 0;
    }
    return true;
}

/* Whether layer i slides when the file does not list its layers. */
static bool slides_by_rule(const clo_spec *s, const clo_family *f, uint32_t i, uint32_t pattern, uint32_t above,
                           bool use)
{
    /* clang-format off */
    switch (f->window) {
    case CLO_WINDOW_NONE: return false;
    case CLO_WINDOW_PATTERN: return (i + 1) % pattern != 0;
    case CLO_WINDOW_ABOVE: return use && i >= above;
    case CLO_WINDOW_NO_ROPE: return use && s->layer_rope[i] == 0;
    }
    /* clang-format on */
    return false;
}

static bool read_layer_type(bool *slides, const json_t *list, uint32_t i, clo_err *err)
{
    const json_t *v = json_array_get(list, i);
    clo_str name = json_is_string(v) ? (clo_str){json_string_value(v), json_string_length(v)} : CLO_STR("");
    *slides = clo_str_eq(name, CLO_STR("sliding_attention"));
    return *slides || clo_str_eq(name, CLO_STR("full_attention")) || unbuilt("layer type", name, err);
}

static bool read_windows(clo_spec *s, const clo_family *f, const json_t *c, clo_err *err)
{
    uint32_t window = 0, pattern = 1, above = 0;
    bool use = false;
    const json_t *list = member(c, "layer_types");
    if (!get_bool(&use, c, "use_sliding_window", false, err)) return false;
    if (member(c, "sliding_window") && !get_u32(&window, c, "sliding_window", 1, err)) return false;
    /* An explicit null means no window for the families where the key alone turns it on. */
    if (!json_object_get(c, "sliding_window")) window = f->n_window;
    if (f->window == CLO_WINDOW_PATTERN && !get_u32(&pattern, c, "sliding_window_pattern", f->pattern, err))
        return false;
    if (f->window == CLO_WINDOW_ABOVE && !get_u32(&above, c, "max_window_layers", 28, err)) return false;
    if (pattern == 0) return clo_fail(err, CLO_ERR_FORMAT, "'sliding_window_pattern' is 0");
    if (list && (!json_is_array(list) || json_array_size(list) != s->n_layer)) {
        return clo_fail(err, CLO_ERR_FORMAT, "'layer_types' is no list of %u", s->n_layer);
    }
    for (uint32_t i = 0; i < s->n_layer; i++) {
        bool slides = slides_by_rule(s, f, i, pattern, above, use);
        if (list && !read_layer_type(&slides, list, i, err)) return false;
        if (slides && f->window == CLO_WINDOW_NONE)
            return unbuilt("sliding attention in", clo_str_from(f->family), err);
        if (slides && window == 0)
            return clo_fail(err, CLO_ERR_FORMAT, "layer %u slides and 'sliding_window' is unset", i);
        s->layer_window[i] = slides ? window : 0;
    }
    return true;
}

/* --- vectors ------------------------------------------------------------------------------------------------------- */

/* Positions are a table of max_position_embeddings rows; other kinds change the scores. */
static bool read_encoder(clo_spec *s, const clo_family *f, const json_t *c, clo_err *err)
{
    clo_str kind = get_text(c, "position_embedding_type");
    if (!f->encoder) return true;
    if (kind.len > 0 && !clo_str_eq(kind, CLO_STR("absolute"))) return unbuilt("position_embedding_type", kind, err);
    if (json_is_true(json_object_get(c, "is_decoder"))) return unbuilt("config.json:", CLO_STR("is_decoder"), err);
    return get_u32(&s->n_types, c, "type_vocab_size", 2, err);
}

/* is_matryoshka: any length; matryoshka_dimensions: these. */
static bool read_lengths(clo_spec *s, const json_t *c, clo_err *err)
{
    const json_t *list = member(c, "matryoshka_dimensions"), *v;
    size_t i;
    if (!get_bool(&s->shortens, c, "is_matryoshka", false, err)) return false;
    if (list && (!json_is_array(list) || json_array_size(list) > CLO_LENGTHS_MAX))
        return clo_fail(err, CLO_ERR_FORMAT, "'matryoshka_dimensions' is no list of up to %d", CLO_LENGTHS_MAX);
    json_array_foreach (list, i, v) {
        if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > s->n_dim)
            return clo_fail(err, CLO_ERR_FORMAT, "'matryoshka_dimensions' holds something else than 1 to %u", s->n_dim);
        s->lengths[s->n_lengths++] = (uint32_t)json_integer_value(v);
        s->shortens = true;
    }
    return true;
}

/* --- tokens that matter to a decoder ------------------------------------------------------------------------------- */

static void read_stops(clo_spec *s, const json_t *c)
{
    const json_t *v = member(c, "eos_token_id");
    if (json_is_integer(v)) clo_spec_add_stop(s, json_integer_value(v));
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *e = json_array_get(v, i);
        if (json_is_integer(e)) clo_spec_add_stop(s, json_integer_value(e));
    }
    int64_t bos = clo_json_int(c, "bos_token_id", -1);
    if (s->bos_id < 0 && bos >= 0 && bos < s->n_vocab) s->bos_id = (int32_t)bos;
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

static bool find_family(const clo_family **f, const json_t **text, const json_t *root, clo_err *err)
{
    clo_str type = get_text(root, "model_type");
    *text = root;
    if (clo_str_eq(type, CLO_STR("gemma3"))) { /* multimodal: the language model is inside */
        *text = member(root, "text_config");
        if (!json_is_object(*text)) return clo_fail(err, CLO_ERR_FORMAT, "'text_config' is missing");
        type = CLO_STR("gemma3_text");
    }
    if (type.len == 0) {
        const json_t *first = json_array_get(json_object_get(root, "architectures"), 0);
        if (!json_is_string(first)) return clo_fail(err, CLO_ERR_FORMAT, "'model_type' is missing");
        type = (clo_str){json_string_value(first), json_string_length(first)};
    }
    *f = clo_family_of_hf(type);
    return *f || unbuilt("model type", type, err);
}

static bool read_root(clo_spec *s, const clo_family **f, const json_t *root, clo_err *err)
{
    const json_t *c = NULL;
    if (!json_is_object(root)) return clo_fail(err, CLO_ERR_FORMAT, "not an object");
    if (!find_family(f, &c, root, err)) return false;
    clo_spec_begin(s, *f);
    if (!refuse_unbuilt(root, err) || !refuse_unbuilt(c, err) || !read_sizes(s, *f, c, err) ||
        !read_numbers(s, *f, c, err) || !read_act(s, c, err) || !read_no_rope(s, *f, c, err) ||
        !read_windows(s, *f, c, err) || !read_ropes(s, *f, c, err) || !read_encoder(s, *f, c, err) ||
        !read_lengths(s, c, err))
        return false;
    read_stops(s, c);
    read_stops(s, root);
    return clo_spec_end(s, *f, err);
}

bool clo_spec_from_config(clo_spec *out, const clo_family **family, clo_str config, clo_str generation, clo_err *err)
{
    json_t *root = NULL, *gen = NULL;
    clo_spec s;
    bool ok = clo_json_parse(&root, config, SPEC_CONFIG_BYTES_MAX, err) && read_root(&s, family, root, err);
    if (!ok) clo_err_context(err, "config.json");
    if (ok && generation.len > 0) {
        ok = clo_json_parse(&gen, generation, SPEC_CONFIG_BYTES_MAX, err);
        if (!ok) clo_err_context(err, "generation_config.json");
        if (ok) read_stops(&s, gen);
    }
    if (ok) *out = s;
    json_decref(root);
    json_decref(gen);
    return ok;
}
