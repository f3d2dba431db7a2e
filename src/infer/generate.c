/* See generate.h. The loop in clo_gen_run alternates two things: `consume` takes rows of logits and chooses tokens from
 * them, `advance` computes the next rows: one for the newest token and one for each guess behind it. */
#include "infer/generate.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "infer/stream.h"

#define STOP_IDS_MAX 64
#define PREFILL_PIECE 512    /* prompt tokens between two questions whether the run is cancelled */
#define NGRAM_MAX 3          /* newest tokens that a guess must match, longest first */
#define DRAFT_MAX 23         /* guesses in one step */
#define LOOKUP_LOSS_MAX 0.01 /* of the decode time that wrong guesses may cost */
#define LOOKUP_GAIN_MIN 0.1  /* of a step, that guesses must promise to win */

/* Numbers of guesses that are tried: with the newest token they fill tiles of 2, 4, 8, ... rows. */
static const uint8_t draft_sizes[] = {1, 3, 7, 11, 15, DRAFT_MAX};

/* What lookup has learnt in this run, in seconds. Time decides only how much is guessed, never what is said. */
typedef struct {
    double cost_s[1 + DRAFT_MAX]; /* mean of a step with so many guesses; 0: not seen */
    double hold;                  /* share of guesses that held lately */
    double balance_s;             /* won minus lost, at most a few steps */
} lookup;

struct clo_gen {
    clo_decoder *d; /* borrowed */
    clo_seq *seq;   /* owned */
    size_t n_ctx, stride;
    int32_t *ids;      /* [n_ctx + 1 + DRAFT_MAX] owned: prompt, output, guesses */
    size_t n_ids;      /* prompt and output of the last run */
    float *logits;     /* [1 + DRAFT_MAX, stride] owned, 64-byte aligned */
    clo_sha256 *chain; /* [n_ctx + 1] owned; NULL until a run wants it */
    clo_stream stream;
    int32_t stop_ids[STOP_IDS_MAX];
    size_t n_stop_ids;
};

/* One run's state. */
typedef struct {
    clo_gen *g;
    const clo_gen_opts *o;
    clo_sampler *sampler; /* owned */
    size_t n_prompt, n_out, n_max;
    size_t n_draft; /* guesses behind the newest token whose rows are computed */
    bool done;
    clo_gen_result *r;
    lookup look;
} run;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

const char *clo_finish_name(clo_finish f)
{
    static const char *const names[] = {"stop", "stop", "length", "cancelled"};
    return names[f];
}

size_t clo_gen_vocab(const clo_model *m)
{
    size_t n = clo_model_spec(m)->n_vocab;
    const clo_tok *tok = clo_model_tokenizer(m);
    return tok ? clo_min(n, clo_tok_n_vocab(tok)) : n;
}

static size_t add_stop_id(int32_t *out, size_t n, size_t max, int32_t id)
{
    for (size_t i = 0; i < n; i++)
        if (out[i] == id) return n;
    if (id >= 0 && n < max) out[n++] = id;
    return n;
}

size_t clo_gen_stop_ids(const clo_model *m, int32_t *out, size_t max)
{
    const clo_spec *spec = clo_model_spec(m);
    const clo_tok *tok = clo_model_tokenizer(m);
    size_t n = 0;
    for (uint32_t i = 0; i < spec->n_stop_ids; i++)
        n = add_stop_id(out, n, max, spec->stop_ids[i]);
    if (tok) {
        int32_t more[STOP_IDS_MAX];
        size_t n_more = clo_tok_stop_ids(tok, more, STOP_IDS_MAX);
        n = add_stop_id(out, n, max, clo_tok_eos(tok));
        for (size_t i = 0; i < n_more && i < STOP_IDS_MAX; i++)
            n = add_stop_id(out, n, max, more[i]);
    }
    return n;
}

/* --- life ---------------------------------------------------------------------------------------------------------*/

bool clo_gen_open(clo_gen **out, clo_decoder *d, size_t n_ctx, clo_err *err)
{
    const clo_model *m = clo_decoder_model(d);
    clo_gen *g = (clo_gen *)calloc(1, sizeof *g);
    if (!g) return clo_fail(err, CLO_ERR_MEMORY, "generation");
    g->d = d;
    g->n_ctx = n_ctx ? n_ctx : clo_model_spec(m)->n_ctx;
    g->stride = clo_decoder_logits_stride(d);
    if (g->n_ctx > INT32_MAX / 2) {
        clo_fail(err, CLO_ERR_LIMIT, "a context of %zu tokens", g->n_ctx);
        goto fail;
    }
    size_t bytes = clo_round_up((1 + DRAFT_MAX) * g->stride * sizeof(float), 64);
    g->ids = (int32_t *)calloc(g->n_ctx + 1 + DRAFT_MAX, sizeof *g->ids);
    g->logits = (float *)aligned_alloc(64, bytes);
    if (!g->ids || !g->logits) {
        clo_fail(err, CLO_ERR_MEMORY, "generation over %zu tokens", g->n_ctx);
        goto fail;
    }
    if (!clo_seq_open(&g->seq, d, g->n_ctx, err)) goto fail;
    g->n_stop_ids = clo_gen_stop_ids(m, g->stop_ids, STOP_IDS_MAX);
    *out = g;
    return true;
fail:
    clo_gen_close(g);
    return false;
}

