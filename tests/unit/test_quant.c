/* Block formats: against the references' golden file, by hand, and by their own digests on any compiler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/cursor.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/half.h"
#include "base/random.h"
#include "tensor/quant.h"

#define GOLDEN "tests/golden/quant/quant.bin"

static const clo_dtype TYPES[] = {
    CLO_DTYPE_F32,  CLO_DTYPE_F16,    CLO_DTYPE_BF16,   CLO_DTYPE_Q8_0,  CLO_DTYPE_Q4_0, CLO_DTYPE_Q4_1,
    CLO_DTYPE_Q5_0, CLO_DTYPE_Q5_1,   CLO_DTYPE_Q2_K,   CLO_DTYPE_Q3_K,  CLO_DTYPE_Q4_K, CLO_DTYPE_Q5_K,
    CLO_DTYPE_Q6_K, CLO_DTYPE_IQ4_NL, CLO_DTYPE_IQ4_XS, CLO_DTYPE_MXFP4,
};
#define N_TYPES (sizeof TYPES / sizeof TYPES[0])

static void load_floats(float *out, clo_bytes in)
{
    for (size_t i = 0; i < in.len / 4; i++)
        out[i] = clo_bits_f32(clo_load_le32(in.ptr + 4 * i));
}

/* One type's part of the golden file: `blocks` with their `values`, and x quantised to `bytes`. */
static void check_type(clo_dtype t, clo_bytes blocks, clo_bytes values, const float *x, size_t n, clo_bytes bytes)
{
    const char *name = clo_dtype_info_of(t)->name;
    size_t n_values = values.len / 4;
    float *want = malloc(values.len), *got = malloc(values.len);
    uint8_t *out = malloc(bytes.len);
    assert_true(want && got && out);

    load_floats(want, values);
    clo_dequantize_row(t, got, blocks.ptr, n_values);
    for (size_t i = 0; i < n_values; i++) {
        if (clo_f32_bits(want[i]) != clo_f32_bits(got[i]))
            fail_msg("%s: value %zu is %a, not %a", name, i, got[i], want[i]);
    }

    clo_err err = {0};
    size_t n_bytes = 0;
    assert_true(clo_dtype_row_bytes(t, n, &n_bytes));
    assert_int_equal(n_bytes, bytes.len);
    if (!clo_quantize_row(t, out, x, n, &err)) fail_msg("%s: %s", name, err.text);
    for (size_t i = 0; i < n_bytes; i++) {
        size_t block = clo_dtype_info_of(t)->block_bytes;
        if (out[i] != bytes.ptr[i]) {
            fail_msg("%s: byte %zu of block %zu is %02x, not %02x", name, i % block, i / block, out[i], bytes.ptr[i]);
        }
    }
    free(want);
    free(got);
    free(out);
}

static void values_and_bytes_equal_the_references(void **state)
{
    (void)state;
    clo_map map = {0};
    clo_err err = {0};
    if (!clo_map_open(&map, GOLDEN, &err)) fail_msg("%s", err.text);

    clo_cursor c = clo_cursor_on(map.bytes);
    assert_memory_equal(clo_read_bytes(&c, 4, "magic").ptr, "CLOQ", 4);
    uint32_t n_types = clo_read_u32(&c, "types"), n = clo_read_u32(&c, "floats");
    assert_int_equal(n_types, N_TYPES);
    clo_bytes raw = clo_read_bytes(&c, 4ull * n, "floats");
    float *x = malloc(raw.len);
    assert_non_null(x);
    load_floats(x, raw);
    for (uint32_t i = 0; i < n_types; i++) {
        char name[9] = {0};
        memcpy(name, clo_read_bytes(&c, 8, "name").ptr, 8);
        clo_bytes blocks = clo_read_bytes(&c, clo_read_u32(&c, "blocks"), "blocks");
        clo_bytes values = clo_read_bytes(&c, 4ull * clo_read_u32(&c, "values"), "values");
        clo_bytes bytes = clo_read_bytes(&c, clo_read_u32(&c, "bytes"), "bytes");
        if (!clo_cursor_ok(&c, &err)) fail_msg("%s", err.text);
        check_type(clo_dtype_from_name(clo_str_from(name)), blocks, values, x, n, bytes);
    }
    assert_int_equal(clo_cursor_left(&c), 0);
    free(x);
    clo_map_close(&map);
}

