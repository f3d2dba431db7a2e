/* Specs: what the configuration files of real models say, what is refused by name, and the rope tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/spec_impl.h"

static const char *const smollm2 =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"attention_bias\":false,\"bos_token_id\":1,\"eos_token_id\":2,"
    "\"hidden_act\":\"silu\",\"hidden_size\":576,\"intermediate_size\":1536,\"is_llama_config\":true,"
    "\"max_position_embeddings\":8192,\"mlp_bias\":false,\"model_type\":\"llama\",\"num_attention_heads\":9,"
    "\"num_hidden_layers\":30,\"num_key_value_heads\":3,\"pretraining_tp\":1,\"rms_norm_eps\":1e-05,"
    "\"rope_interleaved\":false,\"rope_scaling\":null,\"rope_theta\":100000,\"tie_word_embeddings\":true,"
    "\"vocab_size\":49152}";
static const char *const llama32 =
    "{\"model_type\":\"llama\",\"head_dim\":64,\"hidden_size\":2048,\"intermediate_size\":8192,"
    "\"max_position_embeddings\":131072,\"num_attention_heads\":32,\"num_hidden_layers\":16,\"num_key_value_heads\":8,"
    "\"rms_norm_eps\":1e-05,\"rope_scaling\":{\"factor\":32.0,\"high_freq_factor\":4.0,\"low_freq_factor\":1.0,"
    "\"original_max_position_embeddings\":8192,\"rope_type\":\"llama3\"},\"rope_theta\":500000.0,"
    "\"eos_token_id\":[128001,128008,128009],\"tie_word_embeddings\":true,\"vocab_size\":128256}";
/* OlympicCoder-7B = the shape of Qwen2.5-Coder-7B-Instruct. */
static const char *const olympiccoder =
    "{\"architectures\":[\"Qwen2ForCausalLM\"],\"attention_dropout\":0.0,\"bos_token_id\":151643,"
    "\"eos_token_id\":151645,\"hidden_act\":\"silu\",\"hidden_size\":3584,\"initializer_range\":0.02,"
    "\"intermediate_size\":18944,\"max_position_embeddings\":32768,\"max_window_layers\":28,\"model_type\":\"qwen2\","
    "\"num_attention_heads\":28,\"num_hidden_layers\":28,\"num_key_value_heads\":4,\"rms_norm_eps\":1e-06,"
    "\"rope_scaling\":null,\"rope_theta\":1000000.0,\"sliding_window\":null,\"tie_word_embeddings\":false,"
    "\"torch_dtype\":\"bfloat16\",\"use_cache\":false,\"use_sliding_window\":false,\"vocab_size\":152064}";
static const char *const olmo2 =
    "{\"model_type\":\"olmo2\",\"hidden_size\":2048,\"intermediate_size\":8192,\"max_position_embeddings\":4096,"
    "\"num_attention_heads\":16,\"num_hidden_layers\":16,\"num_key_value_heads\":16,\"rms_norm_eps\":1e-06,"
    "\"rope_scaling\":null,\"rope_theta\":500000,\"tie_word_embeddings\":false,\"vocab_size\":100352}";
static const char *const olmo2_32b =
    "{\"model_type\":\"olmo2\",\"hidden_size\":5120,\"intermediate_size\":27648,\"max_position_embeddings\":4096,"
    "\"num_attention_heads\":40,\"num_hidden_layers\":64,\"num_key_value_heads\":8,\"rms_norm_eps\":1e-06,"
    "\"rope_scaling\":null,\"rope_theta\":500000,\"tie_word_embeddings\":false,\"vocab_size\":100352}";
