/* See answer.h. A text is prompt and output; its newest token is the last one known. Rows of logits that are still
 * needed begin at first_row: the newest token's, or earlier ones while the prompt is being scored. */
#include "infer/answer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- life ---------------------------------------------------------------------------------------------------------*/

static bool check(const clo_model *m, const clo_answer_opts *o, const int32_t *prompt, size_t n_prompt, size_t n_ctx,
                  clo_err *err)
{
    static const clo_sampler_params greedy;
    uint32_t n_vocab = clo_model_spec(m)->n_vocab;
    if (n_prompt == 0) return clo_fail(err, CLO_ERR_USAGE, "the prompt has no tokens");
    if (o->embed && !clo_embed_can(m, err)) return false;
    if (!o->embed && clo_model_spec(m)->encoder)
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "the model is an encoder: it makes vectors of texts and answers nothing");
    if (n_prompt > n_ctx || (n_prompt == n_ctx && !o->prompt_only && !o->embed)) {
        clo_fail(err, CLO_ERR_LIMIT,
                 "the prompt has %zu tokens and the context holds %zu, with room for the answer (--ctx)", n_prompt,
                 n_ctx);
        if (err) err->at = n_prompt;
        return false;
    }
    for (size_t i = 0; i < n_prompt; i++)
        if (prompt[i] < 0 || (uint32_t)prompt[i] >= n_vocab)
            return clo_fail(err, CLO_ERR_USAGE, "token id %d is outside the vocabulary of %u", prompt[i], n_vocab);
    if (o->n_top > CLO_TASK_TOP_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "%d log-probabilities a token, at most %d", o->n_top, CLO_TASK_TOP_MAX);
    return clo_sampler_check(o->sampler ? o->sampler : &greedy, err);
}

bool clo_answer_open(clo_answer **out, const clo_model *m, const clo_answer_opts *o, const int32_t *prompt,
                     size_t n_prompt, size_t n_ctx, clo_err *err)
{
    *out = NULL;
    if (!check(m, o, prompt, n_prompt, n_ctx, err)) return false;
    clo_answer *a = (clo_answer *)calloc(1, sizeof *a);
    if (!a) return clo_fail(err, CLO_ERR_MEMORY, "answer");
    size_t room = n_ctx - n_prompt;
    *a = (clo_answer){.model = m, .o = *o, .n_prompt = n_prompt, .n_ctx = n_ctx, .look = {.hold = CLO_LOOKUP_HOLD}};
    a->n_vocab = clo_gen_vocab(m);
    a->stride = clo_round_up(clo_model_spec(m)->n_vocab, 16);
    a->n_max = o->n_max && o->n_max < room ? o->n_max : room;
    if (o->prompt_only || o->embed) a->n_max = 0;
    a->n_stop_ids = clo_gen_stop_ids(m, a->stop_ids, sizeof a->stop_ids / sizeof *a->stop_ids);
    a->stream.stops = o->stops;
    a->stream.n_stops = o->n_stops;
    a->r.n_prompt = n_prompt;
    a->ids = (int32_t *)calloc(n_prompt + a->n_max + CLO_DRAFT_MAX, sizeof *a->ids);
    if (!a->ids) {
        clo_answer_close(a);
        return clo_fail(err, CLO_ERR_MEMORY, "answer of up to %zu tokens", a->n_max);
    }
    memcpy(a->ids, prompt, n_prompt * sizeof *prompt);
    *out = a;
    return true;
}

void clo_answer_end(clo_answer *a)
{
    clo_sampler_close(a->sampler);
    free(a->raw);
    free(a->scores);
    clo_stream_free(&a->prompt_text);
    a->sampler = NULL;
    a->raw = NULL;
    a->scores = NULL;
}

void clo_answer_close(clo_answer *a)
{
    if (!a) return;
    clo_answer_end(a);
    clo_stream_free(&a->stream);
    clo_pooled_close(&a->pooled);
    free(a->chain);
    free(a->ids);
    free(a);
}

/* --- what is told -------------------------------------------------------------------------------------------------*/

static void finish(clo_answer *a, clo_finish why)
{
    a->r.finish = why;
    a->done = true;
}

void clo_answer_cancel(clo_answer *a)
{
    finish(a, CLO_FINISH_CANCELLED);
}

static void tell(clo_answer *a, bool from_prompt, int32_t id, clo_str text, const clo_score *score)
{
    clo_task_event e = {.from_prompt = from_prompt, .id = id, .text = text, .chosen = {id, CLO_LOGPROB_NONE}};
    if (score) {
        e.chosen = score->chosen;
        e.top = score->top;
        e.n_top = clo_min((size_t)a->o.n_top, a->n_vocab);
    }
    if (a->o.on_token && !a->o.on_token(a->o.ctx, &e)) finish(a, CLO_FINISH_CANCELLED);
}

