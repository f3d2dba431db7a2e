/* `cloche render`: a conversation through a chat template, the text exactly as a model would get it. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/cli.h"
#include "model/template.h"
#include "model/tokenizer.h"

#define JSON_BYTES_MAX ((size_t)64 << 20)
#define TEMPLATE_BYTES_MAX ((size_t)4 << 20)

typedef struct {
    const char *model, *data;
    const char *template_path, *messages, *tools, *documents;
    bool no_prompt, spans;
    int64_t now;
    clo_opt_list set;
} options;

/* What is open while a template is being rendered. */
typedef struct {
    clo_arena arena;
    clo_map map;
    clo_tok *tok;
    clo_template *t;
    json_t *vars;
    clo_buf out;
    clo_template_spans spans;
} session;

static void session_close(session *s)
{
    clo_template_spans_free(&s->spans);
    clo_buf_free(&s->out);
    json_decref(s->vars);
    clo_template_free(s->t);
    clo_tok_close(s->tok);
    clo_map_close(&s->map);
    clo_arena_free(&s->arena);
}

/* ---- the model's part: its template and the text of its special tokens ---- */

static bool open_model(session *s, const options *o, clo_str *text, clo_err *err)
{
    char path[4096];
    *text = (clo_str){"", 0};
    if (!o->model) return true;
    if (!clo_cli_model_path(path, o->model, o->data, err) ||
        !clo_tok_open_path(&s->tok, &s->map, path, &s->arena, err))
        return false;
    *text = clo_tok_template(s->tok, o->tools != NULL);
    return true;
}

static bool find_template(session *s, const options *o, clo_err *err)
{
    clo_str text;
    if (!open_model(s, o, &text, err)) return false;
    if (o->template_path && !clo_file_read(&text, o->template_path, TEMPLATE_BYTES_MAX, &s->arena, err)) return false;
    if (text.len == 0 && !o->template_path) return clo_fail(err, CLO_ERR_NOT_FOUND, "this model has no chat template: --template gives one");
    if (clo_template_parse(&s->t, text, err)) return true;
    clo_err_context(err, "chat template");
    return false;
}

/* ---- variables ---- */

static bool set_var(session *s, const char *name, json_t *stolen, clo_err *err)
{
    if (stolen && json_object_set_new(s->vars, name, stolen) == 0) return true;
    return clo_fail(err, CLO_ERR_MEMORY, "no memory for variable '%s'", name);
}

static bool set_special_tokens(session *s, clo_err *err)
{
    static const char *const names[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                        "pad_token", "cls_token", "mask_token"};
    for (size_t i = 0; s->tok && i < CLO_COUNT(names); i++) {
        clo_str text = clo_tok_special(s->tok, names[i]);
        if (text.len && !set_var(s, names[i], json_stringn(text.ptr, text.len), err)) return false;
    }
    return true;
}

static bool set_file(session *s, const char *name, const char *path, clo_err *err)
{
    clo_str text;
    json_t *v;
    if (!path) return set_var(s, name, json_null(), err);
    bool in = strcmp(path, "-") == 0;
    bool ok = in ? clo_stdin_read(&text, JSON_BYTES_MAX, &s->arena, err)
                 : clo_file_read(&text, path, JSON_BYTES_MAX, &s->arena, err);
    if (!ok) return false;
    if (!clo_json_parse(&v, text, JSON_BYTES_MAX, err)) {
        clo_err_context(err, "%s '%s'", name, in ? "standard input" : path);
        return false;
    }
    return set_var(s, name, v, err);
}

static bool set_vars(session *s, const options *o, clo_err *err)
{
    s->vars = json_object();
    if (!s->vars) return clo_fail(err, CLO_ERR_MEMORY, "no memory for variables");
    if (!set_special_tokens(s, err) || !set_file(s, "messages", o->messages, err) ||
        !set_file(s, "tools", o->tools, err) || !set_file(s, "documents", o->documents, err) ||
        !set_var(s, "add_generation_prompt", json_boolean(!o->no_prompt), err))
        return false;
    for (size_t i = 0; i < o->set.n; i++)
        if (!clo_cli_set_var(s->vars, o->set.items[i], err)) return false;
    return clo_template_alias_reasoning(json_object_get(s->vars, "messages"), err);
}

/* ---- output ---- */

static int print_spans(const session *s)
{
    json_t *spans = json_array();
    for (size_t i = 0; i < s->spans.n; i++)
        json_array_append_new(spans, json_pack("[II]", (json_int_t)s->spans.spans[i].begin, (json_int_t)s->spans.spans[i].end));
    return clo_cli_print_json(json_pack("{s:o,s:o}", "text", json_stringn(clo_buf_str(&s->out).ptr, s->out.len), "spans", spans));
}

static int render(session *s, const options *o)
{
    clo_err err = {0};
    if (!find_template(s, o, &err) || !set_vars(s, o, &err) ||
        !clo_template_render(s->t, s->vars, (clo_template_opts){.now_unix = o->now}, &s->out, &s->spans, &err))
        return clo_cli_fail(&err, NULL);
    if (o->spans) return print_spans(s);
    fwrite(clo_buf_str(&s->out).ptr, 1, s->out.len, stdout); /* main tells when it fails */
    return CLO_EXIT_OK;
}

int clo_cmd_render(int argc, char **argv)
{
    options o = {0};
    const clo_opt opts[] = {
        {"messages", NULL, CLO_OPT_STR, &o.messages, "FILE", "the conversation, a JSON array; - is standard input"},
        {"template", NULL, CLO_OPT_STR, &o.template_path, "FILE", "a Jinja template instead of the model's own"},
        {"tools", NULL, CLO_OPT_STR, &o.tools, "FILE", "tools, a JSON array"},
        {"documents", NULL, CLO_OPT_STR, &o.documents, "FILE", "documents, a JSON array"},
        {"no-generation-prompt", NULL, CLO_OPT_FLAG, &o.no_prompt, NULL, "do not begin the assistant's turn"},
        {"set", NULL, CLO_OPT_LIST, &o.set, "NAME=JSON", "one more variable: --set enable_thinking=false"},
        {"now", NULL, CLO_OPT_I64, &o.now, "UNIX", "the time for templates that print a date, in seconds since 1970"},
        {"spans", NULL, CLO_OPT_FLAG, &o.spans, NULL, "print JSON: the text, and which bytes came from the conversation"},
        {"data", NULL, CLO_OPT_STR, &o.data, "FOLDER", "where models are kept"},
    };
    const clo_cli_spec spec = {"render [MODEL]",
                               "Fills in a chat template and prints the prompt exactly, nothing added.",
                               "  cloche render SmolLM2.gguf --messages chat.json\n"
                               "  cloche render --template chat_template.jinja --messages chat.json --set bos_token='\"<s>\"'\n",
                               opts, CLO_COUNT(opts), 0, 1};
    clo_cli_args args;
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (args.n_args) o.model = args.args[0];
    if (!o.messages) return clo_cli_fail_usage("--messages is missing");
    if (!o.model && !o.template_path) return clo_cli_fail_usage("a MODEL or --template is missing");
    session s = {.arena = clo_arena_make(0)};
    rc = render(&s, &o);
    session_close(&s);
    return rc;
}
