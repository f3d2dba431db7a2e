/* cloche run: answer once, or talk.
 *
 * Everything that decides the answer is in the options, the model and the prompt: with the same ones, the same bits come
 * out on any machine. The seed is fixed unless --seed says otherwise, and --json prints it. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "cli/form.h"
#include "cli/session.h"
#include "infer/chat.h"
#include "infer/receipt.h"

#define PROMPT_BYTES_MAX ((size_t)64 << 20)
#define LINE_BYTES_MAX 65536
#define TOP_K_NOT_GIVEN INT64_MIN
#define N_NOT_GIVEN SIZE_MAX

typedef struct {
    clo_session_opts so;
    const char *system, *receipt, *schema;
    bool json_mode, raw, json, no_stream, lookup, receipt_private, show_special, ignore_stop_ids;
    double temp, top_p, min_p, typical_p, repeat_penalty, presence_penalty, frequency_penalty;
    int64_t top_k, repeat_last_n;
    uint64_t seed;
    size_t n_max, n_ctx;
    const char *order;
    clo_opt_list stops, sets;
} options;

typedef struct {
    const options *o;
    clo_session s;
    clo_gen *gen;
    clo_chat *chat; /* NULL: raw */
    clo_form form;
    json_t *vars;
    clo_sampler_params sampler;
    clo_str stops[CLO_OPT_LIST_MAX];
} job;

/* Set by the handler of SIGINT, read before each pass of the decoder. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

/* Until the next Ctrl-C, which is the last one that only stops an answer. */
static void catch_interrupt(void)
{
    struct sigaction sa = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    interrupted = 0;
    sigaction(SIGINT, &sa, NULL);
}

/* --- preparing ----------------------------------------------------------------------------------------------------*/

/* What was given on the command line goes over what the model recommends. */
static bool make_sampler(job *j, clo_err *err)
{
    const options *o = j->o;
    clo_sampler_params *p = &j->sampler;
    if (!clo_session_sampler(p, &j->s, err)) return false;
    const struct {
        double given;
        float *out;
    } rows[] = {
        {o->temp, &p->temp},
        {o->top_p, &p->top_p},
        {o->min_p, &p->min_p},
        {o->typical_p, &p->typical_p},
        {o->repeat_penalty, &p->repeat_penalty},
        {o->presence_penalty, &p->presence_penalty},
        {o->frequency_penalty, &p->frequency_penalty},
    };
    for (size_t i = 0; i < CLO_COUNT(rows); i++)
        if (!isnan(rows[i].given)) *rows[i].out = (float)rows[i].given;
    if (o->top_k != TOP_K_NOT_GIVEN) {
        if (o->top_k < 0) return clo_fail(err, CLO_ERR_USAGE, "--top-k %lld is below 0", (long long)o->top_k);
        p->top_k = (int32_t)(o->top_k > INT32_MAX ? INT32_MAX : o->top_k);
    }
    if (o->repeat_last_n < -1 || o->repeat_last_n > INT32_MAX)
        return clo_fail(err, CLO_ERR_USAGE, "--repeat-last-n %lld", (long long)o->repeat_last_n);
    p->penalty_last_n = (int32_t)o->repeat_last_n;
    if (o->order && strcmp(o->order, "hf") == 0)
        p->order = CLO_SAMPLER_ORDER_HF;
    else if (o->order && strcmp(o->order, "llama") != 0)
        return clo_fail(err, CLO_ERR_USAGE, "--order '%s': llama or hf", o->order);
    return clo_sampler_check(p, err);
}

static bool make_vars(job *j, clo_err *err)
{
    j->vars = json_object();
    if (!j->vars) return clo_fail(err, CLO_ERR_MEMORY, "template variables");
    for (size_t i = 0; i < j->o->sets.n; i++)
        if (!clo_cli_set_var(j->vars, j->o->sets.items[i], err)) return false;
    return true;
}

