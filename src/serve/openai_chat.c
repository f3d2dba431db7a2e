/* POST /v1/chat/completions. */
#include <string.h>

#include "serve/json_out.h"
#include "serve/messages.h"
#include "serve/openai.h"
#include "serve/receipts.h"
#include "serve/server_impl.h"
#include "serve/structured.h"

#define CHUNK "chat.completion.chunk"

/* --- writing ------------------------------------------------------------------------------------------------------*/

/* One event: the delta's members are `delta`, written by the caller between these two. */
static void begin_delta(const clo_choice *c, clo_buf *out)
{
    clo_openai_chunk_begin(c->g, CHUNK, out);
    clo_buf_addf(out, "{\"index\":%zu,\"delta\":{", c->index);
}

static void end_delta(const clo_choice *c, bool logprobs, const char *finish, clo_buf *out)
{
    clo_buf_add(out, CLO_STR("},\"logprobs\":"));
    if (logprobs) clo_openai_logprobs(c, out);
    else clo_buf_add(out, CLO_STR("null"));
    if (finish) clo_buf_addf(out, ",\"finish_reason\":\"%s\"", finish);
    else clo_buf_add(out, CLO_STR(",\"finish_reason\":null"));
    if (finish) clo_receipts_show(c, out);
    clo_buf_add_char(out, '}');
    clo_openai_chunk_end(c->g, out);
}

static void write_head(clo_generation *g, clo_buf *out)
{
    for (size_t i = 0; i < g->n_choices; i++) {
        begin_delta(&g->choices[i], out);
        clo_buf_add(out, CLO_STR("\"role\":\"assistant\",\"content\":\"\""));
        end_delta(&g->choices[i], false, NULL, out);
    }
}

/* Both names that clients look for. */
static void add_thought(const clo_choice *c, clo_buf *out)
{
    clo_json_add_pair(out, "reasoning_content", clo_buf_str(&c->thought));
    clo_buf_add_char(out, ',');
    clo_json_add_pair(out, "reasoning", clo_buf_str(&c->thought));
}

static void write_piece(clo_choice *c, clo_buf *out)
{
    bool thought = c->thought.len > 0;
    if (thought) {
        begin_delta(c, out);
        add_thought(c, out);
        end_delta(c, true, NULL, out);
    }
    if (c->said.len > 0 || !thought) {
        begin_delta(c, out);
        clo_json_add_pair(out, "content", clo_buf_str(&c->said));
        end_delta(c, !thought, NULL, out);
    }
}

/* The first delta of a call has its id and name; index is in every one. */
static void write_call(clo_choice *c, const clo_tool_event *e, clo_buf *out)
{
    const clo_call *call = &c->calls[c->n_calls - 1];
    if (e->kind == CLO_TOOL_END) return;
    begin_delta(c, out);
    clo_buf_addf(out, "\"tool_calls\":[{\"index\":%zu,", c->n_calls - 1);
    if (e->kind == CLO_TOOL_BEGIN) {
        clo_buf_addf(out, "\"id\":\"%s\",\"type\":\"function\",\"function\":{", call->id);
        clo_json_add_pair(out, "name", e->text);
        clo_buf_add(out, CLO_STR(",\"arguments\":\"\"}}]"));
    } else {
        clo_buf_add(out, CLO_STR("\"function\":{"));
        clo_json_add_pair(out, "arguments", e->text);
        clo_buf_add(out, CLO_STR("}}]"));
    }
    end_delta(c, false, NULL, out);
}

static void write_finish(clo_choice *c, clo_buf *out)
{
    begin_delta(c, out);
    end_delta(c, false, clo_choice_finish(c), out);
}

static void write_place(clo_choice *c, clo_buf *out)
{
    clo_openai_place(c, CHUNK, out);
}

static void write_tail(clo_generation *g, clo_buf *out)
{
    clo_openai_tail(g, CHUNK, out);
}

static void add_calls(const clo_choice *c, clo_buf *out)
{
    if (c->n_calls == 0) return;
    clo_buf_add(out, CLO_STR(",\"tool_calls\":["));
    for (size_t i = 0; i < c->n_calls; i++) {
        const clo_call *call = &c->calls[i];
        clo_buf_addf(out, "%s{\"id\":\"%s\",\"type\":\"function\",\"function\":{", i ? "," : "", call->id);
        clo_json_add_pair(out, "name", clo_buf_str(&call->name));
        clo_buf_add_char(out, ',');
        clo_json_add_pair(out, "arguments", clo_buf_str(&call->args));
        clo_buf_add(out, CLO_STR("}}"));
    }
    clo_buf_add_char(out, ']');
}

