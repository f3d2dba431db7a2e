/* See tokens.h. */
#include "serve/tokens.h"

#include <math.h>

#include "serve/account.h"
#include "serve/json_out.h"
#include "serve/messages.h"
#include "serve/params.h"
#include "serve/server_impl.h"

/* --- which model --------------------------------------------------------------------------------------------------*/

/* body NULL: a GET. False: replied, or r waits for the model. */
static bool take_model(const clo_open_model **model, json_t **body, clo_server *s, clo_request *r)
{
    clo_api_error e = {0};
    clo_str name = {0};
    char only[CLO_SERVED_NAME_MAX];
    clo_model_taken how = CLO_MODEL_NONE;
    bool ok = !body || (clo_body_parse(body, clo_request_body(r), &e) && clo_body_str(&name, *body, "model", false, &e));
    if (ok && name.len == 0) {
        ok = clo_models_default(only, s->models, &e);
        name = clo_str_from(only);
    }
    ok = ok && clo_account_may_use(s, r, name, &e);
    if (ok) how = clo_models_take(model, s->models, name, r, &e);
    if (how == CLO_MODEL_READY) return true;
    if (body) json_decref(*body);
    if (how == CLO_MODEL_NONE) clo_route_fail(s, r, &e);
    return false;
}

static void give_model(clo_server *s, const clo_open_model *model)
{
    clo_models_give(s->models, model, (double)NAN);
}

/* --- info ---------------------------------------------------------------------------------------------------------*/

static void add_special(json_t *o, const clo_open_model *m, const char *name, int32_t id)
{
    clo_str text = clo_tok_special(m->tok, name);
    if (text.len == 0 && id >= 0) text = clo_tok_name(m->tok, id);
    json_object_set_new(o, name, text.len > 0 ? json_stringn(text.ptr, text.len) : json_null());
}

void clo_tokens_info(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    const clo_open_model *m;
    char hex[65];
    if (!take_model(&m, NULL, s, r)) return;
    clo_sha256 d = clo_model_tokenizer_digest(m->model);
    clo_sha256_hex(hex, &d);
    clo_str tpl = clo_tok_template(m->tok, false);
    json_t *o = json_pack("{s:I, s:I, s:s}", "vocab_size", (json_int_t)clo_gen_vocab(m->model), "model_max_length",
                          (json_int_t)clo_sched_ctx(m->sched), "tokenizer_digest", hex);
    add_special(o, m, "eos_token", clo_tok_eos(m->tok));
    add_special(o, m, "bos_token", clo_tok_bos(m->tok));
    add_special(o, m, "pad_token", -1);
    json_object_set_new(o, "chat_template", tpl.len > 0 ? json_stringn(tpl.ptr, tpl.len) : json_null());
    clo_reply_json(r, 200, o);
    give_model(s, m);
}

/* --- there and back -----------------------------------------------------------------------------------------------*/

/* vLLM's messages or prompt, or llama-server's content, whose ids come without what the tokenizer adds unless asked. */
static bool encode(clo_ids *ids, const clo_open_model *m, const json_t *body, clo_api_error *e)
{
    json_t *list, *messages = NULL, *tools;
    clo_str prompt, content;
    clo_err err = {0};
    bool special = true, head = true;
    if (!clo_body_array(&list, body, "messages", e) || !clo_body_array(&tools, body, "tools", e) ||
        !clo_body_str(&prompt, body, "prompt", false, e) || !clo_body_str(&content, body, "content", false, e))
        return false;
    if (!list && !prompt.ptr && !content.ptr)
        return clo_api_fail(e, CLO_API_INVALID, "prompt", "prompt, content or messages is required");
    if (!list) {
        if (!prompt.ptr) special = false;
        if (!clo_body_bool(&special, body, prompt.ptr ? "add_special_tokens" : "add_special", e)) return false;
        const clo_tok_opts o = {.add_special = special, .parse_special = true};
        return clo_tok_encode(m->tok, ids, prompt.ptr ? prompt : content, o, &err) || clo_api_fail_err(e, &err);
    }
    const clo_chat *chat = json_array_size(tools) > 0 ? m->chat_tools : m->chat;
    if (!chat) return clo_api_fail(e, CLO_API_UNSUPPORTED, "messages", "model '%s' has no chat template", m->info->name);
    if (!clo_body_bool(&head, body, "add_generation_prompt", e) || !clo_tools_check(tools, e) ||
        !clo_messages_read(&messages, list, e))
        return false;
    const clo_chat_opts o = {.tools = json_array_size(tools) > 0 ? tools : NULL, .no_answer_head = !head};
    bool ok = clo_chat_encode(chat, ids, messages, o, &err) || clo_api_fail_err(e, &err);
    json_decref(messages);
    return ok;
}

void clo_tokens_tokenize(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    const clo_open_model *m;
    json_t *body = NULL;
    clo_ids ids = {0};
    clo_api_error e = {0};
    if (!take_model(&m, &body, s, r)) return;
    if (encode(&ids, m, body, &e)) {
        clo_buf out = {0};
        clo_buf_add(&out, CLO_STR("{\"tokens\":["));
        for (size_t i = 0; i < ids.n; i++) clo_buf_addf(&out, "%s%d", i ? "," : "", ids.ids[i]);
        clo_buf_addf(&out, "],\"count\":%zu,\"max_model_len\":%zu}\n", ids.n, clo_sched_ctx(m->sched));
        clo_reply_buf(r, 200, CLO_TYPE_JSON, &out);
    } else {
        clo_route_fail(s, r, &e);
    }
    clo_ids_free(&ids);
    json_decref(body);
    give_model(s, m);
}

static bool decode(clo_buf *text, const clo_open_model *m, const json_t *body, clo_api_error *e)
{
    json_t *list, *v;
    clo_ids ids = {0};
    clo_err err = {0};
    size_t i;
    if (!clo_body_array(&list, body, "tokens", e)) return false;
    if (!list) return clo_api_fail(e, CLO_API_INVALID, "tokens", "tokens is required");
    bool ok = true;
    json_array_foreach (list, i, v) {
        if (!ok) break;
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
            ok = clo_api_fail(e, CLO_API_INVALID, "tokens", "'tokens': token ids are expected");
        else ok = clo_ids_push(&ids, (int32_t)json_integer_value(v), &err) || clo_api_fail_err(e, &err);
    }
    ok = ok && (clo_tok_decode(m->tok, text, ids.ids, ids.n, true, &err) || clo_api_fail_err(e, &err));
    clo_ids_free(&ids);
    return ok;
}

void clo_tokens_detokenize(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    const clo_open_model *m;
    json_t *body = NULL;
    clo_buf text = {0}, out = {0};
    clo_api_error e = {0};
    if (!take_model(&m, &body, s, r)) return;
    if (decode(&text, m, body, &e)) {
        clo_buf_add_char(&out, '{');
        clo_json_add_pair(&out, "prompt", clo_buf_str(&text));
        clo_buf_add_char(&out, ',');
        clo_json_add_pair(&out, "content", clo_buf_str(&text));
        clo_buf_add(&out, CLO_STR("}\n"));
        clo_reply_buf(r, 200, CLO_TYPE_JSON, &out);
    } else {
        clo_route_fail(s, r, &e);
    }
    clo_buf_free(&text);
    json_decref(body);
    give_model(s, m);
}
