/* cloche perplexity: how well a model predicts a text, by llama.cpp's method. */
#include <stdio.h>

#include "base/arena.h"
#include "base/file.h"
#include "cli/session.h"
#include "infer/perplexity.h"

#define TEXT_BYTES_MAX ((size_t)1 << 30)

typedef struct {
    clo_session_opts so;
    const char *file;
    size_t n_ctx, n_windows_max;
    bool json;
} options;

/* A tokenizer that puts BOS before nothing wants one before a text. */
static bool wants_bos(const clo_tok *tok)
{
    clo_ids ids = {0};
    const clo_tok_opts o = {.add_special = true};
    bool wants = clo_tok_encode(tok, &ids, CLO_STR("a"), o, NULL) && ids.n > 0 && ids.ids[0] == clo_tok_bos(tok) &&
                 clo_tok_bos(tok) >= 0;
    clo_ids_free(&ids);
    return wants;
}

static bool work(const char *model, const options *o, clo_err *err)
{
    clo_session s = {0};
    clo_arena arena = clo_arena_make(2 * TEXT_BYTES_MAX);
    clo_ids ids = {0};
    clo_str text;
    clo_perplexity p = {0};
    bool ok = false;

    if (!clo_file_read(&text, o->file, TEXT_BYTES_MAX, &arena, err)) goto done;
    if (!clo_session_open(&s, model, &o->so, err)) goto done;
    const clo_tok *tok = clo_model_tokenizer(s.model);
    if (!tok) {
        clo_fail(err, CLO_ERR_NOT_FOUND, "'%s' has no tokenizer", model);
        goto done;
    }
    if (!clo_tok_encode(tok, &ids, text, (clo_tok_opts){.add_special = true}, err)) goto done;
    if (o->n_windows_max && ids.n / o->n_ctx > o->n_windows_max) ids.n = o->n_windows_max * o->n_ctx;
    if (!clo_perplexity_of(&p, s.decoder, s.pool, ids.ids, ids.n, o->n_ctx, wants_bos(tok), clo_cli_progress, NULL, err))
        goto done;
    ok = true;
    if (o->json)
        ok = clo_cli_print_json(json_pack("{s:f, s:f, s:f, s:I, s:I, s:I, s:I}", "perplexity", p.ppl, "stderr",
                                          p.stderr_ppl, "nll", p.nll, "tokens", (json_int_t)p.n_tokens, "windows",
                                          (json_int_t)p.n_windows, "scored", (json_int_t)p.n_scored, "ctx",
                                          (json_int_t)o->n_ctx)) == CLO_EXIT_OK;
    else printf("perplexity %.4f +- %.4f over %zu tokens in %zu windows of %zu\n", p.ppl, p.stderr_ppl, p.n_scored,
                p.n_windows, o->n_ctx);
done:
    clo_ids_free(&ids);
    clo_session_close(&s);
    clo_arena_free(&arena);
    return ok;
}

int clo_cmd_perplexity(int argc, char **argv)
{
    options o = {.n_ctx = 512};
    const clo_opt opts[] = {
        {"file", "f", CLO_OPT_STR, &o.file, "FILE", "the text"},
        {"ctx", NULL, CLO_OPT_SIZE, &o.n_ctx, "N", "tokens of a window (default: 512)"},
        {"windows", NULL, CLO_OPT_SIZE, &o.n_windows_max, "N", "at most N windows (default: all)"},
        CLO_SESSION_OPTS(o.so),
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {
        "perplexity MODEL --file FILE",
        "Measures how well a model predicts a text, as llama.cpp does: windows of --ctx tokens that do not overlap, the\n"
        "second half of each is scored. Lower is better; the same bits on every machine.",
        "  cloche perplexity SmolLM2.gguf --file wiki.test.raw\n", opts, CLO_COUNT(opts), 1, 1};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!o.file) return clo_cli_fail_usage("--file is needed: the text to predict");
    if (o.n_ctx < 4) return clo_cli_fail_usage("--ctx is 4 or more");
    if (!work(args.args[0], &o, &err)) return clo_cli_fail(&err, NULL);
    return CLO_EXIT_OK;
}
