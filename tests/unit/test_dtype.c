/* The table of element types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tensor/dtype.h"

static void ids_and_blocks_are_those_of_the_specification(void **state)
{
    static const struct {
        uint32_t id;
        const char *name;
        uint32_t block_len, block_bytes;
        bool quantised;
    } rows[] = {
        {0, "F32", 1, 4, false},      {1, "F16", 1, 2, false},      {30, "BF16", 1, 2, false},
        {2, "Q4_0", 32, 18, true},    {3, "Q4_1", 32, 20, true},    {6, "Q5_0", 32, 22, true},
        {7, "Q5_1", 32, 24, true},    {8, "Q8_0", 32, 34, true},    {10, "Q2_K", 256, 84, true},
        {11, "Q3_K", 256, 110, true}, {12, "Q4_K", 256, 144, true}, {13, "Q5_K", 256, 176, true},
        {14, "Q6_K", 256, 210, true}, {20, "IQ4_NL", 32, 18, true}, {23, "IQ4_XS", 256, 136, true},
        {39, "MXFP4", 32, 17, true},  {24, "I8", 1, 1, false},      {25, "I16", 1, 2, false},
        {26, "I32", 1, 4, false},     {27, "I64", 1, 8, false},     {28, "F64", 1, 8, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *known = NULL;
        clo_dtype t = clo_dtype_from_ggml(rows[i].id, &known);
        const clo_dtype_info *info = clo_dtype_info_of(t);
        assert_string_equal(info->name, rows[i].name);
        assert_string_equal(known, rows[i].name);
        assert_int_equal(info->ggml_id, rows[i].id);
        assert_int_equal(info->block_len, rows[i].block_len);
        assert_int_equal(info->block_bytes, rows[i].block_bytes);
        assert_int_equal(info->quantised, rows[i].quantised);
        assert_int_equal(clo_dtype_from_name(clo_str_from(rows[i].name)), t);
    }
}

static void a_type_that_is_known_and_not_built_is_named(void **state)
{
    static const struct {
        uint32_t id;
        const char *name; /* NULL: nobody's */
    } rows[] = {
        {9, "Q8_1"},   {15, "Q8_K"},  {16, "IQ2_XXS"},    {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"},
        {21, "IQ3_S"}, {22, "IQ2_S"}, {29, "IQ1_M"},      {34, "TQ1_0"},  {35, "TQ2_0"},   {40, "NVFP4"},
        {41, "Q1_0"},  {42, "Q2_0"},  {4, NULL},          {5, NULL},      {31, NULL},      {36, NULL},
        {38, NULL},    {43, NULL},    {UINT32_MAX, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *known = "unset";
        assert_int_equal(clo_dtype_from_ggml(rows[i].id, &known), CLO_DTYPE_NONE);
        if (rows[i].name) {
            assert_string_equal(known, rows[i].name);
        } else {
            assert_null(known);
        }
        assert_int_equal(clo_dtype_from_ggml(rows[i].id, NULL), CLO_DTYPE_NONE);
    }
}

static void names_are_found_in_either_case(void **state)
{
    static const struct {
        const char *name;
        clo_dtype want;
    } rows[] = {
        {"q4_k", CLO_DTYPE_Q4_K},   {"bf16", CLO_DTYPE_BF16}, {"Iq4_Nl", CLO_DTYPE_IQ4_NL},
        {"BOOL", CLO_DTYPE_BOOL},   {"U64", CLO_DTYPE_U64},   {"F8_E4M3", CLO_DTYPE_F8_E4M3},
        {"q4_k_m", CLO_DTYPE_NONE}, {"q4", CLO_DTYPE_NONE},   {"", CLO_DTYPE_NONE},
        {"none", CLO_DTYPE_NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(clo_dtype_from_name(clo_str_from(rows[i].name)), rows[i].want);
    }
}

static void every_type_has_a_name_and_a_size(void **state)
{
    (void)state;
    for (int t = CLO_DTYPE_NONE + 1; t < CLO_DTYPE_COUNT; t++) {
        const clo_dtype_info *info = clo_dtype_info_of((clo_dtype)t);
        assert_non_null(info->name);
        assert_true(info->block_len > 0 && info->block_bytes > 0);
        assert_int_equal(clo_dtype_from_name(clo_str_from(info->name)), t);
    }
    assert_string_equal(clo_dtype_info_of(CLO_DTYPE_NONE)->name, "none");
    assert_string_equal(clo_dtype_info_of((clo_dtype)1000)->name, "none");
}

static void row_sizes_are_whole_blocks_and_do_not_wrap(void **state)
{
    static const struct {
        const char *why;
        clo_dtype t;
        size_t n;
        bool ok;
        size_t want;
    } rows[] = {
        {"an empty row", CLO_DTYPE_Q4_K, 0, true, 0},
        {"two super-blocks", CLO_DTYPE_Q4_K, 512, true, 288},
        {"half a block", CLO_DTYPE_Q8_0, 16, false, 0},
        {"a row of floats", CLO_DTYPE_F32, 7, true, 28},
        {"a product that wraps", CLO_DTYPE_F64, SIZE_MAX / 4, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t got = 0;
        if (clo_dtype_row_bytes(rows[i].t, rows[i].n, &got) != rows[i].ok || (rows[i].ok && got != rows[i].want)) {
            fail_msg("%s: %zu bytes", rows[i].why, got);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_blocks_are_those_of_the_specification),
        cmocka_unit_test(a_type_that_is_known_and_not_built_is_named),
        cmocka_unit_test(names_are_found_in_either_case),
        cmocka_unit_test(every_type_has_a_name_and_a_size),
        cmocka_unit_test(row_sizes_are_whole_blocks_and_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