/* The event of the next prompt token; score NULL for the first, before which there is nothing. */
static void tell_prompt(clo_answer *a, const clo_score *score)
{
    int32_t id = a->ids[a->n_told++];
    const clo_tok *tok = clo_model_tokenizer(a->model);
    if (tok) clo_stream_add(&a->prompt_text, clo_tok_piece(tok, id, a->o.show_special));
    if (a->n_told == a->n_prompt) clo_stream_end(&a->prompt_text);
    tell(a, true, id, clo_stream_take(&a->prompt_text), score);
    if (a->n_told == a->n_prompt && a->o.prompt_only && !a->done) finish(a, CLO_FINISH_LENGTH);
}

bool clo_answer_begin(clo_answer *a, clo_err *err)
{
    static const clo_sampler_params greedy;
    bool scored = a->o.prompt_logprobs;
    if (a->o.embed) return clo_pooled_open(&a->pooled, a->model, err);
    if (a->o.n_top >= 0 && !(a->raw = (float *)malloc(a->n_vocab * sizeof *a->raw))) goto full;
    if (a->o.chain && !(a->chain = (clo_sha256 *)calloc(a->n_max, sizeof *a->chain))) goto full;
    if (scored && !(a->scores = (clo_score *)calloc(CLO_SCORE_ROWS_MAX, sizeof *a->scores))) goto full;
    if (!clo_sampler_open(&a->sampler, a->o.sampler ? a->o.sampler : &greedy, a->o.seed, a->n_vocab, err)) return false;
    if (scored) tell_prompt(a, NULL);
    return true;
full:
    return clo_fail(err, CLO_ERR_MEMORY, "answer of up to %zu tokens", a->n_max);
}

/* --- the next pass ------------------------------------------------------------------------------------------------*/

static bool scoring(const clo_answer *a)
{
    return a->o.prompt_logprobs && a->n_told < a->n_prompt;
}

static size_t first_row(const clo_answer *a)
{
    return scoring(a) ? a->n_told - 1 : clo_answer_len(a) - 1;
}

size_t clo_answer_reusable(const clo_answer *a)
{
    return a->o.embed || (a->o.prompt_logprobs && a->n_told == 0) ? 0 : first_row(a);
}

/* Adds guesses behind the newest token, which is all that the pass carries yet. */
static void add_guesses(clo_answer *a, size_t n_rows)
{
    size_t n = clo_answer_len(a), left = a->n_max - a->n_out; /* >= 1 tokens still wanted */
    size_t room = clo_min(n_rows - 1, clo_min(left - 1, a->n_ctx - n));
    a->n_draft = clo_lookup_guess(&a->look, a->ids, n, room, a->r.decode_s);
    a->want.n += a->n_draft;
    a->want.n_logits += a->n_draft;
}

/* An encoder's text is never cut. */
static clo_want want_hidden(const clo_answer *a, size_t n_seq, clo_want_limits most)
{
    size_t n = clo_model_spec(a->model)->encoder ? a->n_prompt : clo_min(a->n_prompt - n_seq, most.n_tok);
    return (clo_want){.begin = n_seq, .ids = a->ids + n_seq, .n = n, .hidden = true};
}

clo_want clo_answer_want(clo_answer *a, size_t n_seq, clo_want_limits most)
{
    size_t end = clo_answer_len(a), row = first_row(a), begin = clo_min(n_seq, row);
    if (a->begin_s == 0) a->begin_s = now_s();
    if (a->o.embed) return a->want = want_hidden(a, n_seq, most);
    if (a->o.prompt_only) end--; /* nothing follows the last token */
    end = clo_min(end, begin + most.n_tok);
    end = clo_min(end, row + clo_min(most.n_rows, CLO_SCORE_ROWS_MAX));
    size_t n_rows = end > row ? end - row : 0;
    a->n_draft = 0;
    a->want = (clo_want){.begin = begin, .ids = a->ids + begin, .n = end - begin, .n_logits = n_rows};
    if (scoring(a)) a->want.n_scored = clo_min(n_rows, a->n_prompt - a->n_told);
    if (a->n_out > 0 && begin + 1 == end && n_rows == 1 && most.lookup) add_guesses(a, most.n_rows);
    return a->want;
}

/* --- rows of logits -----------------------------------------------------------------------------------------------*/

/* raw: a row as the decoder gave it. */
static void score_row(const clo_answer *a, clo_score *s, int32_t id, const float *raw)
{
    clo_top top[CLO_TASK_TOP_MAX];
    int32_t ids[1 + CLO_TASK_TOP_MAX] = {id};
    double logprob[1 + CLO_TASK_TOP_MAX];
    size_t n = a->o.n_top > 0 ? clo_top_logits(top, (size_t)a->o.n_top, raw, a->n_vocab) : 0;
    for (size_t i = 0; i < n; i++)
        ids[1 + i] = top[i].id;
    clo_logprobs(logprob, ids, 1 + n, raw, a->n_vocab);
    s->chosen = (clo_task_logprob){id, logprob[0]};
    for (size_t i = 0; i < n; i++)
        s->top[i] = (clo_task_logprob){ids[1 + i], logprob[1 + i]};
}

