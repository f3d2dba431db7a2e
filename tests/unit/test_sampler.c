/* The sampler against a plain one that sorts everything and does each stage as its definition says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/half.h"
#include "base/random.h"
#include "infer/sampler.h"
#include "tensor/mathf.h"

static void fill(float *x, size_t n, uint64_t seed, bool ties)
{
    for (size_t i = 0; i < n; i++) {
        double u = clo_random_unit(seed, CLO_RANDOM_TEST, 0, i) * 16 - 8;
        x[i] = ties ? (float)(int)u : (float)u;
        if (ties && x[i] == 0 && i % 2) x[i] = -0.0f;
    }
}

static int in_order(const void *a, const void *b)
{
    const clo_top *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static size_t sorted(clo_top *out, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = (clo_top){(int32_t)i, x[i]};
    qsort(out, n, sizeof *out, in_order);
    return n;
}

static void the_largest_are_found_in_order(void **state)
{
    (void)state;
    enum { N = 3001 };
    static float x[N];
    static clo_top want[N], got[N];
    static const size_t ks[] = {1, 2, 8, 40, 100, 1000, N, N + 5};
    for (uint64_t seed = 0; seed < 8; seed++) {
        fill(x, N, seed, seed % 2);
        sorted(want, x, N);
        for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
            size_t n = clo_top_logits(got, ks[i], x, N);
            assert_int_equal(n, ks[i] < N ? ks[i] : N);
            for (size_t k = 0; k < n; k++) {
                assert_int_equal(got[k].id, want[k].id);
                assert_true(got[k].logit == want[k].logit);
            }
        }
    }
}

static double weights(double *w, const clo_top *l, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += w[i] = (double)clo_exp_f32(l[i].logit - l[0].logit);
    return sum;
}

/* temperature, top-k, top-p, min-p: definitions, one after another. */
static int32_t plain_pick(const clo_sampler_params *p, const float *x, size_t n, uint64_t seed, uint64_t i_output)
{
    static clo_top l[4096];
    static double w[4096];
    bool hf = p->order == CLO_SAMPLER_ORDER_HF;
    sorted(l, x, n);
    for (size_t i = 0; hf && i < n; i++) l[i].logit /= p->temp;
    if (p->top_k > 0 && (size_t)p->top_k < n) n = (size_t)p->top_k;
    if (p->top_p > 0 && p->top_p < 1) {
        double goal = weights(w, l, n) * (double)p->top_p, sum = 0;
        size_t i = 0;
        do sum += w[i++];
        while (i < n && sum < goal);
        n = i;
    }
    if (p->min_p > 0) {
        weights(w, l, n);
        size_t i = 1;
        while (i < n && w[i] >= (double)p->min_p) i++;
        n = i;
    }
    for (size_t i = 0; !hf && i < n; i++) l[i].logit /= p->temp;
    double goal = clo_random_unit(seed, CLO_RANDOM_SAMPLE, i_output, 0) * weights(w, l, n), sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += w[i];
        if (sum > goal) return l[i].id;
    }
    return l[n - 1].id;
}

static void choices_equal_the_definitions(void **state)
{
    (void)state;
    enum { N = 2000 };
    static float x[N], scratch[N];
    static const clo_sampler_params rows[] = {
        {.temp = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f},
        {.temp = 1.0f},
        {.temp = 1.5f, .top_p = 0.9f},
        {.temp = 0.7f, .min_p = 0.1f},
        {.temp = 2.0f, .top_k = 1500},
        {.temp = 2.0f, .top_k = 1024, .top_p = 0.99f},
        {.temp = 0.6f, .top_k = 20, .top_p = 0.95f, .order = CLO_SAMPLER_ORDER_HF},
        {.temp = 3.0f, .top_p = 0.5f, .order = CLO_SAMPLER_ORDER_HF},
        {.temp = 0.01f, .top_k = 5},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        clo_sampler *s = NULL;
        assert_true(clo_sampler_open(&s, &rows[r], 99, N, NULL));
        for (uint64_t i = 0; i < 60; i++) {
            int32_t id = -1;
            fill(x, N, i, i % 3 == 0);
            memcpy(scratch, x, sizeof x);
            assert_true(clo_sampler_pick(s, &id, scratch, NULL, 0, i, NULL));
            if (id != plain_pick(&rows[r], x, N, 99, i)) fail_msg("row %zu, output %d", r, (int)i);
        }
        clo_sampler_close(s);
    }
}

