/* The owner's side of a task: starting it, taking its events, letting go of it. See scheduler.h. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "infer/scheduler_impl.h"

/* --- tapes --------------------------------------------------------------------------------------------------------*/

struct tape_event {
    bool from_prompt;
    int32_t id;
    size_t text_len, n_top;
    clo_task_logprob chosen;
};

/* Room for n more of `size` bytes each in *p; false when there is none. */
static bool grow(void **p, size_t size, size_t used, size_t n, size_t *cap)
{
    if (n <= *cap - used) return true;
    size_t want = clo_max(16, clo_max(used + n, *cap * 2));
    void *bigger = realloc(*p, want * size);
    if (!bigger) return false;
    *p = bigger;
    *cap = want;
    return true;
}

static void rewind_tape(clo_tape *t)
{
    t->n = t->i = t->n_tops = t->top_at = t->text_at = t->text.len = 0;
}

void clo_tape_add(clo_tape *t, const clo_task_event *e)
{
    if (t->failed) return;
    clo_buf_add(&t->text, e->text);
    if (t->text.failed || !grow((void **)&t->events, sizeof *t->events, t->n, 1, &t->cap) ||
        !grow((void **)&t->tops, sizeof *t->tops, t->n_tops, e->n_top, &t->cap_tops)) {
        t->failed = true;
        return;
    }
    t->events[t->n++] = (struct tape_event){e->from_prompt, e->id, e->text.len, e->n_top, e->chosen};
    if (e->n_top > 0) memcpy(t->tops + t->n_tops, e->top, e->n_top * sizeof *t->tops);
    t->n_tops += e->n_top;
}

bool clo_tape_take(clo_tape *t, clo_task_event *out)
{
    if (t->i == t->n) return false;
    const struct tape_event *e = &t->events[t->i++];
    *out = (clo_task_event){.from_prompt = e->from_prompt,
                            .id = e->id,
                            .text = {clo_buf_str(&t->text).ptr + t->text_at, e->text_len},
                            .chosen = e->chosen,
                            .top = e->n_top > 0 ? t->tops + t->top_at : NULL,
                            .n_top = e->n_top};
    t->text_at += e->text_len;
    t->top_at += e->n_top;
    return true;
}

void clo_tape_move(clo_tape *dst, clo_tape *src)
{
    clo_task_event e;
    while (clo_tape_take(src, &e))
        clo_tape_add(dst, &e);
    dst->failed |= src->failed;
    rewind_tape(src);
}

void clo_tape_free(clo_tape *t)
{
    free(t->events);
    free(t->tops);
    clo_buf_free(&t->text);
    *t = (clo_tape){0};
}

/* --- starting -----------------------------------------------------------------------------------------------------*/

/* Copies what opts point at into one piece of memory. */
static bool copy_opts(clo_task *t, const clo_task_opts *o, clo_err *err)
{
    size_t n_bias = o->sampler ? o->sampler->n_bias : 0, n_text = 0;
    const char *key = o->key ? o->key : "";
    if (n_bias > CLO_LOGIT_BIAS_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "%zu logit biases, at most %d", n_bias, CLO_LOGIT_BIAS_MAX);
    if (strlen(key) >= CLO_TASK_KEY_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "a key of %zu bytes, at most %d", strlen(key), CLO_TASK_KEY_MAX - 1);
    if (!(o->weight >= 0) || o->weight > 1e9) return clo_fail(err, CLO_ERR_USAGE, "a weight of %g", o->weight);
    for (size_t i = 0; i < o->n_stops; i++)
        n_text += o->stops[i].len;
    t->copies = calloc(1, o->n_stops * sizeof(clo_str) + n_bias * sizeof(clo_logit_bias) + n_text + CLO_TASK_KEY_MAX);
    if (!t->copies) return clo_fail(err, CLO_ERR_MEMORY, "task");
    clo_str *stops = t->copies;
    clo_logit_bias *bias = (clo_logit_bias *)(stops + o->n_stops);
    char *text = (char *)(bias + n_bias);
    memcpy(text, key, strlen(key));
    t->o.key = text;
    text += CLO_TASK_KEY_MAX;
    for (size_t i = 0; i < o->n_stops; text += o->stops[i++].len) {
        stops[i] = (clo_str){text, o->stops[i].len};
        if (o->stops[i].len > 0) memcpy(text, o->stops[i].ptr, o->stops[i].len);
    }
    t->o.stops = stops;
    if (o->sampler) {
        t->sampler = *o->sampler;
        if (n_bias > 0) memcpy(bias, o->sampler->bias, n_bias * sizeof *bias);
        t->sampler.bias = bias;
    }
    t->o.sampler = &t->sampler;
    if (t->o.weight == 0) t->o.weight = 1;
    t->o.prompt_logprobs |= o->prompt_only;
    if (t->o.prompt_logprobs && o->n_top < 0) t->o.n_top = 0;
    return true;
}