void clo_gen_close(clo_gen *g)
{
    if (!g) return;
    clo_seq_close(g->seq);
    clo_stream_free(&g->stream);
    free(g->chain);
    free(g->logits);
    free(g->ids);
    free(g);
}

size_t clo_gen_ctx(const clo_gen *g)
{
    return g->n_ctx;
}

const int32_t *clo_gen_history(const clo_gen *g, size_t *n)
{
    *n = g->n_ids;
    return g->ids;
}

void clo_gen_forget(clo_gen *g)
{
    clo_seq_truncate(g->seq, 0);
    g->n_ids = 0;
}

/* --- the logits chain ---------------------------------------------------------------------------------------------*/

static uint8_t *put_le32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        *p++ = (uint8_t)(v >> (8 * i));
    return p;
}

clo_sha256 clo_chain_link(const clo_sha256 *before, int32_t token, const clo_top top[CLO_CHAIN_TOP])
{
    uint8_t b[1 + 32 + 4 + 8 * CLO_CHAIN_TOP], *p = b;
    *p++ = 0x02;
    memcpy(p, before->b, 32);
    p = put_le32(p + 32, (uint32_t)token);
    for (size_t i = 0; i < CLO_CHAIN_TOP; i++) {
        uint32_t bits;
        memcpy(&bits, &top[i].logit, 4);
        p = put_le32(p, bits);
        p = put_le32(p, (uint32_t)top[i].id);
    }
    return clo_sha256_of(b, sizeof b);
}

/* --- guessing -----------------------------------------------------------------------------------------------------*/

/* Writes behind ids[0..n) the n_want tokens that followed the latest earlier occurrence of the newest ones, and where
 * that reaches the end goes round: what repeats is guessed to go on repeating. Returns n_want, or 0 for no occurrence. */
static size_t guess(int32_t *ids, size_t n, size_t n_want, size_t ngram_min)
{
    for (size_t k = NGRAM_MAX; k >= ngram_min; k--) {
        if (n < k + 1) continue;
        const int32_t *key = ids + n - k;
        for (size_t at = n - k; at-- > 0;) {
            if (ids[at] != key[0] || memcmp(ids + at, key, k * sizeof *ids) != 0) continue;
            for (size_t i = 0; i < n_want; i++)
                ids[n + i] = ids[at + k + i];
            return n_want;
        }
    }
    return 0;
}

/* Seconds of a step with n guesses; a size not seen yet is taken to cost three tenths of a step for each. */
static double step_cost(const lookup *l, size_t n)
{
    return l->cost_s[n] > 0 ? l->cost_s[n] : l->cost_s[0] * (1 + 0.3 * (double)n);
}

/* How many guesses win the most, if each holds as often as lately. */
static size_t best_draft(const lookup *l, size_t room)
{
    size_t best = 0;
    double best_s = LOOKUP_GAIN_MIN * l->cost_s[0], right = 1, n_right = 0;
    for (size_t n = 1, i = 0; n <= clo_min(room, DRAFT_MAX); n++) {
        right *= l->hold;
        n_right += right;
        if (n != draft_sizes[i] && n != room) continue;
        double won_s = (1 + n_right) * l->cost_s[0] - step_cost(l, n);
        if (won_s > best_s) best = n, best_s = won_s;
        i++;
    }
    return best;
}

/* How many guesses to make: where none promise to win, one now and then, while lookup has lost less than its share. */
static size_t plan_draft(const run *u, size_t room)
{
    const lookup *l = &u->look;
    if (!u->o->lookup || room == 0 || l->cost_s[0] <= 0) return 0;
    if (l->balance_s < -(l->cost_s[0] + LOOKUP_LOSS_MAX * u->r->decode_s)) return 0;
    return clo_max(1, best_draft(l, room));
}

/* Follows the mean time of steps; one that was disturbed counts as twice the mean at most, the first as most_s. */
static void note_cost(double *cost_s, double step_s, double most_s)
{
    if (*cost_s > 0) most_s = 2 * *cost_s;
    if (step_s > most_s) step_s = most_s;
    *cost_s += (*cost_s > 0 ? 0.2 : 1) * (step_s - *cost_s);
}

