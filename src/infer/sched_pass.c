/* One pass of the scheduler: what it carries, the decoder, and the choice of tokens. See scheduler.h. */
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "infer/scheduler_impl.h"

#define AHEAD_S 0.02      /* of the key that is furthest behind, that others in a pass may be */
#define PASS_S 0.06       /* that prompts may make a pass take, */
#define PASS_TOKENS_MIN 32 /* but for so many tokens */
#define ONE_TASK_WEIGHT 1.25 /* of a key that has one task */
#define PROMPT_PASSES 2    /* without answers, between two with, while several prompts wait; at most */

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
    float *hidden; /* rows that are not taken yet */
} room;

/* Blocks for t, at the cost of tasks that came later and are not in the pass. */
static bool make_room(clo_sched *s, clo_task *t, size_t n)
{
    while (!clo_sched_reserve(s, t, n)) {
        size_t i = s->n_running;
        while (i-- > 0 && s->running[i]->in_pass) continue;
        if (i == SIZE_MAX || s->running[i]->number <= t->number) return false;
        clo_sched_preempt(s, s->running[i]);
    }
    return true;
}

static void add_slot(clo_sched *s, clo_task *t, room *left)
{
    clo_want_limits most = {left->n_tok, left->n_rows, left->lookup && t->o.lookup};
    bool whole = clo_model_spec(s->model)->encoder; /* then a pass of one text may be longer than others are */
    if (most.n_tok == 0 || most.n_rows == 0) return;
    if (whole && s->n_slots > 0 && clo_answer_len(t->answer) > most.n_tok) return;
    clo_want w = clo_answer_want(t->answer, clo_seq_len(t->seq), most);
    if (!make_room(s, t, w.begin + w.n)) return;
    float *logits = s->logits + (s->n_rows_max - left->n_rows) * clo_decoder_logits_stride(s->decoder);
    clo_seq_truncate(t->seq, w.begin);
    float *hidden = w.hidden ? left->hidden : NULL;
    s->steps[s->n_slots] = (clo_step){t->seq, w.ids, w.n, w.n_logits, logits, hidden};
    s->slots[s->n_slots++] = (clo_slot){t, w, logits, hidden};
    if (hidden) left->hidden += w.n * clo_decoder_hidden_stride(s->decoder);
    t->in_pass = true;
    left->n_tok -= clo_min(left->n_tok, w.n);
    left->n_rows -= w.n_logits;
}

static bool is_answering(const clo_task *t)
{
    return clo_seq_len(t->seq) + 1 >= clo_answer_len(t->answer);
}

/* Adds the tasks of keys that used at most so much and that are answering, or not yet. Preemption takes tasks from behind
 * the one in hand, or this one. */
static void add_slots(clo_sched *s, bool answering, double used_max_s, room *left)
{
    for (size_t i = 0; i < s->n_running; i++) {
        clo_task *t = s->running[i];
        if (!t->in_pass && t->share->used_s <= used_max_s && is_answering(t) == answering) add_slot(s, t, left);
    }
}

/* Tokens that a pass with prompts may carry, so that what it delays is not delayed for long. */
static size_t tokens_of_a_pass(const clo_sched *s)
{
    size_t n = s->o.n_pass_tokens;
    if (s->prompt_tok_s <= 0 || s->prompt_tok_s * PASS_S >= (double)n) return n;
    return clo_min(n, clo_max(PASS_TOKENS_MIN + s->n_running, (size_t)(s->prompt_tok_s * PASS_S)));
}

/* Tasks of keys that used at most so much; of those, the ones with their prompts to compute yet. */
static size_t count_tasks(const clo_sched *s, double used_max_s, size_t *n_prompts)
{
    size_t n = 0;
    *n_prompts = 0;
    for (size_t i = 0; i < s->n_running; i++) {
        if (s->running[i]->share->used_s > used_max_s) continue;
        n++;
        *n_prompts += !is_answering(s->running[i]);
    }
    return n;
}

/* Keys that are far ahead wait until the others have caught up. Tasks that answer come first: one token each; what room
 * is left goes to prompts, first come, first served. Where several prompts wait, answers leave them some passes: a row of
 * an answer costs two of a prompt, and who is last waits for all of them. A task that has a pass alone may speculate. */
