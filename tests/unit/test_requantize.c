/* Which tensor gets which type, and whole files through the quantiser. Against llama.cpp: tests/peers/test_quant.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <unistd.h>

#include "base/half.h"
#include "base/random.h"
#include "model/gguf.h"
#include "model/requantize.h"
#include "tensor/quant.h"

static void tensors_get_the_types_of_llama_quantize(void **state)
{
    static const clo_mixture_facts plain = {.n_layers = 24, .n_gqa = 1},
                                   tied = {.n_layers = 24, .n_gqa = 1, .tied = true},
                                   shared = {.n_layers = 24, .n_gqa = 4},
                                   large = {.n_layers = 80, .n_gqa = 8, .is_70b = true};
    static const struct {
        const char *mixture;
        const clo_mixture_facts *facts;
        const char *tensor;
        clo_dtype want;
    } rows[] = {
        {"q4_k_m", &plain, "output.weight", CLO_DTYPE_Q6_K},
        {"q4_k_m", &plain, "token_embd.weight", CLO_DTYPE_Q4_K},
        {"q4_k_m", &tied, "token_embd.weight", CLO_DTYPE_Q6_K},
        {"q4_k_m", &plain, "blk.0.attn_v.weight", CLO_DTYPE_Q6_K},
        {"q4_k_m", &plain, "blk.3.attn_v.weight", CLO_DTYPE_Q4_K},
        {"q4_k_m", &plain, "blk.5.ffn_down.weight", CLO_DTYPE_Q6_K},
        {"q4_k_m", &plain, "blk.6.ffn_down.weight", CLO_DTYPE_Q4_K},
        {"q4_k_m", &plain, "blk.21.ffn_down.weight", CLO_DTYPE_Q6_K},
        {"q4_k_m", &plain, "blk.0.attn_q.weight", CLO_DTYPE_Q4_K},
        {"Q4_K", &plain, "blk.0.attn_v.weight", CLO_DTYPE_Q6_K},
        {"q4_k_s", &plain, "blk.3.attn_v.weight", CLO_DTYPE_Q5_K},
        {"q4_k_s", &plain, "blk.4.attn_v.weight", CLO_DTYPE_Q4_K},
        {"q4_k_s", &plain, "blk.2.ffn_down.weight", CLO_DTYPE_Q5_K},
        {"q4_k_s", &plain, "blk.3.ffn_down.weight", CLO_DTYPE_Q4_K},
        {"q3_k_m", &plain, "blk.1.attn_v.weight", CLO_DTYPE_Q5_K},
        {"q3_k_m", &plain, "blk.2.attn_v.weight", CLO_DTYPE_Q4_K},
        {"q3_k_m", &plain, "blk.0.ffn_down.weight", CLO_DTYPE_Q5_K},
        {"q3_k_m", &plain, "blk.1.ffn_down.weight", CLO_DTYPE_Q4_K},
        {"q3_k_m", &plain, "blk.9.attn_output.weight", CLO_DTYPE_Q4_K},
        {"q3_k_l", &plain, "blk.9.attn_output.weight", CLO_DTYPE_Q5_K},
        {"q3_k_s", &plain, "blk.9.attn_output.weight", CLO_DTYPE_Q3_K},
        {"q2_k", &plain, "blk.9.attn_v.weight", CLO_DTYPE_Q3_K},
        {"q2_k", &shared, "blk.9.attn_v.weight", CLO_DTYPE_Q4_K},
        {"q2_k", &shared, "blk.9.attn_k.weight", CLO_DTYPE_Q2_K},
        {"iq4_xs", &shared, "blk.9.attn_v.weight", CLO_DTYPE_Q5_K},
        {"iq4_xs", &plain, "blk.9.attn_v.weight", CLO_DTYPE_IQ4_XS},
        {"iq4_nl", &plain, "blk.2.ffn_down.weight", CLO_DTYPE_Q5_K},
        {"q4_k_s", &large, "blk.50.attn_v.weight", CLO_DTYPE_Q5_K},
        {"q8_0", &plain, "output.weight", CLO_DTYPE_Q8_0},
        {"q4_0", &plain, "output.weight", CLO_DTYPE_Q6_K},
        {"q4_0", &plain, "blk.0.attn_v.weight", CLO_DTYPE_Q4_0},
        {"mxfp4", &plain, "output.weight", CLO_DTYPE_Q8_0},
        {"mxfp4", &plain, "blk.0.ffn_down.weight", CLO_DTYPE_MXFP4},
        {"bf16", &plain, "output.weight", CLO_DTYPE_BF16},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const clo_mixture *m = clo_mixture_find(clo_str_from(rows[i].mixture));
        assert_non_null(m);
        clo_tensor t = {.name = clo_str_from(rows[i].tensor), .dtype = CLO_DTYPE_F16, .n_dims = 2, .dims = {8, 512}};
        assert_true(clo_mixture_applies(&t));
        clo_dtype got = clo_mixture_choose(m, rows[i].facts, false, &t);
        if (got != rows[i].want) {
            fail_msg("%s of %s: %s", rows[i].tensor, rows[i].mixture, clo_dtype_info_of(got)->name);
        }
        assert_int_equal(clo_mixture_choose(m, rows[i].facts, true, &t), m->base);
    }
    assert_null(clo_mixture_find(CLO_STR("q4")));
    assert_null(clo_mixture_find(CLO_STR("")));
}

static void norms_vectors_and_integers_are_left_alone(void **state)
{
    static const struct {
        const char *name;
        uint32_t n_dims;
        clo_dtype t;
        bool want;
    } rows[] = {
        {"blk.0.attn_q.weight", 2, CLO_DTYPE_F16, true},
        {"blk.0.attn_q.bias", 2, CLO_DTYPE_F16, false},
        {"blk.0.attn_norm.weight", 1, CLO_DTYPE_F32, false},
        {"blk.0.attn_q_norm.weight", 2, CLO_DTYPE_F32, false},
        {"blk.0.ffn_gate_inp.weight", 2, CLO_DTYPE_F32, false},
        {"blk.0.ffn_down_exps.weight", 3, CLO_DTYPE_BF16, true},
        {"position_embd.weight", 2, CLO_DTYPE_F32, false},
        {"token_types.weight", 2, CLO_DTYPE_F32, false},
        {"table.weight", 2, CLO_DTYPE_I32, false},
        {"blk.0.attn_v.weight", 2, CLO_DTYPE_Q8_0, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_tensor t = {
            .name = clo_str_from(rows[i].name), .dtype = rows[i].t, .n_dims = rows[i].n_dims, .dims = {4, 32, 32}};
        if (clo_mixture_applies(&t) != rows[i].want) fail_msg("%s", rows[i].name);
    }
}

/* --- files --------------------------------------------------------------------------------------------------------- */

