/* The scheduler: every task's tokens, text, chain and log-probabilities are those of the same run alone, whatever else
 * the machine computes; and what ends, ends at once and leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/utf8.h"
#include "infer/generate.h"
#include "infer/receipt.h"
#include "infer/scheduler_impl.h"
#include "tiny_model.h"

#define N_PROMPT_MAX 300
#define N_OUT_MAX 90
#define N_TOP 3

/* --- what is asked, and what must come ------------------------------------------------------------------------------*/

typedef struct {
    int32_t prompt[N_PROMPT_MAX];
    size_t n_prompt, n_max;
    clo_sampler_params sampler;
    uint64_t seed;
    clo_str stop;
    bool masked, scored, lookup;
    int32_t ids[N_OUT_MAX];
    size_t n_ids;
    clo_buf text;
    clo_sha256 chain;
    clo_finish finish;
    double *logprob; /* [n_prompt + n_ids][1 + N_TOP] */
    int32_t *top;    /* [n_prompt + n_ids][N_TOP] */
} job;

static size_t draw(uint64_t i, uint64_t what, size_t n)
{
    return (size_t)(clo_random_unit(77, CLO_RANDOM_TEST, i, what) * (double)n);
}

/* Every third id is forbidden, another third after each token. */
static void thirds(void *ctx, float *logits, size_t n_vocab, const int32_t *ids, size_t n_ids)
{
    (void)ctx, (void)ids;
    for (size_t id = 0; id < n_vocab; id++)
        if (id % 3 == n_ids % 3) logits[id] = -__builtin_inff();
}

static job make_job(uint64_t i, size_t n_vocab)
{
    static const clo_sampler_params settings[] = {
        {0},
        {.temp = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f},
        {.temp = 1.2f, .repeat_penalty = 1.3f, .frequency_penalty = 0.1f},
        {.temp = 1.0f},
    };
    job j = {.n_prompt = 1 + draw(i, 0, i % 4 ? 60 : N_PROMPT_MAX), .n_max = 1 + draw(i, 1, N_OUT_MAX), .seed = i};
    j.sampler = settings[draw(i, 2, 4)];
    j.masked = draw(i, 3, 5) == 0;
    j.scored = draw(i, 4, 4) == 0;
    j.lookup = draw(i, 5, 2) == 0;
    if (draw(i, 6, 3) == 0) j.stop = CLO_STR("e");
    size_t family = draw(i, 7, 3); /* prompts of a family begin alike */
    for (size_t k = 0; k < j.n_prompt; k++)
        j.prompt[k] = (int32_t)draw(k < N_PROMPT_MAX * 2 / 3 ? family : 1000 + i, 100 + k, n_vocab);
    return j;
}

static void free_job(job *j)
{
    clo_buf_free(&j->text);
    free(j->logprob);
    free(j->top);
}

/* The run alone, and the log-probabilities of one prefill over prompt and output. */
static void solve(job *j, clo_decoder *d)
{
    clo_err err = {0};
    clo_gen *g = NULL;
    clo_gen_result r;
    const clo_gen_opts o = {.sampler = &j->sampler, .seed = j->seed, .n_max = j->n_max, .stops = &j->stop,
                            .n_stops = 1, .chain = !j->masked, .mask = j->masked ? thirds : NULL};
    if (!clo_gen_open(&g, d, 1024, &err) || !clo_gen_run(g, j->prompt, j->n_prompt, &o, &r, &err))
        fail_msg("%s", err.text);
    j->n_ids = r.n_ids;
    memcpy(j->ids, r.ids, r.n_ids * sizeof *r.ids);
    clo_buf_add(&j->text, r.text);
    if (r.chain) j->chain = r.chain[r.n_ids - 1];
    j->finish = r.finish;
    clo_gen_close(g);

    size_t n = j->n_prompt + j->n_ids, stride = clo_decoder_logits_stride(d), n_vocab = clo_gen_vocab(clo_decoder_model(d));
    int32_t *all = calloc(n, sizeof *all);
    float *rows = aligned_alloc(64, n * stride * sizeof *rows);
    clo_seq *seq = NULL;
    memcpy(all, j->prompt, j->n_prompt * sizeof *all);
    memcpy(all + j->n_prompt, j->ids, j->n_ids * sizeof *all);
    assert_true(clo_seq_open(&seq, d, n, NULL));
    const clo_step st = {.seq = seq, .ids = all, .n = n, .n_logits = n, .logits = rows};
    assert_true(clo_decoder_run(d, &st, 1, &err));
    j->logprob = calloc(n * (1 + N_TOP), sizeof *j->logprob);
    j->top = calloc(n * N_TOP, sizeof *j->top);
    for (size_t i = 1; i < n; i++) {
        clo_top top[N_TOP];
        int32_t ids[1 + N_TOP] = {all[i]};
        clo_top_logits(top, N_TOP, rows + (i - 1) * stride, n_vocab);
        for (size_t k = 0; k < N_TOP; k++) ids[1 + k] = j->top[i * N_TOP + k] = top[k].id;
        clo_logprobs(j->logprob + i * (1 + N_TOP), ids, 1 + N_TOP, rows + (i - 1) * stride, n_vocab);
    }
    j->logprob[0] = CLO_LOGPROB_NONE;
    clo_seq_close(seq);
    free(rows);
    free(all);
}