void clo_answer_score(clo_answer *a, size_t i, const float *row)
{
    score_row(a, &a->scores[i], a->ids[a->n_told + i], row);
}

static bool is_stop(const clo_answer *a, int32_t id)
{
    for (size_t i = 0; i < a->n_stop_ids; i++)
        if (a->stop_ids[i] == id) return true;
    return false;
}

/* Takes a chosen token into text and says whether it ends the answer. */
static void accept(clo_answer *a, int32_t id, const clo_score *score)
{
    a->ids[a->n_prompt + a->n_out++] = id;
    if (!a->o.ignore_stop_ids && is_stop(a, id)) {
        finish(a, CLO_FINISH_STOP);
    } else {
        const clo_tok *tok = clo_model_tokenizer(a->model);
        if (tok) clo_stream_add(&a->stream, clo_tok_piece(tok, id, a->o.show_special));
        if (a->stream.stopped)
            finish(a, CLO_FINISH_TEXT);
        else if (a->n_out == a->n_max)
            finish(a, CLO_FINISH_LENGTH);
    }
    if (a->done) clo_stream_end(&a->stream);
    tell(a, false, id, clo_stream_take(&a->stream), score);
}

/* Chooses the next token from its row. */
static bool choose(clo_answer *a, float *logits, int32_t *id, clo_err *err)
{
    clo_top top[CLO_CHAIN_TOP] = {{0}};
    clo_score score;
    size_t n = clo_answer_len(a);
    if (a->raw) memcpy(a->raw, logits, a->n_vocab * sizeof *logits);
    if (a->o.chain) clo_top_logits(top, CLO_CHAIN_TOP, logits, a->n_vocab);
    if (a->o.mask) a->o.mask(a->o.mask_ctx, logits, a->n_vocab, a->ids + a->n_prompt, a->n_out);
    if (!clo_sampler_pick(a->sampler, id, logits, a->ids, n, a->n_out, err)) return false;
    if (a->o.chain) {
        static const clo_sha256 zero;
        a->chain[a->n_out] = clo_chain_link(a->n_out ? &a->chain[a->n_out - 1] : &zero, *id, top);
    }
    if (a->raw) score_row(a, &score, *id, a->raw);
    accept(a, *id, a->raw ? &score : NULL);
    return true;
}

bool clo_answer_take(clo_answer *a, float *logits, double step_s, clo_err *err)
{
    size_t n_kept = 0, row = a->want.n_scored;
    bool first = a->n_out == 0;
    if (!first) a->r.n_steps++;
    a->r.n_drafted += a->n_draft;
    for (size_t i = 0; i < a->want.n_scored && !a->done; i++)
        tell_prompt(a, &a->scores[i]);
    if (row == a->want.n_logits || a->done) return clo_buf_ok(&a->prompt_text.text, err);
    if (first) a->r.prefill_s = now_s() - a->begin_s;
    for (size_t i = 0; i <= a->n_draft && !a->done; i++) {
        int32_t id = 0, guessed = a->ids[clo_answer_len(a)];
        if (!choose(a, logits + (row + i) * a->stride, &id, err)) return false;
        if (i == a->n_draft || id != guessed) break;
        n_kept++;
    }
    if (!first && a->want.n == 1 + a->n_draft && step_s > 0)
        clo_lookup_learn(&a->look, a->n_draft, n_kept, step_s);
    a->r.n_accepted += n_kept;
    a->r.decode_s = now_s() - a->begin_s - a->r.prefill_s;
    return clo_buf_ok(&a->stream.text, err);
}

void clo_answer_pool(clo_answer *a, const float *hidden, size_t stride)
{
    if (a->done) return;
    clo_pooled_add(&a->pooled, hidden, stride, a->want.begin, a->want.n);
    if (a->pooled.n_seen < a->n_prompt) return;
    clo_pooled_end(&a->pooled);
    a->r.prefill_s = now_s() - a->begin_s;
    finish(a, CLO_FINISH_STOP);
}

void clo_answer_result(const clo_answer *a, clo_gen_result *out)
{
    *out = a->r;
    out->ids = a->ids + a->n_prompt;
    out->n_ids = a->n_out;
    out->text = clo_buf_str(&a->stream.text);
    out->chain = a->chain;
    out->context_full = !a->o.prompt_only && !a->o.embed && a->r.finish == CLO_FINISH_LENGTH && a->n_out == a->n_max &&
                        a->n_prompt + a->n_out == a->n_ctx;
}
