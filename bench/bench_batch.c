/* What the scheduler makes of a machine: many answers at once, and what a pass costs.
 *
 *   bench_batch MODEL [CLIENTS 16 [PROMPT 128 [OUTPUT 128 [THREADS 0]]]]
 *
 * 1. Passes: milliseconds by how many sequences of PROMPT tokens get one token each, and by how long a piece of a prompt is.
 * 2. Load: CLIENTS tasks that come at once, and one alone: tokens a second (prompts and answers), time to the first token,
 *    time between tokens. Prompts are random ids; nothing of them is cached.
 * 3. Fairness: one task of key "b" beside 50 of key "a", and alone. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "infer/scheduler.h"

enum { N_MAX = 64, N_CTX = 2048 };

static uint64_t n_drawn;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const clo_err *err)
{
    fprintf(stderr, "bench_batch: %s\n", err->text);
    exit(1);
}

static void draw_ids(int32_t *ids, size_t n, size_t n_vocab)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)(clo_random_unit(5, CLO_RANDOM_TEST, n_drawn++, 0) * (double)n_vocab);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double share_of(double *v, size_t n, double share)
{
    qsort(v, n, sizeof *v, ascending);
    size_t i = (size_t)(share * (double)n);
    return n > 0 ? v[i < n ? i : n - 1] : 0;
}

/* --- passes ---------------------------------------------------------------------------------------------------------*/

static void passes(clo_model *m, clo_pool *pool, size_t n_prompt)
{
    static const size_t rows[] = {1, 2, 4, 6, 8, 9, 12, 16, 24, 32, 48, 64}, pieces[] = {16, 32, 64, 96, 128, 192, 256, 512};
    clo_err err = {0};
    clo_decoder *d = NULL;
    clo_seq *seqs[N_MAX];
    clo_step steps[N_MAX];
    int32_t *ids = calloc(N_CTX, sizeof *ids);
    if (!clo_decoder_open(&d, m, pool, (clo_decoder_opts){0}, &err)) die(&err);
    size_t stride = clo_decoder_logits_stride(d);
    float *logits = aligned_alloc(64, N_MAX * stride * sizeof *logits);
    draw_ids(ids, N_CTX, clo_model_spec(m)->n_vocab);
    for (size_t i = 0; i < N_MAX; i++) {
        if (!clo_seq_open(&seqs[i], d, N_CTX, &err)) die(&err);
        clo_step st = {.seq = seqs[i], .ids = ids + i, .n = n_prompt};
        if (!clo_decoder_run(d, &st, 1, &err)) die(&err);
    }
    while (clo_decoder_settling(d)) {
        clo_step st = {.seq = seqs[0], .ids = ids, .n = 64};
        clo_seq_truncate(seqs[0], 0);
        if (!clo_decoder_run(d, &st, 1, &err)) die(&err);
    }
    clo_seq_truncate(seqs[0], 0);
    clo_step whole = {.seq = seqs[0], .ids = ids, .n = n_prompt};
    if (!clo_decoder_run(d, &whole, 1, &err)) die(&err);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        double ms[15];
        for (size_t k = 0; k < 15; k++) {
            for (size_t i = 0; i < rows[r]; i++) {
                clo_seq_truncate(seqs[i], n_prompt);
                steps[i] = (clo_step){seqs[i], ids + i, 1, 1, logits + i * stride};
            }
            double begin = now_s();
            if (!clo_decoder_run(d, steps, rows[r], &err)) die(&err);
            ms[k] = (now_s() - begin) * 1e3;
        }
        double t = share_of(ms, 15, 0.5);
        printf("%3zu answers  %8.2f ms  %7.1f tok/s\n", rows[r], t, (double)rows[r] / t * 1e3);
    }
    for (size_t r = 0; r < sizeof pieces / sizeof *pieces; r++) {
        double ms[5];
        for (size_t k = 0; k < 5; k++) {
            clo_seq_truncate(seqs[0], 0);
            clo_step st = {seqs[0], ids, pieces[r], 1, logits};
            double begin = now_s();
            if (!clo_decoder_run(d, &st, 1, &err)) die(&err);
            ms[k] = (now_s() - begin) * 1e3;
        }
        double t = share_of(ms, 5, 0.5);
        printf("%3zu of a prompt %5.2f ms  %7.1f tok/s\n", pieces[r], t, (double)pieces[r] / t * 1e3);
    }
    for (size_t i = 0; i < N_MAX; i++) clo_seq_close(seqs[i]);
    clo_decoder_close(d);
    free(logits);
    free(ids);
}

/* --- load -----------------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_task *task;
    double start_s, first_s, last_s; /* times of events; 0: not yet */
    size_t n_out;
    bool done;
} client;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static bool is_news;

static void notify(void *ctx)
{
    (void)ctx;
    pthread_mutex_lock(&lock);
    is_news = true;
    pthread_cond_signal(&news);
    pthread_mutex_unlock(&lock);
}

