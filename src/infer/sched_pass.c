/* One pass of the scheduler: what it carries, the decoder, and the choice of tokens. See scheduler.h. */
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "infer/scheduler_impl.h"

double clo_sched_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- the plan -----------------------------------------------------------------------------------------------------*/

/* Room that is left in the pass. */
typedef struct {
    size_t n_tok, n_rows;
    bool lookup;
} room;

static void add_slot(clo_sched *s, clo_task *t, room *left)
{
    clo_want_limits most = {left->n_tok, left->n_rows, left->lookup && t->o.lookup};
    if (most.n_tok == 0 || most.n_rows == 0) return;
    clo_want w = clo_answer_want(t->answer, clo_seq_len(t->seq), most);
    float *logits = s->logits + (s->n_rows_max - left->n_rows) * clo_decoder_logits_stride(s->decoder);
    clo_seq_truncate(t->seq, w.begin);
    s->steps[s->n_slots] = (clo_step){t->seq, w.ids, w.n, w.n_logits, logits};
    s->slots[s->n_slots++] = (clo_slot){t, w, logits};
    left->n_tok -= clo_min(left->n_tok, w.n);
    left->n_rows -= w.n_logits;
}

static bool is_answering(const clo_task *t)
{
    return clo_seq_len(t->seq) + 1 >= clo_answer_len(t->answer);
}

/* Tasks that answer come first: one token each; what room is left goes to prompts, first come, first served. */
static void plan(clo_sched *s)
{
    room left = {s->o.n_pass_tokens, s->n_rows_max, s->n_running == 1};
    s->n_slots = 0;
    for (int answering = 1; answering >= 0; answering--)
        for (size_t i = 0; i < s->n_running; i++)
            if (is_answering(s->running[i]) == answering) add_slot(s, s->running[i], &left);
}

/* --- choosing -----------------------------------------------------------------------------------------------------*/

/* Threads take rows and tasks from counters. */
typedef struct {
    clo_sched *s;
    double step_s;  /* 0: the pass carried more than one task */
    size_t n_scored;
    atomic_size_t next_row, next_slot;
} choice;

/* Row i of all that give log-probabilities of prompts. */
static void score(const clo_sched *s, size_t i)
{
    const clo_slot *slot = s->slots;
    while (i >= slot->want.n_scored)
        i -= slot++->want.n_scored;
    clo_answer_score(slot->t->answer, i, slot->logits + i * clo_decoder_logits_stride(s->decoder));
}

static void choose(void *ctx, size_t i_thread, size_t n_threads)
{
    choice *c = ctx;
    clo_sched *s = c->s;
    (void)i_thread;
    for (size_t i; (i = atomic_fetch_add(&c->next_row, 1)) < c->n_scored;)
        score(s, i);
    if (c->n_scored > 0 && n_threads > 1) clo_pool_barrier(s->pool);
    for (size_t i; (i = atomic_fetch_add(&c->next_slot, 1)) < s->n_slots;) {
        clo_slot *slot = &s->slots[i];
        clo_task *t = slot->t;
        t->failed = !clo_answer_take(t->answer, slot->logits, c->step_s, &t->result.err);
    }
}

/* One row is not worth waking the other threads for. */
static void choose_all(clo_sched *s, double step_s)
{
    choice c = {.s = s, .step_s = s->n_slots == 1 ? step_s : 0};
    size_t n_rows = 0;
    for (size_t i = 0; i < s->n_slots; i++) {
        c.n_scored += s->slots[i].want.n_scored;
        n_rows += s->slots[i].want.n_logits;
    }
    if (n_rows > 1)
        clo_pool_run(s->pool, choose, &c);
    else
        choose(&c, 0, 1);
}

void clo_sched_pass(clo_sched *s)
{
    clo_err err = {0};
    plan(s);
    if (s->n_slots == 0) return;
    if (s->o.turn) clo_turn_take(s->o.turn);
    double begin = clo_sched_now_s();
    bool ok = clo_decoder_run(s->decoder, s->steps, s->n_slots, &err);
    if (ok) choose_all(s, clo_sched_now_s() - begin);
    if (s->o.turn) clo_turn_give(s->o.turn);
    for (size_t i = 0; i < s->n_slots; i++) {
        clo_task *t = s->slots[i].t;
        if (t->run_s == 0) t->run_s = begin;
        if (ok) continue;
        t->failed = true;
        t->result.err = err;
    }
}
