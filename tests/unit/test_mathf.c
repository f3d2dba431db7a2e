/* Elementary functions of profile n1: bits from docs/profile-n1.md, accuracy against the C library in a wider format. */
#include <math.h>

#include "kernel_check.h"
#include "tensor/mathf.h"

static uint64_t bits_of(double x)
{
    uint64_t u;
    memcpy(&u, &x, 8);
    return u;
}

/* |found - want| in units of the last place of `want` as a float. */
static double ulp_f32(float found, double want)
{
    int e;
    frexp(want, &e);
    if (e < -125) e = -125;
    return fabs((double)found - want) / ldexp(1.0, e - 24);
}

static double ulp_f64(double found, long double want)
{
    int e;
    frexpl(want, &e);
    return (double)(fabsl((long double)found - want) / ldexpl(1.0L, e - 53));
}

static void the_vectors_of_the_profile_hold(void **state)
{
    (void)state;
    static const struct {
        uint32_t x, exp, tanh, gelu;
    } f32[] = {
        {0x00000000, 0x3f800000, 0x00000000, 0x00000000},
        {0x80000000, 0x3f800000, 0x80000000, 0x80000000},
        {0x3f800000, 0x402df854, 0x3f42f7d6, 0x3f57625e},
        {0xbf800000, 0x3ebc5ab2, 0xbf42f7d6, 0xbe227687},
        {0x3f000000, 0x3fd3094c, 0x3eec9a9f, 0x3eb103b0},
        {0x3f1fffff, 0x3fef22ae, 0x3f0dfa3f, 0x3eeae274},
        {0x3f200000, 0x3fef22af, 0x3f0dfa40, 0x3eeae276},
        {0x40490fdb, 0x41b92024, 0x3f7f0bb0, 0x4048e49c},
        {0xc1200000, 0x383e6bce, 0xbf800000, 0x9ab8d868},
        {0x3a83126f, 0x3f8020c9, 0x3a83126c, 0x3a032d36},
        {0x42b00000, 0x7ef882b7, 0x3f800000, 0x42b00000},
        {0xc2aeac4f, 0x00800026, 0xbf800000, 0x80000000},
        {0xc2aeac50, 0x00000000, 0xbf800000, 0x80000000},
        {0x42b17217, 0x7f7fff84, 0x3f800000, 0x42b17217},
        {0x42b17218, 0x7f800000, 0x3f800000, 0x42b17218},
        {0x00000001, 0x3f800000, 0x00000001, 0x00000000},
        {0x7f800000, 0x7f800000, 0x3f800000, 0x7f800000},
        {0xff800000, 0x00000000, 0xbf800000, 0x00000000},
    };
    for (size_t i = 0; i < sizeof f32 / sizeof f32[0]; i++) {
        float x = clo_bits_f32(f32[i].x);
        assert_int_equal(clo_f32_bits(clo_exp_f32(x)), f32[i].exp);
        assert_int_equal(clo_f32_bits(clo_tanh_f32(x)), f32[i].tanh);
        if (f32[i].x != 0xff800000) assert_int_equal(clo_f32_bits(clo_gelu_f32(x)), f32[i].gelu);
    }
    static const struct {
        double x;
        uint64_t exp, log, sin, cos;
    } f64[] = {
        {0x1p+0, 0x4005bf0a8b14576a, 0x0000000000000000, 0x3feaed548f090cee, 0x3fe14a280fb5068c},
        {0x1p-1, 0x3ffa61298e1e069c, 0xbfe62e42fefa39ef, 0x3fdeaee8744b05f0, 0x3fec1528065b7d50},
        {0x1p+1, 0x401d8e64b8d4ddae, 0x3fe62e42fefa39ef, 0x3fed18f6ead1b446, 0xbfdaa22657537205},
        {0x1.8p+1, 0x403415e5bf6fb106, 0x3ff193ea7aad030a, 0x3fc210386db6d55b, 0xbfefae04be85e5d2},
        {0x1.999999999999ap-4, 0x3ff1aec7b35a00d4, 0xc0026bb1bbb55515, 0x3fb98eaecb8bcb2c, 0x3fefd712f9a817c1},
        {0x1.921fb54442d18p+0, 0x40133dedc855935f, 0x3fdce6bb25aa1315, 0x3ff0000000000000, 0x3c91a62633145c07},
        {0x1.9p+6, 0x48f3494a9b171bf5, 0x40126bb1bbb55516, 0xbfe03425b78c4db8, 0x3feb981dbf665fdf},
        {0x1.5bf0a8b145769p+1, 0x402e4efb75e4527a, 0x3ff0000000000000, 0x3fda4a3d9c2131df, 0xbfed2cec9a554007},
        {0x1.5ep+9, 0x7f0d945df4f8ec8e, 0x401a344e6741ebab, 0x3fe16834defaadb0, 0xbfead9f150b2e096},
        {0x1p-30, 0x3ff0000000400000, 0xc034cb5ecf0a9650, 0x3e10000000000000, 0x3ff0000000000000},
        {0x1.81cd6c8b43958p+13, 0x7ff0000000000000, 0x4022d79559791e31, 0xbfe687d5890974a5, 0x3fe6b94c3bbe24b8},
        {0x1.fffffep+23, 0x7ff0000000000000, 0x4030a2b23e3bab73, 0xbfee57ec09221973, 0xbfd4532c3721ed43},
    };
    for (size_t i = 0; i < sizeof f64 / sizeof f64[0]; i++) {
        assert_true(bits_of(clo_exp_f64(f64[i].x)) == f64[i].exp);
        assert_true(bits_of(clo_log_f64(f64[i].x)) == f64[i].log);
        assert_true(bits_of(clo_sin_f64(f64[i].x)) == f64[i].sin);
        assert_true(bits_of(clo_cos_f64(f64[i].x)) == f64[i].cos);
    }
    static const struct {
        double x, y;
        uint64_t pow;
    } powers[] = {
        {0x1.388p+13, -0x1p-6, 0x3febb5fad00ab22c},
        {0x1.388p+13, -0x1p-1, 0x3f847ae147ae147b},
        {0x1.e848p+18, -0x1.f8p-1, 0x3ec4985fec80a8cb},
        {0x1.e848p+19, 0x1.8p-1, 0x40dee1b1b3d78c7a},
        {0x1p+1, 0x1.4p+3, 0x4090000000000000},
        {0x1.8p+0, -0x1.ap+1, 0x3fd1228d7b1e6c62},
        {0x1.0624dd2f1a9fcp-10, 0x1.5555555555555p-2, 0x3fb999999999999a},
    };
    for (size_t i = 0; i < sizeof powers / sizeof powers[0]; i++)
        assert_true(bits_of(clo_pow_f64(powers[i].x, powers[i].y)) == powers[i].pow);
}