typedef struct {
    clo_tensor *tensors;
    float **x;
} content;

static bool put_floats(void *ctx, size_t i, clo_writer *out, clo_err *err)
{
    const content *c = ctx;
    return clo_writer_put(out, c->x[i], c->tensors[i].bytes, err);
}

/* A file of float32: a matrix, a vector, a matrix whose rows fit no block, a norm. `poison` goes into the matrix. */
static void write_source(const char *path, float poison)
{
    static float a[40 * 288], v[64], odd[4 * 10], norm[288];
    float *x[] = {a, v, odd, norm};
    clo_tensor t[] = {
        {.name = CLO_STR("blk.0.attn_q.weight"),
         .dtype = CLO_DTYPE_F32,
         .n_dims = 2,
         .dims = {40, 288},
         .bytes = sizeof a},
        {.name = CLO_STR("blk.0.attn_q.bias"), .dtype = CLO_DTYPE_F32, .n_dims = 1, .dims = {64}, .bytes = sizeof v},
        {.name = CLO_STR("blk.0.odd.weight"),
         .dtype = CLO_DTYPE_F32,
         .n_dims = 2,
         .dims = {4, 10},
         .bytes = sizeof odd},
        {.name = CLO_STR("output_norm.weight"),
         .dtype = CLO_DTYPE_F32,
         .n_dims = 1,
         .dims = {288},
         .bytes = sizeof norm},
    };
    for (size_t i = 0; i < 40 * 288; i++)
        a[i] = (float)clo_random_unit(1, CLO_RANDOM_TEST, 0, i) - 0.5f;
    for (size_t i = 0; i < 64; i++)
        v[i] = (float)i;
    for (size_t i = 0; i < 40; i++)
        odd[i] = (float)i * 0.25f;
    for (size_t i = 0; i < 288; i++)
        norm[i] = 1.0f;
    a[3 * 288 + 17] = poison;

    clo_gguf_writer *w = NULL;
    clo_err err = {0};
    content c = {t, x};
    assert_true(clo_gguf_writer_new(&w, &err));
    clo_gguf_put_str(w, "general.architecture", CLO_STR("llama"));
    clo_gguf_put_u32(w, "llama.block_count", 1);
    clo_gguf_put_u32(w, "general.file_type", 0);
    for (size_t i = 0; i < 4; i++)
        clo_gguf_put_tensor(w, &t[i]);
    if (!clo_gguf_write(w, path, put_floats, &c, &err)) fail_msg("%s", err.text);
    clo_gguf_writer_free(w);
}