static const char *const olmo3 =
    "{\"model_type\":\"olmo3\",\"hidden_size\":4096,\"intermediate_size\":11008,\"max_position_embeddings\":65536,"
    "\"num_attention_heads\":32,\"num_hidden_layers\":32,\"num_key_value_heads\":32,\"rms_norm_eps\":1e-06,"
    "\"rope_scaling\":{\"attention_factor\":1.2079441541679836,\"beta_fast\":32.0,\"beta_slow\":1.0,\"factor\":8.0,"
    "\"original_max_position_embeddings\":8192,\"rope_type\":\"yarn\"},\"rope_theta\":500000,\"sliding_window\":4096,"
    "\"tie_word_embeddings\":false,\"vocab_size\":100278}";
static const char *const qwen3 =
    "{\"model_type\":\"qwen3\",\"head_dim\":128,\"hidden_size\":1024,\"intermediate_size\":3072,"
    "\"max_position_embeddings\":40960,\"num_attention_heads\":16,\"num_hidden_layers\":28,\"num_key_value_heads\":8,"
    "\"rms_norm_eps\":1e-06,\"rope_theta\":1000000,\"tie_word_embeddings\":true,\"vocab_size\":151936}";
static const char *const olmo1 =
    "{\"model_type\":\"olmo\",\"clip_qkv\":8.0,\"hidden_size\":4096,\"intermediate_size\":11008,"
    "\"max_position_embeddings\":4096,\"num_attention_heads\":32,\"num_hidden_layers\":32,\"num_key_value_heads\":32,"
    "\"rope_theta\":10000.0,\"tie_word_embeddings\":false,\"vocab_size\":50304,\"eos_token_id\":50279}";
/* Gemma-3-1B leaves much to the class's defaults; the larger ones even the number of heads. */
static const char *const gemma3 =
    "{\"architectures\":[\"Gemma3ForCausalLM\"],\"model_type\":\"gemma3_text\",\"head_dim\":256,\"hidden_size\":1152,"
    "\"hidden_activation\":\"gelu_pytorch_tanh\",\"intermediate_size\":6912,\"max_position_embeddings\":32768,"
    "\"num_attention_heads\":4,\"num_hidden_layers\":26,\"num_key_value_heads\":1,\"query_pre_attn_scalar\":256,"
    "\"rope_local_base_freq\":10000,\"rope_theta\":1000000,\"sliding_window\":512,\"sliding_window_pattern\":6,"
    "\"vocab_size\":262144,\"bos_token_id\":2,\"eos_token_id\":[1,106]}";
static const char *const gemma3_4b =
    "{\"model_type\":\"gemma3\",\"eos_token_id\":[1,106],\"text_config\":{\"hidden_size\":2560,"
    "\"intermediate_size\":10240,\"model_type\":\"gemma3_text\",\"num_hidden_layers\":34,"
    "\"rope_scaling\":{\"factor\":8.0,\"rope_type\":\"linear\"},\"sliding_window\":1024}}";
static const char *const smollm3 =
    "{\"model_type\":\"smollm3\",\"hidden_size\":2048,\"intermediate_size\":11008,\"max_position_embeddings\":65536,"
    "\"num_attention_heads\":16,\"num_hidden_layers\":4,\"num_key_value_heads\":4,\"no_rope_layers\":[1,1,1,0],"
    "\"rms_norm_eps\":1e-06,\"rope_theta\":5000000.0,\"tie_word_embeddings\":true,\"vocab_size\":128256,"
    "\"use_sliding_window\":false}";

static clo_spec must_read(const char *config)
{
    clo_spec s;
    clo_err err = {0};
    const clo_family *f = NULL;
    if (!clo_spec_from_config(&s, &f, clo_str_from(config), CLO_STR(""), &err)) fail_msg("%s", err.text);
    return s;
}

