/* Checking a receipt: one prefill over prompt and output, every decision made again. See receipt.h. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "infer/matcher.h"
#include "infer/receipt_impl.h"

#define ROWS_AT_ONCE 32

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Sets what differs and returns false. */
static bool differs(clo_replay_verdict *v, const char *what)
{
    snprintf(v->what, sizeof v->what, "%s", what);
    return false;
}

static bool same_setting(const clo_receipt *r, const clo_decoder *d, const clo_sha256 *template_text,
                         const clo_ids *prompt, clo_replay_verdict *v)
{
    const clo_model *m = clo_decoder_model(d);
    clo_sha256 model = clo_model_digest(m), tokenizer = clo_model_tokenizer_digest(m);
    clo_sha256 prompt_digest = clo_receipt_prompt_digest(r->salt, prompt->ids, prompt->n);
    if (strcmp(r->profile, "n1") != 0) return differs(v, "profile");
    if (strcmp(r->kv, clo_receipt_kv_name(d)) != 0) return differs(v, "kv cache");
    if (!clo_sha256_eq(&model, &r->model)) return differs(v, "model");
    if (!clo_sha256_eq(&tokenizer, &r->tokenizer)) return differs(v, "tokenizer");
    if (template_text && r->has_template && !clo_sha256_eq(template_text, &r->template_text))
        return differs(v, "template");
    if (r->grammar.kind != CLO_GRAMMAR_SOURCE_NONE && strcmp(r->grammar_version, CLO_GRAMMAR_VERSION) != 0)
        return differs(v, "grammar");
    if (prompt->n != r->n_prompt || !clo_sha256_eq(&prompt_digest, &r->prompt_sha256)) return differs(v, "prompt");
    return true;
}

bool clo_receipt_check_setting(const clo_receipt *r, const clo_decoder *d, const clo_ids *prompt,
                               const clo_sha256 *template_text, clo_replay_verdict *out, clo_err *err)
{
    clo_sha256 program;
    const clo_ids *head = r->prompt.n > 0 ? &r->prompt : prompt;
    *out = (clo_replay_verdict){0};
    if (!head) return clo_fail(err, CLO_ERR_USAGE, "the receipt does not hold its prompt: give its tokens");
    if (!clo_receipt_program_digest(&program, err)) return false;
    out->same_program = clo_sha256_eq(&program, &r->program);
    out->same = same_setting(r, d, template_text, head, out);
    return true;
}

static bool same_link(const clo_receipt *r, size_t i, const clo_sha256 *link)
{
    return memcmp(link->b, r->links + i * CLO_RECEIPT_LINK_BYTES, CLO_RECEIPT_LINK_BYTES) == 0 &&
           (i + 1 < r->output.n || clo_sha256_eq(link, &r->chain));
}

/* A link covers its token, so that another token is told first. An answer that ended early lacks a token: -1. */
void clo_receipt_check_answer(const clo_receipt *r, const int32_t *ids, const clo_sha256 *chain, size_t n,
                              clo_replay_verdict *out)
{
    out->same = true;
    for (size_t i = 0; out->same && i < r->output.n; i++) {
        out->at = i;
        out->stated = r->output.ids[i];
        out->found = i < n ? ids[i] : -1;
        if (out->found != out->stated) out->same = differs(out, "token");
        else if (!same_link(r, i, &chain[i])) out->same = differs(out, "logits");
        else out->n_checked++;
    }
}

/* What is walked along: the chain and the place in the output. */
typedef struct {
    const clo_receipt *r;
    clo_sampler *sampler;
    clo_mask mask;      /* empty: any text */
    const int32_t *ids;  /* [n_prompt + n_output] */
    size_t n_vocab;
    clo_sha256 link;
    clo_replay_verdict *v;
} walk;

/* Makes decision i again from its row of logits. *same says how it went; false is an error. */
static bool check_row(walk *w, size_t i, float *logits, bool *same, clo_err *err)
{
    const clo_receipt *r = w->r;
    clo_top top[CLO_CHAIN_TOP] = {{0}};
    int32_t stated = r->output.ids[i], found = 0;
    *same = false;
    w->v->at = i;
    clo_top_logits(top, CLO_CHAIN_TOP, logits, w->n_vocab);
    w->link = clo_chain_link(&w->link, stated, top);
    if (w->mask.matcher) clo_matcher_keep(w->mask.matcher, logits, w->n_vocab, w->ids + r->n_prompt, i);
    if (!clo_sampler_pick(w->sampler, &found, logits, w->ids, r->n_prompt + i, i, err)) return false;
    w->v->stated = stated;
    w->v->found = found;
    if (found != stated) {
        (void)differs(w->v, "token");
        return true;
    }
    if (!same_link(r, i, &w->link)) {
        (void)differs(w->v, "logits");
        return true;
    }
    *same = true;
    w->v->n_checked++;
    return true;
}