static void start(client *c, clo_sched *s, size_t n_prompt, size_t n_out, const char *key)
{
    clo_err err = {0};
    int32_t ids[N_CTX];
    const clo_sampler_params p = {.temp = 0.8f, .top_k = 40, .top_p = 0.95f};
    draw_ids(ids, n_prompt, clo_model_spec(clo_sched_model(s))->n_vocab);
    const clo_task_opts o = {.prompt = ids, .n_prompt = n_prompt, .sampler = &p, .n_max = n_out, .ignore_stop_ids = true,
                             .n_top = -1, .key = key, .notify = notify, .seed = n_drawn};
    *c = (client){.start_s = now_s()};
    if (!clo_task_start(&c->task, s, &o, &err)) die(&err);
}

/* Follows clients until the first n_wait of them are done; gaps between tokens go to gaps [*n_gaps]. */
static void follow(client *c, size_t n, size_t n_wait, double *gaps, size_t *n_gaps)
{
    for (size_t n_left = n_wait; n_left > 0;) {
        pthread_mutex_lock(&lock);
        while (!is_news) pthread_cond_wait(&news, &lock);
        is_news = false;
        pthread_mutex_unlock(&lock);
        for (size_t i = 0; i < n; i++) {
            clo_task_event e;
            while (clo_task_take(c[i].task, &e)) {
                double t = now_s();
                if (c[i].n_out++ == 0)
                    c[i].first_s = t;
                else if (gaps)
                    gaps[(*n_gaps)++] = (t - c[i].last_s) * 1e3;
                c[i].last_s = t;
            }
            if (c[i].done || clo_task_state(c[i].task, NULL) != CLO_TASK_DONE) continue;
            if (!clo_task_result_of(c[i].task)->ok) die(&clo_task_result_of(c[i].task)->err);
            c[i].done = true;
            n_left -= i < n_wait;
        }
    }
}

static double load(clo_sched *s, size_t n, size_t n_prompt, size_t n_out)
{
    client *c = calloc(n, sizeof *c);
    double *gaps = calloc(n * n_out, sizeof *gaps), *first = calloc(n, sizeof *first);
    size_t n_gaps = 0;
    double begin = now_s();
    for (size_t i = 0; i < n; i++) start(&c[i], s, n_prompt, n_out, NULL);
    follow(c, n, n, gaps, &n_gaps);
    double all_s = now_s() - begin;
    for (size_t i = 0; i < n; i++) first[i] = (c[i].first_s - c[i].start_s) * 1e3;
    printf("%3zu at once: %7.1f tok/s (%6.1f of answers), first token %6.0f ms, p95 %6.0f; between %6.2f ms, p95 %6.2f, most %.1f\n",
           n, (double)(n * (n_prompt + n_out)) / all_s, (double)(n * n_out) / all_s, share_of(first, n, 0.5),
           share_of(first, n, 0.95), share_of(gaps, n_gaps, 0.5), share_of(gaps, n_gaps, 0.95), share_of(gaps, n_gaps, 1));
    for (size_t i = 0; i < n; i++) clo_task_close(c[i].task);
    free(c);
    free(gaps);
    free(first);
    return all_s;
}

static void fairness(clo_sched *s, size_t n_prompt, size_t n_out)
{
    client c[51];
    start(&c[0], s, n_prompt, n_out, "b");
    follow(c, 1, 1, NULL, NULL);
    double alone_s = c[0].last_s - c[0].start_s;
    clo_task_close(c[0].task);
    for (size_t i = 1; i < 51; i++) start(&c[i], s, n_prompt, n_out, "a");
    nanosleep(&(struct timespec){.tv_nsec = 300 * 1000000L}, NULL);
    start(&c[0], s, n_prompt, n_out, "b");
    follow(c, 51, 1, NULL, NULL);
    double beside_s = c[0].last_s - c[0].start_s;
    printf("one beside 50: %.2f s, alone %.2f s: %.2f times\n", beside_s, alone_s, beside_s / alone_s);
    for (size_t i = 0; i < 51; i++) clo_task_close(c[i].task);
}

int main(int argc, char **argv)
{
    clo_err err = {0};
    clo_pool *pool = NULL;
    clo_model *m = NULL;
    clo_sched *s = NULL;
    if (argc < 2) {
        fprintf(stderr, "usage: bench_batch MODEL [CLIENTS [PROMPT [OUTPUT [THREADS]]]]\n");
        return 2;
    }
    size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 16, n_prompt = argc > 3 ? strtoul(argv[3], NULL, 10) : 128;
    size_t n_out = argc > 4 ? strtoul(argv[4], NULL, 10) : 128, n_threads = argc > 5 ? strtoul(argv[5], NULL, 10) : 0;
    if (!clo_pool_open(&pool, n_threads, &err)) die(&err);
    if (!clo_model_open(&m, argv[1], (clo_model_opts){.pool = pool}, &err)) die(&err);
    if (!getenv("BENCH_NO_PASSES")) passes(m, pool, n_prompt);
    if (!clo_sched_open(&s, m, pool, (clo_sched_opts){.n_ctx = N_CTX}, &err)) die(&err);
    load(s, 4, n_prompt, 16); /* weights settle */
    load(s, 1, n_prompt, n_out);
    load(s, n, n_prompt, n_out);
    fairness(s, n_prompt, n_out);
    clo_sched_close(s);
    clo_model_close(m);
    clo_pool_close(pool);
    return 0;
}