static void real_configurations_read_as_published(void **state)
{
    const struct {
        const char *name, *config, *family;
        uint32_t n_layer, n_dim, n_head, n_kv, head_dim, n_ff, n_vocab;
        bool tied, bias, post;
        clo_qk_norm_kind qk;
        double theta, eps;
        uint32_t window_first, window_last;
    } rows[] = {
        /* clang-format off */
        {"SmolLM2-135M", smollm2, "llama", 30, 576, 9, 3, 64, 1536, 49152, true, false, false, CLO_QK_NORM_NONE, 1e5, 1e-5, 0, 0},
        {"Llama-3.2-1B", llama32, "llama", 16, 2048, 32, 8, 64, 8192, 128256, true, false, false, CLO_QK_NORM_NONE, 5e5, 1e-5, 0, 0},
        {"OlympicCoder-7B", olympiccoder, "qwen2", 28, 3584, 28, 4, 128, 18944, 152064, false, true, false, CLO_QK_NORM_NONE, 1e6, 1e-6, 0, 0},
        {"OLMo-2-1B", olmo2, "olmo2", 16, 2048, 16, 16, 128, 8192, 100352, false, false, true, CLO_QK_NORM_FULL, 5e5, 1e-6, 0, 0},
        {"OLMo-2-32B", olmo2_32b, "olmo2", 64, 5120, 40, 8, 128, 27648, 100352, false, false, true, CLO_QK_NORM_FULL, 5e5, 1e-6, 0, 0},
        {"Olmo-3-7B", olmo3, "olmo3", 32, 4096, 32, 32, 128, 11008, 100278, false, false, true, CLO_QK_NORM_FULL, 5e5, 1e-6, 4096, 0},
        {"Qwen3-0.6B", qwen3, "qwen3", 28, 1024, 16, 8, 128, 3072, 151936, true, false, false, CLO_QK_NORM_HEAD, 1e6, 1e-6, 0, 0},
        {"OLMo-7B", olmo1, "olmo", 32, 4096, 32, 32, 128, 11008, 50304, false, false, false, CLO_QK_NORM_NONE, 1e4, 1e-5, 0, 0},
        {"Gemma-3-1B", gemma3, "gemma3", 26, 1152, 4, 1, 256, 6912, 262144, true, false, true, CLO_QK_NORM_HEAD, 1e6, 1e-6, 512, 512},
        {"Gemma-3-4B", gemma3_4b, "gemma3", 34, 2560, 8, 4, 256, 10240, 262208, true, false, true, CLO_QK_NORM_HEAD, 1e6, 1e-6, 1024, 1024},
        {"SmolLM3", smollm3, "smollm3", 4, 2048, 16, 4, 128, 11008, 128256, true, false, false, CLO_QK_NORM_NONE, 5e6, 1e-6, 0, 0},
    };
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_spec s = must_read(rows[i].config);
        bool ok = strcmp(s.family, rows[i].family) == 0 && s.n_layer == rows[i].n_layer && s.n_dim == rows[i].n_dim &&
                  s.n_head == rows[i].n_head && s.n_kv_head == rows[i].n_kv && s.head_dim == rows[i].head_dim &&
                  s.n_ff == rows[i].n_ff && s.n_vocab == rows[i].n_vocab && s.tied == rows[i].tied &&
                  s.qkv_bias == rows[i].bias && s.post_attn_norm == rows[i].post && s.qk_norm == rows[i].qk &&
                  s.rope[0].theta == rows[i].theta && s.norm_eps == (float)rows[i].eps &&
                  s.layer_window[0] == rows[i].window_first && s.layer_window[s.n_layer - 1] == rows[i].window_last;
        if (!ok) fail_msg("%s", rows[i].name);
        assert_int_equal(s.n_rot, s.head_dim);
        assert_false(s.qk_permuted); /* Hugging Face files never are */
    }
}