static void exp_f32_is_within_an_ulp(void **state)
{
    (void)state;
    double worst = 0;
    for (uint32_t u = 0; u < 0xc2c00000u; u += 1009) { /* every exponent up to 96, both signs */
        float x = clo_bits_f32(u & 0x7fffffffu) * (u >> 31 ? -1.0f : 1.0f);
        if (!(x <= 88.72f && x >= -87.33f)) continue;
        worst = fmax(worst, ulp_f32(clo_exp_f32(x), exp((double)x)));
    }
    print_message("exp_f32: %.3f ulp\n", worst);
    assert_true(worst <= 1.0);
}

static void tanh_f32_is_within_two_ulp(void **state)
{
    (void)state;
    double worst = 0;
    for (uint32_t u = 0; u < 0x42000000u; u += 1009) {
        float x = clo_bits_f32(u);
        worst = fmax(worst, ulp_f32(clo_tanh_f32(x), tanh((double)x)));
        assert_true(clo_tanh_f32(-x) == -clo_tanh_f32(x));
    }
    print_message("tanh_f32: %.3f ulp\n", worst);
    assert_true(worst <= 1.5);
}

/* Beside x, for its values near zero are a product with what is left of the distribution. */
static void gelu_f32_is_within_two_to_the_minus_22_of_its_argument(void **state)
{
    (void)state;
    double worst = 0;
    for (uint32_t u = 0; u < 0xc2000000u; u += 1009) {
        float x = clo_bits_f32(u & 0x7fffffffu) * (u >> 31 ? -1.0f : 1.0f);
        if (!(x >= -32 && x <= 32) || fabsf(x) < 0x1p-120f) continue; /* subnormal results */
        double want = (double)x * 0.5 * erfc(-(double)x * 0.70710678118654752440);
        worst = fmax(worst, fabs(((double)clo_gelu_f32(x) - want) / (double)x));
    }
    print_message("gelu_f32: %.3g of x\n", worst);
    assert_true(worst <= 0x1p-22);
}

