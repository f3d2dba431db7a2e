/* The scheduler's life and its thread. See scheduler.h; sched_pass.c computes, task.c is the owners' side. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "infer/scheduler_impl.h"
#include "infer/seq.h"

#define N_RUNNING_DEFAULT 32
#define N_WAITING_DEFAULT 512
#define N_PASS_TOKENS_DEFAULT 512
#define KV_BYTES_DEFAULT ((size_t)1 << 30)
#define N_IDLE_SHARES 64 /* keys that are remembered while they have no work */
#define N_MAX 65536 /* of tasks, and of tokens in a pass */

/* --- one turn of the thread, lock held ------------------------------------------------------------------------------*/

static void tell(clo_sched *s, clo_task *t)
{
    if (!t->o.notify || t->notifying) return;
    t->notifying = true;
    s->told[s->n_told++] = t;
}

/* Calls notify of those that were told, without the lock. */
static void deliver(clo_sched *s)
{
    if (s->n_told == 0) return;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < s->n_told; i++)
        s->told[i]->o.notify(s->told[i]->o.ctx);
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n_told; i++)
        s->told[i]->notifying = false;
    s->n_told = 0;
    pthread_cond_broadcast(&s->quiet);
}

static void tell_waiting(clo_sched *s)
{
    for (size_t i = 0; i < s->shares.n; i++)
        for (clo_task *t = s->shares.at[i].first; t; t = t->next)
            tell(s, t);
}

/* Among the running ones, by arrival. */
static void seat(clo_sched *s, clo_task *t)
{
    size_t i = s->n_running++;
    for (; i > 0 && s->running[i - 1]->number > t->number; i--)
        s->running[i] = s->running[i - 1];
    s->running[i] = t;
    t->share->n_running++;
    t->state = t->answer->n_out > 0 ? CLO_TASK_ANSWERING : CLO_TASK_PROMPT;
    bool first = !t->begun;
    t->begun = true;
    t->failed = (first && !clo_answer_begin(t->answer, &t->result.err)) || !clo_sched_seat(s, t, &t->result.err);
    if (!first || t->failed) return;
    t->answer->r.n_reused = clo_seq_len(t->seq);
    s->stats.n_prompt += t->answer->n_prompt;
    s->stats.n_cached += t->answer->r.n_reused;
}

static void unseat(clo_sched *s, size_t i)
{
    s->running[i]->share->n_running--;
    clo_sched_unseat(s, s->running[i]);
    s->n_running--;
    memmove(s->running + i, s->running + i + 1, (s->n_running - i) * sizeof(clo_task *));
}

void clo_sched_preempt(clo_sched *s, clo_task *t)
{
    size_t i = 0;
    while (s->running[i] != t) i++;
    unseat(s, i);
    t->state = CLO_TASK_WAITING;
    s->stats.n_preempted++;
    clo_share_line_up(t, true);
    s->n_waiting++;
}

/* The latest task of the key that runs most of them and is ahead of k, if it runs more than k even so. */
static clo_task *find_victim(const clo_sched *s, const clo_share *k)
{
    clo_task *victim = NULL;
    for (size_t i = 0; i < s->n_running; i++) {
        clo_task *t = s->running[i];
        if (t->share->used_s > k->used_s && t->share->n_running > k->n_running + 1 &&
            (!victim || t->share->n_running >= victim->share->n_running))
            victim = t;
    }
    return victim;
}

/* The next in line run, as many as there is room for. */
static void admit(clo_sched *s)
{
    bool some = false;
    for (clo_share *k; (k = clo_shares_next(&s->shares));) {
        clo_task *t = k->first, *victim = NULL;
        if (s->n_running == s->o.n_running_max || !clo_sched_fits(s, t)) {
            if (!(victim = find_victim(s, k))) break;
            clo_sched_preempt(s, victim);
            continue;
        }
        clo_share_leave(t);
        s->n_waiting--;
        seat(s, t);
        some = true;
    }
    if (some) tell_waiting(s);
}