static void greedy_takes_the_lowest_of_equal_ids(void **state)
{
    (void)state;
    for (size_t n = 1; n < 80; n++) {
        float x[80];
        clo_sampler *s = NULL;
        const clo_sampler_params greedy = {0};
        int32_t id = -1;
        for (size_t i = 0; i < 80; i++) x[i] = i >= n ? 100.0f : i >= n / 2 ? 3.0f : 1.0f;
        assert_true(clo_sampler_open(&s, &greedy, 0, n, NULL));
        assert_true(clo_sampler_pick(s, &id, x, NULL, 0, 0, NULL));
        assert_int_equal(id, n / 2); /* ids from n on are fill, however large */
        clo_sampler_close(s);
    }
}

static void what_is_not_finite_is_refused(void **state)
{
    (void)state;
    const float inf = __builtin_inff();
    static const char *const why[] = {"NaN", "+infinity", "all -infinity"};
    for (int row = 0; row < 3; row++) {
        for (size_t at = 0; at < 35; at++) {
            float x[35];
            clo_sampler *s = NULL;
            const clo_sampler_params p = {.temp = at % 2 ? 1.0f : 0.0f};
            clo_err err = {0};
            int32_t id = 0;
            for (size_t i = 0; i < 35; i++) x[i] = row == 2 ? -inf : 0.5f;
            if (row < 2) x[at] = row ? inf : __builtin_nanf("");
            assert_true(clo_sampler_open(&s, &p, 0, 35, NULL));
            if (clo_sampler_pick(s, &id, x, NULL, 0, 0, &err)) fail_msg("%s at %zu was taken", why[row], at);
            assert_int_equal(err.code, CLO_ERR_FORMAT);
            clo_sampler_close(s);
        }
    }
}

static void penalties_and_bias_are_as_defined(void **state)
{
    (void)state;
    const clo_logit_bias bias[] = {{4, 2.5f}, {5, -__builtin_inff()}};
    const clo_sampler_params p = {.repeat_penalty = 2.0f, .frequency_penalty = 0.25f, .presence_penalty = 0.5f,
                                  .penalty_last_n = 4, .bias = bias, .n_bias = 2};
    const int32_t history[] = {3, 0, 1, 1, 2}; /* 3 is outside the window of 4 */
    float x[6] = {4.0f, -1.0f, 8.0f, 6.0f, 1.0f, 99.0f};
    static const float want[5] = {4.0f / 2 - 0.25f - 0.5f, -1.0f * 2 - 0.5f - 0.5f, 8.0f / 2 - 0.25f - 0.5f, 6.0f, 3.5f};
    clo_sampler *s = NULL;
    int32_t id = 0;
    assert_true(clo_sampler_open(&s, &p, 0, 6, NULL));
    for (int again = 0; again < 2; again++) { /* the second pick sees nothing of the first */
        float y[6];
        memcpy(y, x, sizeof y);
        assert_true(clo_sampler_pick(s, &id, y, history, 5, 0, NULL));
        assert_int_equal(id, 3);
        for (int i = 0; i < 5; i++) assert_true(y[i] == want[i]);
    }
    clo_sampler_close(s);
}

static void draws_follow_the_probabilities(void **state)
{
    (void)state;
    const clo_sampler_params p = {.temp = 1.0f};
    int counts[3] = {0};
    clo_sampler *s = NULL;
    assert_true(clo_sampler_open(&s, &p, 5, 3, NULL));
    for (uint64_t i = 0; i < 20000; i++) {
        float x[3] = {0.0f, 0.6931472f, 1.3862944f}; /* 1 : 2 : 4 */
        int32_t id = 0;
        assert_true(clo_sampler_pick(s, &id, x, NULL, 0, i, NULL));
        counts[id]++;
    }
    for (int i = 0; i < 3; i++) assert_in_range(counts[i], 20000 * (1 << i) / 7 - 350, 20000 * (1 << i) / 7 + 350);
    clo_sampler_close(s);
}

