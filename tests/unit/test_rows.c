/* Row operations: every table gives the scalar table's bits, at every length, and writes nothing beyond. */
#include "kernel_check.h"

enum { LEN_MAX = 300, GUARD = 32, OFFSETS = 3, KINDS = 4 };

typedef struct {
    float y[LEN_MAX + 2 * GUARD], a[LEN_MAX + GUARD], b[LEN_MAX + GUARD], c[LEN_MAX + GUARD];
} buffers;

/* y is preset (some operations read it); a, b, c are inputs. */
typedef void (*operation)(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n);

static void rmsnorm(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n)
{
    (void)c;
    k->rmsnorm(y, a, b, n, 1e-5f);
}

static void rmsnorm_plain(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n)
{
    (void)a, (void)b, (void)c;
    k->rmsnorm(y, y, NULL, n, 1e-6f);
}

static void layernorm(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n)
{
    k->layernorm(y, a, b, c, n, 1e-5f);
}

static void layernorm_plain(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n)
{
    (void)a, (void)b, (void)c;
    k->layernorm(y, y, NULL, NULL, n, 1e-5f);
}

static void add(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n)
{
    (void)b, (void)c;
    k->add(y, a, n);
}

static void scale(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n)
{
    (void)b, (void)c;
    k->scale(y, a, 0.3f, n);
}

static void clamp(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n)
{
    (void)b, (void)c;
    k->clamp(y, a, 0.7f, n);
}

static void silu_mul(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n)
{
    (void)c;
    k->silu_mul(y, a, b, n);
}

static void gelu_mul(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n)
{
    (void)c;
    k->gelu_mul(y, a, b, n);
}

static void gelu(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n)
{
    (void)b, (void)c;
    k->gelu(y, a, n);
}

static void softcap(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n)
{
    (void)a, (void)b, (void)c;
    k->softcap(y, 30.0f, n);
}

static void exponential(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n)
{
    (void)b, (void)c;
    k->exp(y, a, n);
}

static void rope(const clo_kernels *k, float *y, const float *a, const float *b, const float *c, size_t n)
{
    (void)c;
    k->rope(y, a, b, n & ~(size_t)1);
}

static const struct {
    const char *name;
    operation run;
} operations[] = {
    {"rmsnorm", rmsnorm},     {"rmsnorm in place, no weight", rmsnorm_plain},
    {"layernorm", layernorm}, {"layernorm in place, no weight, no bias", layernorm_plain},
    {"add", add},             {"scale", scale},
    {"clamp", clamp},         {"silu_mul", silu_mul},
    {"gelu_mul", gelu_mul},   {"softcap", softcap},
    {"exp", exponential},     {"rope", rope},
    {"gelu", gelu},
};

static void every_table_gives_the_scalar_bits_at_every_length(void **state)
{
    (void)state;
    static buffers in, want, found;
    for (size_t o = 0; o < sizeof operations / sizeof operations[0]; o++) {
        for (size_t n = 1; n <= LEN_MAX; n++) {
            int kind = (int)(n % KINDS);
            size_t off = n % OFFSETS;
            check_fill(in.y, LEN_MAX + 2 * GUARD, kind);
            check_fill(in.a, LEN_MAX + GUARD, kind);
            check_fill(in.b, LEN_MAX + GUARD, kind);
            check_fill(in.c, LEN_MAX + GUARD, kind);
            if (operations[o].run == exponential)
                for (size_t i = 0; i < n; i++) in.a[i + off] *= 40.0f;
            want = in;
            operations[o].run(clo_kernels_at(0), want.y + GUARD + off, want.a + off, want.b + off, want.c + off, n);
            for (size_t i = 1; clo_kernels_at(i); i++) {
                found = in;
                operations[o].run(clo_kernels_at(i), found.y + GUARD + off, found.a + off, found.b + off,
                                  found.c + off, n);
                if (check_same(found.y, want.y, LEN_MAX + 2 * GUARD)) continue;
                fail_msg("%s, %s, n = %zu, kind %d", operations[o].name, clo_kernels_at(i)->name, n, kind);
            }
        }
    }
}

static void the_scalar_table_writes_only_its_row(void **state)
{
    (void)state;
    static buffers in, out;
    for (size_t o = 0; o < sizeof operations / sizeof operations[0]; o++) {
        for (size_t n = 1; n <= 40; n++) {
            check_fill(in.y, LEN_MAX + 2 * GUARD, 0);
            check_fill(in.a, LEN_MAX + GUARD, 0);
            out = in;
            operations[o].run(clo_kernels_at(0), out.y + GUARD, out.a, out.b, out.c, n);
            assert_memory_equal(out.y, in.y, GUARD * sizeof(float));
            assert_memory_equal(out.y + GUARD + n, in.y + GUARD + n, (LEN_MAX + GUARD - n) * sizeof(float));
        }
    }
}

static void rows_have_the_values_of_their_formulas(void **state)
{
    (void)state;
    const clo_kernels *k = clo_kernels_at(0);
    float x[4] = {1, -2, 3, -4}, w[4] = {1, 2, 3, 4}, b[4] = {1, 1, 1, 1}, y[4];
    k->rmsnorm(y, x, w, 4, 0.0f);
    for (int i = 0; i < 4; i++) assert_float_equal(y[i], x[i] * w[i] / 2.7386128f, 1e-6f);
    k->layernorm(y, x, w, b, 4, 0.0f);
    for (int i = 0; i < 4; i++) assert_float_equal(y[i], (x[i] + 0.5f) / 2.6925824f * w[i] + 1, 2e-6f);
    k->silu_mul(y, x, w, 4);
    assert_float_equal(y[0], 0.73105858f, 1e-6f);
    assert_float_equal(y[1], -0.23840584f * 2, 1e-6f);
    k->gelu_mul(y, x, b, 4);
    assert_float_equal(y[0], 0.84119199f, 1e-6f);
    assert_float_equal(y[1], -0.04540231f, 1e-6f);
    k->gelu(y, x, 4);
    assert_float_equal(y[0], 0.84134475f, 1e-6f);
    assert_float_equal(y[1], -0.04550026f, 1e-6f);
    memcpy(y, x, sizeof y);
    k->softcap(y, 2.0f, 4);
    assert_float_equal(y[2], 2 * 0.90514825f, 1e-6f);
    k->clamp(y, x, 1.5f, 4);
    assert_true(y[0] == 1 && y[1] == -1.5f && y[2] == 1.5f && y[3] == -1.5f);
    float c[2] = {0, 1}, s[2] = {1, 0};
    memcpy(y, x, sizeof y); /* pairs (0, 2) by a quarter turn, (1, 3) not at all */
    k->rope(y, c, s, 4);
    assert_true(y[0] == -3 && y[2] == 1 && y[1] == -2 && y[3] == -4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table_gives_the_scalar_bits_at_every_length),
        cmocka_unit_test(the_scalar_table_writes_only_its_row),
        cmocka_unit_test(rows_have_the_values_of_their_formulas),
    };
    return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