/* Those whose owners want no more: running ones end with their pass, waiting ones are over. */
static void note_cancels(clo_sched *s)
{
    size_t n_over = s->n_over;
    for (size_t i = 0; i < s->n_running; i++)
        if (s->closing || s->running[i]->cancel) clo_answer_cancel(s->running[i]->answer);
    for (size_t i = 0; i < s->shares.n; i++) {
        for (clo_task *t = s->shares.at[i].first, *next; t; t = next) {
            next = t->next;
            if (!s->closing && !t->cancel) continue;
            clo_share_leave(t);
            s->n_waiting--;
            t->cancel = true;
            clo_answer_cancel(t->answer);
            s->over[s->n_over++] = t;
        }
    }
    if (s->n_over > n_over) tell_waiting(s);
}

/* What the pass has brought goes to the owners. */
static void publish(clo_sched *s, clo_task *t)
{
    bool first = t->result.first_s == 0 && t->answer->n_out > 0;
    if (first) t->result.first_s = clo_sched_now_s() - t->start_s;
    if (first) t->state = CLO_TASK_ANSWERING;
    if (t->fresh.n > 0 || t->fresh.failed) {
        clo_tape_move(&t->ready, &t->fresh);
        tell(s, t);
    }
    if (t->ready.failed && !t->failed) t->failed = !clo_fail(&t->result.err, CLO_ERR_MEMORY, "events of a task");
}

/* Tasks that are over leave the running ones. */
static void part_over(clo_sched *s)
{
    for (size_t i = 0; i < s->n_running;) {
        clo_task *t = s->running[i];
        if (!t->failed && !t->answer->done) {
            i++;
            continue;
        }
        unseat(s, i);
        s->over[s->n_over++] = t;
    }
}

/* May free it. */
static void let_go(clo_sched *s, clo_task *t)
{
    s->stats.n_output += t->answer->n_out;
    t->result.ok = !t->failed;
    t->state = CLO_TASK_DONE;
    t->done = true;
    s->n_tasks--;
    if (t->orphan) {
        s->n_refs--;
        clo_task_free(t);
        return;
    }
    tell(s, t);
}

static void note_kv(clo_sched *s)
{
    s->stats.kv_bytes = s->kv.n_made * s->kv.block_bytes;
    s->stats.kv_bytes_used = (s->kv.n_used - s->kv.n_idle) * s->kv.block_bytes;
}

/* --- the thread -----------------------------------------------------------------------------------------------------*/

/* Gives back what only running tasks need. Without the lock. */
static void end_task(clo_task *t)
{
    clo_answer_end(t->answer);
    if (t->o.mask_free) t->o.mask_free(t->o.mask_ctx);
    t->result.queue_s = (t->run_s > 0 ? t->run_s : clo_sched_now_s()) - t->start_s;
    clo_answer_result(t->answer, &t->result.gen);
    if (t->result.gen.finish != CLO_FINISH_CANCELLED) t->result.vector = t->answer->pooled.v;
}

static void receive_visit(clo_sched *s)
{
    clo_visit *v = s->visits;
    s->visits = v->next;
    pthread_mutex_unlock(&s->lock);
    if (s->o.turn) clo_turn_take(s->o.turn);
    v->fn(v->ctx, s->decoder);
    if (s->o.turn) clo_turn_give(s->o.turn);
    pthread_mutex_lock(&s->lock);
    v->done = true;
    pthread_cond_broadcast(&s->quiet);
}

/* With the lock held, but for the work. */
static void turn(clo_sched *s)
{
    note_cancels(s);
    part_over(s);
    admit(s);
    part_over(s);
    deliver(s);
    clo_sched_plan(s);
    pthread_mutex_unlock(&s->lock);
    double seconds = clo_sched_pass(s);
    pthread_mutex_lock(&s->lock);
    clo_sched_settle(s, seconds);
    part_over(s);
    for (size_t i = 0; i < s->n_running; i++)
        publish(s, s->running[i]);
    note_kv(s);
    if (s->n_over > 0) {
        pthread_mutex_unlock(&s->lock);
        for (size_t i = 0; i < s->n_over; i++)
            end_task(s->over[i]);
        pthread_mutex_lock(&s->lock);
    }
    for (size_t i = 0; i < s->n_over; i++) {
        publish(s, s->over[i]);
        let_go(s, s->over[i]);
    }
    s->n_over = 0;
    deliver(s);
}