/* --- following a task -----------------------------------------------------------------------------------------------*/

typedef struct {
    clo_task *task;
    size_t i_event, n_told, n_freed; /* tokens seen; calls of notify, of mask_free */
    clo_buf text;
} follow;

static void count_notify(void *ctx)
{
    __atomic_fetch_add(&((follow *)ctx)->n_told, 1, __ATOMIC_RELAXED);
}

static void count_free(void *ctx)
{
    __atomic_fetch_add(&((follow *)ctx)->n_freed, 1, __ATOMIC_RELAXED);
}

static clo_task_opts opts_of(const job *j, follow *f)
{
    return (clo_task_opts){
        .prompt = j->prompt, .n_prompt = j->n_prompt, .sampler = &j->sampler, .seed = j->seed, .n_max = j->n_max,
        .stops = &j->stop, .n_stops = 1, .chain = !j->masked, .lookup = j->lookup, .n_top = N_TOP,
        .prompt_logprobs = j->scored, .mask = j->masked ? thirds : NULL, .mask_ctx = f, .mask_free = count_free,
        .notify = count_notify, .ctx = f,
        .key = j->seed % 3 ? "a" : "b", .weight = j->seed % 3 ? 1 : 2};
}

/* Takes what is there and compares it with what must come. */
static void check_events(follow *f, const job *j, uint64_t which)
{
    clo_task_event e;
    while (clo_task_take(f->task, &e)) {
        size_t at = f->i_event++;
        if (!j->scored) at += j->n_prompt;
        bool from_prompt = at < j->n_prompt;
        if (at >= j->n_prompt + j->n_ids) fail_msg("task %zu: more tokens than alone", (size_t)which);
        int32_t want = from_prompt ? j->prompt[at] : j->ids[at - j->n_prompt];
        if (e.from_prompt != from_prompt || e.id != want || e.chosen.id != want)
            fail_msg("task %zu, token %zu: %d, alone %d", (size_t)which, at, e.id, want);
        if (memcmp(&e.chosen.logprob, &j->logprob[at * (1 + N_TOP)], sizeof(double)) != 0)
            fail_msg("task %zu, token %zu: another log-probability", (size_t)which, at);
        assert_int_equal(e.n_top, at > 0 ? N_TOP : 0);
        for (size_t k = 0; k < e.n_top; k++) {
            assert_int_equal(e.top[k].id, j->top[at * N_TOP + k]);
            assert_memory_equal(&e.top[k].logprob, &j->logprob[at * (1 + N_TOP) + 1 + k], sizeof(double));
        }
        assert_true(clo_utf8_valid(e.text));
        if (!from_prompt) clo_buf_add(&f->text, e.text);
    }
}

