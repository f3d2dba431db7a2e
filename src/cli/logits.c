/* cloche logits: the raw numbers of a model for given tokens, as a NumPy array or as a digest of its data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/digest.h"
#include "base/file.h"
#include "cli/npy.h"
#include "cli/session.h"

#define ROWS_AT_ONCE 16

typedef struct {
    clo_session_opts so;
    const char *tokens, *out;
    bool digest, json;
    size_t n_reuse;
} options;

typedef struct {
    clo_writer w;
    bool writing;
    clo_sha256_ctx sha;
} sink;

/* Computes rows for ids[done, n) and hands each to the sink. */
static bool compute(clo_session *s, clo_seq *seq, const clo_ids *ids, sink *to, clo_err *err)
{
    size_t stride = clo_decoder_logits_stride(s->decoder), n_vocab = clo_model_spec(s->model)->n_vocab;
    float *rows = (float *)aligned_alloc(64, clo_round_up(ROWS_AT_ONCE * stride * sizeof(float), 64));
    if (!rows) return clo_fail(err, CLO_ERR_MEMORY, "%d rows of logits", ROWS_AT_ONCE);
    bool ok = true;
    for (size_t at = clo_seq_len(seq); ok && at < ids->n;) {
        size_t n = clo_min(ROWS_AT_ONCE, ids->n - at);
        const clo_step st = {.seq = seq, .ids = ids->ids + at, .n = n, .n_logits = n, .logits = rows};
        ok = clo_decoder_run(s->decoder, &st, 1, err);
        for (size_t i = 0; ok && i < n; i++) {
            clo_sha256_add(&to->sha, rows + i * stride, n_vocab * sizeof(float));
            if (to->writing) ok = clo_writer_put(&to->w, rows + i * stride, n_vocab * sizeof(float), err);
        }
        at += n;
    }
    free(rows);
    return ok;
}

/* All rows in one step of the decoder, which cuts it by --chunk: what prefill does. */
static bool compute_at_once(clo_session *s, clo_seq *seq, const clo_ids *ids, sink *to, clo_err *err)
{
    size_t stride = clo_decoder_logits_stride(s->decoder), n_vocab = clo_model_spec(s->model)->n_vocab, bytes;
    if (!clo_mul(ids->n, stride * sizeof(float), &bytes) || bytes > (size_t)1 << 30)
        return compute(s, seq, ids, to, err);
    size_t done = clo_seq_len(seq);
    float *rows = (float *)aligned_alloc(64, clo_round_up(bytes, 64));
    if (!rows) return clo_fail(err, CLO_ERR_MEMORY, "%zu rows of logits", ids->n);
    const clo_step st = {.seq = seq, .ids = ids->ids + done, .n = ids->n - done, .n_logits = ids->n - done,
                         .logits = rows};
    bool ok = clo_decoder_run(s->decoder, &st, 1, err);
    for (size_t i = 0; ok && i < ids->n - done; i++) {
        clo_sha256_add(&to->sha, rows + i * stride, n_vocab * sizeof(float));
        if (to->writing) ok = clo_writer_put(&to->w, rows + i * stride, n_vocab * sizeof(float), err);
    }
    free(rows);
    return ok;
}

/* --reuse N: computes everything, goes back to N positions, and takes only the rest from the second computation. */
static bool compute_reusing(clo_session *s, clo_seq *seq, const clo_ids *ids, size_t n_reuse, sink *to, clo_err *err)
{
    sink nowhere = {0};
    clo_ids head = {ids->ids, n_reuse, 0};
    clo_sha256_begin(&nowhere.sha);
    bool ok = compute_at_once(s, seq, ids, &nowhere, err);
    (void)clo_sha256_end(&nowhere.sha);
    if (!ok) return false;
    clo_seq_truncate(seq, 0);
    if (!compute_at_once(s, seq, &head, to, err)) return false;
    clo_seq_truncate(seq, 0);
    clo_sha256_begin(&nowhere.sha);
    ok = compute_at_once(s, seq, ids, &nowhere, err);
    (void)clo_sha256_end(&nowhere.sha);
    clo_seq_truncate(seq, n_reuse);
    return ok && compute_at_once(s, seq, ids, to, err);
}