/* The row of output i is that of position n_prompt + i - 1. Everything before position n_prompt - 1 needs no logits. */
static bool check_rows(walk *w, clo_decoder *d, clo_seq *seq, float *rows, bool *same, clo_err *err)
{
    size_t n_prompt = w->r->n_prompt, n_rows = w->r->output.n, stride = clo_decoder_logits_stride(d);
    *same = true;
    if (n_prompt > 1 && n_rows > 0) {
        const clo_step head = {.seq = seq, .ids = w->ids, .n = n_prompt - 1};
        if (!clo_decoder_run(d, &head, 1, err)) return false;
    }
    for (size_t at = 0; *same && at < n_rows;) {
        size_t n = clo_min(ROWS_AT_ONCE, n_rows - at);
        const clo_step st = {.seq = seq, .ids = w->ids + n_prompt - 1 + at, .n = n, .n_logits = n, .logits = rows};
        if (!clo_decoder_run(d, &st, 1, err)) return false;
        for (size_t i = 0; *same && i < n; i++)
            if (!check_row(w, at + i, rows + i * stride, same, err)) return false;
        at += n;
    }
    return true;
}

/* The mask of what the answer was held to. */
static bool open_mask(clo_mask *out, const clo_receipt *r, const clo_model *m, clo_err *err)
{
    clo_grammar *g = NULL;
    if (r->grammar.kind == CLO_GRAMMAR_SOURCE_NONE) return true;
    bool ok = clo_grammar_source_compile(&g, &r->grammar, err) && clo_mask_open(out, m, g, err);
    clo_grammar_close(g);
    if (!ok) clo_err_context(err, "receipt: its grammar");
    return ok;
}

bool clo_receipt_replay(const clo_receipt *r, clo_decoder *d, const clo_ids *prompt, const clo_sha256 *template_text,
                        clo_replay_verdict *out, clo_err *err)
{
    double begin = now_s();
    const clo_ids *head = r->prompt.n > 0 ? &r->prompt : prompt;
    size_t n_all = r->n_prompt + r->output.n;
    walk w = {.r = r, .n_vocab = clo_gen_vocab(clo_decoder_model(d)), .v = out};
    clo_seq *seq = NULL;
    int32_t *ids = NULL;
    float *rows = NULL;
    bool ok = false;

    if (!clo_receipt_check_setting(r, d, prompt, template_text, out, err)) return false;
    if (!out->same) return true;
    out->same = false;
    for (size_t i = 0; i < n_all; i++) {
        int32_t id = i < r->n_prompt ? head->ids[i] : r->output.ids[i - r->n_prompt];
        if (id < 0 || (uint32_t)id >= clo_model_spec(clo_decoder_model(d))->n_vocab)
            return clo_fail(err, CLO_ERR_FORMAT, "receipt: token %d is not in the model's vocabulary", id);
    }

    ids = (int32_t *)calloc(n_all, sizeof *ids);
    rows = (float *)aligned_alloc(64, clo_round_up(ROWS_AT_ONCE * clo_decoder_logits_stride(d) * sizeof *rows, 64));
    if (!ids || !rows) {
        clo_fail(err, CLO_ERR_MEMORY, "replay of %zu tokens", n_all);
        goto done;
    }
    memcpy(ids, head->ids, r->n_prompt * sizeof *ids);
    if (r->output.n > 0) memcpy(ids + r->n_prompt, r->output.ids, r->output.n * sizeof *ids);
    w.ids = ids;
    if (!open_mask(&w.mask, r, clo_decoder_model(d), err) || !clo_seq_open(&seq, d, n_all, err)) goto done;
    if (!clo_sampler_open(&w.sampler, &r->sampler, r->seed, w.n_vocab, err)) goto done;
    if (!check_rows(&w, d, seq, rows, &out->same, err)) goto done;
    out->seconds = now_s() - begin;
    ok = true;
done:
    clo_sampler_close(w.sampler);
    clo_mask_close(&w.mask);
    clo_seq_close(seq);
    free(rows);
    free(ids);
    return ok;
}
