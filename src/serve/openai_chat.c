/* POST /v1/chat/completions. */
#include <string.h>

#include "serve/json_out.h"
#include "serve/messages.h"
#include "serve/openai.h"
#include "serve/server_impl.h"

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
    if (finish) clo_buf_addf(out, ",\"finish_reason\":\"%s\"}", finish);
    else clo_buf_add(out, CLO_STR(",\"finish_reason\":null}"));
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

static void write_finish(clo_choice *c, clo_buf *out)
{
    begin_delta(c, out);
    end_delta(c, false, clo_choice_finish(c), out);
}

static void write_tail(clo_generation *g, clo_buf *out)
{
    clo_openai_tail(g, CHUNK, out);
}

static void write_whole(clo_generation *g, clo_buf *out)
{
    clo_openai_whole_begin(g, "chat.completion", out);
    for (size_t i = 0; i < g->n_choices; i++) {
        const clo_choice *c = &g->choices[i];
        clo_buf_addf(out, "%s{\"index\":%zu,\"message\":{\"role\":\"assistant\",", i ? "," : "", c->index);
        clo_json_add_pair(out, "content", clo_buf_str(&c->said));
        clo_buf_add(out, CLO_STR(",\"refusal\":null"));
        if (c->thought.len > 0) {
            clo_buf_add_char(out, ',');
            add_thought(c, out);
        }
        clo_buf_add(out, CLO_STR("},\"logprobs\":"));
        clo_openai_logprobs(c, out);
        clo_buf_addf(out, ",\"finish_reason\":\"%s\"}", clo_choice_finish(c));
    }
    clo_openai_whole_end(g, out);
}

static const clo_face chat_face = {.stream_type = CLO_TYPE_EVENTS,
                                   .head = write_head,
                                   .piece = write_piece,
                                   .finish = write_finish,
                                   .tail = write_tail,
                                   .fault = clo_openai_fault,
                                   .ping = clo_openai_ping,
                                   .whole = write_whole,
                                   .surface = CLO_SURFACE_OPENAI,
                                   .splits_thinking = true};

/* --- reading ------------------------------------------------------------------------------------------------------*/

static bool check_format(const json_t *body, clo_api_error *e)
{
    json_t *format = NULL;
    if (!clo_body_object(&format, body, "response_format", e)) return false;
    clo_str type = clo_json_str(format, "type", CLO_STR("text"));
    if (clo_str_eq(type, CLO_STR("text"))) return true;
    if (clo_str_eq(type, CLO_STR("json_object")) || clo_str_eq(type, CLO_STR("json_schema")))
        return clo_api_fail(e, CLO_API_UNSUPPORTED, "response_format", "'response_format' of type '%.20s' is not supported",
                            type.ptr);
    return clo_api_fail(e, CLO_API_INVALID, "response_format",
                        "'response_format': type text, json_object or json_schema is expected");
}

/* Tools that the template is to show, or NULL. */
static bool read_tools(json_t **out, const json_t *body, clo_api_error *e)
{
    json_t *tools = NULL;
    const json_t *choice = json_object_get(body, "tool_choice");
    *out = NULL;
    if (!clo_body_array(&tools, body, "tools", e) || !clo_tools_check(tools, e)) return false;
    if (json_array_size(tools) == 0) return true;
    if (json_is_string(choice) && strcmp(json_string_value(choice), "none") == 0) return true;
    if (choice && !json_is_null(choice) && !(json_is_string(choice) && strcmp(json_string_value(choice), "auto") == 0))
        return clo_api_fail(e, CLO_API_UNSUPPORTED, "tool_choice", "'tool_choice': only none and auto are supported");
    *out = tools;
    return true;
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
    json_t *messages = NULL, *list = NULL, *tools = NULL, *kwargs = NULL, *vars = json_object();
    clo_str effort;
    clo_err err = {0};
    bool ok = vars && clo_body_array(&list, g->body, "messages", e) && clo_messages_read(&messages, list, e) &&
              read_tools(&tools, g->body, e) && clo_body_str(&effort, g->body, "reasoning_effort", false, e) &&
              set_effort(vars, effort, e) && clo_body_object(&kwargs, g->body, "chat_template_kwargs", e);
    const clo_chat *chat = tools ? g->model->chat_tools : g->model->chat;
    if (ok && !chat)
        ok = clo_api_fail(e, CLO_API_UNSUPPORTED, "model", "model '%s' has no chat template: use /v1/completions",
                          g->model->info->name);
    if (ok) {
        if (kwargs) json_object_update(vars, kwargs);
        const clo_chat_opts o = {.tools = tools, .vars = vars, .go_on = clo_messages_go_on(messages)};
        ok = clo_chat_encode(chat, ids, messages, o, &err) || clo_api_fail_err(e, &err);
    }
    json_decref(messages);
    json_decref(vars);
    return ok;
}

void clo_openai_chat(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    json_t *body;
    clo_str name;
    const clo_open_model *model = NULL;
    clo_api_error e = {0};
    clo_ids ids = {0};
    if (!clo_openai_begin(&body, &name, &model, s, r)) return;
    clo_generation *g = clo_generation_make(s, r, model, body, &chat_face, "chatcmpl-");
    if (!g) return;
    g->model_name = name;
    bool ok = clo_params_read(&g->params, body, CLO_PARAMS_CHAT, clo_request_arena(r), &e) &&
              clo_params_sampler(&g->sampler, &g->params, &model->advice, &e) && check_format(body, &e) &&
              encode(&ids, g, &e);
    if (ok && !clo_generation_add_prompt(g, &ids)) ok = clo_api_fail(&e, CLO_API_BUSY, NULL, "no memory is left");
    clo_ids_free(&ids);
    if (ok) clo_generation_start(g);
    else clo_generation_fail(g, &e);
}