static void nap(long us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static void wait_for(follow *f, const job *j, uint64_t which)
{
    for (;;) {
        check_events(f, j, which);
        if (clo_task_state(f->task, NULL) == CLO_TASK_DONE) break;
        nap(200);
    }
}

static void check_result(follow *f, const job *j, uint64_t which)
{
    const clo_task_result *r = clo_task_result_of(f->task);
    if (!r->ok) fail_msg("task %zu: %s", (size_t)which, r->err.text);
    assert_int_equal(r->gen.n_ids, j->n_ids);
    assert_memory_equal(r->gen.ids, j->ids, j->n_ids * sizeof *j->ids);
    assert_int_equal(r->gen.finish, j->finish);
    assert_true(clo_str_eq(r->gen.text, clo_buf_str(&j->text)));
    assert_true(clo_str_eq(clo_buf_str(&f->text), clo_buf_str(&j->text)));
    if (!j->masked) assert_true(clo_sha256_eq(&r->gen.chain[j->n_ids - 1], &j->chain));
    assert_int_equal(f->i_event, j->n_ids + (j->scored ? j->n_prompt : 0));
    assert_int_equal(f->n_freed, 1);
}

/* --- tests ----------------------------------------------------------------------------------------------------------*/

#define N_JOBS 64
#define TINY_BLOCK_BYTES (2 * 2 * 2 * 32 * 64 * 2) /* layers, kv heads, keys and values, head_dim, positions, F16 */

static void a_task_among_many_is_the_run_alone(void **state)
{
    (void)state;
    static const struct {
        size_t n_threads;
        clo_sched_opts o;
    } ways[] = {
        {1, {.n_ctx = 1024, .n_pass_tokens = 48}},
        {2, {.n_ctx = 1024}},
        {3, {.n_ctx = 1024, .n_running_max = 5, .n_pass_tokens = 33}},
        {2, {.n_ctx = 1024, .n_pass_tokens = 100, .kv_bytes_max = 9 * TINY_BLOCK_BYTES}}, /* of 7 that one may need */
    };
    tiny_model t;
    static job jobs[N_JOBS];
    tiny_text_open(&t, "q4_0", 2);
    for (size_t i = 0; i < N_JOBS; i++) {
        jobs[i] = make_job(i, clo_gen_vocab(t.model));
        solve(&jobs[i], t.decoder);
    }
    tiny_close(&t);
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        clo_sched *s = NULL;
        follow f[N_JOBS] = {0};
        clo_err err = {0};
        tiny_text_open(&t, "q4_0", ways[w].n_threads);
        if (!clo_sched_open(&s, t.model, t.pool, ways[w].o, &err)) fail_msg("%s", err.text);
        for (size_t i = 0; i < N_JOBS; i++) {
            size_t which = (i * 29 + w) % N_JOBS;
            clo_task_opts o = opts_of(&jobs[which], &f[which]);
            if (!clo_task_start(&f[which].task, s, &o, &err)) fail_msg("%s", err.text);
            nap((long)draw(i, 50 + w, 3000));
            if (i % 7 == 3) { /* and some that nobody waits for */
                clo_task *lost = NULL;
                o.mask_free = NULL, o.notify = NULL;
                assert_true(clo_task_start(&lost, s, &o, &err));
                if (i % 2) nap(1500);
                clo_task_close(lost);
            }
        }
        for (size_t i = 0; i < N_JOBS; i++) wait_for(&f[i], &jobs[i], i);
        for (size_t i = 0; i < N_JOBS; i++) check_result(&f[i], &jobs[i], i);
        clo_sched_stats stats;
        clo_sched_stats_of(s, &stats);
        print_message("%llu tokens in %llu passes, %llu of %llu prompt tokens cached, %llu preempted\n",
                      (unsigned long long)stats.n_pass_tokens, (unsigned long long)stats.n_passes,
                      (unsigned long long)stats.n_cached, (unsigned long long)stats.n_prompt,
                      (unsigned long long)stats.n_preempted);
        assert_true(stats.n_cached > 0 && stats.kv_bytes <= stats.kv_bytes_max);
        if (ways[w].o.kv_bytes_max > 0) assert_true(stats.n_preempted > 0);
        assert_true(stats.n_running + stats.n_waiting == 0 && stats.kv_bytes_used == 0);
        for (size_t i = 0; i < N_JOBS / 2; i++) clo_task_close(f[i].task);
        clo_sched_close(s);
        for (size_t i = N_JOBS / 2; i < N_JOBS; i++) clo_task_close(f[i].task);
        for (size_t i = 0; i < N_JOBS; i++) {
            assert_true(f[i].n_told > 0); /* the last call of notify may come after the result was seen */
            clo_buf_free(&f[i].text);
        }
        tiny_close(&t);
    }
    for (size_t i = 0; i < N_JOBS; i++) free_job(&jobs[i]);
}