static void families_differ_where_they_should(void **state)
{
    (void)state;
    clo_spec s = must_read(olmo3);
    assert_int_equal(s.rope[0].kind, CLO_ROPE_YARN);
    assert_int_equal(s.rope[1].kind, CLO_ROPE_DEFAULT); /* sliding layers: never scaled */
    assert_true(s.rope[1].theta == 5e5 && s.rope[1].attn_factor == 1);
    assert_int_equal(s.layer_rope[0], 2);
    assert_int_equal(s.layer_rope[3], 1);
    assert_int_equal(s.layer_window[3], 0);
    assert_false(s.pre_attn_norm);

    s = must_read(gemma3_4b);
    assert_int_equal(s.rope[0].kind, CLO_ROPE_LINEAR);
    assert_true(s.rope[1].theta == 1e4 && s.rope[1].kind == CLO_ROPE_DEFAULT);
    assert_int_equal(s.layer_rope[5], 1);
    assert_int_equal(s.layer_rope[4], 2);
    assert_true(s.norm_plus_one && s.pre_attn_norm && s.post_ffn_norm);
    assert_int_equal(s.act, CLO_ACT_GELU_TANH);
    assert_true(s.attn_scale == 0.0625f && s.emb_scale == 50.5964432f);
    assert_int_equal(s.n_stop_ids, 2);

    s = must_read(smollm3);
    assert_int_equal(s.layer_rope[2], 1); /* no_rope_layers: 1 means rope */
    assert_int_equal(s.layer_rope[3], 0);

    s = must_read(olmo1);
    assert_int_equal(s.norm, CLO_NORM_LAYER);
    assert_false(s.norm_weight);
    assert_true(s.qkv_clip == 8.0f);
}

static void stop_ids_come_from_both_files_without_repetition(void **state)
{
    clo_spec s;
    clo_err err = {0};
    const clo_family *f = NULL;
    (void)state;
    clo_str gen = CLO_STR("{\"eos_token_id\":[151645,151643,-1,999999],\"bos_token_id\":151643}");
    assert_true(clo_spec_from_config(&s, &f, clo_str_from(olympiccoder), gen, &err));
    assert_int_equal(s.n_stop_ids, 2);
    assert_int_equal(s.stop_ids[0], 151645);
    assert_int_equal(s.stop_ids[1], 151643);
    assert_int_equal(s.bos_id, 151643);
}

#define BASE                                                                                                           \
    "\"model_type\":\"qwen2\",\"hidden_size\":64,\"intermediate_size\":96,\"max_position_embeddings\":128,"            \
    "\"num_attention_heads\":4,\"num_hidden_layers\":2,\"vocab_size\":100"