static bool keep_token(void *ctx, const clo_task_event *e)
{
    clo_task *t = ctx;
    clo_tape_add(&t->fresh, e);
    return true;
}

static bool open_answer(clo_task *t, clo_err *err)
{
    const clo_task_opts *o = &t->o;
    const clo_answer_opts ao = {
        .sampler = o->sampler,
        .seed = o->seed,
        .n_max = o->n_max,
        .stops = o->stops,
        .n_stops = o->n_stops,
        .ignore_stop_ids = o->ignore_stop_ids,
        .show_special = o->show_special,
        .chain = o->chain,
        .n_top = o->n_top,
        .prompt_logprobs = o->prompt_logprobs,
        .prompt_only = o->prompt_only,
        .embed = o->embed,
        .mask = o->mask,
        .mask_ctx = o->mask_ctx,
        .on_token = keep_token,
        .ctx = t,
    };
    return clo_answer_open(&t->answer, t->s->model, &ao, o->prompt, o->n_prompt, t->s->o.n_ctx, err);
}

/* Puts it at the end of the line. */
static bool enqueue(clo_sched *s, clo_task *t, clo_err *err)
{
    bool ok = false;
    pthread_mutex_lock(&s->lock);
    if (s->closing)
        clo_fail(err, CLO_ERR_DENIED, "closing");
    else if (s->n_waiting >= s->o.n_waiting_max)
        clo_fail(err, CLO_ERR_DENIED, "%zu tasks are in line, no more are taken", s->n_waiting);
    else
        ok = true;
    if (ok) {
        t->share = clo_share_of(&s->shares, t->o.key, t->o.weight);
        t->number = ++s->n_numbers;
        clo_share_line_up(t, false);
        s->n_waiting++;
        s->n_tasks++;
        s->n_refs++;
        pthread_cond_signal(&s->wake);
    }
    pthread_mutex_unlock(&s->lock);
    return ok;
}

bool clo_task_start(clo_task **out, clo_sched *s, const clo_task_opts *o, clo_err *err)
{
    clo_task *t = calloc(1, sizeof *t);
    bool ok = false;
    *out = NULL;
    if (!t) {
        clo_fail(err, CLO_ERR_MEMORY, "task");
        goto done;
    }
    *t = (clo_task){.s = s, .o = *o, .start_s = clo_sched_now_s()};
    if (!copy_opts(t, o, err) || !open_answer(t, err)) goto done;
    t->o.prompt = t->answer->ids;
    *out = t; /* before others can know of it */
    if (!enqueue(s, t, err)) goto done;
    ok = true;
done:
    if (ok) return true;
    *out = NULL;
    if (t) clo_task_free(t);
    if (o->mask_free) o->mask_free(o->mask_ctx);
    return false;
}

/* --- the owner ----------------------------------------------------------------------------------------------------*/

void clo_task_free(clo_task *t)
{
    clo_answer_close(t->answer);
    clo_tape_free(&t->fresh);
    clo_tape_free(&t->ready);
    clo_tape_free(&t->shown);
    free(t->copies);
    free(t);
}

void clo_task_cancel(clo_task *t)
{
    pthread_mutex_lock(&t->s->lock);
    t->cancel = true;
    pthread_cond_signal(&t->s->wake);
    pthread_mutex_unlock(&t->s->lock);
}

void clo_task_close(clo_task *t)
{
    if (!t) return;
    clo_sched *s = t->s;
    pthread_mutex_lock(&s->lock);
    while (t->notifying)
        pthread_cond_wait(&s->quiet, &s->lock);
    t->o.notify = NULL;
    t->cancel = t->orphan = true;
    if (!t->done) {
        pthread_cond_signal(&s->wake);
        pthread_mutex_unlock(&s->lock);
        return;
    }
    clo_sched_drop(s);
    clo_task_free(t);
}

bool clo_task_take(clo_task *t, clo_task_event *out)
{
    if (clo_tape_take(&t->shown, out)) return true;
    rewind_tape(&t->shown);
    pthread_mutex_lock(&t->s->lock);
    clo_tape ready = t->ready;
    t->ready = t->shown;
    t->shown = ready;
    pthread_mutex_unlock(&t->s->lock);
    return clo_tape_take(&t->shown, out);
}

clo_task_state_kind clo_task_state(clo_task *t, size_t *place)
{
    clo_sched *s = t->s;
    pthread_mutex_lock(&s->lock);
    clo_task_state_kind state = t->state;
    if (state == CLO_TASK_DONE && (t->ready.n > 0 || t->shown.i < t->shown.n)) state = CLO_TASK_ANSWERING;
    if (place) *place = state == CLO_TASK_WAITING && !t->cancel ? clo_shares_place(&s->shares, t) : 0;
    pthread_mutex_unlock(&s->lock);
    return state;
}

const clo_task_result *clo_task_result_of(clo_task *t)
{
    return &t->result;
}