static void other_stages_keep_what_they_should(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        clo_sampler_params p;
        unsigned may; /* bit i: id i may come */
    } rows[] = {
        {"top-n-sigma keeps the one that stands out", {.temp = 1, .top_n_sigma = 0.5f}, 1},
        {"XTC takes the top away and leaves the last over the threshold",
         {.temp = 1, .xtc_probability = 1.0f, .xtc_threshold = 0.1f}, 1 << 1 | 1 << 2 | 1 << 3},
        {"typical-p of nearly one keeps nearly all", {.temp = 1, .typical_p = 0.999f}, 15},
        {"a bound of min-p at 1 keeps the largest", {.temp = 5, .min_p = 1.0f}, 1},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        clo_sampler *s = NULL;
        unsigned came = 0;
        assert_true(clo_sampler_open(&s, &rows[r].p, 1, 4, NULL));
        for (uint64_t i = 0; i < 400; i++) {
            float x[4] = {2.0f, 1.0f, -2.0f, -2.5f};
            int32_t id = 0;
            assert_true(clo_sampler_pick(s, &id, x, NULL, 0, i, NULL));
            came |= 1u << id;
        }
        if ((came & ~rows[r].may) != 0 || came == 0) fail_msg("%s: came %x", rows[r].why, came);
        clo_sampler_close(s);
    }
}

static void parameters_out_of_range_are_refused(void **state)
{
    (void)state;
    static const clo_sampler_params rows[] = {
        {.temp = -1}, {.top_p = 1.5f}, {.min_p = -0.1f}, {.penalty_last_n = -2}, {.order = (clo_sampler_order)7},
        {.repeat_penalty = -1}, {.n_bias = CLO_LOGIT_BIAS_MAX + 1}, {.typical_p = 2},
    };
    clo_sampler_params nan = {.temp = __builtin_nanf("")};
    assert_false(clo_sampler_check(&nan, NULL));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_false(clo_sampler_check(&rows[i], NULL));
}

static void log_probabilities_sum_to_one(void **state)
{
    (void)state;
    float x[100];
    double sum = 0;
    fill(x, 100, 3, false);
    for (int32_t i = 0; i < 100; i++) sum += clo_exp_f64(clo_logprob(x, 100, i));
    assert_true(sum > 1 - 1e-12 && sum < 1 + 1e-12);
}

static void a_pick_from_150000_is_quick(void **state)
{
    (void)state;
    enum { N = 151936 };
    static const struct {
        const char *what;
        clo_sampler_params p;
    } rows[] = {
        {"greedy", {0}},
        {"top-k 40, top-p, min-p", {.temp = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f}},
        {"top-p of all", {.temp = 0.8f, .top_p = 0.95f}},
    };
    float *x = malloc(N * sizeof *x);
    fill(x, N, 1, false);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        clo_sampler *s = NULL;
        double best = 1e9;
        assert_true(clo_sampler_open(&s, &rows[r].p, 0, N, NULL));
        for (uint64_t i = 0; i < 20; i++) {
            struct timespec a, b;
            int32_t id = 0;
            clock_gettime(CLOCK_MONOTONIC, &a);
            assert_true(clo_sampler_pick(s, &id, x, NULL, 0, i, NULL));
            clock_gettime(CLOCK_MONOTONIC, &b);
            double ms = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) * 1e-6;
            best = ms < best ? ms : best;
        }
        print_message("%-24s %7.3f ms\n", rows[r].what, best);
        clo_sampler_close(s);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_are_found_in_order),
        cmocka_unit_test(choices_equal_the_definitions),
        cmocka_unit_test(greedy_takes_the_lowest_of_equal_ids),
        cmocka_unit_test(what_is_not_finite_is_refused),
        cmocka_unit_test(penalties_and_bias_are_as_defined),
        cmocka_unit_test(draws_follow_the_probabilities),
        cmocka_unit_test(other_stages_keep_what_they_should),
        cmocka_unit_test(parameters_out_of_range_are_refused),
        cmocka_unit_test(log_probabilities_sum_to_one),
        cmocka_unit_test(a_pick_from_150000_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