static void *sched_main(void *arg)
{
    clo_sched *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        if (s->visits) receive_visit(s);
        if (s->n_tasks > 0)
            turn(s);
        else if (s->visits)
            continue;
        else if (s->closing)
            break;
        else
            pthread_cond_wait(&s->wake, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* --- life -----------------------------------------------------------------------------------------------------------*/

static void sched_free(clo_sched *s)
{
    clo_prefix_close(&s->prefix);
    clo_kv_close(&s->kv);
    clo_decoder_close(s->decoder);
    free(s->shares.at);
    free(s->running);
    free(s->over);
    free(s->told);
    free(s->slots);
    free(s->steps);
    free(s->logits);
    free(s->hidden);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake);
    pthread_cond_destroy(&s->quiet);
    free(s);
}

void clo_sched_drop(clo_sched *s)
{
    bool last = --s->n_refs == 0;
    pthread_mutex_unlock(&s->lock);
    if (last) sched_free(s);
}

static bool fill_opts(clo_sched_opts *o, const clo_model *m, clo_err *err)
{
    if (o->n_ctx == 0) o->n_ctx = clo_model_spec(m)->n_ctx;
    if (o->n_running_max == 0) o->n_running_max = N_RUNNING_DEFAULT;
    if (o->n_waiting_max == 0) o->n_waiting_max = N_WAITING_DEFAULT;
    if (o->n_pass_tokens == 0) o->n_pass_tokens = N_PASS_TOKENS_DEFAULT;
    if (o->n_ctx > INT32_MAX / 2) return clo_fail(err, CLO_ERR_LIMIT, "a context of %zu tokens", o->n_ctx);
    if (o->n_running_max > N_MAX || o->n_waiting_max > N_MAX || o->n_pass_tokens > N_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "a scheduler of %zu running, %zu waiting, %zu tokens a pass, at most %d each",
                        o->n_running_max, o->n_waiting_max, o->n_pass_tokens, N_MAX);
    o->n_pass_tokens = clo_max(o->n_pass_tokens, o->n_running_max);
    return true;
}

static bool take_memory(clo_sched *s, clo_err *err)
{
    size_t n_run = s->o.n_running_max, n_all = n_run + s->o.n_waiting_max;
    s->n_rows_max = clo_max(n_run, CLO_SCORE_ROWS_MAX);
    s->shares.n_max = n_all + N_IDLE_SHARES;
    s->shares.at = calloc(s->shares.n_max, sizeof *s->shares.at);
    s->running = calloc(n_run, sizeof(clo_task *));
    s->over = calloc(n_all, sizeof(clo_task *));
    s->told = calloc(n_all, sizeof(clo_task *));
    s->slots = calloc(n_run, sizeof *s->slots);
    s->steps = calloc(n_run, sizeof *s->steps);
    size_t bytes = s->n_rows_max * clo_decoder_logits_stride(s->decoder) * sizeof(float);
    s->logits = aligned_alloc(64, clo_round_up(bytes, 64));
    size_t hidden = clo_decoder_pass_tokens(s->decoder) * clo_decoder_hidden_stride(s->decoder) * sizeof(float);
    bool pools = clo_model_spec(s->model)->pooling != CLO_POOL_NONE;
    if (pools) s->hidden = aligned_alloc(64, clo_round_up(hidden, 64));
    bool rows = s->logits && pools == (s->hidden != NULL);
    if (s->shares.at && s->running && s->over && s->told && s->slots && s->steps && rows) return true;
    return clo_fail(err, CLO_ERR_MEMORY, "scheduler of %zu tasks", n_all);
}

/* KV memory under the ceiling. A context is cut to what one task alone can have, so that one can always go on. */
static bool open_kv(clo_sched *s, clo_err *err)
{
    size_t block_bytes = clo_decoder_kv_layout(s->decoder)->block_bytes, n_ctx = clo_ceil_div(s->o.n_ctx, CLO_KV_BLOCK);
    uint64_t bytes = s->o.kv_bytes_max;
    if (bytes == 0) {
        uint64_t half = clo_memory_available() / 2;
        bytes = clo_max(KV_BYTES_DEFAULT, n_ctx * block_bytes);
        if (half > 0 && bytes > half) bytes = clo_max(half, block_bytes);
    }
    size_t n = (size_t)clo_min(bytes / block_bytes, UINT32_MAX / 2);
    if (n == 0)
        return clo_fail(err, CLO_ERR_LIMIT, "KV memory of %llu bytes: a block of %d positions takes %zu",
                        (unsigned long long)bytes, CLO_KV_BLOCK, block_bytes);
    s->o.n_ctx = clo_min(s->o.n_ctx, n * CLO_KV_BLOCK);
    s->stats.kv_bytes_max = n * block_bytes;
    uint64_t seed = (uint64_t)(clo_sched_now_s() * 1e9) ^ (uint64_t)(uintptr_t)s;
    return clo_kv_open(&s->kv, block_bytes, n, err) && clo_prefix_open(&s->prefix, &s->kv, seed, err);
}

/* The thread takes no signals: they are for those that wait for something. */
static bool start_thread(clo_sched *s, clo_err *err)
{
    sigset_t all, was;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    int e = pthread_create(&s->thread, NULL, sched_main, s);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return e == 0 || clo_fail_sys(err, e, "start the scheduler's thread");
}

bool clo_sched_open(clo_sched **out, clo_model *m, clo_pool *pool, clo_sched_opts opts, clo_err *err)
{
    *out = NULL;
    if (!fill_opts(&opts, m, err)) return false;
    clo_sched *s = calloc(1, sizeof *s);
    if (!s) return clo_fail(err, CLO_ERR_MEMORY, "scheduler");
    *s = (clo_sched){.model = m, .pool = pool, .o = opts, .n_refs = 1};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    pthread_cond_init(&s->quiet, NULL);
    if (!clo_decoder_open(&s->decoder, m, pool, (clo_decoder_opts){.n_tok_max = opts.n_pass_tokens}, err) ||
        !take_memory(s, err) || !open_kv(s, err) || !start_thread(s, err)) {
        sched_free(s);
        return false;
    }
    *out = s;
    return true;
}

void clo_sched_close(clo_sched *s)
{
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    clo_prefix_close(&s->prefix);
    clo_kv_close(&s->kv);
    clo_decoder_close(s->decoder);
    s->decoder = NULL;
    pthread_mutex_lock(&s->lock);
    clo_sched_drop(s);
}

const clo_model *clo_sched_model(const clo_sched *s)
{
    return s->model;
}

const clo_decoder *clo_sched_decoder(const clo_sched *s)
{
    return s->decoder;
}

size_t clo_sched_ctx(const clo_sched *s)
{
    return s->o.n_ctx;
}

bool clo_sched_run(clo_sched *s, void (*fn)(void *ctx, clo_decoder *d), void *ctx, clo_err *err)
{
    clo_visit v = {.fn = fn, .ctx = ctx};
    pthread_mutex_lock(&s->lock);
    bool closing = s->closing;
    if (!closing) {
        clo_visit **at = &s->visits;
        while (*at) at = &(*at)->next;
        *at = &v;
        pthread_cond_signal(&s->wake);
        while (!v.done)
            pthread_cond_wait(&s->quiet, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return !closing || clo_fail(err, CLO_ERR_DENIED, "closing");
}

void clo_sched_stats_of(clo_sched *s, clo_sched_stats *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->stats;
    out->n_waiting = s->n_waiting;
    out->n_running = s->n_tasks - s->n_waiting;
    pthread_mutex_unlock(&s->lock);
}