static void learn(lookup *l, size_t n_draft, size_t n_kept, double step_s)
{
    double single_s = l->cost_s[0];
    /* A step of n + 1 rows that takes longer than n + 1 steps was disturbed. */
    note_cost(&l->cost_s[n_draft], step_s, single_s > 0 ? (double)(n_draft + 2) * single_s : step_s);
    if (n_draft == 0) return;
    for (size_t i = 0; i <= n_kept && i < n_draft; i++)
        l->hold += 0.15 * ((i < n_kept) - l->hold);
    l->balance_s += (double)(n_kept + 1) * single_s - l->cost_s[n_draft];
    if (l->balance_s > 4 * single_s) l->balance_s = 4 * single_s;
}

/* --- the loop -----------------------------------------------------------------------------------------------------*/

static bool is_stop(const clo_gen *g, int32_t id)
{
    for (size_t i = 0; i < g->n_stop_ids; i++)
        if (g->stop_ids[i] == id) return true;
    return false;
}

static void finish(run *u, clo_finish why)
{
    u->r->finish = why;
    u->done = true;
}

/* Ends a run that its owner no longer wants. */
static bool cancelled(run *u)
{
    if (!u->o->cancelled || !u->o->cancelled(u->o->ctx)) return false;
    finish(u, CLO_FINISH_CANCELLED);
    return true;
}

/* Takes a chosen token into text and says whether it ends the run. */
static void accept_token(run *u, int32_t id)
{
    clo_gen *g = u->g;
    g->ids[u->n_prompt + u->n_out++] = id;
    if (!u->o->ignore_stop_ids && is_stop(g, id)) {
        finish(u, CLO_FINISH_STOP);
    } else {
        const clo_tok *tok = clo_model_tokenizer(clo_decoder_model(g->d));
        if (tok) clo_stream_add(&g->stream, clo_tok_piece(tok, id, u->o->show_special));
        if (g->stream.stopped)
            finish(u, CLO_FINISH_TEXT);
        else if (u->n_out == u->n_max)
            finish(u, CLO_FINISH_LENGTH);
    }
    if (u->done) clo_stream_end(&g->stream);
    clo_str text = clo_stream_take(&g->stream);
    if (text.len > 0 && u->o->on_text && !u->o->on_text(u->o->ctx, text)) finish(u, CLO_FINISH_CANCELLED);
}

/* Chooses tokens from rows [0, 1 + n_draft) as long as the guesses hold; returns how many guesses held in *n_kept. */
static bool consume(run *u, size_t *n_kept, clo_err *err)
{
    clo_gen *g = u->g;
    size_t n_vocab = clo_gen_vocab(clo_decoder_model(g->d));
    *n_kept = 0;
    for (size_t row = 0; row <= u->n_draft && !u->done; row++) {
        float *logits = g->logits + row * g->stride;
        clo_top top[CLO_CHAIN_TOP] = {{0}};
        int32_t id = 0, guessed = g->ids[u->n_prompt + u->n_out];
        if (u->o->chain) clo_top_logits(top, CLO_CHAIN_TOP, logits, n_vocab);
        if (u->o->mask) u->o->mask(u->o->ctx, logits, n_vocab, g->ids + u->n_prompt, u->n_out);
        if (!clo_sampler_pick(u->sampler, &id, logits, g->ids, u->n_prompt + u->n_out, u->n_out, err)) return false;
        if (u->o->chain) {
            static const clo_sha256 zero;
            g->chain[u->n_out] = clo_chain_link(u->n_out ? &g->chain[u->n_out - 1] : &zero, id, top);
        }
        accept_token(u, id);
        if (row < u->n_draft && id != guessed) break;
        if (row < u->n_draft) ++*n_kept;
    }
    return true;
}

/* Computes the rows of the newest token and of guesses behind it. */
static bool advance(run *u, clo_err *err)
{
    clo_gen *g = u->g;
    size_t n = u->n_prompt + u->n_out; /* tokens so far; all but the newest are in the cache */
    size_t left = u->n_max - u->n_out; /* >= 1 tokens still wanted */
    clo_seq_truncate(g->seq, n - 1);
    size_t n_want = plan_draft(u, clo_min(left - 1, g->n_ctx - n));
    size_t ngram_min = u->look.balance_s > 0 ? 1 : 2;
    u->n_draft = n_want ? guess(g->ids, n, n_want, ngram_min) : 0;
    const clo_step st = {
        .seq = g->seq, .ids = g->ids + n - 1, .n = 1 + u->n_draft, .n_logits = 1 + u->n_draft, .logits = g->logits};
    u->r->n_steps++;
    u->r->n_drafted += u->n_draft;
    return clo_decoder_run(g->d, &st, 1, err);
}