static void a_ramp_gives_the_codes_one_computes_by_hand(void **state)
{
    (void)state;
    float x[32], y[32];
    uint8_t b[34];
    clo_err err = {0};

    for (int i = 0; i < 32; i++)
        x[i] = 0.5f * (float)(i % 16 - 8); /* -4, -3.5, ..., 3.5, twice */
    assert_true(clo_quantize_row(CLO_DTYPE_Q4_0, b, x, 32, &err));
    assert_int_equal(clo_load_le16(b), 0x3800); /* d = 0.5 */
    for (int i = 0; i < 16; i++)
        assert_int_equal(b[2 + i], i | i << 4);
    clo_dequantize_row(CLO_DTYPE_Q4_0, y, b, 32);
    assert_memory_equal(x, y, sizeof x);

    for (int i = 0; i < 32; i++)
        x[i] = (float)(i % 16); /* 0, 1, ..., 15, twice */
    assert_true(clo_quantize_row(CLO_DTYPE_Q4_1, b, x, 32, &err));
    assert_int_equal(clo_load_le16(b), 0x3c00); /* d = 1 */
    assert_int_equal(clo_load_le16(b + 2), 0);  /* m = 0 */
    for (int i = 0; i < 16; i++)
        assert_int_equal(b[4 + i], i | i << 4);

    for (int i = 0; i < 32; i++)
        x[i] = (float)(127 - 4 * i); /* 127 down to 3 */
    x[31] = -63.5f;
    assert_true(clo_quantize_row(CLO_DTYPE_Q8_0, b, x, 32, &err));
    assert_int_equal(clo_load_le16(b), 0x3c00);
    for (int i = 0; i < 31; i++)
        assert_int_equal((int8_t)b[2 + i], 127 - 4 * i);
    assert_int_equal((int8_t)b[33], -64); /* halves go away from zero */
}

static void zeros_and_constants_come_back(void **state)
{
    (void)state;
    static const float levels[] = {0.0f, 1.0f, -3.0f, 0.375f};
    float x[256], y[256];
    uint8_t b[1024];
    clo_err err = {0};
    for (size_t k = 0; k < N_TYPES; k++) {
        for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++) {
            for (int i = 0; i < 256; i++)
                x[i] = levels[l];
            assert_true(clo_quantize_row(TYPES[k], b, x, 256, &err));
            clo_dequantize_row(TYPES[k], y, b, 256);
            for (int i = 0; i < 256; i++) {
                /* MXFP4 has no finer step than a third; the others lose less than a hundredth. */
                float tolerance = (TYPES[k] == CLO_DTYPE_MXFP4 ? 0.34f : 0.01f) * fabsf(x[i]);
                if (!(fabsf(x[i] - y[i]) <= tolerance)) {
                    fail_msg("%s: %g came back as %g", clo_dtype_info_of(TYPES[k])->name, x[i], y[i]);
                }
            }
        }
    }
}

/* Near-normal values of several sizes, from exact operations only. */
static void fill(float *x, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        double s = -2;
        for (uint64_t k = 0; k < 4; k++)
            s += clo_random_unit(seed, CLO_RANDOM_TEST, k, i);
        x[i] = (float)(s * (i / 64 % 3 == 0 ? 0.03125 : i / 64 % 3 == 1 ? 1.0 : 0.0009765625));
    }
}