static void what_cannot_run_is_refused(void **state)
{
    (void)state;
    static const int32_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8}, outside[] = {1, 1 << 20};
    static const clo_sampler_params hot = {.temp = -1};
    static const struct {
        const char *why;
        clo_task_opts o;
        clo_code code;
    } rows[] = {
        {"no tokens", {.prompt = ids}, CLO_ERR_USAGE},
        {"a prompt that fills the context", {.prompt = ids, .n_prompt = 8}, CLO_ERR_LIMIT},
        {"an id outside the vocabulary", {.prompt = outside, .n_prompt = 2}, CLO_ERR_USAGE},
        {"a negative temperature", {.prompt = ids, .n_prompt = 2, .sampler = &hot}, CLO_ERR_USAGE},
        {"too many likeliest tokens", {.prompt = ids, .n_prompt = 2, .n_top = 21}, CLO_ERR_LIMIT},
        {"a negative weight", {.prompt = ids, .n_prompt = 2, .weight = -1}, CLO_ERR_USAGE},
    };
    tiny_model t;
    clo_sched *s = NULL;
    tiny_text_open(&t, "q4_0", 1);
    assert_true(clo_sched_open(&s, t.model, t.pool, (clo_sched_opts){.n_ctx = 8}, NULL));
    assert_int_equal(clo_sched_ctx(s), 8);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        follow f = {0};
        clo_err err = {0};
        clo_task_opts o = rows[i].o;
        o.mask_free = count_free;
        o.mask_ctx = &f;
        if (clo_task_start(&f.task, s, &o, &err) || err.code != rows[i].code || f.n_freed != 1)
            fail_msg("%s: '%s', freed %zu times", rows[i].why, err.text, f.n_freed);
        if (err.code == CLO_ERR_LIMIT && o.n_prompt == 8) assert_int_equal(err.at, 8);
    }
    clo_sched_close(s);
    tiny_close(&t);
}

static void a_prompt_alone_can_be_scored(void **state)
{
    (void)state;
    tiny_model t;
    clo_sched *s = NULL;
    tiny_text_open(&t, "q4_0", 2);
    assert_true(clo_sched_open(&s, t.model, t.pool, (clo_sched_opts){.n_ctx = N_PROMPT_MAX}, NULL));
    for (size_t n = 1; n <= N_PROMPT_MAX; n += n < 3 ? 1 : 99) {
        job j = make_job(4, clo_gen_vocab(t.model));
        j.n_prompt = n;
        j.masked = false;
        j.scored = true;
        j.n_max = 1;
        solve(&j, t.decoder);
        j.n_ids = 0;
        follow f = {0};
        clo_task_opts o = opts_of(&j, &f);
        o.chain = false;
        o.prompt_only = true;
        assert_true(clo_task_start(&f.task, s, &o, NULL));
        wait_for(&f, &j, n);
        assert_true(clo_task_result_of(f.task)->ok);
        assert_int_equal(clo_task_result_of(f.task)->gen.finish, CLO_FINISH_LENGTH);
        assert_int_equal(f.i_event, n);
        clo_task_close(f.task);
        free_job(&j);
    }
    clo_sched_close(s);
    tiny_close(&t);
}

static void a_task_knows_its_place_in_line(void **state)
{
    (void)state;
    const clo_sched_opts so = {.n_ctx = 1024, .n_running_max = 1, .n_waiting_max = 3};
    static const int32_t ids[] = {1, 2, 3};
    const clo_task_opts o = {.prompt = ids, .n_prompt = 3, .ignore_stop_ids = true, .n_top = -1};
    tiny_model t;
    clo_sched *s = NULL;
    clo_task *first = NULL, *line[3], *none = NULL;
    clo_err err = {0};
    size_t place = 99;
    tiny_text_open(&t, "q4_0", 1);
    assert_true(clo_sched_open(&s, t.model, t.pool, so, NULL));
    assert_true(clo_task_start(&first, s, &o, NULL));
    while (clo_task_state(first, &place) == CLO_TASK_WAITING) nap(100);
    assert_int_equal(place, 0);
    for (size_t i = 0; i < 3; i++) {
        assert_true(clo_task_start(&line[i], s, &o, NULL));
        assert_int_equal(clo_task_state(line[i], &place), CLO_TASK_WAITING);
        assert_int_equal(place, i);
    }
    assert_false(clo_task_start(&none, s, &o, &err));
    assert_int_equal(err.code, CLO_ERR_DENIED);
    clo_task_cancel(line[0]); /* one that waits */
    while (clo_task_state(line[0], NULL) != CLO_TASK_DONE) nap(100);
    assert_int_equal(clo_task_state(line[2], &place), CLO_TASK_WAITING);
    assert_int_equal(place, 1);
    assert_int_equal(clo_task_result_of(line[0])->gen.finish, CLO_FINISH_CANCELLED);
    clo_task_cancel(first); /* one that runs */
    clo_task_event e;
    while (clo_task_state(first, NULL) != CLO_TASK_DONE)
        if (!clo_task_take(first, &e)) nap(100);
    assert_int_equal(clo_task_result_of(first)->gen.finish, CLO_FINISH_CANCELLED);
    clo_sched_close(s); /* ends the others */
    for (size_t i = 0; i < 3; i++) {
        while (clo_task_take(line[i], &e)) continue;
        assert_int_equal(clo_task_state(line[i], NULL), CLO_TASK_DONE);
        assert_int_equal(clo_task_result_of(line[i])->gen.finish, CLO_FINISH_CANCELLED);
        clo_task_close(line[i]);
    }
    clo_task_close(first);
    tiny_close(&t);
}