void clo_sched_plan(clo_sched *s)
{
    double used_max_s = clo_shares_least(&s->shares, true) + AHEAD_S;
    room left = {.n_tok = tokens_of_a_pass(s), .n_rows = s->n_rows_max, .hidden = s->hidden};
    s->n_slots = 0;
    for (size_t i = 0; i < s->n_running; i++)
        s->running[i]->in_pass = false;
    for (int all = 0; all < 2 && s->n_slots == 0; all++) {
        size_t n_prompts;
        left.lookup = count_tasks(s, used_max_s, &n_prompts) == 1;
        if (s->n_prompt_passes + 1 < clo_min(PROMPT_PASSES + 1, n_prompts)) add_slots(s, false, used_max_s, &left);
        s->n_prompt_passes = s->n_slots > 0 ? s->n_prompt_passes + 1 : 0;
        if (s->n_slots == 0) {
            add_slots(s, true, used_max_s, &left);
            add_slots(s, false, used_max_s, &left);
        }
        used_max_s = 1e300;
    }
    if (s->n_slots > 0 || s->n_running == 0) return;
    /* One task alone always has room under the ceiling. */
    s->running[0]->failed = true;
    clo_fail(&s->running[0]->result.err, CLO_ERR_MEMORY, "the system gives no more memory for the KV cache");
}

/* --- choosing -----------------------------------------------------------------------------------------------------*/

/* Threads take rows and tasks from counters. */
typedef struct {
    clo_sched *s;
    double step_s; /* 0: the pass carried more than one task */
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
        if (slot->hidden)
            clo_answer_pool(t->answer, slot->hidden, clo_decoder_hidden_stride(s->decoder));
        else
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
        n_rows += s->slots[i].want.hidden ? 1 : s->slots[i].want.n_logits;
    }
    if (n_rows > 1)
        clo_pool_run(s->pool, choose, &c);
    else
        choose(&c, 0, 1);
}

/* --- the pass -------------------------------------------------------------------------------------------------------*/

double clo_sched_pass(clo_sched *s)
{
    clo_err err = {0};
    if (s->n_slots == 0) return 0;
    if (s->o.turn) clo_turn_take(s->o.turn);
    double begin = clo_sched_now_s();
    bool ok = clo_decoder_run(s->decoder, s->steps, s->n_slots, &err);
    if (ok) choose_all(s, clo_sched_now_s() - begin);
    double seconds = clo_sched_now_s() - begin;
    if (s->o.turn) clo_turn_give(s->o.turn);
    for (size_t i = 0; i < s->n_slots; i++) {
        clo_task *t = s->slots[i].t;
        if (t->run_s == 0) t->run_s = begin;
        if (ok) continue;
        t->failed = true;
        t->result.err = err;
    }
    return seconds;
}

/* A key that has one task is a little ahead of those that have many: at equal shares it would take twice its time alone,
 * and what it cannot help (a pass that runs when it comes) on top. */
static double weight_of(const clo_share *k)
{
    return k->weight * (k->n_running + k->n_waiting == 1 ? ONE_TASK_WEIGHT : 1);
}

void clo_sched_settle(clo_sched *s, double seconds)
{
    size_t n_tok = 0;
    for (size_t i = 0; i < s->n_slots; i++)
        n_tok += s->slots[i].want.n;
    if (n_tok == 0) return;
    for (size_t i = 0; i < s->n_slots; i++) {
        clo_task *t = s->slots[i].t;
        t->share->used_s += seconds * (double)s->slots[i].want.n / (double)n_tok / weight_of(t->share);
        if (!t->failed) clo_sched_keep(s, t);
    }
    s->shares.floor_s = clo_shares_least(&s->shares, false);
    s->stats.n_passes++;
    s->stats.n_pass_tokens += n_tok;
    if (n_tok < PASS_TOKENS_MIN + s->n_running) return;
    double tok_s = (double)n_tok / seconds;
    s->prompt_tok_s += (s->prompt_tok_s > 0 ? 0.3 : 1) * (tok_s - s->prompt_tok_s);
}
