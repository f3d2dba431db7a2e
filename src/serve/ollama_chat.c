/* POST /api/chat and /api/generate. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "serve/http_impl.h"
#include "serve/json_out.h"
#include "serve/messages.h"
#include "serve/ollama.h"
#include "serve/openai.h"
#include "serve/receipts.h"
#include "serve/server_impl.h"
#include "serve/structured.h"

/* --- writing ------------------------------------------------------------------------------------------------------*/

static void begin_line(const clo_generation *g, clo_buf *out)
{
    char time[CLO_TIME_BYTES];
    clo_buf_add(out, CLO_STR("{\"model\":"));
    clo_json_add_str(out, g->model_name);
    clo_buf_addf(out, ",\"created_at\":\"%s\"", clo_json_time(time, clo_unix_us()));
}

static long long nanoseconds(double s)
{
    return (long long)(s * 1e9);
}

/* The members that end an answer. */
static void add_end(const clo_generation *g, clo_buf *out)
{
    clo_usage u = clo_generation_usage(g);
    clo_buf_addf(out,
                 ",\"done\":true,\"done_reason\":\"%s\",\"total_duration\":%lld,\"load_duration\":%lld,"
                 "\"prompt_eval_count\":%zu,\"prompt_eval_duration\":%lld,\"eval_count\":%zu,\"eval_duration\":%lld",
                 g->choices[0].n_calls > 0 ? "stop" : clo_choice_finish(&g->choices[0]), nanoseconds(clo_http_now() - g->begin_s),
                 nanoseconds(g->choices[0].start_s - g->begin_s), u.n_prompt, nanoseconds(u.prefill_s), u.n_output,
                 nanoseconds(u.decode_s));
    clo_buf_addf(out, ",\"x_seed\":%llu", (unsigned long long)g->seed);
    if (g->n_truncated) clo_buf_addf(out, ",\"x_truncated\":%zu", g->n_truncated);
    clo_receipts_show(&g->choices[0], out);
    clo_buf_add_char(out, '}');
}

/* One that the limit has cut off is left out. */
static size_t n_whole_calls(const clo_choice *c)
{
    return c->n_calls > 0 && !c->calls[c->n_calls - 1].whole ? c->n_calls - 1 : c->n_calls;
}

/* {"id","function":{"index","name","arguments":{...}}} of calls [from, to). */
static void add_calls(const clo_choice *c, size_t from, size_t to, clo_buf *out)
{
    clo_buf_add(out, CLO_STR("\"tool_calls\":["));
    for (size_t i = from; i < to; i++) {
        clo_buf_addf(out, "%s{\"id\":\"%s\",\"function\":{\"index\":%zu,", i > from ? "," : "", c->calls[i].id, i);
        clo_json_add_pair(out, "name", clo_buf_str(&c->calls[i].name));
        clo_buf_add(out, CLO_STR(",\"arguments\":"));
        clo_buf_add(out, c->calls[i].args.len > 0 ? clo_buf_str(&c->calls[i].args) : CLO_STR("{}"));
        clo_buf_add(out, CLO_STR("}}"));
    }
    clo_buf_add_char(out, ']');
}

static void add_chat_message(const clo_choice *c, clo_buf *out)
{
    clo_buf_add(out, CLO_STR(",\"message\":{\"role\":\"assistant\","));
    clo_json_add_pair(out, "content", c ? clo_buf_str(&c->said) : CLO_STR(""));
    if (c && c->thought.len > 0) {
        clo_buf_add_char(out, ',');
        clo_json_add_pair(out, "thinking", clo_buf_str(&c->thought));
    }
    if (c && !c->g->params.stream && n_whole_calls(c) > 0) {
        clo_buf_add_char(out, ',');
        add_calls(c, 0, n_whole_calls(c), out);
    }
    clo_buf_add_char(out, '}');
}

static void add_response(const clo_choice *c, clo_buf *out)
{
    clo_buf_add_char(out, ',');
    clo_json_add_pair(out, "response", c ? clo_buf_str(&c->said) : CLO_STR(""));
    if (c && c->thought.len > 0) {
        clo_buf_add_char(out, ',');
        clo_json_add_pair(out, "thinking", clo_buf_str(&c->thought));
    }
}

static const clo_face chat_face;

/* c NULL: an empty text. */
static void add_text(const clo_generation *g, const clo_choice *c, clo_buf *out)
{
    if (g->face == &chat_face) add_chat_message(c, out);
    else add_response(c, out);
    if (!c || !g->params.logprobs) return;
    clo_buf_add(out, CLO_STR(",\"logprobs\":"));
    clo_openai_entries(c, out);
}