typedef struct {
    const clo_receipt *receipt;
    clo_replay_verdict verdict;
    bool ok;
} replay;

static void run_replay(void *ctx, clo_decoder *d)
{
    replay *r = ctx;
    r->ok = clo_receipt_replay(r->receipt, d, NULL, NULL, &r->verdict, NULL);
}

/* A task's answer makes a receipt that replays, while others run and with its prompt partly cached. */
static void a_receipt_from_among_many_replays(void **state)
{
    (void)state;
    static const clo_sampler_params p = {.temp = 0.9f, .top_p = 0.9f};
    enum { N = 6, N_PROMPT = 150 };
    tiny_model t;
    clo_sched *s = NULL;
    clo_task *tasks[N];
    int32_t ids[N_PROMPT];
    clo_err err = {0};
    tiny_text_open(&t, "q8_0", 2);
    for (size_t i = 0; i < N_PROMPT; i++) ids[i] = (int32_t)draw(9, i, clo_gen_vocab(t.model));
    assert_true(clo_sched_open(&s, t.model, t.pool, (clo_sched_opts){.n_ctx = 512}, NULL));
    for (size_t i = 0; i < N; i++) {
        const clo_task_opts o = {.prompt = ids, .n_prompt = N_PROMPT, .sampler = &p, .seed = i, .n_max = 50 + 60 * i,
                                 .ignore_stop_ids = true, .chain = true, .n_top = -1};
        assert_true(clo_task_start(&tasks[i], s, &o, NULL));
        if (i == 0) nap(50000);
    }
    for (size_t i = 0; i < N; i++) {
        clo_task_event e;
        while (clo_task_state(tasks[i], NULL) != CLO_TASK_DONE)
            if (!clo_task_take(tasks[i], &e)) nap(200);
        const clo_task_result *r = clo_task_result_of(tasks[i]);
        const clo_receipt_facts facts = {.result = &r->gen, .prompt = ids, .sampler = &p, .seed = i, .version = "0"};
        clo_receipt receipt = {0};
        replay check = {.receipt = &receipt};
        assert_true(r->ok && r->gen.n_ids == 50 + 60 * i);
        if (!clo_receipt_make(&receipt, clo_sched_decoder(s), &facts, &err)) fail_msg("%s", err.text);
        assert_true(clo_sched_run(s, run_replay, &check, NULL) && check.ok);
        if (!check.verdict.same) fail_msg("task %zu: %s differs at %zu", i, check.verdict.what, check.verdict.at);
        assert_int_equal(check.verdict.n_checked, 50 + 60 * i);
        receipt.output.ids[20] = receipt.output.ids[20] == 0;
        assert_true(clo_sched_run(s, run_replay, &check, NULL) && check.ok && !check.verdict.same);
        clo_receipt_free(&receipt);
        clo_task_close(tasks[i]);
    }
    clo_sched_close(s);
    tiny_close(&t);
}

/* --- shares, without a machine --------------------------------------------------------------------------------------*/

