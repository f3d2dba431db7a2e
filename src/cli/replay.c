/* cloche replay: checks a receipt. Exit 0: the same bits; 3: not the same, and where. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "cli/session.h"
#include "infer/chat.h"
#include "infer/receipt.h"

#define PROMPT_FILE_BYTES_MAX ((size_t)64 << 20)

typedef struct {
    clo_session_opts so;
    const char *tokens, *prompt_file;
    bool json;
} options;

/* The prompt's tokens for a receipt that leaves them out. */
static bool read_prompt(clo_ids *out, const options *o, size_t n_vocab, clo_err *err)
{
    if (o->tokens) return clo_session_parse_ids(out, o->tokens, n_vocab, err);
    if (!o->prompt_file) return true;
    clo_arena arena = clo_arena_make(2 * PROMPT_FILE_BYTES_MAX);
    clo_str text;
    bool ok = clo_file_read(&text, o->prompt_file, PROMPT_FILE_BYTES_MAX, &arena, err) &&
              clo_session_parse_ids(out, text.ptr, n_vocab, err);
    clo_arena_free(&arena);
    return ok;
}

static void print_verdict(const clo_receipt *r, const clo_replay_verdict *v)
{
    if (v->same) {
        printf("the same: %zu of %zu tokens, every decision and every logit of the chain, in %.2f s%s\n", v->n_checked,
               r->output.n, v->seconds, v->same_program ? "" : " (by another build)");
    } else if (strcmp(v->what, "token") == 0) {
        printf("not the same: output token %zu is %d in the receipt and %d here\n", v->at, v->stated, v->found);
    } else if (strcmp(v->what, "logits") == 0) {
        printf("not the same: the logits of output token %zu differ\n", v->at);
    } else {
        printf("not the same: another %s\n", v->what);
    }
}

static int print_verdict_json(const clo_receipt *r, const clo_replay_verdict *v)
{
    json_t *o = json_pack("{s:b, s:b, s:I, s:I, s:f}", "same", v->same, "same_program", v->same_program, "tokens",
                          (json_int_t)r->output.n, "checked", (json_int_t)v->n_checked, "seconds", v->seconds);
    if (o && !v->same) {
        json_object_set_new(o, "differs", json_string(v->what));
        bool at = strcmp(v->what, "token") == 0 || strcmp(v->what, "logits") == 0;
        if (at) json_object_set_new(o, "at", json_integer((json_int_t)v->at));
        if (strcmp(v->what, "token") == 0) {
            json_object_set_new(o, "stated", json_integer(v->stated));
            json_object_set_new(o, "found", json_integer(v->found));
        }
    }
    return clo_cli_print_json(o);
}

/* The digest of whichever of the model's two templates the receipt names, else of its plain one; false: it has none. */
static bool template_for(clo_sha256 *out, const clo_receipt *r, clo_model *m)
{
    bool any = false;
    for (int tools = 1; tools >= 0 && !(any && clo_sha256_eq(out, &r->template_text)); tools--) {
        clo_chat *chat = NULL;
        if (!clo_chat_open(&chat, m, tools, NULL)) continue;
        *out = clo_chat_digest(chat);
        any = true;
        clo_chat_close(chat);
    }
    return any;
}

static bool work(const clo_cli_args *a, const options *o, clo_replay_verdict *v, clo_err *err)
{
    clo_receipt r = {0};
    clo_session s = {0};
    clo_ids prompt = {0};
    clo_sha256 text = {0};
    char path[4096];
    bool ok = false;

    if (!clo_receipt_read(&r, a->args[0], err)) return false;
    if (a->n_args < 2 && !clo_cli_model_of_digest(path, &r.model, o->so.data, err)) goto done;
    if (!clo_session_open(&s, a->n_args < 2 ? path : a->args[1], &o->so, err)) goto done;
    if (!read_prompt(&prompt, o, clo_model_spec(s.model)->n_vocab, err)) goto done;
    bool has_text = template_for(&text, &r, s.model);
    if (!clo_receipt_replay(&r, s.decoder, prompt.n ? &prompt : NULL, has_text ? &text : NULL, v, err)) goto done;
    ok = true;
    if (o->json) ok = print_verdict_json(&r, v) == CLO_EXIT_OK;
    else print_verdict(&r, v);
done:
    clo_ids_free(&prompt);
    clo_session_close(&s);
    clo_receipt_free(&r);
    return ok;
}

int clo_cmd_replay(int argc, char **argv)
{
    options o = {0};
    const clo_opt opts[] = {
        {"tokens", NULL, CLO_OPT_STR, &o.tokens, "IDS", "the prompt's token ids, for a private receipt"},
        {"prompt-file", NULL, CLO_OPT_STR, &o.prompt_file, "FILE", "a file with the prompt's token ids"},
        CLO_SESSION_OPTS(o.so),
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {
        "replay RECEIPT [MODEL]",
        "Checks that an answer came from a model, bit for bit: one prefill over prompt and output makes every sampling\n"
        "decision again and compares the chain of logits. Exit 0: the same; 3: not the same, with the first position\n"
        "that differs. The machine, the number of threads and the build may be others than those that answered.\n"
        "Without MODEL: the one in the data folder whose digest the receipt names.",
        "  cloche replay answer.rcp SmolLM2.gguf\n"
        "  cloche replay private.rcp SmolLM2.gguf --tokens 1,2,3\n",
        opts, CLO_COUNT(opts), 1, 2};
    clo_cli_args args;
    clo_replay_verdict v = {0};
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!work(&args, &o, &v, &err)) return clo_cli_fail(&err, NULL);
    return v.same ? CLO_EXIT_OK : CLO_EXIT_NOT_SO;
}
