/* How long choosing a token takes, in microseconds, beside vocabularies of real sizes.
 *
 *   bench_sampler
 *
 * Two kinds of rows: "peaked" as a model gives them (a bell of width 3 and a few tokens that stand out), "flat" where
 * every token is about as likely, which no head of the list covers. One thread; medians over outputs, without the copy
 * of the row. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "infer/sampler.h"

enum { N_MAX = 151936, N_ROWS = 4, N_PICKS = 40, N_HISTORY = 200 };

static const struct {
    const char *name;
    clo_sampler_params p;
} settings[] = {
    {"greedy", {0}},
    {"temperature", {.temp = 0.8f}},
    {"top-k 40", {.temp = 0.8f, .top_k = 40}},
    {"top-p 0.95", {.temp = 0.8f, .top_p = 0.95f}},
    {"top-p 0.95 (hf)", {.temp = 0.8f, .top_p = 0.95f, .order = CLO_SAMPLER_ORDER_HF}},
    {"min-p 0.05", {.temp = 0.8f, .min_p = 0.05f}},
    {"top-p, top-k, penalties",
     {.temp = 0.8f, .top_k = 40, .top_p = 0.95f, .repeat_penalty = 1.1f, .presence_penalty = 0.5f}},
};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void fill(float *x, size_t n, bool peaked, uint64_t seed)
{
    for (uint64_t i = 0; i < n; i++) {
        double bell = -6; /* twelve uniform numbers: width 1 */
        for (uint64_t j = 0; j < 12; j++)
            bell += clo_random_unit(seed, CLO_RANDOM_TEST, i, j);
        x[i] = (float)(bell * (peaked ? 3 : 0.01));
    }
    for (uint64_t i = 0; peaked && i < 12; i++)
        x[n / 13 * (i + 1)] = (float)(14 + 6 * clo_random_unit(seed, CLO_RANDOM_TEST, n + i, 0));
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_us(const clo_sampler_params *p, const float *rows, float *scratch, size_t n)
{
    static int32_t history[N_HISTORY];
    static double us[N_PICKS];
    clo_sampler *s = NULL;
    clo_err err = {0};
    for (size_t i = 0; i < N_HISTORY; i++)
        history[i] = (int32_t)(i * 7919 % n);
    if (!clo_sampler_open(&s, p, 1, n, &err)) exit(1);
    for (uint64_t i = 0; i < N_PICKS; i++) {
        int32_t id = 0;
        memcpy(scratch, rows + i % N_ROWS * N_MAX, n * sizeof *scratch);
        double t = now_us();
        if (!clo_sampler_pick(s, &id, scratch, history, N_HISTORY, i, &err)) exit(1);
        us[i] = now_us() - t;
    }
    clo_sampler_close(s);
    qsort(us, N_PICKS, sizeof *us, ascending);
    return us[N_PICKS / 2];
}

/* The chosen token and the 20 likeliest, as clients ask for them. */
static double logprobs_us(const float *row, size_t n)
{
    double best = 1e9, out[21];
    for (int k = 0; k < 5; k++) {
        clo_top top[20];
        int32_t ids[21] = {7};
        double t = now_us();
        clo_top_logits(top, 20, row, n);
        for (int i = 0; i < 20; i++)
            ids[1 + i] = top[i].id;
        clo_logprobs(out, ids, 21, row, n);
        t = now_us() - t;
        if (t < best) best = t;
    }
    return best;
}

int main(void)
{
    static const size_t sizes[] = {49152, 100352, N_MAX};
    float *rows = malloc((size_t)N_ROWS * N_MAX * sizeof *rows), *scratch = malloc(N_MAX * sizeof *scratch);
    if (!rows || !scratch) return 1;
    for (int peaked = 1; peaked >= 0; peaked--) {
        printf("%-24s %8zu %8zu %8zu\n", peaked ? "peaked" : "flat", sizes[0], sizes[1], sizes[2]);
        for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
            printf("%-24s", settings[i].name);
            for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
                for (uint64_t r = 0; r < N_ROWS; r++)
                    fill(rows + r * N_MAX, sizes[k], peaked, r);
                printf(" %8.0f", median_us(&settings[i].p, rows, scratch, sizes[k]));
            }
            printf("\n");
            fflush(stdout);
        }
        printf("%-24s", "20 log-probabilities");
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            printf(" %8.0f", logprobs_us(rows, sizes[k]));
        printf("\n");
    }
    free(rows);
    free(scratch);
    return 0;
}
