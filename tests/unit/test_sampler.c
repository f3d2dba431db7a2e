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
    for (size_t i = 0; i < n; i++)
        out[i] = (clo_top){(int32_t)i, x[i]};
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

/* --- the plain sampler --------------------------------------------------------------------------------------------
 * docs/profile-n1-sampling.md, section by section: everything sorted, every stage as it is defined. */

enum { PLAIN_MAX = 20000, PLAIN_TYPICAL = 4096 };

typedef struct {
    clo_top at[PLAIN_MAX];
    float w[PLAIN_MAX];
    size_t n;
} plain_list;

static bool minus_infinity(float x)
{
    return clo_f32_bits(x) == 0xff800000u;
}

/* w_i = exp(z_i - z_0); returns S. */
static double weights(plain_list *l)
{
    double sum = 0;
    for (size_t i = 0; i < l->n; i++)
        sum += (double)(l->w[i] = clo_exp_f32(l->at[i].logit - l->at[0].logit));
    return sum;
}

static void plain_bias_and_penalties(const clo_sampler_params *p, float *z, size_t n, const int32_t *history,
                                     size_t n_history)
{
    float repeat = p->repeat_penalty > 0 ? p->repeat_penalty : 1;
    size_t w = p->penalty_last_n < 0 ? n_history : p->penalty_last_n ? (size_t)p->penalty_last_n : 64;
    const int32_t *window = history + (n_history > w ? n_history - w : 0), *end = history + n_history;
    for (size_t i = 0; i < p->n_bias; i++)
        if (p->bias[i].id >= 0 && (size_t)p->bias[i].id < n) z[p->bias[i].id] += p->bias[i].bias;
    if (repeat == 1 && p->frequency_penalty == 0 && p->presence_penalty == 0) return;
    for (size_t id = 0; id < n; id++) {
        float c = 0;
        for (const int32_t *h = window; h < end; h++)
            c += *h == (int32_t)id;
        if (c == 0) continue;
        z[id] = z[id] > 0 ? z[id] / repeat : z[id] * repeat;
        z[id] = z[id] - c * p->frequency_penalty;
        z[id] = z[id] - p->presence_penalty;
    }
}

static void plain_temp(plain_list *l, const clo_sampler_params *p)
{
    for (size_t i = 0; p->temp != 1 && i < l->n; i++)
        l->at[i].logit /= p->temp;
}

static void plain_top_k(plain_list *l, const clo_sampler_params *p)
{
    if (p->top_k > 0 && (size_t)p->top_k < l->n) l->n = (size_t)p->top_k;
}

static void plain_top_p(plain_list *l, const clo_sampler_params *p)
{
    if (p->top_p <= 0 || p->top_p >= 1) return;
    double goal = weights(l) * (double)p->top_p, sum = 0;
    for (size_t i = 0; i < l->n; i++) {
        sum += (double)l->w[i];
        if (sum >= goal) l->n = i + 1;
    }
}

static void plain_min_p(plain_list *l, const clo_sampler_params *p)
{
    weights(l);
    for (size_t i = 1; p->min_p > 0 && i < l->n; i++)
        if (!(l->w[i] >= p->min_p)) l->n = i;
}

static int by_distance(const void *a, const void *b)
{
    return -in_order(a, b) * (((const clo_top *)a)->logit != ((const clo_top *)b)->logit ? 1 : -1);
}

static void plain_typical(plain_list *l, const clo_sampler_params *p)
{
    static clo_top far[PLAIN_TYPICAL];
    static bool kept[PLAIN_TYPICAL];
    if (p->typical_p <= 0 || p->typical_p >= 1) return;
    if (l->n > PLAIN_TYPICAL) l->n = PLAIN_TYPICAL;
    double s = weights(l), h = 0, sum = 0;
    size_t n_kept = 0, n = l->n;
#define LOG_P(i) ((double)l->at[i].logit - (double)l->at[0].logit - clo_log_f64(s))
    for (size_t i = 0; i < n; i++)
        if (l->w[i] > 0) h -= (double)l->w[i] / s * LOG_P(i);
    for (size_t i = 0; i < n; i++) {
        double d = -LOG_P(i) - h;
        far[i] = (clo_top){(int32_t)i, (float)(d < 0 ? -d : d)};
        kept[i] = false;
    }
#undef LOG_P
    qsort(far, n, sizeof *far, by_distance);
    for (size_t i = 0; i < n && !(sum > s * (double)p->typical_p); i++) {
        sum += (double)l->w[far[i].id];
        kept[far[i].id] = true;
    }
    for (size_t i = 0; i < n; i++)
        if (kept[i]) l->at[n_kept++] = l->at[i];
    l->n = n_kept;
}