static void errors_are_as_small_as_the_bits_allow(void **state)
{
    /* Root mean square error over root mean square value, of the near-normal part. */
    static const struct {
        clo_dtype t;
        double max;
    } rows[] = {
        {CLO_DTYPE_F16, 0.0003},  {CLO_DTYPE_BF16, 0.003},  {CLO_DTYPE_Q8_0, 0.006}, {CLO_DTYPE_Q4_0, 0.09},
        {CLO_DTYPE_Q4_1, 0.08},   {CLO_DTYPE_Q5_0, 0.05},   {CLO_DTYPE_Q5_1, 0.04},  {CLO_DTYPE_Q2_K, 0.33},
        {CLO_DTYPE_Q3_K, 0.18},   {CLO_DTYPE_Q4_K, 0.08},   {CLO_DTYPE_Q5_K, 0.04},  {CLO_DTYPE_Q6_K, 0.02},
        {CLO_DTYPE_IQ4_NL, 0.09}, {CLO_DTYPE_IQ4_XS, 0.09}, {CLO_DTYPE_MXFP4, 0.14},
    };
    (void)state;
    enum { N = 4096 };
    static float x[N], y[N];
    static uint8_t b[N * 4];
    fill(x, N, 3);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double e2 = 0, x2 = 0;
        assert_true(clo_quantize_row(rows[i].t, b, x, N, NULL));
        clo_dequantize_row(rows[i].t, y, b, N);
        for (size_t j = 0; j < N; j++) {
            e2 += ((double)y[j] - x[j]) * ((double)y[j] - x[j]);
            x2 += (double)x[j] * x[j];
        }
        double rel = sqrt(e2 / x2);
        if (!(rel <= rows[i].max)) fail_msg("%s: error %.4f", clo_dtype_info_of(rows[i].t)->name, rel);
    }
}

static void bytes_are_the_same_on_every_compiler_and_machine(void **state)
{
    static const struct {
        clo_dtype t;
        const char *sha256;
    } rows[] = {
        {CLO_DTYPE_F32, "bd549227d44a1b040347e781240eef33c3939ebfe296d79f99ea66447faf72e6"},
        {CLO_DTYPE_F16, "8ba4789556f70bbda14cb85d038ffe35a184c43924e3c392e45487fc30df777b"},
        {CLO_DTYPE_BF16, "4240ed390f6d299abc65bcd34ad1e90b60833a2e24925d3823e4453b70431600"},
        {CLO_DTYPE_Q8_0, "a1ac092ad22eecbe25c0810234bd7fbf7b3adf8c09890b874808205ef31564ba"},
        {CLO_DTYPE_Q4_0, "52861845943792dce69c8c87750b8820b2f49a943865bfa605a7a477f4d8266f"},
        {CLO_DTYPE_Q4_1, "36868f5169598402d2c4baba9de01062786512d26ae8ecd5812823cf60e97c0b"},
        {CLO_DTYPE_Q5_0, "d609b0e87377f073310d5bf64a570cde81e7ee703c2fee3cc8ff438a85f1b024"},
        {CLO_DTYPE_Q5_1, "c6f249e082b1a14841951166cd57f0335c77f424e327b72001610bda99c70526"},
        {CLO_DTYPE_Q2_K, "cefb977d0d6af00f5a7f3b313b56899d7037eb965807f78348a74d7b3d4dba4e"},
        {CLO_DTYPE_Q3_K, "f8576ecfe8fda67452e7e6abbb50e48719b14e6cc7f97634a82ac514cf1ade95"},
        {CLO_DTYPE_Q4_K, "ee1f112712d4badbb0d0a877c6e896da0c321ff031cf7907e39e5c928ada293e"},
        {CLO_DTYPE_Q5_K, "41abf405777d8680a98fbe9a765c87629f3365fc180403ca2a10bae9be518bdf"},
        {CLO_DTYPE_Q6_K, "2f3dca2d282ea092bc5e8f040d25925610f0f6f2571d9f225486c476d94b79b4"},
        {CLO_DTYPE_IQ4_NL, "253168d8a6291dc85a7c3d5fdcae6fc5684f3cd515739f69e2d70ef95d4d8de8"},
        {CLO_DTYPE_IQ4_XS, "f7a09170e02901781a49f061314c2b0b6709018cbdda0d291f6e91e87083b7b8"},
        {CLO_DTYPE_MXFP4, "58e8b870423c6ad9d9129d15fbbc1bc8e0f1acae551e562fca6437e7a154666b"},
    };
    (void)state;
    enum { N = 16384 };
    static float x[N];
    static uint8_t b[N * 4];
    int n_bad = 0;
    fill(x, N, 20260101);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n_bytes = 0;
        char hex[65];
        assert_true(clo_dtype_row_bytes(rows[i].t, N, &n_bytes));
        assert_true(clo_quantize_row(rows[i].t, b, x, N, NULL));
        clo_sha256 d = clo_sha256_of(b, n_bytes);
        clo_sha256_hex(hex, &d);
        if (strcmp(hex, rows[i].sha256) == 0) continue;
        print_error("%s: %s\n", clo_dtype_info_of(rows[i].t)->name, hex);
        n_bad++;
    }
    assert_int_equal(n_bad, 0);
}