static void the_edges_of_f32_are_as_stated(void **state)
{
    (void)state;
    float inf = __builtin_inff(), nan = __builtin_nanf("");
    assert_true(clo_exp_f32(inf) == inf && clo_exp_f32(1000) == inf);
    assert_int_equal(clo_f32_bits(clo_exp_f32(-inf)), 0);
    assert_int_equal(clo_f32_bits(clo_exp_f32(-88)), 0);
    assert_true(clo_exp_f32(0x1.62e42ep+6f) < inf && clo_exp_f32(0x1.62e430p+6f) == inf);
    assert_true(clo_exp_f32(-0x1.5d589ep+6f) >= 0x1p-126f && clo_exp_f32(-0x1.5d58a0p+6f) == 0);
    assert_true(clo_exp_f32(0) == 1 && clo_exp_f32(-0.0f) == 1);
    assert_true(clo_tanh_f32(inf) == 1 && clo_tanh_f32(-inf) == -1);
    assert_int_equal(clo_f32_bits(clo_tanh_f32(-0.0f)), 0x80000000u);
    assert_true(clo_exp_f32(nan) != clo_exp_f32(nan) && clo_tanh_f32(nan) != clo_tanh_f32(nan));
    assert_true(clo_gelu_f32(inf) == inf && clo_gelu_f32(nan) != clo_gelu_f32(nan));
    assert_true(clo_gelu_f32(-20) == 0 && clo_gelu_f32(20) == 20 && clo_gelu_f32(-1e30f) == 0);
    assert_true(clo_exp_f64(-1000) == 0 && clo_exp_f64(1000) == __builtin_inf());
    assert_true(clo_pow_f64(7.0, 0.0) == 1 && clo_log_f64(1.0) == 0);
}

/* The reference is the C library's long double, so this test says nothing where that is no wider than double. */
static void the_f64_functions_are_within_their_ulp(void **state)
{
    (void)state;
    if (sizeof(long double) == sizeof(double)) skip();
    double e = 0, l = 0, s = 0, c = 0, p = 0;
    for (int i = 0; i < 200000; i++) {
        double u = (double)check_uniform() + (double)check_uniform() * 0x1p-24;
        double x = u * 700, y = ldexp(1.5 + u / 2, i % 200 - 100), t = u * ldexp(1.0, i % 25);
        e = fmax(e, ulp_f64(clo_exp_f64(x), expl((long double)x)));
        if (y != 1) l = fmax(l, ulp_f64(clo_log_f64(y), logl((long double)y)));
        s = fmax(s, ulp_f64(clo_sin_f64(t), sinl((long double)t)));
        c = fmax(c, ulp_f64(clo_cos_f64(t), cosl((long double)t)));
        double base = 10000.0 + i * 7, power = u;
        p = fmax(p, ulp_f64(clo_pow_f64(base, power), powl((long double)base, (long double)power)));
    }
    print_message("exp %.3f log %.3f sin %.3f cos %.3f pow %.3f ulp\n", e, l, s, c, p);
    assert_true(e <= 1 && l <= 1 && s <= 1 && c <= 1 && p <= 1.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_profile_hold),
        cmocka_unit_test(exp_f32_is_within_an_ulp),
        cmocka_unit_test(tanh_f32_is_within_two_ulp),
        cmocka_unit_test(gelu_f32_is_within_two_to_the_minus_22_of_its_argument),
        cmocka_unit_test(the_edges_of_f32_are_as_stated),
        cmocka_unit_test(the_f64_functions_are_within_their_ulp),
    };
    return cmocka_run_group_tests_name("mathf", tests, NULL, NULL);
}