static void plain_top_n_sigma(plain_list *l, const clo_sampler_params *p)
{
    double m = 0, v = 0, n = (double)l->n, big = (double)p->top_n_sigma;
    if (p->top_n_sigma <= 0) return;
    for (size_t i = 0; i < l->n; i++)
        m += (double)l->at[i].logit;
    m /= n;
    for (size_t i = 0; i < l->n; i++)
        v += ((double)l->at[i].logit - m) * ((double)l->at[i].logit - m);
    v /= n;
    for (size_t i = 1; i < l->n; i++) {
        double d = (double)l->at[0].logit - (double)l->at[i].logit;
        if (!(d * d <= big * big * v)) l->n = i;
    }
}

static void plain_xtc(plain_list *l, const clo_sampler_params *p, uint64_t seed, uint64_t step)
{
    if (p->xtc_probability <= 0 || p->xtc_threshold > 0.5f) return;
    if (!(clo_random_unit(seed, CLO_RANDOM_SAMPLE, step, 1) < (double)p->xtc_probability)) return;
    double goal = weights(l) * (double)p->xtc_threshold;
    size_t over = 0;
    while (over < l->n && (double)l->w[over] >= goal)
        over++;
    for (; over >= 2; over--)
        memmove(l->at, l->at + 1, --l->n * sizeof *l->at);
}

static int32_t plain_draw(plain_list *l, uint64_t seed, uint64_t step)
{
    double goal = clo_random_unit(seed, CLO_RANDOM_SAMPLE, step, 0) * weights(l), sum = 0;
    size_t last = 0;
    for (size_t i = 0; i < l->n; i++) {
        sum += (double)l->w[i];
        if (sum > goal) return l->at[i].id;
        if (l->w[i] > 0) last = i;
    }
    return l->at[last].id;
}

/* -1: an error. z is changed as clo_sampler_pick changes it. */
static int32_t plain_pick(const clo_sampler_params *p, float *z, size_t n, const int32_t *history, size_t n_history,
                          uint64_t seed, uint64_t step)
{
    static plain_list l;
    assert_true(n <= PLAIN_MAX);
    plain_bias_and_penalties(p, z, n, history, n_history);
    for (size_t i = 0; i < n; i++)
        if (!(z[i] <= 0x1.fffffep127f)) return -1;
    sorted(l.at, z, n);
    while (n > 0 && minus_infinity(l.at[n - 1].logit))
        n--;
    l.n = n;
    if (n == 0) return -1;
    if (p->temp <= 0) return l.at[0].id;
    if (p->order == CLO_SAMPLER_ORDER_HF) {
        plain_temp(&l, p), plain_top_k(&l, p), plain_top_p(&l, p), plain_min_p(&l, p), plain_typical(&l, p);
        plain_top_n_sigma(&l, p), plain_xtc(&l, p, seed, step);
    } else {
        plain_top_n_sigma(&l, p), plain_top_k(&l, p), plain_typical(&l, p), plain_top_p(&l, p), plain_min_p(&l, p);
        plain_xtc(&l, p, seed, step), plain_temp(&l, p);
    }
    return plain_draw(&l, seed, step);
}

/* --- against it ---------------------------------------------------------------------------------------------------*/