static void rows_may_lie_at_any_address_and_nothing_else_is_touched(void **state)
{
    (void)state;
    float x[256], plain[256], y[256 + 2];
    uint8_t b[1024], shifted[1024 + 16];
    fill(x, 256, 9);
    for (size_t k = 0; k < N_TYPES; k++) {
        size_t n_bytes = 0;
        assert_true(clo_dtype_row_bytes(TYPES[k], 256, &n_bytes));
        assert_true(clo_quantize_row(TYPES[k], b, x, 256, NULL));
        clo_dequantize_row(TYPES[k], plain, b, 256);
        for (size_t off = 1; off < 8; off++) {
            memset(shifted, 0xa5, sizeof shifted);
            assert_true(clo_quantize_row(TYPES[k], shifted + off, x, 256, NULL));
            assert_memory_equal(shifted + off, b, n_bytes);
            assert_int_equal(shifted[off - 1], 0xa5);
            assert_int_equal(shifted[off + n_bytes], 0xa5);
            y[0] = y[257] = 42;
            clo_dequantize_row(TYPES[k], y + 1, shifted + off, 256);
            assert_memory_equal(y + 1, plain, sizeof plain);
            assert_true(y[0] == 42 && y[257] == 42);
        }
    }
}

static void what_cannot_be_held_is_refused(void **state)
{
    static const struct {
        const char *why;
        clo_dtype t;
        size_t n, at;
        float value;
        clo_code want;
    } rows[] = {
        {"a NaN", CLO_DTYPE_Q4_K, 256, 77, NAN, CLO_ERR_FORMAT},
        {"an infinity", CLO_DTYPE_Q8_0, 256, 255, -INFINITY, CLO_ERR_FORMAT},
        {"a NaN in plain floats", CLO_DTYPE_F32, 256, 0, NAN, CLO_ERR_FORMAT},
        {"a value beyond f16", CLO_DTYPE_F16, 256, 3, 70000.0f, CLO_ERR_LIMIT},
        {"a scale beyond f16", CLO_DTYPE_Q4_0, 256, 3, 1e6f, CLO_ERR_LIMIT},
        {"a minimum beyond f16", CLO_DTYPE_Q5_1, 256, 3, -70000.0f, CLO_ERR_LIMIT},
        {"a super-scale beyond f16", CLO_DTYPE_Q6_K, 256, 3, 1e12f, CLO_ERR_LIMIT},
        {"a value that would overflow the search", CLO_DTYPE_IQ4_XS, 256, 3, 1e30f, CLO_ERR_LIMIT},
        {"a type without a procedure", CLO_DTYPE_I8, 256, 3, 1.0f, CLO_ERR_UNSUPPORTED},
        {"half a super-block", CLO_DTYPE_Q3_K, 128, 3, 1.0f, CLO_ERR_USAGE},
    };
    (void)state;
    float x[256];
    uint8_t b[1024];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_err err = {0};
        memset(x, 0, sizeof x);
        x[rows[i].at] = rows[i].value;
        if (clo_quantize_row(rows[i].t, b, x, rows[i].n, &err)) fail_msg("%s was taken", rows[i].why);
        if (err.code != rows[i].want) fail_msg("%s: code %d, %s", rows[i].why, (int)err.code, err.text);
        if (err.code == CLO_ERR_FORMAT) assert_int_equal(err.at, rows[i].at);
        assert_false(clo_quantize_row(rows[i].t, b, x, rows[i].n, NULL));
    }
    x[3] = 65504.0f; /* the largest that fits */
    assert_true(clo_quantize_row(CLO_DTYPE_F16, b, x, 256, NULL));
}

