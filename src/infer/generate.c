/* See generate.h. An answer is a machine of its own (answer.h); here one is driven to its end on a sequence that is kept
 * for the next. */
#include "infer/generate.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "infer/answer.h"

#define STOP_IDS_MAX 64
#define PREFILL_PIECE 512 /* prompt tokens between two questions whether the run is cancelled */

struct clo_gen {
    clo_decoder *d; /* borrowed */
    clo_seq *seq;   /* owned */
    size_t n_ctx;
    float *logits;    /* [CLO_ANSWER_ROWS, stride] owned, 64-byte aligned */
    clo_answer *last; /* owned: the last run's; NULL when forgotten */
};

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
    clo_gen *g = (clo_gen *)calloc(1, sizeof *g);
    if (!g) return clo_fail(err, CLO_ERR_MEMORY, "generation");
    g->d = d;
    g->n_ctx = n_ctx ? n_ctx : clo_model_spec(clo_decoder_model(d))->n_ctx;
    if (g->n_ctx > INT32_MAX / 2) {
        clo_fail(err, CLO_ERR_LIMIT, "a context of %zu tokens", g->n_ctx);
        goto fail;
    }
    size_t bytes = CLO_ANSWER_ROWS * clo_decoder_logits_stride(d) * sizeof(float);
    g->logits = (float *)aligned_alloc(64, clo_round_up(bytes, 64));
    if (!g->logits) {
        clo_fail(err, CLO_ERR_MEMORY, "generation");
        goto fail;
    }
    if (!clo_seq_open(&g->seq, d, g->n_ctx, err)) goto fail;
    *out = g;
    return true;
fail:
    clo_gen_close(g);
    return false;
}

void clo_gen_close(clo_gen *g)
{
    if (!g) return;
    clo_answer_close(g->last);
    clo_seq_close(g->seq);
    free(g->logits);
    free(g);
}

size_t clo_gen_ctx(const clo_gen *g)
{
    return g->n_ctx;
}

const int32_t *clo_gen_history(const clo_gen *g, size_t *n)
{
    *n = g->last ? clo_answer_len(g->last) : 0;
    return g->last ? g->last->ids : NULL;
}

void clo_gen_forget(clo_gen *g)
{
    clo_seq_truncate(g->seq, 0);
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

/* --- the loop -----------------------------------------------------------------------------------------------------*/

static bool pass_text_on(void *ctx, const clo_task_event *e)
{
    const clo_gen_opts *o = (const clo_gen_opts *)ctx;
    return e->text.len == 0 || o->on_text(o->ctx, e->text);
}

static size_t common_prefix(const clo_gen *g, const int32_t *prompt, size_t n_prompt)
{
    size_t n_ids = 0, n = 0;
    const int32_t *ids = clo_gen_history(g, &n_ids);
    size_t most = clo_min(clo_seq_len(g->seq), clo_min(n_ids, n_prompt - 1));
    while (n < most && ids[n] == prompt[n])
        n++;
    return n;
}

static bool drive(clo_gen *g, clo_answer *a, const clo_gen_opts *o, clo_err *err)
{
    const clo_want_limits most = {.n_tok = PREFILL_PIECE, .n_rows = CLO_ANSWER_ROWS, .lookup = o->lookup};
    while (!a->done) {
        if (o->cancelled && o->cancelled(o->ctx)) {
            clo_answer_cancel(a);
            break;
        }
        clo_want w = clo_answer_want(a, clo_seq_len(g->seq), most);
        clo_seq_truncate(g->seq, w.begin);
        const clo_step st = {.seq = g->seq, .ids = w.ids, .n = w.n, .n_logits = w.n_logits, .logits = g->logits};
        double begin = now_s();
        if (!clo_decoder_run(g->d, &st, 1, err)) return false;
        if (!clo_answer_take(a, g->logits, now_s() - begin, err)) return false;
    }
    return true;
}

bool clo_gen_run(clo_gen *g, const int32_t *prompt, size_t n_prompt, const clo_gen_opts *opts, clo_gen_result *out,
                 clo_err *err)
{
    const clo_answer_opts o = {
        .sampler = opts->sampler,
        .seed = opts->seed,
        .n_max = opts->n_max,
        .stops = opts->stops,
        .n_stops = opts->n_stops,
        .ignore_stop_ids = opts->ignore_stop_ids,
        .show_special = opts->show_special,
        .chain = opts->chain,
        .n_top = -1,
        .mask = opts->mask,
        .mask_ctx = opts->ctx,
        .on_token = opts->on_text ? pass_text_on : NULL,
        .ctx = (void *)(uintptr_t)opts,
    };
    clo_answer *a = NULL;
    *out = (clo_gen_result){.n_prompt = n_prompt};
    if (!clo_answer_open(&a, clo_decoder_model(g->d), &o, prompt, n_prompt, g->n_ctx, err)) return false;
    size_t n_same = common_prefix(g, prompt, n_prompt);
    clo_answer_close(g->last);
    g->last = a;
    clo_seq_truncate(g->seq, n_same);
    a->r.n_reused = n_same;
    bool ok = clo_answer_begin(a, err) && drive(g, a, opts, err);
    if (clo_seq_len(g->seq) + 1 > clo_answer_len(a)) clo_seq_truncate(g->seq, clo_answer_len(a) - 1);
    if (!ok) clo_gen_forget(g);
    clo_answer_end(a);
    clo_answer_result(a, out);
    return ok;
}