static void write_whole(clo_generation *g, clo_buf *out)
{
    clo_openai_whole_begin(g, "chat.completion", out);
    for (size_t i = 0; i < g->n_choices; i++) {
        const clo_choice *c = &g->choices[i];
        clo_buf_addf(out, "%s{\"index\":%zu,\"message\":{\"role\":\"assistant\",", i ? "," : "", c->index);
        if (c->n_calls > 0 && c->said.len == 0) clo_buf_add(out, CLO_STR("\"content\":null"));
        else clo_json_add_pair(out, "content", clo_buf_str(&c->said));
        clo_buf_add(out, CLO_STR(",\"refusal\":null"));
        add_calls(c, out);
        if (c->thought.len > 0) {
            clo_buf_add_char(out, ',');
            add_thought(c, out);
        }
        clo_buf_add(out, CLO_STR("},\"logprobs\":"));
        clo_openai_logprobs(c, out);
        clo_buf_addf(out, ",\"finish_reason\":\"%s\"", clo_choice_finish(c));
        clo_receipts_show(c, out);
        clo_buf_add_char(out, '}');
    }
    clo_openai_whole_end(g, out);
}

static const clo_face chat_face = {.stream_type = CLO_TYPE_EVENTS,
                                   .head = write_head,
                                   .piece = write_piece,
                                   .call = write_call,
                                   .finish = write_finish,
                                   .place = write_place,
                                   .tail = write_tail,
                                   .fault = clo_openai_fault,
                                   .ping = clo_openai_ping,
                                   .whole = write_whole,
                                   .surface = CLO_SURFACE_OPENAI,
                                   .splits_thinking = true};

/* --- reading ------------------------------------------------------------------------------------------------------*/

/* The older functions and function_call, as tools and tool_choice. */
static bool translate_old(json_t *body, clo_api_error *e)
{
    json_t *functions = NULL, *f, *call = json_object_get(body, "function_call");
    size_t i;
    if (!clo_body_array(&functions, body, "functions", e)) return false;
    if (!functions || json_object_get(body, "tools")) return true;
    json_t *tools = json_array();
    json_array_foreach (functions, i, f)
        json_array_append_new(tools, json_pack("{s:s, s:O}", "type", "function", "function", f));
    json_object_set_new(body, "tools", tools);
    if (json_is_string(call)) json_object_set(body, "tool_choice", call);
    else if (json_is_object(call))
        json_object_set_new(body, "tool_choice", json_pack("{s:s, s:O}", "type", "function", "function", call));
    return true;
}

static bool read_structure(clo_generation *g, clo_api_error *e)
{
    json_t *format = NULL, *tools = NULL;
    bool parallel = true;
    return clo_body_object(&format, g->body, "response_format", e) && clo_structured_response_format(g, format, e) &&
           translate_old(g->body, e) && clo_body_array(&tools, g->body, "tools", e) &&
           clo_body_bool(&parallel, g->body, "parallel_tool_calls", e) &&
           clo_structured_tools(g, tools, json_object_get(g->body, "tool_choice"), parallel, e);
}

static bool set_effort(json_t *vars, clo_str effort, clo_api_error *e)
{
    static const char *const known[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
    if (!effort.ptr) return true;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!clo_str_eq(effort, clo_str_from(known[i]))) continue;
        /* Templates know three levels, or thinking as such. */
        const char *level = i < 3 ? "low" : i == 3 ? "medium" : "high";
        json_object_set_new(vars, "enable_thinking", json_boolean(i > 0));
        if (i > 0) json_object_set_new(vars, "reasoning_effort", json_string(level));
        return true;
    }
    return clo_api_fail(e, CLO_API_INVALID, "reasoning_effort",
                        "'reasoning_effort': none, minimal, low, medium, high, xhigh or max is expected");
}

static bool encode(clo_ids *ids, clo_generation *g, clo_api_error *e)
{
    json_t *messages = NULL, *list = NULL, *kwargs = NULL, *vars = json_object();
    clo_str effort;
    clo_err err = {0};
    bool ok = vars && clo_body_array(&list, g->body, "messages", e) && clo_messages_read(&messages, list, e) &&
              read_structure(g, e) && clo_body_str(&effort, g->body, "reasoning_effort", false, e) &&
              set_effort(vars, effort, e) && clo_body_object(&kwargs, g->body, "chat_template_kwargs", e);
    const clo_chat *chat = g->tools ? g->model->chat_tools : g->model->chat;
    g->chat = chat;
    if (ok && !chat)
        ok = clo_api_fail(e, CLO_API_UNSUPPORTED, "model", "model '%s' has no chat template: use /v1/completions",
                          g->model->info->name);
    if (ok) {
        if (g->grammar && !effort.ptr) json_object_set_new(vars, "enable_thinking", json_false());
        if (kwargs) json_object_update(vars, kwargs);
        const clo_chat_opts o = {.tools = g->tools, .vars = vars, .go_on = clo_messages_go_on(messages)};
        ok = clo_chat_encode(chat, ids, messages, o, &err) || clo_api_fail_err(e, &err);
    }
    json_decref(messages);
    json_decref(vars);
    return ok;
}

static bool read_conversation(clo_generation *g, clo_api_error *e)
{
    clo_ids ids = {0};
    bool ok = encode(&ids, g, e);
    if (ok && !clo_generation_add_prompt(g, &ids)) ok = clo_api_fail(e, CLO_API_BUSY, NULL, "no memory is left");
    clo_ids_free(&ids);
    return ok;
}

void clo_openai_chat(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_openai_answer(s, r, &(clo_openai_kind){&chat_face, "chatcmpl-", CLO_PARAMS_CHAT, read_conversation});
}