static char folder[] = "/tmp/clo_requantize_XXXXXX";
static char source[64], target[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(source, sizeof source, "%s/in.gguf", folder);
    snprintf(target, sizeof target, "%s/out.gguf", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(source);
    unlink(target);
    return rmdir(folder); /* fails when anything was left behind */
}

static bool requantize(const char *name, bool again, size_t n_threads, clo_requantize_stats *st, clo_err *err)
{
    clo_requantize_opts o = {
        .type = clo_mixture_find(clo_str_from(name)), .allow_requantize = again, .n_threads = n_threads};
    return clo_requantize(source, target, &o, st, err);
}

static void a_file_keeps_all_but_its_matrices(void **state)
{
    (void)state;
    clo_requantize_stats st;
    clo_err err = {0};
    clo_checkpoint from = {0}, to = {0};

    write_source(source, 0.25f);
    if (!requantize("q4_k_m", false, 2, &st, &err)) fail_msg("%s", err.text);
    assert_int_equal(st.n_tensors, 4);
    assert_int_equal(st.n_converted, 2);
    assert_int_equal(st.n_fallback, 2);
    if (!clo_checkpoint_open(&from, source, &err) || !clo_checkpoint_open(&to, target, &err)) fail_msg("%s", err.text);
    assert_int_equal(clo_gguf_int(to.gguf, "general.file_type", -1), 15);
    assert_int_equal(clo_gguf_int(to.gguf, "general.quantization_version", -1), 2);
    assert_int_equal(clo_gguf_int(to.gguf, "llama.block_count", -1), 1);

    static const struct {
        const char *name;
        clo_dtype want;
    } rows[] = {
        {"blk.0.attn_q.weight", CLO_DTYPE_Q5_0},
        {"blk.0.attn_q.bias", CLO_DTYPE_F32},
        {"blk.0.odd.weight", CLO_DTYPE_F16},
        {"output_norm.weight", CLO_DTYPE_F32},
    };
    for (size_t i = 0; i < 4; i++) {
        const clo_tensor *a = clo_checkpoint_find(&from, clo_str_from(rows[i].name));
        const clo_tensor *b = clo_checkpoint_find(&to, clo_str_from(rows[i].name));
        assert_true(a && b);
        assert_int_equal(b->dtype, rows[i].want);
        assert_memory_equal(a->dims, b->dims, sizeof a->dims);
        uint8_t *want = malloc(b->bytes);
        size_t n = a->bytes / 4, row = (size_t)a->dims[a->n_dims - 1], row_bytes = 0;
        assert_true(want && clo_dtype_row_bytes(b->dtype, row, &row_bytes));
        float *x = malloc(a->bytes);
        clo_dequantize_row(CLO_DTYPE_F32, x, a->data, n);
        for (size_t r = 0; r < n / row; r++) {
            assert_true(clo_quantize_row(b->dtype, want + r * row_bytes, x + r * row, row, NULL));
        }
        assert_memory_equal(want, b->data, b->bytes);
        free(want);
        free(x);
    }
    clo_checkpoint_close(&from);
    clo_checkpoint_close(&to);
}

static void the_number_of_threads_does_not_show(void **state)
{
    (void)state;
    clo_err err = {0};
    clo_map one = {0}, more = {0};
    write_source(source, 0.25f);
    for (size_t n = 1; n <= 7; n++) {
        if (!requantize("q5_k_s", false, n, NULL, &err)) fail_msg("%s", err.text);
        assert_true(clo_map_open(n == 1 ? &one : &more, target, &err));
        if (n == 1) continue;
        assert_int_equal(one.bytes.len, more.bytes.len);
        assert_memory_equal(one.bytes.ptr, more.bytes.ptr, one.bytes.len);
        clo_map_close(&more);
    }
    clo_map_close(&one);
}

static void a_second_loss_needs_a_word(void **state)
{
    (void)state;
    clo_err err = {0};
    clo_requantize_stats st;
    write_source(source, 0.25f);
    assert_true(requantize("q8_0", false, 1, NULL, &err));
    assert_int_equal(rename(target, source), 0);
    assert_false(requantize("q4_0", false, 1, NULL, &err));
    assert_int_equal(err.code, CLO_ERR_USAGE);
    assert_int_not_equal(access(target, F_OK), 0);
    if (!requantize("q4_0", true, 1, &st, &err)) fail_msg("%s", err.text);
    if (!requantize("q8_0", false, 1, &st, &err)) fail_msg("a copy is no loss: %s", err.text);
    assert_int_equal(st.n_converted, 0);
}

static void what_is_no_number_is_named_and_nothing_is_left(void **state)
{
    static const struct {
        const char *type;
        float poison;
        clo_code want;
        const char *text;
    } rows[] = {
        {"q8_0", NAN, CLO_ERR_FORMAT, "'blk.0.attn_q.weight': row 3: element 17"},
        {"q4_k_m", INFINITY, CLO_ERR_FORMAT, "'blk.0.attn_q.weight': row 3: element 17"},
        {"f16", 1e5f, CLO_ERR_LIMIT, "'blk.0.attn_q.weight': row 3: element 17"},
    };
    (void)state;
    unlink(target);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_err err = {0};
        write_source(source, rows[i].poison);
        assert_false(requantize(rows[i].type, false, 3, NULL, &err));
        assert_int_equal(err.code, rows[i].want);
        if (!strstr(err.text, rows[i].text)) fail_msg("%s", err.text);
        assert_int_not_equal(access(target, F_OK), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_get_the_types_of_llama_quantize),
        cmocka_unit_test(norms_vectors_and_integers_are_left_alone),
        cmocka_unit_test(a_file_keeps_all_but_its_matrices),
        cmocka_unit_test(the_number_of_threads_does_not_show),
        cmocka_unit_test(a_second_loss_needs_a_word),
        cmocka_unit_test(what_is_no_number_is_named_and_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
