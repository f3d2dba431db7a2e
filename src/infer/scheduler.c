/* The scheduler's life and its thread. See scheduler.h; sched_pass.c computes, task.c is the owners' side. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "infer/scheduler_impl.h"

#define N_RUNNING_DEFAULT 32
#define N_WAITING_DEFAULT 512
#define N_PASS_TOKENS_DEFAULT 512
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

/* The next in line runs. */
static void admit(clo_sched *s)
{
    size_t n = clo_min(s->n_waiting, s->o.n_running_max - s->n_running);
    for (size_t i = 0; i < n; i++) {
        s->waiting[i]->state = CLO_TASK_PROMPT;
        s->running[s->n_running++] = s->waiting[i];
    }
    s->n_waiting -= n;
    memmove(s->waiting, s->waiting + n, s->n_waiting * sizeof(clo_task *));
    for (size_t i = 0; n > 0 && i < s->n_waiting; i++)
        tell(s, s->waiting[i]);
}

/* Those whose owners want no more: running ones end with their pass, waiting ones are over. */
static void note_cancels(clo_sched *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n_running; i++)
        if (s->closing || s->running[i]->cancel) clo_answer_cancel(s->running[i]->answer);
    for (size_t i = 0; i < s->n_waiting; i++) {
        clo_task *t = s->waiting[i];
        if (s->closing || t->cancel) {
            clo_answer_cancel(t->answer);
            s->over[s->n_over++] = t;
        } else {
            s->waiting[kept++] = t;
        }
    }
    s->n_waiting = kept;
}

/* What the pass has brought goes to the owners. */
static void publish(clo_sched *s, clo_task *t)
{
    bool first = t->result.first_s == 0 && t->answer->n_out > 0;
    if (first) t->result.first_s = clo_sched_now_s() - t->start_s;
    if (t->answer->n_out > 0 && t->state == CLO_TASK_PROMPT) t->state = CLO_TASK_ANSWERING;
    if (t->fresh.n > 0 || t->fresh.failed) {
        clo_tape_move(&t->ready, &t->fresh);
        tell(s, t);
    }
    if (t->ready.failed && !t->failed) t->failed = !clo_fail(&t->result.err, CLO_ERR_MEMORY, "events of a task");
}

/* --- the thread -----------------------------------------------------------------------------------------------------*/

/* Before a task's first pass. */
static bool begin_task(clo_sched *s, clo_task *t)
{
    size_t n = clo_min(s->o.n_ctx, t->answer->n_prompt + t->answer->n_max);
    return clo_answer_begin(t->answer, &t->result.err) && clo_seq_open(&t->seq, s->decoder, n, &t->result.err);
}

/* Gives back what only running tasks need. Without the lock. */
static void end_task(clo_task *t)
{
    clo_seq_close(t->seq);
    t->seq = NULL;
    clo_answer_end(t->answer);
    if (t->o.mask_free) t->o.mask_free(t->o.mask_ctx);
    t->result.queue_s = (t->run_s > 0 ? t->run_s : clo_sched_now_s()) - t->start_s;
    clo_answer_result(t->answer, &t->result.gen);
}

/* Tasks that are over leave the running ones. */
static void part_over(clo_sched *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n_running; i++) {
        clo_task *t = s->running[i];
        if (t->failed || t->answer->done)
            s->over[s->n_over++] = t;
        else
            s->running[kept++] = t;
    }
    s->n_running = kept;
}

/* With the lock held; may free it. */
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

/* Without the lock: a pass, and the end of those that are over. */
static void work(clo_sched *s)
{
    for (size_t i = 0; i < s->n_running; i++) {
        clo_task *t = s->running[i];
        if (!t->seq && !t->answer->done) t->failed = !begin_task(s, t);
    }
    part_over(s);
    clo_sched_pass(s);
    part_over(s);
    for (size_t i = 0; i < s->n_over; i++)
        end_task(s->over[i]);
}

/* With the lock held. */
static void turn(clo_sched *s)
{
    note_cancels(s);
    admit(s);
    deliver(s);
    pthread_mutex_unlock(&s->lock);
    work(s);
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n_running; i++)
        publish(s, s->running[i]);
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
        if (s->n_running + s->n_waiting > 0)
            turn(s);
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
    clo_decoder_close(s->decoder);
    free(s->waiting);
    free(s->running);
    free(s->over);
    free(s->told);
    free(s->slots);
    free(s->steps);
    free(s->logits);
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
    s->waiting = calloc(s->o.n_waiting_max, sizeof(clo_task *));
    s->running = calloc(n_run, sizeof(clo_task *));
    s->over = calloc(n_all, sizeof(clo_task *));
    s->told = calloc(n_all, sizeof(clo_task *));
    s->slots = calloc(n_run, sizeof *s->slots);
    s->steps = calloc(n_run, sizeof *s->steps);
    size_t bytes = s->n_rows_max * clo_decoder_logits_stride(s->decoder) * sizeof(float);
    s->logits = aligned_alloc(64, clo_round_up(bytes, 64));
    if (s->waiting && s->running && s->over && s->told && s->slots && s->steps && s->logits) return true;
    return clo_fail(err, CLO_ERR_MEMORY, "scheduler of %zu tasks", n_all);
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
        !take_memory(s, err) || !start_thread(s, err)) {
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

void clo_sched_stats_of(clo_sched *s, clo_sched_stats *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->stats;
    out->n_waiting = s->n_waiting;
    out->n_running = s->n_tasks - s->n_waiting;
    pthread_mutex_unlock(&s->lock);
}