/* Kinds of rows that sums, ties and bounds are hard for. */
static const char *const row_kinds[] = {
    "a bell",
    "flat",
    "all equal",
    "whole numbers: many ties, both zeros",
    "a bell with banned ids",
    "one that may come, all else banned",
    "weights that halve: sums meet their goals",
    "one likely token over a wide flat tail",
    "two values",
    "values of any size",
    "subnormal numbers",
    "a NaN or an infinity somewhere",
};

/* No value is further from 0 than most. */
static void make_row(float *x, size_t n, size_t kind, float most, uint64_t seed)
{
    const float inf = __builtin_inff();
    for (size_t i = 0; i < n; i++) {
        double u = clo_random_unit(seed, CLO_RANDOM_TEST, i, 0), v = clo_random_unit(seed, CLO_RANDOM_TEST, i, 1);
        double bell = 4 * (u + v + clo_random_unit(seed, CLO_RANDOM_TEST, i, 2) - 1.5) * 3;
        switch (kind) {
        case 1:
            x[i] = (float)(u * 1e-3);
            break;
        case 2:
            x[i] = 2.5f;
            break;
        case 3:
            x[i] = bell < 0 && bell > -1 ? -0.0f : (float)(int)bell;
            break;
        case 4:
            x[i] = v < 0.3 ? -inf : (float)bell;
            break;
        case 5:
            x[i] = i == n / 3 ? -7.0f : -inf;
            break;
        case 6:
            x[i] = (float)(i % 40) * -0.69314718f;
            break;
        case 7:
            x[i] = i == n / 2 ? 12.0f : (float)u;
            break;
        case 8:
            x[i] = v < 0.5 ? 1.0f : -9.0f;
            break;
        case 9:
            x[i] = clo_bits_f32((uint32_t)(u * 0x1p32));
            break;
        case 10:
            x[i] = clo_bits_f32((uint32_t)(u * 0x1p20) | (v < 0.5 ? 0x80000000u : 0));
            break;
        default:
            x[i] = (float)bell;
        }
        if (kind == 9 && !(x[i] >= -most && x[i] <= most)) x[i] = 0;
    }
    size_t somewhere = (size_t)(clo_random_unit(seed, CLO_RANDOM_TEST, n, 0) * (double)n);
    if (kind == 11) x[somewhere] = seed % 24 == 11 ? inf : __builtin_nanf("");
}

static double pick_of(const double *choices, size_t n, uint64_t seed, uint64_t i)
{
    return choices[(size_t)(clo_random_unit(seed, CLO_RANDOM_TEST, i, 9) * (double)n)];
}

/* Each stage is off, at a usual value, or at an odd one. */
static clo_sampler_params make_params(uint64_t seed, const clo_logit_bias *bias)
{
#define ONE_OF(i, ...)                                                                                                 \
    pick_of((const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double), seed, i)
    clo_sampler_params p = {
        .temp = (float)ONE_OF(0, 0, 0.8, 0.8, 1, 1, 0.01, 1e-6, 2, 7),
        .top_k = (int32_t)ONE_OF(1, 0, 0, 0, 0, 1, 40, 1024, 1500, 1e9),
        .top_p = (float)ONE_OF(2, 0, 0, 0.95, 0.95, 0.5, 0.25, 1e-9, 0.999999),
        .min_p = (float)ONE_OF(3, 0, 0, 0, 0.05, 0.5, 1, 1e-30),
        .typical_p = (float)ONE_OF(4, 0, 0, 0, 0, 0.5, 0.95),
        .top_n_sigma = (float)ONE_OF(5, 0, 0, 0, 0, 1, 2),
        .xtc_probability = (float)ONE_OF(6, 0, 0, 0, 0.5, 1),
        .xtc_threshold = (float)ONE_OF(7, 0, 0.01, 0.1, 0.5),
        .repeat_penalty = (float)ONE_OF(8, 0, 0, 1, 1.1, 0.5),
        .presence_penalty = (float)ONE_OF(9, 0, 0, 0.5, -0.5),
        .frequency_penalty = (float)ONE_OF(10, 0, 0, 0.25, -1),
        .penalty_last_n = (int32_t)ONE_OF(11, 0, -1, 7),
        .order = (clo_sampler_order)ONE_OF(12, 0, 1),
        .bias = bias,
        .n_bias = (size_t)ONE_OF(13, 0, 0, 1, 3),
    };
#undef ONE_OF
    return p;
}