static void no_head(clo_generation *g, clo_buf *out)
{
    (void)g;
    (void)out;
}

static void write_piece(clo_choice *c, clo_buf *out)
{
    begin_line(c->g, out);
    add_text(c->g, c, out);
    clo_buf_add(out, CLO_STR(",\"done\":false}\n"));
}

/* Calls come whole. */
static void write_call(clo_choice *c, const clo_tool_event *e, clo_buf *out)
{
    if (e->kind != CLO_TOOL_END) return;
    begin_line(c->g, out);
    clo_buf_add(out, CLO_STR(",\"message\":{\"role\":\"assistant\",\"content\":\"\","));
    add_calls(c, c->n_calls - 1, c->n_calls, out);
    clo_buf_add(out, CLO_STR("},\"done\":false}\n"));
}

static void write_finish(clo_choice *c, clo_buf *out)
{
    begin_line(c->g, out);
    add_text(c->g, NULL, out);
    add_end(c->g, out);
    clo_buf_add_char(out, '\n');
}

static void write_fault(clo_generation *g, const clo_api_error *e, clo_buf *out)
{
    (void)g;
    clo_api_error_json(out, CLO_SURFACE_OLLAMA, e);
    clo_buf_add_char(out, '\n');
}

/* Lines have no comments: an empty text does as well. */
static void write_ping(clo_generation *g, clo_buf *out)
{
    begin_line(g, out);
    add_text(g, NULL, out);
    clo_buf_add(out, CLO_STR(",\"done\":false}\n"));
}

static void write_whole(clo_generation *g, clo_buf *out)
{
    begin_line(g, out);
    add_text(g, &g->choices[0], out);
    add_end(g, out);
}

#define FACE                                                                                                        \
    {.stream_type = CLO_TYPE_LINES, .head = no_head, .piece = write_piece, .call = write_call, .finish = write_finish, .tail = no_head, \
     .fault = write_fault, .ping = write_ping, .whole = write_whole, .surface = CLO_SURFACE_OLLAMA,                 \
     .splits_thinking = true}
static const clo_face chat_face = FACE, generate_face = FACE;

/* An answer that only (un)loads. */
static void reply_load(clo_server *s, clo_request *r, const clo_face *face, clo_str name, const char *reason)
{
    const clo_generation g = {.s = s, .face = face, .model_name = name};
    clo_buf out = {0};
    begin_line(&g, &out);
    add_text(&g, NULL, &out);
    clo_buf_addf(&out, ",\"done\":true,\"done_reason\":\"%s\"}\n", reason);
    clo_reply_buf(r, 200, CLO_TYPE_JSON, &out);
}

/* --- reading ------------------------------------------------------------------------------------------------------*/

/* think: true, false or a level, to the template's variables. */
static bool read_think(json_t *vars, const clo_generation *g, clo_api_error *e)
{
    const json_t *v = json_object_get(g->body, "think");
    const char *level = json_string_value(v);
    if (!v || json_is_null(v)) return true;
    if (!json_is_boolean(v) && !level)
        return clo_api_fail(e, CLO_API_INVALID, "think", "think: true, false, low, medium, high or max is expected");
    if (level && strcmp(level, "low") != 0 && strcmp(level, "medium") != 0 && strcmp(level, "high") != 0 &&
        strcmp(level, "max") != 0)
        return clo_api_fail(e, CLO_API_INVALID, "think", "think: true, false, low, medium, high or max is expected");
    bool on = level || json_is_true(v);
    if (on && !g->model->info->facts.shows_thinking)
        return clo_api_fail(e, CLO_API_UNSUPPORTED, "think", "\"%.*s\" does not support thinking", (int)g->model_name.len,
                            g->model_name.ptr);
    json_object_set_new(vars, "enable_thinking", json_boolean(on));
    if (level) json_object_set_new(vars, "reasoning_effort", json_string(strcmp(level, "max") == 0 ? "high" : level));
    return true;
}

static bool read_params(clo_generation *g, clo_api_error *e)
{
    const clo_sampler_params habit = {.temp = 0.8F, .top_k = 40, .top_p = 0.9F};
    json_t *options = NULL;
    clo_arena *a = clo_request_arena(g->r);
    g->params = clo_params_make(true);
    if (!clo_params_read(&g->params, g->body, CLO_PARAMS_OLLAMA, a, e)) return false;
    if (!clo_body_object(&options, g->body, "options", e)) return false;
    if (options && !clo_params_read(&g->params, options, CLO_PARAMS_OPTIONS, a, e)) return false;
    if (g->params.n_top != CLO_PARAMS_NONE && g->params.n_top > 0) g->params.logprobs = true;
    return clo_ollama_keep_alive(&g->keep_alive_s, g->body, e) && clo_params_sampler(&g->sampler, &g->params, &habit, e);
}