static void keys_get_their_shares(void **state)
{
    (void)state;
    clo_share at[3] = {0};
    clo_shares all = {.at = at, .n_max = 3};
    clo_task tasks[5] = {0};
    clo_share *a = clo_share_of(&all, "a", 1);
    for (size_t i = 0; i < 4; i++) {
        tasks[i].share = a;
        clo_share_line_up(&tasks[i], false);
    }
    clo_share *b = clo_share_of(&all, "b", 2);
    tasks[4].share = b;
    clo_share_line_up(&tasks[4], false);
    a->used_s = all.floor_s = 7;
    b->used_s = 6;
    assert_ptr_equal(clo_shares_next(&all), b); /* who used less goes first */
    assert_int_equal(clo_shares_place(&all, &tasks[4]), 0);
    assert_int_equal(clo_shares_place(&all, &tasks[0]), 1);
    assert_int_equal(clo_shares_place(&all, &tasks[3]), 4);
    clo_share_leave(&tasks[1]);
    assert_int_equal(clo_shares_place(&all, &tasks[3]), 3);
    clo_share_line_up(&tasks[1], true); /* one that gave its place up comes back first */
    assert_int_equal(clo_shares_place(&all, &tasks[1]), 1);
    clo_share_leave(&tasks[4]);
    assert_true(clo_shares_least(&all, false) == 7);
    assert_ptr_equal(clo_share_of(&all, "b", 2), b);
    assert_true(b->used_s < 7 && b->used_s > 6); /* time without work is owed to nobody, but for a little */
    b->used_s = 9;
    assert_ptr_equal(clo_share_of(&all, "b", 2), b);
    assert_true(b->used_s == 9); /* and debts stay */
    clo_share *c = clo_share_of(&all, "c", 1);
    assert_ptr_not_equal(c, b);
    c->used_s = 8;
    clo_share *d = clo_share_of(&all, "d", 1); /* a full table: of the idle ones, who used least is forgotten */
    assert_ptr_equal(d, c);
    assert_string_equal(d->name, "d");
}

/* One task beside fifty of another key takes at most twice the time that it takes alone. The machine may be busy with
 * other things, so it gets some tries. */
static void one_beside_fifty_is_not_kept_waiting(void **state)
{
    (void)state;
    int32_t ids[100];
    tiny_model t;
    clo_sched *s = NULL;
    double times = 0;
    tiny_text_open(&t, "q4_0", 2);
    assert_true(clo_sched_open(&s, t.model, t.pool, (clo_sched_opts){.n_ctx = 1024}, NULL));
    for (size_t i = 0; i < 100; i++) ids[i] = (int32_t)draw(8, i, clo_gen_vocab(t.model));
    for (int attempt = 0; attempt < 6 && (attempt == 0 || times > 2); attempt++) {
        clo_task *tasks[51];
        double seconds[2];
        for (size_t beside = 0; beside < 2; beside++) {
            clo_task_opts o = {.prompt = ids, .n_prompt = 100, .n_max = 800, .ignore_stop_ids = true, .n_top = -1};
            for (size_t i = 1; beside && i < 51; i++) {
                ids[0] = (int32_t)i; /* no two begin alike */
                o.key = "many";
                assert_true(clo_task_start(&tasks[i], s, &o, NULL));
            }
            if (beside) nap(300000);
            o.key = "one";
            ids[0] = (int32_t)(100 + 2 * attempt + (int)beside);
            double begin = clo_sched_now_s();
            assert_true(clo_task_start(&tasks[0], s, &o, NULL));
            clo_task_event e;
            while (clo_task_state(tasks[0], NULL) != CLO_TASK_DONE)
                if (!clo_task_take(tasks[0], &e)) nap(500);
            seconds[beside] = clo_sched_now_s() - begin;
            assert_int_equal(clo_task_result_of(tasks[0])->gen.n_ids, 800);
            for (size_t i = 0; i < (beside ? 51 : 1); i++) clo_task_close(tasks[i]);
        }
        times = seconds[1] / seconds[0];
        print_message("one beside fifty: %.2f s, alone %.2f s: %.2f times\n", seconds[1], seconds[0], times);
    }
    assert_true(times <= 2);
    clo_sched_close(s);
    tiny_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_among_many_is_the_run_alone),
        cmocka_unit_test(what_cannot_run_is_refused),
        cmocka_unit_test(a_prompt_alone_can_be_scored),
        cmocka_unit_test(a_task_knows_its_place_in_line),
        cmocka_unit_test(a_receipt_from_among_many_replays),
        cmocka_unit_test(keys_get_their_shares),
        cmocka_unit_test(one_beside_fifty_is_not_kept_waiting),
    };
    return cmocka_run_group_tests(tests, tiny_text_make, tiny_text_remove);
}