static bool decode(run *u, clo_err *err)
{
    double begin = now_s(), step_begin = begin;
    size_t n_kept = 0;
    u->look = (lookup){.hold = 0.6};
    if (!consume(u, &n_kept, err)) return false;
    while (!u->done && !cancelled(u)) {
        step_begin = now_s();
        if (!advance(u, err)) return false;
        size_t n_draft = u->n_draft;
        double computed = now_s();
        if (!consume(u, &n_kept, err)) return false;
        learn(&u->look, n_draft, n_kept, computed - step_begin);
        u->r->n_accepted += n_kept;
        u->r->decode_s = now_s() - begin;
    }
    u->r->decode_s = now_s() - begin;
    return true;
}

static size_t common_prefix(const clo_gen *g, const int32_t *prompt, size_t n_prompt)
{
    size_t most = clo_min(clo_seq_len(g->seq), clo_min(g->n_ids, n_prompt - 1)), n = 0;
    while (n < most && g->ids[n] == prompt[n])
        n++;
    return n;
}

static bool prefill(run *u, const int32_t *prompt, clo_err *err)
{
    clo_gen *g = u->g;
    double begin = now_s();
    size_t n_same = common_prefix(g, prompt, u->n_prompt);
    clo_seq_truncate(g->seq, n_same);
    memmove(g->ids, prompt, u->n_prompt * sizeof *prompt);
    g->n_ids = u->n_prompt;
    u->r->n_reused = n_same;
    bool ok = true;
    for (size_t at = n_same, n; ok && at < u->n_prompt && !cancelled(u); at += n) {
        n = clo_min(u->n_prompt - at, PREFILL_PIECE);
        const clo_step st = {
            .seq = g->seq, .ids = g->ids + at, .n = n, .n_logits = at + n == u->n_prompt, .logits = g->logits};
        ok = clo_decoder_run(g->d, &st, 1, err);
    }
    u->r->prefill_s = now_s() - begin;
    return ok;
}

bool clo_gen_run(clo_gen *g, const int32_t *prompt, size_t n_prompt, const clo_gen_opts *opts, clo_gen_result *out,
                 clo_err *err)
{
    static const clo_sampler_params greedy;
    *out = (clo_gen_result){.n_prompt = n_prompt};
    run u = {.g = g, .o = opts, .n_prompt = n_prompt, .r = out};
    bool ok = false;

    if (n_prompt == 0) return clo_fail(err, CLO_ERR_USAGE, "the prompt has no tokens");
    if (opts->mask && opts->chain) return clo_fail(err, CLO_ERR_USAGE, "a masked answer has no receipt");
    if (n_prompt >= g->n_ctx)
        return clo_fail(err, CLO_ERR_LIMIT,
                        "the prompt has %zu tokens and the context holds %zu, with room for the answer (--ctx)",
                        n_prompt, g->n_ctx);
    size_t room = g->n_ctx - n_prompt;
    u.n_max = opts->n_max && opts->n_max < room ? opts->n_max : room;
    if (opts->chain && !g->chain) {
        g->chain = (clo_sha256 *)calloc(g->n_ctx + 1, sizeof *g->chain);
        if (!g->chain) return clo_fail(err, CLO_ERR_MEMORY, "a chain of %zu links", g->n_ctx);
    }
    if (!clo_sampler_open(&u.sampler, opts->sampler ? opts->sampler : &greedy, opts->seed,
                          clo_gen_vocab(clo_decoder_model(g->d)), err))
        return false;
    clo_stream_reset(&g->stream);
    g->stream.stops = opts->stops;
    g->stream.n_stops = opts->n_stops;
    if (!prefill(&u, prompt, err)) goto done;
    if (!u.done && !decode(&u, err)) goto done;
    if (!clo_buf_ok(&g->stream.text, err)) goto done;
    ok = true;
done:
    g->n_ids = n_prompt + u.n_out;
    if (clo_seq_len(g->seq) + 1 > g->n_ids && g->n_ids > 0) clo_seq_truncate(g->seq, g->n_ids - 1);
    if (!ok) clo_gen_forget(g);
    out->ids = g->ids + n_prompt;
    out->n_ids = u.n_out;
    out->text = clo_buf_str(&g->stream.text);
    out->chain = opts->chain ? g->chain : NULL;
    out->context_full = out->finish == CLO_FINISH_LENGTH && u.n_max == room && u.n_out == room;
    g->stream.stops = NULL;
    g->stream.n_stops = 0;
    clo_sampler_close(u.sampler);
    return ok;
}
