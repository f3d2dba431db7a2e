/* See embed.h. */
#include "infer/embed.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tensor/ref/slots16.h"

#define TEXTS_AT_ONCE 64
#define NORM_MIN 1e-12f

bool clo_embed_can(const clo_model *m, clo_err *err)
{
    if (clo_model_spec(m)->pooling != CLO_POOL_NONE) return true;
    return clo_fail(err, CLO_ERR_UNSUPPORTED, "the model's files say of no pooling: it makes no vectors of texts");
}

size_t clo_embed_tokens_max(const clo_model *m)
{
    return clo_model_spec(m)->n_text;
}

bool clo_embed_length_ok(const clo_model *m, size_t n_dim)
{
    const clo_spec *s = clo_model_spec(m);
    if (n_dim == s->n_dim) return true;
    if (!s->shortens || n_dim == 0 || n_dim > s->n_dim) return false;
    for (uint32_t i = 0; i < s->n_lengths; i++)
        if (s->lengths[i] == n_dim) return true;
    return s->n_lengths == 0;
}

/* --- tokens -------------------------------------------------------------------------------------------------------*/

/* Leaves of *ids, the text's tokens with what stands around them, n_max: `plain` are the text's own. */
static bool shorten(clo_ids *ids, const clo_ids *plain, size_t n_max, clo_err *err)
{
    size_t n_around = ids->n - clo_min(ids->n, plain->n), before = 0;
    if (n_around >= n_max) return clo_fail(err, CLO_ERR_LIMIT, "%zu tokens around a text of up to %zu", n_around, n_max);
    while (before < n_around && memcmp(ids->ids + before, plain->ids, plain->n * sizeof *plain->ids) != 0) before++;
    size_t n_after = n_around - before, keep = n_max - n_around;
    memmove(ids->ids + before + keep, ids->ids + before + plain->n, n_after * sizeof *ids->ids);
    ids->n = n_max;
    return true;
}

bool clo_embed_encode(clo_ids *out, const clo_model *m, clo_str text, size_t n_max, bool truncate, clo_err *err)
{
    const clo_tok *tok = clo_model_tokenizer(m);
    clo_tok_opts o = {.add_special = true, .parse_special = true};
    clo_ids plain = {0};
    out->n = 0;
    if (!tok) return clo_fail(err, CLO_ERR_UNSUPPORTED, "the model has no tokenizer");
    if (!clo_tok_encode(tok, out, text, o, err)) return false;
    if (out->n <= n_max) return true;
    if (!truncate) {
        clo_fail(err, CLO_ERR_LIMIT, "the text has %zu tokens, at most %zu are taken", out->n, n_max);
        if (err) err->at = out->n;
        return false;
    }
    o.add_special = false;
    bool ok = clo_tok_encode(tok, &plain, text, o, err) && shorten(out, &plain, n_max, err);
    clo_ids_free(&plain);
    return ok;
}

/* --- pooling ------------------------------------------------------------------------------------------------------*/

bool clo_pooled_open(clo_pooled *p, const clo_model *m, clo_err *err)
{
    const clo_spec *s = clo_model_spec(m);
    *p = (clo_pooled){.kind = s->pooling, .n_dim = s->n_dim};
    if (!clo_embed_can(m, err)) return false;
    p->v = (float *)calloc(s->n_dim, sizeof *p->v);
    return p->v || clo_fail(err, CLO_ERR_MEMORY, "vector of %u", s->n_dim);
}

void clo_pooled_close(clo_pooled *p)
{
    free(p->v);
    p->v = NULL;
}

void clo_pooled_add(clo_pooled *p, const float *hidden, size_t stride, size_t first, size_t n)
{
    for (size_t t = p->n_seen; t < first + n; t++) {
        const float *h = hidden + (t - first) * stride;
        if (p->kind == CLO_POOL_LAST || (p->kind == CLO_POOL_FIRST && t == 0)) memcpy(p->v, h, p->n_dim * sizeof *h);
        for (size_t i = 0; p->kind == CLO_POOL_MEAN && i < p->n_dim; i++) p->v[i] = p->v[i] + h[i];
        p->n_seen++;
    }
}