/* --- messages that fit --------------------------------------------------------------------------------------------*/

typedef struct {
    const clo_generation *g;
    const clo_chat *chat;
    const json_t *messages;
    clo_chat_opts opts;
    size_t n_max; /* tokens */
} encoding;

static bool is_kept(const json_t *messages, size_t i)
{
    clo_str role = clo_json_str(json_array_get(messages, i), "role", CLO_STR(""));
    return clo_str_eq(role, CLO_STR("system")) || i + 1 == json_array_size(messages);
}

/* Encodes without the first k messages that may go. */
static bool encode_without(clo_ids *ids, const encoding *x, size_t k, clo_api_error *e)
{
    clo_err err = {0};
    json_t *list = json_array();
    ids->n = 0;
    for (size_t i = 0; i < json_array_size(x->messages); i++) {
        if (!is_kept(x->messages, i) && k > 0) k--;
        else json_array_append(list, json_array_get(x->messages, i));
    }
    bool ok = clo_chat_encode(x->chat, ids, list, x->opts, &err) || clo_api_fail_err(e, &err);
    json_decref(list);
    return ok;
}

/* Leaves out as few of the oldest messages as it takes. */
static bool encode_fitting(clo_ids *ids, clo_generation *g, const encoding *x, clo_api_error *e)
{
    if (!encode_without(ids, x, 0, e)) return false;
    if (ids->n <= x->n_max || !g->params.truncate) return true;
    size_t low = 0, high = 0; /* low does not fit; high fits or is all */
    for (size_t i = 0; i < json_array_size(x->messages); i++) high += !is_kept(x->messages, i);
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (!encode_without(ids, x, mid, e)) return false;
        if (ids->n <= x->n_max) high = mid;
        else low = mid;
    }
    if (high == 0) return true;
    g->n_truncated = high;
    char text[24];
    snprintf(text, sizeof text, "%zu", high);
    clo_reply_header(g->r, "X-Truncated-Messages", text);
    return encode_without(ids, x, high, e);
}

static size_t tokens_allowed(const clo_generation *g)
{
    size_t n_ctx = clo_sched_ctx(g->model->sched);
    if (g->params.n_ctx != CLO_PARAMS_NONE && (size_t)g->params.n_ctx < n_ctx) n_ctx = (size_t)g->params.n_ctx;
    return n_ctx - 1;
}

static bool encode_messages(clo_ids *ids, clo_generation *g, const json_t *messages, clo_api_error *e)
{
    json_t *vars = json_object();
    bool ok = vars != NULL;
    if (ok && g->grammar) json_object_set_new(vars, "enable_thinking", json_false());
    ok = ok && read_think(vars, g, e);
    const clo_chat *chat = g->chat = g->tools ? g->model->chat_tools : g->model->chat;
    if (ok && !chat)
        ok = clo_api_fail(e, CLO_API_UNSUPPORTED, NULL, "\"%.*s\" does not support chat", (int)g->model_name.len,
                          g->model_name.ptr);
    if (ok) {
        const encoding x = {g, chat, messages,
                            {.tools = g->tools, .vars = vars, .go_on = clo_messages_go_on(messages)},
                            tokens_allowed(g)};
        ok = encode_fitting(ids, g, &x, e);
    }
    json_decref(vars);
    return ok;
}

/* --- chat ---------------------------------------------------------------------------------------------------------*/

static bool refuse_images(const json_t *holder, clo_api_error *e)
{
    return json_array_size(json_object_get(holder, "images")) == 0 ||
           clo_api_fail(e, CLO_API_UNSUPPORTED, "images", "this model does not support images");
}

static bool read_chat(clo_ids *ids, clo_generation *g, clo_api_error *e)
{
    json_t *list = NULL, *tools = NULL, *messages = NULL;
    const json_t *m;
    size_t i;
    if (!clo_structured_format(g, json_object_get(g->body, "format"), e) ||
        !clo_body_array(&list, g->body, "messages", e) || !clo_body_array(&tools, g->body, "tools", e) ||
        !clo_structured_tools(g, tools, NULL, true, e))
        return false;
    json_array_foreach (list, i, m)
        if (!refuse_images(m, e)) return false;
    if (!clo_messages_read(&messages, list, e)) return false;
    bool ok = encode_messages(ids, g, messages, e);
    json_decref(messages);
    return ok;
}