static void what_is_not_built_or_not_sound_is_refused_by_name(void **state)
{
    static const struct {
        const char *why, *config;
        clo_code want;
        const char *says;
    } rows[] = {
        {"no JSON", "{", CLO_ERR_FORMAT, "JSON"},
        {"a list", "[]", CLO_ERR_FORMAT, "not an object"},
        {"no model type", "{}", CLO_ERR_FORMAT, "model_type"},
        {"an unknown family", "{\"model_type\":\"mamba\"}", CLO_ERR_UNSUPPORTED, "'mamba'"},
        {"a key twice", "{\"model_type\":\"llama\",\"model_type\":\"llama\"}", CLO_ERR_FORMAT, "uplicate"},
        {"no hidden size", "{\"model_type\":\"llama\",\"num_hidden_layers\":2}", CLO_ERR_FORMAT, "hidden_size"},
        {"no heads", "{" BASE ",\"num_key_value_heads\":0}", CLO_ERR_LIMIT, "key-value heads"},
        {"heads that do not share", "{" BASE ",\"num_key_value_heads\":3}", CLO_ERR_FORMAT, "share"},
        {"a head size of 24", "{" BASE ",\"head_dim\":24}", CLO_ERR_UNSUPPORTED, "multiple of 16"},
        {"a head size of 512", "{" BASE ",\"head_dim\":512}", CLO_ERR_LIMIT, "head size"},
        {"a size in quotes", "{" BASE ",\"head_dim\":\"16\"}", CLO_ERR_FORMAT, "'head_dim' is no count"},
        {"a negative size", "{" BASE ",\"head_dim\":-16}", CLO_ERR_FORMAT, "'head_dim' is no count"},
        {"another activation", "{" BASE ",\"hidden_act\":\"relu\"}", CLO_ERR_UNSUPPORTED, "'relu'"},
        {"another rope", "{" BASE ",\"rope_scaling\":{\"type\":\"longrope\",\"factor\":2.0}}", CLO_ERR_UNSUPPORTED,
         "'longrope'"},
        {"dynamic rope", "{" BASE ",\"rope_scaling\":{\"rope_type\":\"dynamic\",\"factor\":2.0}}", CLO_ERR_UNSUPPORTED,
         "'dynamic'"},
        {"scaling without a factor", "{" BASE ",\"rope_scaling\":{\"type\":\"linear\"}}", CLO_ERR_FORMAT, "factor"},
        {"a factor of 0", "{" BASE ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}}", CLO_ERR_LIMIT, "factor"},
        {"a theta of 0", "{" BASE ",\"rope_theta\":0}", CLO_ERR_LIMIT, "theta"},
        {"llama3 without its factors", "{" BASE ",\"rope_scaling\":{\"type\":\"llama3\",\"factor\":2.0}}",
         CLO_ERR_LIMIT, "low and high"},
        {"experts", "{" BASE ",\"num_experts\":8}", CLO_ERR_UNSUPPORTED, "num_experts"},
        {"quantised weights of another kind", "{" BASE ",\"quantization_config\":{\"quant_method\":\"gptq\"}}",
         CLO_ERR_UNSUPPORTED, "quantization_config"},
        {"too few layer types", "{" BASE ",\"layer_types\":[\"full_attention\"]}", CLO_ERR_FORMAT, "list of 2"},
        {"another layer type", "{" BASE ",\"layer_types\":[\"full_attention\",\"linear_attention\"]}",
         CLO_ERR_UNSUPPORTED, "linear_attention"},
        {"an epsilon of 0", "{" BASE ",\"rms_norm_eps\":0}", CLO_ERR_LIMIT, "epsilon"},
        {"513 layers",
         "{\"model_type\":\"llama\",\"num_hidden_layers\":513,\"hidden_size\":64,\"intermediate_size\":96,"
         "\"num_attention_heads\":4,\"vocab_size\":8,\"max_position_embeddings\":8}",
         CLO_ERR_LIMIT, "513 layers"},
        {"a partial rotation of an odd width", "{" BASE ",\"partial_rotary_factor\":0.2}", CLO_ERR_FORMAT, "rotated"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_spec s;
        clo_err err = {0};
        const clo_family *f = NULL;
        if (clo_spec_from_config(&s, &f, clo_str_from(rows[i].config), CLO_STR(""), &err))
            fail_msg("%s: was read", rows[i].why);
        if (err.code != rows[i].want || !strstr(err.text, rows[i].says)) {
            fail_msg("%s: expected code %d and '%s', found code %d and '%s'", rows[i].why, rows[i].want, rows[i].says,
                     err.code, err.text);
        }
    }
}

static void every_prefix_and_every_flip_of_a_config_is_survived(void **state)
{
    (void)state;
    size_t len = strlen(gemma3);
    for (size_t i = 0; i < len; i++) {
        clo_spec s;
        const clo_family *f = NULL;
        assert_false(clo_spec_from_config(&s, &f, (clo_str){gemma3, i}, CLO_STR(""), NULL));
        char *copy = malloc(len);
        memcpy(copy, gemma3, len);
        copy[i] ^= 1;
        (void)!clo_spec_from_config(&s, &f, (clo_str){copy, len}, CLO_STR(""), NULL);
        free(copy);
    }
}

/* --- rope ---------------------------------------------------------------------------------------------------------- */

static void plain_frequencies(float *out, double theta, size_t n_rot)
{
    const clo_rope plain = {.theta = theta, .factor = 1, .attn_factor = 1};
    clo_rope_inv_freq(out, &plain, n_rot);
}