static size_t make_size(uint64_t seed)
{
    static const size_t most[] = {3, 40, 300, 300, 300, 300, 2000, 2000, 6000, PLAIN_MAX};
    double u = clo_random_unit(seed, CLO_RANDOM_TEST, 0, 20);
    return 1 + (size_t)(u * (double)most[seed / 3 % 10]);
}

static void choices_equal_the_definitions(void **state)
{
    (void)state;
    enum { N_CASES = 3000, N_DRAWS = 4, N_HISTORY = 90 };
    static float x[PLAIN_MAX], plain[PLAIN_MAX], got[PLAIN_MAX];
    size_t n_kinds = sizeof row_kinds / sizeof *row_kinds;
    for (uint64_t c = 0; c < N_CASES; c++) {
        const clo_logit_bias bias[] = {{0, 3.0f}, {2, -__builtin_inff()}, {1 << 20, 1.0f}};
        const clo_sampler_params p = make_params(c, bias);
        int32_t history[N_HISTORY];
        size_t n = make_size(c), kind = c % n_kinds;
        clo_sampler *s = NULL;
        make_row(x, n, kind, p.temp < 1 ? 0x1p107f : 0x1.fffffep127f, c); /* z / T is a number */
        for (size_t i = 0; i < N_HISTORY; i++)
            history[i] = (int32_t)(i * i % (n + 2));
        assert_true(clo_sampler_open(&s, &p, c, n, NULL));
        for (uint64_t step = 0; step < N_DRAWS; step++) {
            int32_t id = -1;
            memcpy(plain, x, n * sizeof *x);
            memcpy(got, x, n * sizeof *x);
            int32_t want = plain_pick(&p, plain, n, history, N_HISTORY, c, step);
            bool ok = clo_sampler_pick(s, &id, got, history, N_HISTORY, step, NULL);
            if ((ok ? id : -1) != want || memcmp(plain, got, n * sizeof *x) != 0)
                fail_msg("case %d, %s, %zu ids, draw %d: %d, not %d", (int)c, row_kinds[kind], n, (int)step,
                         ok ? id : -1, want);
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
        for (size_t i = 0; i < 80; i++)
            x[i] = i >= n ? 100.0f : i >= n / 2 ? 3.0f : 1.0f;
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
            for (size_t i = 0; i < 35; i++)
                x[i] = row == 2 ? -inf : 0.5f;
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
    const clo_sampler_params p = {.repeat_penalty = 2.0f,
                                  .frequency_penalty = 0.25f,
                                  .presence_penalty = 0.5f,
                                  .penalty_last_n = 4,
                                  .bias = bias,
                                  .n_bias = 2};
    const int32_t history[] = {3, 0, 1, 1, 2}; /* 3 is outside the window of 4 */
    float x[6] = {4.0f, -1.0f, 8.0f, 6.0f, 1.0f, 99.0f};
    static const float want[5] = {4.0f / 2 - 0.25f - 0.5f, -1.0f * 2 - 0.5f - 0.5f, 8.0f / 2 - 0.25f - 0.5f, 6.0f,
                                  3.5f};
    clo_sampler *s = NULL;
    int32_t id = 0;
    assert_true(clo_sampler_open(&s, &p, 0, 6, NULL));
    for (int again = 0; again < 2; again++) { /* the second pick sees nothing of the first */
        float y[6];
        memcpy(y, x, sizeof y);
        assert_true(clo_sampler_pick(s, &id, y, history, 5, 0, NULL));
        assert_int_equal(id, 3);
        for (int i = 0; i < 5; i++)
            assert_true(y[i] == want[i]);
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
    for (int i = 0; i < 3; i++)
        assert_in_range(counts[i], 20000 * (1 << i) / 7 - 350, 20000 * (1 << i) / 7 + 350);
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
         {.temp = 1, .xtc_probability = 1.0f, .xtc_threshold = 0.1f},
         1 << 1 | 1 << 2 | 1 << 3},
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
        {.temp = -1},
        {.top_p = 1.5f},
        {.min_p = -0.1f},
        {.penalty_last_n = -2},
        {.order = (clo_sampler_order)7},
        {.repeat_penalty = -1},
        {.n_bias = CLO_LOGIT_BIAS_MAX + 1},
        {.typical_p = 2},
    };
    clo_sampler_params nan = {.temp = __builtin_nanf("")};
    assert_false(clo_sampler_check(&nan, NULL));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_false(clo_sampler_check(&rows[i], NULL));
}

static void log_probabilities_sum_to_one(void **state)
{
    (void)state;
    float x[100];
    double sum = 0;
    fill(x, 100, 3, false);
    for (int32_t i = 0; i < 100; i++)
        sum += clo_exp_f64(clo_logprob(x, 100, i));
    assert_true(sum > 1 - 1e-12 && sum < 1 + 1e-12);
}

static void log_probabilities_of_many_are_those_of_each(void **state)
{
    (void)state;
    enum { N = 777 };
    const double inf = __builtin_inf();
    static float x[N];
    clo_top top[20];
    int32_t ids[23] = {5, -1, N};
    double got[23];
    fill(x, N, 4, true);
    x[5] = -__builtin_inff();
    assert_int_equal(clo_top_logits(top, 20, x, N), 20);
    for (size_t i = 0; i < 20; i++)
        ids[3 + i] = top[i].id;
    clo_logprobs(got, ids, 23, x, N);
    assert_true(got[0] == -inf && got[1] == CLO_LOGPROB_NONE && got[2] == CLO_LOGPROB_NONE);
    for (size_t i = 3; i < 23; i++) {
        double one = clo_logprob(x, N, ids[i]);
        assert_memory_equal(&got[i], &one, sizeof one);
        assert_true(got[i] < 0 && got[i] <= got[3]);
    }
    x[700] = __builtin_nanf("");
    clo_logprobs(got, ids, 23, x, N);
    for (size_t i = 0; i < 23; i++)
        assert_true(got[i] == CLO_LOGPROB_NONE);
    assert_true(clo_logprob(x + 5, 1, 0) == CLO_LOGPROB_NONE); /* -infinity alone */
}

static void what_a_bitset_forbids_never_comes(void **state)
{
    (void)state;
    enum { N = 100 };
    const clo_logit_bias bias = {2, 50.0f};
    const clo_sampler_params p = {.temp = 2.0f, .bias = &bias, .n_bias = 1, .presence_penalty = -5.0f};
    const uint32_t some[4] = {1u << 1 | 1u << 31, 1u, 0, 1u << 3}, none[4] = {0, 0, 0, 0xfffffff0u};
    const int32_t history[] = {2, 4, 99};
    clo_sampler *s = NULL;
    clo_err err = {0};
    int counts[N] = {0};
    float x[N];
    int32_t id = 0;
    assert_true(clo_sampler_open(&s, &p, 8, N, NULL));
    for (uint64_t i = 0; i < 500; i++) {
        fill(x, N, i, false);
        clo_logits_keep(x, some, N);
        assert_true(clo_sampler_pick(s, &id, x, history, 3, i, NULL));
        counts[id]++;
    }
    for (int i = 0; i < N; i++)
        if ((counts[i] > 0) != (i == 1 || i == 31 || i == 32 || i == 99)) fail_msg("id %d came %d times", i, counts[i]);
    clo_logits_keep(x, none, N); /* bits from N on are nobody's */
    assert_false(clo_sampler_pick(s, &id, x, history, 3, 0, &err));
    assert_int_equal(err.code, CLO_ERR_FORMAT);
    clo_sampler_close(s);
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
        cmocka_unit_test(log_probabilities_of_many_are_those_of_each),
        cmocka_unit_test(what_a_bitset_forbids_never_comes),
        cmocka_unit_test(a_pick_from_150000_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