/* A conversation of one question, or with raw the prompt as it is. */
static bool read_generate(clo_ids *ids, clo_generation *g, clo_api_error *e)
{
    clo_str prompt, system, suffix, tpl;
    clo_err err = {0};
    if (!clo_structured_format(g, json_object_get(g->body, "format"), e) || !refuse_images(g->body, e) || !clo_body_str(&prompt, g->body, "prompt", true, e) ||
        !clo_body_str(&system, g->body, "system", false, e) || !clo_body_str(&suffix, g->body, "suffix", false, e) ||
        !clo_body_str(&tpl, g->body, "template", false, e))
        return false;
    if (suffix.len > 0)
        return clo_api_fail(e, CLO_API_UNSUPPORTED, "suffix", "\"%.*s\" does not support insert", (int)g->model_name.len,
                            g->model_name.ptr);
    if (g->params.raw && (tpl.len > 0 || system.len > 0 || json_array_size(json_object_get(g->body, "context")) > 0))
        return clo_api_fail(e, CLO_API_INVALID, "raw", "raw mode does not support template, system, or context");
    if (tpl.len > 0) return clo_api_fail(e, CLO_API_UNSUPPORTED, "template", "template: only the model's own is supported");
    if (g->params.raw || !g->model->chat) {
        const clo_tok_opts o = {.add_special = true, .parse_special = true};
        return clo_tok_encode(g->model->tok, ids, prompt, o, &err) || clo_api_fail_err(e, &err);
    }
    json_t *messages = system.len > 0 ? json_pack("[{s:s, s:s%}, {s:s, s:s%}]", "role", "system", "content", system.ptr,
                                                  system.len, "role", "user", "content", prompt.ptr, prompt.len)
                                      : json_pack("[{s:s, s:s%}]", "role", "user", "content", prompt.ptr, prompt.len);
    bool ok = messages ? encode_messages(ids, g, messages, e) : clo_api_fail(e, CLO_API_BUSY, NULL, "no memory is left");
    json_decref(messages);
    return ok;
}

/* --- both ---------------------------------------------------------------------------------------------------------*/

/* Whether the body asks for no answer: only that the model be there, or go. */
static bool only_loads(const json_t *body, const clo_face *face)
{
    if (face == &chat_face) return json_array_size(json_object_get(body, "messages")) == 0;
    return json_string_length(json_object_get(body, "prompt")) == 0;
}

static void answer(clo_server *s, clo_request *r, const clo_face *face,
                   bool (*read)(clo_ids *ids, clo_generation *g, clo_api_error *e))
{
    json_t *body = NULL;
    clo_str name;
    clo_api_error e = {0};
    clo_ids ids = {0};
    double keep_s = (double)NAN;
    const clo_open_model *model = NULL;
    bool ok = clo_body_parse(&body, clo_request_body(r), &e) && clo_ollama_model_name(&name, body, &e) &&
              clo_ollama_keep_alive(&keep_s, body, &e) && clo_account_may_use(s, r, name, &e);
    if (ok && only_loads(body, face) && keep_s == 0) {
        if (clo_models_unload(s->models, name, r, &e)) reply_load(s, r, face, name, "unload");
        else clo_route_fail(s, r, &e);
        json_decref(body);
        return;
    }
    clo_model_taken how = ok ? clo_models_take(&model, s->models, name, r, &e) : CLO_MODEL_NONE;
    if (how != CLO_MODEL_READY) {
        json_decref(body);
        if (how == CLO_MODEL_NONE) clo_route_fail(s, r, &e);
        return;
    }
    if (only_loads(body, face)) {
        reply_load(s, r, face, name, "load");
        clo_models_give(s->models, model, keep_s);
        json_decref(body);
        return;
    }
    clo_generation *g = clo_generation_make(s, r, model, body, face, "");
    if (!g) return;
    g->model_name = name;
    ok = read_params(g, &e) && read(&ids, g, &e);
    if (ok && !clo_generation_add_prompt(g, &ids)) ok = clo_api_fail(&e, CLO_API_BUSY, NULL, "no memory is left");
    clo_ids_free(&ids);
    if (ok) clo_generation_start(g);
    else clo_generation_fail(g, &e);
}

void clo_ollama_chat(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    answer(s, r, &chat_face, read_chat);
}

void clo_ollama_generate(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    answer(s, r, &generate_face, read_generate);
}