void clo_embed_normalise(float *v, size_t n)
{
    float slots[16] = {0};
    for (size_t i = 0; i < n; i++) slots[i % 16] = __builtin_fmaf(v[i], v[i], slots[i % 16]);
    float length = __builtin_sqrtf(clo_slots16_fold(slots));
    if (length < NORM_MIN) length = NORM_MIN;
    for (size_t i = 0; i < n; i++) v[i] = v[i] / length;
}

void clo_pooled_end(clo_pooled *p)
{
    for (size_t i = 0; p->kind == CLO_POOL_MEAN && i < p->n_dim; i++) p->v[i] = p->v[i] / (float)p->n_seen;
    clo_embed_normalise(p->v, p->n_dim);
}

/* --- many texts ---------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_decoder *d;
    const clo_ids *texts;
    float *hidden;        /* [n_tok_max, stride] owned, 64-byte aligned */
    size_t n_tok_max, stride, n_dim;
    clo_seq *seqs[TEXTS_AT_ONCE]; /* owned */
    clo_pooled pooled[TEXTS_AT_ONCE];
} batch;

static void close_texts(batch *b)
{
    for (size_t i = 0; i < TEXTS_AT_ONCE; i++) {
        clo_seq_close(b->seqs[i]);
        b->seqs[i] = NULL;
        clo_pooled_close(&b->pooled[i]);
    }
}

/* Texts [first, first + n) together: those that fit into one pass, or one text in as many passes as it takes. */
static bool run_texts(batch *b, size_t first, size_t n, float *vectors, clo_err *err)
{
    const clo_ids *texts = b->texts + first;
    clo_step steps[TEXTS_AT_ONCE];
    for (size_t i = 0; i < n; i++)
        if (!clo_seq_open(&b->seqs[i], b->d, texts[i].n, err) ||
            !clo_pooled_open(&b->pooled[i], clo_decoder_model(b->d), err))
            return false;
    for (size_t done = 0; done < texts[0].n; done += steps[0].n) {
        float *hidden = b->hidden;
        for (size_t i = 0; i < n; i++) {
            size_t n_now = clo_min(texts[i].n - done, b->n_tok_max);
            steps[i] = (clo_step){.seq = b->seqs[i], .ids = texts[i].ids + done, .n = n_now, .hidden = hidden};
            hidden += n_now * b->stride;
        }
        if (!clo_decoder_run(b->d, steps, n, err)) return false;
        for (size_t i = 0; i < n; i++) clo_pooled_add(&b->pooled[i], steps[i].hidden, b->stride, done, steps[i].n);
    }
    for (size_t i = 0; i < n; i++) {
        clo_pooled_end(&b->pooled[i]);
        memcpy(vectors + (first + i) * b->n_dim, b->pooled[i].v, b->n_dim * sizeof *vectors);
    }
    return true;
}

/* Texts from `first` on that fit into one pass; at least one. */
static size_t count_fitting(const batch *b, size_t first, size_t n_all)
{
    size_t n = 1, n_tok = b->texts[first].n;
    while (first + n < n_all && n < TEXTS_AT_ONCE && b->texts[first + n].n <= b->n_tok_max - clo_min(n_tok, b->n_tok_max))
        n_tok += b->texts[first + n++].n;
    return n;
}

bool clo_embed_run(clo_decoder *d, const clo_ids *texts, size_t n, float *vectors, clo_err *err)
{
    batch b = {.d = d, .texts = texts, .n_tok_max = clo_decoder_pass_tokens(d), .stride = clo_decoder_hidden_stride(d),
               .n_dim = clo_model_spec(clo_decoder_model(d))->n_dim};
    size_t bytes;
    if (!clo_embed_can(clo_decoder_model(d), err)) return false;
    for (size_t i = 0; i < n; i++)
        if (texts[i].n == 0) return clo_fail(err, CLO_ERR_USAGE, "text %zu has no tokens", i);
    if (!clo_mul(b.n_tok_max, b.stride * sizeof(float), &bytes) || !(b.hidden = (float *)aligned_alloc(64, bytes)))
        return clo_fail(err, CLO_ERR_MEMORY, "hidden states of %zu tokens", b.n_tok_max);
    bool ok = true;
    for (size_t i = 0, n_now; ok && i < n; i += n_now) {
        n_now = count_fitting(&b, i, n);
        ok = run_texts(&b, i, n_now, vectors, err);
        close_texts(&b);
    }
    free(b.hidden);
    return ok;
}