static bool open_job(job *j, const char *model, clo_err *err)
{
    if (!make_vars(j, err)) return false;
    if (!clo_session_open(&j->s, model, &j->o->so, err)) return false;
    if (!make_sampler(j, err)) return false;
    if (!clo_model_tokenizer(j->s.model))
        return clo_fail(err, CLO_ERR_NOT_FOUND, "'%s' has no tokenizer (tokenizer.json beside the weights)", model);
    if (!j->o->raw && !clo_chat_open(&j->chat, j->s.model, false, err)) {
        if (!err || err->code != CLO_ERR_NOT_FOUND) return false;
        *err = (clo_err){0};
        fprintf(stderr, "cloche: the model has no chat template: the prompt is taken as it is\n");
    }
    if (!j->chat && j->o->system)
        return clo_fail(err, CLO_ERR_USAGE, "--system needs a chat template, which %s",
                        j->o->raw ? "--raw leaves out" : "this model does not have");
    for (size_t i = 0; i < j->o->stops.n; i++) j->stops[i] = clo_str_from(j->o->stops.items[i]);
    return clo_form_open(&j->form, j->s.model, j->o->schema, j->o->json_mode, err) &&
           clo_gen_open(&j->gen, j->s.decoder, j->o->n_ctx, err);
}

static void close_job(job *j)
{
    clo_gen_close(j->gen);
    clo_form_close(&j->form);
    clo_chat_close(j->chat);
    json_decref(j->vars);
    clo_session_close(&j->s);
}

/* --- one answer ---------------------------------------------------------------------------------------------------*/

static bool print_text(void *ctx, clo_str text)
{
    const options *o = ((const job *)ctx)->o;
    if (!o->json && !o->no_stream) {
        if (isatty(STDOUT_FILENO))
            clo_cli_print_escaped(text, false);
        else
            fwrite(text.ptr, 1, text.len, stdout);
        if (fflush(stdout) != 0) return false;
    }
    return true;
}

static void keep_form(void *ctx, float *logits, size_t n_vocab, const int32_t *ids, size_t n_ids)
{
    clo_matcher_keep(((const job *)ctx)->form.mask.matcher, logits, n_vocab, ids, n_ids);
}

static bool is_interrupted(void *ctx)
{
    (void)ctx;
    return interrupted;
}

/* The model went on to the end of the context: nothing is wrong, but more would need more room. */
static void tell_full(const job *j)
{
    if (!j->o->json && !j->o->no_stream) fputc('\n', stderr); /* ends the line of the answer */
    fprintf(stderr, "cloche: the answer ends here: the context of %zu tokens is full (--ctx N holds more%s)\n",
            clo_gen_ctx(j->gen), j->o->n_max ? "" : ", -n N ends sooner");
}

/* The answer has its form up to where it was cut. */
static void tell_cut(const job *j)
{
    if (!j->o->json && !j->o->no_stream) fputc('\n', stderr);
    fputs("cloche: the answer was cut before its form was whole (-n N allows more)\n", stderr);
}

static bool encode_prompt(job *j, clo_ids *out, const json_t *messages, clo_str raw, clo_err *err)
{
    if (!j->chat) {
        const clo_tok_opts t = {.add_special = true, .parse_special = true};
        return clo_tok_encode(clo_model_tokenizer(j->s.model), out, raw, t, err);
    }
    return clo_chat_encode(j->chat, out, messages, (clo_chat_opts){.vars = j->vars}, err);
}

static bool answer(job *j, const clo_ids *prompt, clo_gen_result *r, clo_err *err)
{
    const options *o = j->o;
    if (o->n_max && prompt->n + o->n_max > clo_gen_ctx(j->gen))
        return clo_fail(err, CLO_ERR_LIMIT,
                        "%zu prompt tokens and %zu more do not fit the context of %zu: raise --ctx or lower -n",
                        prompt->n, o->n_max, clo_gen_ctx(j->gen));
    const clo_gen_opts g = {.sampler = &j->sampler,
                            .seed = o->seed,
                            .n_max = o->n_max,
                            .stops = j->stops,
                            .n_stops = o->stops.n,
                            .lookup = o->lookup,
                            .chain = o->receipt != NULL,
                            .show_special = o->show_special,
                            .ignore_stop_ids = o->ignore_stop_ids,
                            .on_text = print_text,
                            .cancelled = is_interrupted,
                            .mask = j->form.mask.matcher ? keep_form : NULL,
                            .ctx = j};
    catch_interrupt();
    if (!clo_gen_run(j->gen, prompt->ids, prompt->n, &g, r, err)) return false;
    if (o->no_stream && !o->json) fwrite(r->text.ptr, 1, r->text.len, stdout);
    if (r->context_full)
        tell_full(j);
    else if (j->form.mask.matcher && r->finish == CLO_FINISH_LENGTH)
        tell_cut(j);
    return true;
}