static void the_smallest_numbers_give_numbers(void **state)
{
    (void)state;
    static const float sizes[] = {0x1p-149f, 0x1p-140f, 0x1p-126f, 0x1p-100f, 1e-15f, 0x1p-24f};
    float x[256], y[256];
    uint8_t b[1024];
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t k = 0; k < N_TYPES; k++) {
            for (int i = 0; i < 256; i++)
                x[i] = sizes[s] * (float)(i % 5 - 2);
            assert_true(clo_quantize_row(TYPES[k], b, x, 256, NULL));
            clo_dequantize_row(TYPES[k], y, b, 256);
            for (int i = 0; i < 256; i++) {
                if (!(fabsf(y[i]) <= 4 * sizes[s] + 0x1p-18f)) {
                    fail_msg("%s: %a came back as %a", clo_dtype_info_of(TYPES[k])->name, x[i], y[i]);
                }
            }
        }
    }
}

static void rows_that_do_not_fit_fall_back_as_in_llama_cpp(void **state)
{
    static const struct {
        clo_dtype t;
        size_t n;
        clo_dtype want;
    } rows[] = {
        {CLO_DTYPE_Q4_K, 512, CLO_DTYPE_Q4_K},    {CLO_DTYPE_Q4_K, 576, CLO_DTYPE_Q5_0},
        {CLO_DTYPE_Q5_K, 576, CLO_DTYPE_Q5_1},    {CLO_DTYPE_Q6_K, 640, CLO_DTYPE_Q8_0},
        {CLO_DTYPE_Q2_K, 576, CLO_DTYPE_Q4_0},    {CLO_DTYPE_Q3_K, 576, CLO_DTYPE_Q4_0},
        {CLO_DTYPE_IQ4_XS, 32, CLO_DTYPE_IQ4_NL}, {CLO_DTYPE_Q4_K, 100, CLO_DTYPE_F16},
        {CLO_DTYPE_Q8_0, 100, CLO_DTYPE_F16},     {CLO_DTYPE_Q8_0, 96, CLO_DTYPE_Q8_0},
        {CLO_DTYPE_BF16, 100, CLO_DTYPE_BF16},    {CLO_DTYPE_MXFP4, 33, CLO_DTYPE_F16},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_dtype got = clo_quantize_fallback(rows[i].t, rows[i].n);
        if (got != rows[i].want) {
            fail_msg("%s with rows of %zu: %s", clo_dtype_info_of(rows[i].t)->name, rows[i].n,
                     clo_dtype_info_of(got)->name);
        }
    }
}

static void every_quantised_type_goes_both_ways(void **state)
{
    (void)state;
    for (int t = 0; t < CLO_DTYPE_COUNT; t++) {
        assert_int_equal(clo_quantize_can((clo_dtype)t), clo_dequantize_can((clo_dtype)t));
        if (clo_dtype_info_of((clo_dtype)t)->quantised) assert_true(clo_quantize_can((clo_dtype)t));
    }
    assert_false(clo_quantize_can(CLO_DTYPE_NONE));
    assert_false(clo_quantize_can((clo_dtype)-1));
    assert_false(clo_dequantize_can((clo_dtype)1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_bytes_equal_the_references),
        cmocka_unit_test(a_ramp_gives_the_codes_one_computes_by_hand),
        cmocka_unit_test(zeros_and_constants_come_back),
        cmocka_unit_test(errors_are_as_small_as_the_bits_allow),
        cmocka_unit_test(bytes_are_the_same_on_every_compiler_and_machine),
        cmocka_unit_test(rows_may_lie_at_any_address_and_nothing_else_is_touched),
        cmocka_unit_test(what_cannot_be_held_is_refused),
        cmocka_unit_test(the_smallest_numbers_give_numbers),
        cmocka_unit_test(rows_that_do_not_fit_fall_back_as_in_llama_cpp),
        cmocka_unit_test(every_quantised_type_goes_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