static bool work(const char *model, const options *o, clo_err *err)
{
    clo_session s = {0};
    clo_seq *seq = NULL;
    clo_ids ids = {0};
    sink to = {0};
    clo_sha256 digest;
    char hex[65];
    bool ok = false;

    if (!clo_session_open(&s, model, &o->so, err)) return false;
    size_t n_vocab = clo_model_spec(s.model)->n_vocab;
    clo_sha256_begin(&to.sha);
    if (!clo_session_parse_ids(&ids, o->tokens, n_vocab, err)) goto done;
    if (ids.n == 0 || o->n_reuse >= ids.n) {
        clo_fail(err, CLO_ERR_USAGE, "%zu tokens given%s", ids.n, ids.n ? ": --reuse must be less" : "");
        goto done;
    }
    if (!clo_seq_open(&seq, s.decoder, ids.n, err)) goto done;
    if (o->out) {
        if (!clo_writer_open(&to.w, o->out, err)) goto done;
        to.writing = true;
        if (!clo_npy_put_header(&to.w, ids.n, n_vocab, err)) goto done;
    }
    if (o->n_reuse ? !compute_reusing(&s, seq, &ids, o->n_reuse, &to, err) : !compute_at_once(&s, seq, &ids, &to, err))
        goto done;
    if (to.writing) {
        to.writing = false;
        if (!clo_writer_commit(&to.w, err)) goto done;
    }
    ok = true;
done:
    digest = clo_sha256_end(&to.sha);
    clo_sha256_hex(hex, &digest);
    if (ok && o->json)
        ok = clo_cli_print_json(json_pack("{s:s, s:I, s:I, s:s}", "sha256", hex, "n_tokens", (json_int_t)ids.n,
                                          "n_vocab", (json_int_t)n_vocab, "profile", "n1")) == 0;
    else if (ok && (o->digest || !o->out)) printf("%s\n", hex);
    if (to.writing) clo_writer_abandon(&to.w);
    clo_seq_close(seq);
    clo_ids_free(&ids);
    clo_session_close(&s);
    return ok;
}

int clo_cmd_logits(int argc, char **argv)
{
    options o = {0};
    const clo_opt opts[] = {
        {"tokens", NULL, CLO_OPT_STR, &o.tokens, "IDS", "token ids: 1,2,3"},
        {"out", "o", CLO_OPT_STR, &o.out, "FILE", "write float32 [n_tokens, n_vocab] in NumPy's .npy format"},
        {"digest", NULL, CLO_OPT_FLAG, &o.digest, NULL, "print the SHA-256 of the numbers (little-endian, row by row)"},
        {"reuse", NULL, CLO_OPT_SIZE, &o.n_reuse, "N", "compute, go back to N positions, compute the rest again"},
        CLO_SESSION_OPTS(o.so),
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {
        "logits MODEL --tokens IDS",
        "Prints the digest of a model's logits at every token, or writes them to a file. The digest is the same on\n"
        "every machine, for every number of threads, every --chunk and every --reuse.",
        "  cloche logits SmolLM2.gguf --tokens 1,2,3 --out logits.npy\n"
        "  cloche logits SmolLM2.gguf --tokens 1,2,3 --digest --chunk 1 -t 1\n",
        opts, CLO_COUNT(opts), 1, 1};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!o.tokens) return clo_cli_fail_usage("--tokens is needed: the ids to compute\n  cloche tokenize shows them");
    if (!work(args.args[0], &o, &err)) return clo_cli_fail(&err, NULL);
    return CLO_EXIT_OK;
}