static json_t *ids_json(const int32_t *ids, size_t n)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(a, json_integer(ids[i])) != 0) break;
    return a;
}

static json_t *result_json(const job *j, const clo_ids *prompt, const clo_gen_result *r)
{
    const clo_sampler_params *p = &j->sampler;
    size_t n_new = r->n_prompt - r->n_reused, n_steps_out = r->n_ids > 0 ? r->n_ids - 1 : 0;
    json_t *o =
        json_pack("{s:s%, s:o, s:o, s:s}", "text", r->text.ptr, r->text.len, "tokens", ids_json(r->ids, r->n_ids),
                  "prompt_tokens", ids_json(prompt->ids, prompt->n), "finish_reason", clo_finish_name(r->finish));
    json_t *usage = json_pack("{s:I, s:I, s:I, s:I}", "prompt_tokens", (json_int_t)r->n_prompt, "completion_tokens",
                              (json_int_t)r->n_ids, "total_tokens", (json_int_t)(r->n_prompt + r->n_ids),
                              "reused_tokens", (json_int_t)r->n_reused);
    json_t *timings = json_pack("{s:f, s:f, s:f, s:f, s:f}", "load_ms", j->s.load_s * 1e3, "prefill_ms",
                                r->prefill_s * 1e3, "decode_ms", r->decode_s * 1e3, "prefill_tok_s",
                                r->prefill_s > 0 ? (double)n_new / r->prefill_s : 0.0, "decode_tok_s",
                                r->decode_s > 0 ? (double)n_steps_out / r->decode_s : 0.0);
    json_t *lookup = json_pack("{s:b, s:I, s:I, s:I}", "on", j->o->lookup, "steps", (json_int_t)r->n_steps, "drafted",
                               (json_int_t)r->n_drafted, "accepted", (json_int_t)r->n_accepted);
    json_t *sampler = json_pack(
        "{s:f, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:s}", "temperature", (double)p->temp, "top_k", p->top_k, "top_p",
        (double)p->top_p, "min_p", (double)p->min_p, "typical_p", (double)p->typical_p, "repeat_penalty",
        p->repeat_penalty > 0 ? (double)p->repeat_penalty : 1.0, "presence_penalty", (double)p->presence_penalty,
        "frequency_penalty", (double)p->frequency_penalty, "order", p->order == CLO_SAMPLER_ORDER_HF ? "hf" : "llama");
    if (!o || json_object_set_new(o, "usage", usage) != 0 || json_object_set_new(o, "timings", timings) != 0 ||
        json_object_set_new(o, "lookup", lookup) != 0 || json_object_set_new(o, "sampler", sampler) != 0 ||
        json_object_set_new(o, "seed", json_integer((json_int_t)j->o->seed)) != 0 ||
        json_object_set_new(o, "profile", json_string("n1")) != 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static bool add_message(json_t *messages, const char *role, clo_str text, clo_err *err)
{
    json_t *m = json_pack("{s:s, s:s%}", "role", role, "content", text.ptr, text.len);
    if (!m || json_array_append_new(messages, m) != 0)
        return clo_fail(err, CLO_ERR_USAGE, "the %s text is not valid UTF-8", role);
    return true;
}

static bool write_receipt(const job *j, const clo_ids *prompt, const clo_gen_result *g, clo_err *err)
{
    clo_sha256 text = {0};
    clo_receipt r = {0};
    if (j->chat) text = clo_chat_digest(j->chat);
    const clo_receipt_facts f = {.result = g,
                                 .prompt = prompt->ids,
                                 .sampler = &j->sampler,
                                 .seed = j->o->seed,
                                 .template_text = j->chat ? &text : NULL,
                                 .grammar = &j->form.source,
                                 .version = CLO_VERSION,
                                 .private_prompt = j->o->receipt_private};
    bool ok = clo_receipt_make(&r, j->s.decoder, &f, err) && clo_receipt_write(&r, j->o->receipt, err);
    clo_receipt_free(&r);
    return ok;
}

static bool answer_once(job *j, clo_str prompt, clo_err *err)
{
    json_t *messages = json_array();
    clo_ids ids = {0};
    clo_gen_result r = {0};
    bool ok = messages != NULL;

    if (j->chat) {
        if (j->o->system) ok = add_message(messages, "system", clo_str_from(j->o->system), err);
        ok = ok && add_message(messages, "user", prompt, err);
    }
    ok = ok && encode_prompt(j, &ids, messages, prompt, err) && answer(j, &ids, &r, err);
    if (ok && j->o->receipt) ok = write_receipt(j, &ids, &r, err);
    if (ok && j->o->json)
        ok = clo_cli_print_json(result_json(j, &ids, &r)) == CLO_EXIT_OK;
    else if (ok && (r.text.len == 0 || r.text.ptr[r.text.len - 1] != '\n'))
        fputc('\n', stdout);
    clo_ids_free(&ids);
    json_decref(messages);
    return ok;
}

/* --- talking ------------------------------------------------------------------------------------------------------*/

typedef enum { LINE_READ, LINE_END, LINE_INTERRUPTED } line_result;

/* A line of the terminal, without its newline; more than cap bytes are cut off. Ctrl-C is let through only while
 * waiting, so that none can come between the look at `interrupted` and the wait. */
static line_result read_line(char *line, size_t cap, size_t *len)
{
    sigset_t only, was;
    line_result r = LINE_READ;
    sigemptyset(&only);
    sigaddset(&only, SIGINT);
    sigprocmask(SIG_BLOCK, &only, &was);
    for (*len = 0;;) {
        char c;
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        if (interrupted || (ppoll(&in, 1, NULL, &was) < 0 && interrupted)) {
            r = LINE_INTERRUPTED;
            break;
        }
        ssize_t n = in.revents ? read(STDIN_FILENO, &c, 1) : -1;
        if (n < 0 && (errno == EINTR || errno == EAGAIN || !in.revents)) continue;
        if (n <= 0) {
            r = *len ? LINE_READ : LINE_END;
            break;
        }
        if (c == '\n') break;
        if (*len < cap) line[(*len)++] = c;
    }
    sigprocmask(SIG_SETMASK, &was, NULL);
    return r;
}

/* One turn of the user's, or false at the end of input. Lines that end in a backslash go on. Ctrl-C, which may have
 * come just after the answer that it was meant to stop, takes back the turn; a second one ends the program. */
static bool read_turn(clo_buf *out, char *line, size_t cap)
{
    bool more = true, any = false;
    out->len = 0;
    catch_interrupt();
    while (more) {
        size_t n;
        fputs(any ? "... " : ">>> ", stderr);
        fflush(stderr);
        switch (read_line(line, cap, &n)) {
        case LINE_END: return any;
        case LINE_INTERRUPTED:
            fputs("\n(Ctrl-D ends, or Ctrl-C again)\n", stderr);
            out->len = 0;
            interrupted = any = false;
            break;
        case LINE_READ:
            any = true;
            more = n > 0 && line[n - 1] == '\\';
            clo_buf_add(out, (clo_str){line, more ? n - 1 : n});
            if (more) clo_buf_add_char(out, '\n');
            break;
        }
    }
    return true;
}

static bool take_turn(job *j, json_t *messages, clo_str text, clo_err *err)
{
    clo_ids ids = {0};
    clo_gen_result r = {0};
    size_t n_before = json_array_size(messages);
    bool ok = (!j->chat || add_message(messages, "user", text, err)) && encode_prompt(j, &ids, messages, text, err) &&
              answer(j, &ids, &r, err);
    if (ok) {
        fputc('\n', stdout);
        if (interrupted) fputs("(stopped)\n", stderr);
        if (j->chat && r.n_ids > 0) ok = add_message(messages, "assistant", r.text, err);
    }
    if (!ok || r.n_ids == 0) { /* as if it had not been asked */
        while (json_array_size(messages) > n_before)
            json_array_remove(messages, json_array_size(messages) - 1);
    }
    clo_ids_free(&ids);
    return ok;
}

static bool talk(job *j, clo_err *err)
{
    json_t *messages = json_array();
    clo_buf text = {.max = PROMPT_BYTES_MAX};
    char *line = (char *)malloc(LINE_BYTES_MAX);
    bool ok = messages && line;

    if (!ok) clo_fail(err, CLO_ERR_MEMORY, "conversation");
    if (ok && j->o->system && j->chat) ok = add_message(messages, "system", clo_str_from(j->o->system), err);
    fputs("Talk; an empty line or Ctrl-D ends, Ctrl-C stops an answer.\n", stderr);
    while (ok && read_turn(&text, line, LINE_BYTES_MAX) && text.len > 0) {
        clo_err turn = {0};
        if (!take_turn(j, messages, clo_buf_str(&text), &turn)) (void)clo_cli_fail(&turn, NULL);
    }
    free(line);
    clo_buf_free(&text);
    json_decref(messages);
    return ok;
}

/* --- the command --------------------------------------------------------------------------------------------------*/

static bool work(const clo_cli_args *a, const options *o, clo_err *err)
{
    job j = {.o = o};
    clo_arena arena = clo_arena_make(2 * PROMPT_BYTES_MAX);
    clo_str prompt = {0};
    bool ok = false, from_stdin = a->n_args < 2 || strcmp(a->args[1], "-") == 0;

    if (from_stdin && !isatty(STDIN_FILENO)) {
        if (!clo_stdin_read(&prompt, PROMPT_BYTES_MAX, &arena, err)) goto done;
        if (prompt.len > 0 && prompt.ptr[prompt.len - 1] == '\n') prompt.len--;
    } else if (!from_stdin) {
        prompt = clo_str_from(a->args[1]);
    }
    bool talks = from_stdin && isatty(STDIN_FILENO) && !o->json;
    if (talks && o->receipt) {
        clo_fail(err, CLO_ERR_USAGE, "--receipt is for one answer: give the prompt");
        goto done;
    }
    if ((o->schema || o->json_mode) && o->ignore_stop_ids) {
        clo_fail(err, CLO_ERR_USAGE, "--ignore-eos does not go with %s", o->schema ? "--schema" : "--json-mode");
        goto done;
    }
    if (!open_job(&j, a->args[0], err)) goto done;
    ok = talks ? talk(&j, err) : answer_once(&j, prompt, err);
done:
    close_job(&j);
    clo_arena_free(&arena);
    return ok;
}

int clo_cmd_run(int argc, char **argv)
{
    options o = {.temp = NAN, .top_p = NAN, .min_p = NAN, .typical_p = NAN, .repeat_penalty = NAN,
                 .presence_penalty = NAN, .frequency_penalty = NAN, .top_k = TOP_K_NOT_GIVEN, .n_max = N_NOT_GIVEN,
                 .lookup = true};
    const clo_opt opts[] = {
        {"system", NULL, CLO_OPT_STR, &o.system, "TEXT", "system message"},
        {"raw", NULL, CLO_OPT_FLAG, &o.raw, NULL, "no chat template: the prompt as it is, special tokens read"},
        {"max-tokens", "n", CLO_OPT_SIZE, &o.n_max, "N",
         "at most N tokens (default: until the model or the context ends)"},
        {"temp", NULL, CLO_OPT_F64, &o.temp, "T", "temperature; 0: always the likeliest (default: the model's, 0.8)"},
        {"top-k", NULL, CLO_OPT_I64, &o.top_k, "K", "of the K likeliest; 0: of all (default: the model's, 40)"},
        {"top-p", NULL, CLO_OPT_F64, &o.top_p, "P", "of the likeliest that hold P together (default: 0.95)"},
        {"min-p", NULL, CLO_OPT_F64, &o.min_p, "P", "none below P times the likeliest (default: 0.05)"},
        {"typical-p", NULL, CLO_OPT_F64, &o.typical_p, "P", "locally typical sampling (default: off)"},
        {"repeat-penalty", NULL, CLO_OPT_F64, &o.repeat_penalty, "R", "divide logits of repeated tokens (default: 1)"},
        {"presence-penalty", NULL, CLO_OPT_F64, &o.presence_penalty, "P", "subtract from tokens seen (default: 0)"},
        {"frequency-penalty", NULL, CLO_OPT_F64, &o.frequency_penalty, "P", "subtract per occurrence (default: 0)"},
        {"repeat-last-n", NULL, CLO_OPT_I64, &o.repeat_last_n, "N", "window of the penalties; -1: all (default: 64)"},
        {"order", NULL, CLO_OPT_STR, &o.order, "llama|hf", "order of sampling stages (default: llama)"},
        {"seed", NULL, CLO_OPT_U64, &o.seed, "N", "of the draws (default: 0, so that answers can be repeated)"},
        {"stop", NULL, CLO_OPT_LIST, &o.stops, "TEXT", "end before this text (may be repeated)"},
        {"schema", NULL, CLO_OPT_STR, &o.schema, "FILE", "the answer is JSON that fits this JSON Schema"},
        {"json-mode", NULL, CLO_OPT_FLAG, &o.json_mode, NULL, "the answer is one JSON object"},
        {"ctx", NULL, CLO_OPT_SIZE, &o.n_ctx, "N", "context in tokens (default: the model's)"},
        {"set", NULL, CLO_OPT_LIST, &o.sets, "NAME=JSON", "template variable: --set enable_thinking=false"},
        {"no-stream", NULL, CLO_OPT_FLAG, &o.no_stream, NULL, "print the text at the end"},
        {"special", NULL, CLO_OPT_FLAG, &o.show_special, NULL, "show special tokens"},
        {"ignore-eos", NULL, CLO_OPT_FLAG, &o.ignore_stop_ids, NULL, "go on when the model ends"},
        {"lookup", NULL, CLO_OPT_FLAG, &o.lookup, NULL, "guess repeated text ahead (default; changes no token)"},
        {"no-lookup", NULL, CLO_OPT_OFF, &o.lookup, NULL, "do not"},
        {"receipt", NULL, CLO_OPT_STR, &o.receipt, "FILE", "write a receipt that 'cloche replay' checks"},
        {"receipt-private", NULL, CLO_OPT_FLAG, &o.receipt_private, NULL, "leave the prompt out of the receipt"},
        CLO_SESSION_OPTS(o.so),
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print one JSON object: text, tokens, usage, timings"},
    };
    const clo_cli_spec spec = {
        "run MODEL [PROMPT]",
        "Answers PROMPT with a model, or what standard input says, or talks when there is a terminal. The same model,\n"
        "prompt, options and seed give the same bits on every machine.",
        "  cloche run SmolLM2.gguf \"Why is the sky blue?\"\n"
        "  cloche run SmolLM2.gguf --temp 0 -n 64 --json \"Count to ten.\"\n"
        "  cloche run base.gguf --raw \"Once upon a time\"\n"
        "  cloche run SmolLM2.gguf < question.txt\n"
        "  cloche run SmolLM2.gguf --receipt answer.rcp \"Name three rivers.\"\n"
        "  cloche run HuggingFaceTB/SmolLM2-135M-Instruct@main \"Why is the sky blue?\"\n"
        "  cloche run SmolLM2.gguf --schema person.json \"Ada, 36, who wrote the first program.\"\n",
        opts,
        CLO_COUNT(opts),
        1,
        2};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (o.n_max == 0) return clo_cli_fail_usage("-n 0: one token or more, or no -n: until the model ends");
    if (o.n_max == N_NOT_GIVEN) o.n_max = 0;
    if (!work(&args, &o, &err)) return clo_cli_fail(&err, NULL);
    return CLO_EXIT_OK;
}
