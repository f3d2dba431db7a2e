/* The choice of kernels: by what the processor has, and by CLOCHE_CPU. */
#include "kernel_check.h"

static void the_first_table_is_scalar_and_names_differ(void **state)
{
    (void)state;
    assert_string_equal(clo_kernels_at(0)->name, "scalar");
    for (size_t i = 0; clo_kernels_at(i); i++)
        for (size_t j = 0; j < i; j++) assert_string_not_equal(clo_kernels_at(i)->name, clo_kernels_at(j)->name);
    assert_null(clo_kernels_at(100));
}

static void a_name_in_the_environment_decides(void **state)
{
    (void)state;
    const clo_kernels *k, *best;
    clo_err err = {0};
    unsetenv("CLOCHE_CPU");
    assert_true(clo_kernels_pick(&best, &err));
    setenv("CLOCHE_CPU", "", 1);
    assert_true(clo_kernels_pick(&k, &err));
    assert_ptr_equal(k, best);
    static const struct {
        const char *cpu, *table[2]; /* the tables that may answer, the better first */
    } rows[] = {
        {"scalar", {"scalar", "scalar"}},     {"avx2", {"avx2", "avx2"}},
        {"avx512", {"avx512vnni", "avx512"}}, {"avx512-novnni", {"avx512", "avx512"}},
        {"neon", {"neondot", "neon"}},        {"neon-nodot", {"neon", "neon"}},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        const clo_kernels *want = NULL;
        for (size_t w = 0; !want && w < 2; w++)
            for (size_t i = 0; clo_kernels_at(i); i++)
                if (strcmp(clo_kernels_at(i)->name, rows[r].table[w]) == 0) want = clo_kernels_at(i);
        setenv("CLOCHE_CPU", rows[r].cpu, 1);
        err = (clo_err){0};
        if (want) {
            assert_true(clo_kernels_pick(&k, &err));
            assert_ptr_equal(k, want);
        } else {
            assert_false(clo_kernels_pick(&k, &err));
            assert_int_equal(err.code, CLO_ERR_UNSUPPORTED);
        }
    }
    setenv("CLOCHE_CPU", "sse9", 1);
    assert_false(clo_kernels_pick(&k, &err));
    assert_int_equal(err.code, CLO_ERR_USAGE);
    unsetenv("CLOCHE_CPU");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_table_is_scalar_and_names_differ),
        cmocka_unit_test(a_name_in_the_environment_decides),
    };
    return cmocka_run_group_tests_name("pick", tests, NULL, NULL);
}