static void scalings_leave_short_waves_and_stretch_long_ones(void **state)
{
    float plain[64], inv[64];
    (void)state;
    clo_spec s = must_read(llama32);
    plain_frequencies(plain, 5e5, 64);
    clo_rope_inv_freq(inv, &s.rope[0], 64);
    assert_true(plain[0] == 1.0f);
    for (size_t i = 0; i < 32; i++) {
        double wave = 6.283185307179586 / (double)plain[i];
        if (wave < 2048)
            assert_true(inv[i] == plain[i]);
        else if (wave > 8192)
            assert_true(inv[i] == plain[i] / 32.0f);
        else
            assert_true(inv[i] < plain[i] && inv[i] > plain[i] / 32.0f);
    }

    /* The worked example for OLMo 3: ramp from 18 to 35, magnitude 1.2079. */
    s = must_read(olmo3);
    plain_frequencies(plain, 5e5, 128);
    clo_rope_inv_freq(inv, &s.rope[0], 128);
    for (size_t i = 0; i < 64; i++) {
        if (i <= 18)
            assert_true(inv[i] == plain[i]);
        else if (i >= 35)
            assert_true(inv[i] == plain[i] / 8.0f);
        else
            assert_true(inv[i] < plain[i] && inv[i] > plain[i] / 8.0f);
    }
    assert_true(s.rope[0].attn_factor == 1.2079441541679836);
    double own = clo_yarn_mscale(8, 1); /* what a file without attention_factor gets */
    assert_true(own > 1.20794415416798 && own < 1.20794415416799);

    const float divisors[4] = {1, 2, 4, 8};
    const clo_rope r = {.kind = CLO_ROPE_DIVISORS, .theta = 1e4, .factor = 1, .attn_factor = 1, .divisors = divisors};
    plain_frequencies(plain, 1e4, 8);
    clo_rope_inv_freq(inv, &r, 8);
    for (size_t i = 0; i < 4; i++)
        assert_true(inv[i] == plain[i] / divisors[i]);
}

static void both_forms_of_rope_keys_mean_the_same(void **state)
{
    static const struct {
        const char *why, *a, *b;
    } rows[] = {
        {"theta", "{" BASE ",\"rope_theta\":1e6}",
         "{" BASE ",\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":1e6}}"},
        {"yarn",
         "{" BASE ",\"rope_theta\":1e6,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0,\"original_max_position_"
                  "embeddings\":64}}",
         "{" BASE ",\"rope_parameters\":{\"rope_type\":\"yarn\",\"factor\":4.0,\"rope_theta\":1e6,\"original_max_"
                  "position_embeddings\":64}}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_spec a = must_read(rows[i].a), b = must_read(rows[i].b);
        float fa[8], fb[8];
        clo_rope_inv_freq(fa, &a.rope[0], a.n_rot);
        clo_rope_inv_freq(fb, &b.rope[0], b.n_rot);
        assert_int_equal(a.n_rot, 16);
        bool same = a.rope[0].kind == b.rope[0].kind && a.rope[0].attn_factor == b.rope[0].attn_factor;
        if (!same || memcmp(fa, fb, sizeof fa) != 0) fail_msg("%s", rows[i].why);
    }
}

/* --- GGUF ---------------------------------------------------------------------------------------------------------- */

