/* Running tasks and KV memory: what of a text is there already, and room for more. See scheduler.h. */
#include <stdlib.h>

#include "base/check.h"
#include "infer/scheduler_impl.h"
#include "infer/seq.h"

bool clo_sched_seat(clo_sched *s, clo_task *t, clo_err *err)
{
    clo_answer *a = t->answer;
    size_t n_ctx = a->n_prompt + a->n_max, n_whole = clo_answer_reusable(a) / CLO_KV_BLOCK;
    clo_prefix_at at = clo_prefix_root;
    t->n_path = 0;
    t->path = calloc(clo_ceil_div(n_ctx, CLO_KV_BLOCK), sizeof *t->path);
    if (!t->path) return clo_fail(err, CLO_ERR_MEMORY, "sequence of %zu positions", n_ctx);
    if (!clo_seq_open_in(&t->seq, s->decoder, &s->kv, n_ctx, err)) return false;
    for (uint32_t block; t->n_path < n_whole; t->path[t->n_path++] = at) {
        if (!clo_prefix_find(&s->prefix, &at, a->ids + t->n_path * CLO_KV_BLOCK, &block)) break;
        clo_seq_adopt(t->seq, block);
    }
    return true;
}

void clo_sched_unseat(clo_sched *s, clo_task *t)
{
    while (t->n_path > 0) clo_prefix_use(&s->prefix, t->path[--t->n_path]);
    free(t->path);
    t->path = NULL;
    clo_seq_close(t->seq);
    t->seq = NULL;
}

bool clo_sched_reserve(clo_sched *s, clo_task *t, size_t n)
{
    while (!clo_seq_reserve(t->seq, n))
        if (!clo_prefix_give_up(&s->prefix)) return false;
    return true;
}

/* Guesses that did not hold may stand at the newest token's place and behind it. */
void clo_sched_keep(clo_sched *s, clo_task *t)
{
    if (t->o.embed) return; /* nobody goes on from there, and an encoder's blocks hold for their own text only */
    size_t n = clo_min(clo_seq_len(t->seq), clo_answer_len(t->answer) - 1) / CLO_KV_BLOCK;
    clo_prefix_at at = t->n_path > 0 ? t->path[t->n_path - 1] : clo_prefix_root;
    for (; t->n_path < n; t->path[t->n_path++] = at)
        clo_prefix_keep(&s->prefix, &at, t->answer->ids + t->n_path * CLO_KV_BLOCK, t->seq->held[t->n_path]);
}

/* A block more than the text so far needs, and one for each that runs. */
bool clo_sched_fits(const clo_sched *s, const clo_task *t)
{
    size_t n = clo_answer_len(t->answer) / CLO_KV_BLOCK + 1;
    return s->n_running == 0 || n + s->n_running <= clo_kv_available(&s->kv);
}