static void a_gguf_file_gives_its_spec_and_its_tensors(void **state)
{
    clo_checkpoint ck = {0};
    clo_arena a = {0};
    clo_spec s;
    clo_err err = {0};
    (void)state;
    if (!clo_checkpoint_open(&ck, "tests/fuzz/corpus/gguf/olmo3.gguf", &err)) {
        print_message("%s\n", err.text);
        skip();
    }
    if (!clo_spec_read(&s, &ck, &a, &err)) fail_msg("%s", err.text);
    assert_string_equal(s.family, "olmo3"); /* "olmo2" with a window */
    assert_false(s.qk_permuted);
    assert_int_equal(s.layer_window[0], 8);
    assert_int_equal(s.rope[0].kind, CLO_ROPE_YARN);
    assert_true(s.tied);
    assert_null(clo_spec_tensor(&s, &ck, CLO_ROLE_HEAD, 0, &err));
    assert_int_equal(err.code, CLO_OK);
    const clo_tensor *q = clo_spec_tensor(&s, &ck, CLO_ROLE_Q, 0, &err);
    assert_non_null(q);
    assert_true(clo_str_eq(q->name, CLO_STR("blk.0.attn_q.weight")));
    s.n_dim = 32; /* another shape than the file's */
    assert_null(clo_spec_tensor(&s, &ck, CLO_ROLE_Q, 0, &err));
    assert_int_equal(err.code, CLO_ERR_FORMAT);
    assert_null(clo_spec_tensor(&s, &ck, CLO_ROLE_Q, 1, &err));
    assert_int_equal(err.code, CLO_ERR_NOT_FOUND);
    clo_checkpoint_close(&ck);
    clo_arena_free(&a);
}

static void rope_divisors_of_a_gguf_file_are_read(void **state)
{
    clo_checkpoint ck = {0};
    clo_arena a = {0};
    clo_spec s;
    clo_err err = {0};
    (void)state;
    if (!clo_checkpoint_open(&ck, "tests/fuzz/corpus/gguf/rope-freqs.gguf", &err)) {
        print_message("%s\n", err.text);
        skip();
    }
    if (!clo_spec_read(&s, &ck, &a, &err)) fail_msg("%s", err.text);
    assert_true(s.qk_permuted);
    assert_int_equal(s.rope[0].kind, CLO_ROPE_DIVISORS);
    assert_true(s.rope[0].divisors[7] == 1.0f);
    clo_checkpoint_close(&ck);
    clo_arena_free(&a);
}

/* A model written by Hugging Face's own code. */
static void a_hugging_face_folder_gives_its_spec(void **state)
{
    const char *shared = getenv("CLOCHE_SHARED");
    char path[4096];
    clo_checkpoint ck = {0};
    clo_arena a = {0};
    clo_spec s;
    clo_err err = {0};
    (void)state;
    (void)snprintf(path, sizeof path, "%s/data/models/llama-2m", shared ? shared : "../shared");
    if (!clo_checkpoint_open(&ck, path, &err)) {
        print_message("needs CLOCHE_SHARED: %s\n", err.text);
        skip();
    }
    if (!clo_spec_read(&s, &ck, &a, &err)) fail_msg("%s", err.text);
    assert_int_equal(s.n_layer, 2);
    assert_int_equal(s.n_vocab, 1024);
    for (int role = 0; role < CLO_ROLE_COUNT; role++) {
        if (!clo_spec_tensor(&s, &ck, (clo_role)role, 0, &err)) assert_int_equal(err.code, CLO_OK);
    }
    ck.tensors[0].name.len--; /* a tensor that nobody asks for, and one that is missing */
    assert_false(clo_spec_read(&s, &ck, &a, &err));
    clo_checkpoint_close(&ck);
    clo_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_configurations_read_as_published),
        cmocka_unit_test(families_differ_where_they_should),
        cmocka_unit_test(stop_ids_come_from_both_files_without_repetition),
        cmocka_unit_test(what_is_not_built_or_not_sound_is_refused_by_name),
        cmocka_unit_test(every_prefix_and_every_flip_of_a_config_is_survived),
        cmocka_unit_test(scalings_leave_short_waves_and_stretch_long_ones),
        cmocka_unit_test(both_forms_of_rope_keys_mean_the_same),
        cmocka_unit_test(a_gguf_file_gives_its_spec_and_its_tensors),
        cmocka_unit_test(rope_divisors_of_a_gguf_file_are_read),
        cmocka_unit_test(a_hugging_face_folder_gives_its_spec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
