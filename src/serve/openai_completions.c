/* POST /v1/completions: text or token ids go on. What evaluators need: with echo and logprobs every token of the prompt has
 * its log-probability, the first one null, and a map of the likeliest tokens whose maximum equals it exactly when it was the
 * likeliest. */
#include <stdio.h>

#include "serve/json_out.h"
#include "serve/openai.h"
#include "serve/receipts.h"
#include "serve/server_impl.h"

#define OBJECT "text_completion"

/* --- writing ------------------------------------------------------------------------------------------------------*/

/* Characters of a token's text. */
static size_t characters(clo_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += ((uint8_t)s.ptr[i] & 0xC0) != 0x80;
    return n;
}

/* A key of a map: the token's text, or token_id:N where that text is there already. */
static void add_key(const clo_choice *c, const int32_t *before, size_t n_before, int32_t id, clo_buf *out)
{
    const clo_tok *tok = c->g->model->tok;
    clo_str text = clo_tok_piece(tok, id, true);
    clo_buf as_json = {0}, other = {0};
    bool twice = false;
    clo_json_add_str(&as_json, text);
    for (size_t i = 0; i < n_before && !twice; i++) {
        other.len = 0;
        clo_json_add_str(&other, clo_tok_piece(tok, before[i], true)); /* parts of characters look alike */
        twice = clo_str_eq(clo_buf_str(&as_json), clo_buf_str(&other));
    }
    if (twice) clo_buf_addf(out, "\"token_id:%d\"", id);
    else clo_buf_add(out, clo_buf_str(&as_json));
    clo_buf_free(&as_json);
    clo_buf_free(&other);
}

/* The likeliest tokens, and the chosen one when it is not among them. */
static void add_top(const clo_choice *c, const clo_entry *t, clo_buf *out)
{
    int32_t ids[CLO_TASK_TOP_MAX + 1];
    size_t n = 0;
    bool chosen = false;
    clo_buf_add_char(out, '{');
    for (size_t k = 0; k < t->n_top + 1; k++) {
        bool extra = k == t->n_top;
        if (extra && chosen) break;
        int32_t id = extra ? t->id : c->tops[t->i_top + k].id;
        chosen = chosen || id == t->id;
        if (k) clo_buf_add_char(out, ',');
        add_key(c, ids, n, id, out);
        ids[n++] = id;
        clo_buf_add_char(out, ':');
        clo_json_add_logprob(out, extra ? t->logprob : c->tops[t->i_top + k].logprob);
    }
    clo_buf_add_char(out, '}');
}

/* {"tokens","token_logprobs","top_logprobs","text_offset"}, or null. */
static void add_logprobs(clo_choice *c, clo_buf *out)
{
    const clo_tok *tok = c->g->model->tok;
    if (!c->g->params.logprobs) {
        clo_buf_add(out, CLO_STR("null"));
        return;
    }
    clo_buf_add(out, CLO_STR("{\"tokens\":["));
    for (size_t i = 0; i < c->n_entries; i++) {
        if (i) clo_buf_add_char(out, ',');
        clo_openai_token(c->g->model, c->entries[i].id, out);
    }
    clo_buf_add(out, CLO_STR("],\"token_logprobs\":["));
    for (size_t i = 0; i < c->n_entries; i++) {
        if (i) clo_buf_add_char(out, ',');
        if (c->entries[i].logprob <= CLO_LOGPROB_NONE) clo_buf_add(out, CLO_STR("null"));
        else clo_json_add_logprob(out, c->entries[i].logprob);
    }
    clo_buf_add(out, CLO_STR("],\"top_logprobs\":["));
    for (size_t i = 0; i < c->n_entries; i++) {
        if (i) clo_buf_add_char(out, ',');
        if (c->entries[i].logprob <= CLO_LOGPROB_NONE) clo_buf_add(out, CLO_STR("null"));
        else add_top(c, &c->entries[i], out);
    }
    clo_buf_add(out, CLO_STR("],\"text_offset\":["));
    for (size_t i = 0; i < c->n_entries; i++) {
        clo_buf_addf(out, "%s%zu", i ? "," : "", c->text_at);
        c->text_at += characters(clo_tok_piece(tok, c->entries[i].id, true));
    }
    clo_buf_add(out, CLO_STR("]}"));
}

static clo_str echoed(const clo_choice *c)
{
    return c->g->params.echo && c->g->prompt_texts ? c->g->prompt_texts[c->i_prompt] : CLO_STR("");
}

/* "index","text","logprobs","finish_reason" */
static void add_choice(clo_choice *c, clo_str echo, bool with_entries, const char *finish, clo_buf *out)
{
    clo_buf text = {0};
    clo_buf_add(&text, echo);
    clo_buf_add(&text, clo_buf_str(&c->said));
    clo_buf_addf(out, "{\"index\":%zu,\"text\":", c->index);
    clo_json_add_str(out, clo_buf_str(&text));
    clo_buf_add(out, CLO_STR(",\"logprobs\":"));
    if (with_entries) add_logprobs(c, out);
    else clo_buf_add(out, CLO_STR("null"));
    if (finish) clo_buf_addf(out, ",\"finish_reason\":\"%s\"", finish);
    else clo_buf_add(out, CLO_STR(",\"finish_reason\":null"));
    if (finish) clo_receipts_show(c, out);
    clo_buf_add_char(out, '}');
    if (text.failed) out->failed = true;
    clo_buf_free(&text);
}

static void add_chunk(clo_choice *c, clo_str echo, bool with_entries, const char *finish, clo_buf *out)
{
    clo_openai_chunk_begin(c->g, OBJECT, out);
    add_choice(c, echo, with_entries, finish, out);
    clo_openai_chunk_end(c->g, out);
}

static void write_head(clo_generation *g, clo_buf *out)
{
    for (size_t i = 0; i < g->n_choices; i++)
        if (g->params.echo) add_chunk(&g->choices[i], echoed(&g->choices[i]), false, NULL, out);
}

static void write_piece(clo_choice *c, clo_buf *out)
{
    add_chunk(c, CLO_STR(""), true, NULL, out);
}

/* Tokens without text (the model's end among them) come with it. */
static void write_finish(clo_choice *c, clo_buf *out)
{
    add_chunk(c, CLO_STR(""), c->n_entries > 0, clo_choice_finish(c), out);
}

static void write_place(clo_choice *c, clo_buf *out)
{
    clo_openai_place(c, OBJECT, out);
}

static void write_tail(clo_generation *g, clo_buf *out)
{
    clo_openai_tail(g, OBJECT, out);
}

static void write_whole(clo_generation *g, clo_buf *out)
{
    clo_openai_whole_begin(g, OBJECT, out);
    for (size_t i = 0; i < g->n_choices; i++) {
        if (i) clo_buf_add_char(out, ',');
        add_choice(&g->choices[i], echoed(&g->choices[i]), true, clo_choice_finish(&g->choices[i]), out);
    }
    clo_openai_whole_end(g, out);
}

static const clo_face completions_face = {.stream_type = CLO_TYPE_EVENTS,
                                          .head = write_head,
                                          .piece = write_piece,
                                          .finish = write_finish,
                                          .place = write_place,
                                          .tail = write_tail,
                                          .fault = clo_openai_fault,
                                          .ping = clo_openai_ping,
                                          .whole = write_whole,
                                          .surface = CLO_SURFACE_OPENAI};

/* --- reading ------------------------------------------------------------------------------------------------------*/

static bool bad_prompt(clo_api_error *e)
{
    return clo_api_fail(e, CLO_API_INVALID, "prompt", "'prompt': text, texts, token ids or arrays of token ids are expected");
}

static bool add_ids(clo_generation *g, const json_t *list, clo_api_error *e)
{
    clo_ids ids = {0};
    clo_err err = {0};
    const json_t *v;
    size_t i, n_vocab = clo_gen_vocab(g->model->model);
    bool ok = true;
    json_array_foreach (list, i, v) {
        json_int_t id = json_integer_value(v);
        if (!json_is_integer(v)) ok = bad_prompt(e);
        else if (id < 0 || (uint64_t)id >= n_vocab)
            ok = clo_api_fail(e, CLO_API_INVALID, "prompt", "'prompt': token id %lld; the vocabulary has %zu",
                              (long long)id, n_vocab);
        else if (!clo_ids_push(&ids, (int32_t)id, &err))
            ok = clo_api_fail_err(e, &err);
        if (!ok) break;
    }
    ok = ok && (clo_generation_add_prompt(g, &ids) || clo_api_fail(e, CLO_API_BUSY, NULL, "no memory is left"));
    clo_ids_free(&ids);
    return ok;
}

/* Text gets what the tokenizer adds (BOS); special tokens are read, as a completion has no conversation to protect. */
static bool add_text(clo_generation *g, const json_t *v, clo_api_error *e)
{
    clo_ids ids = {0};
    clo_err err = {0};
    const clo_tok_opts o = {.add_special = true, .parse_special = true};
    bool ok = clo_tok_encode(g->model->tok, &ids, (clo_str){json_string_value(v), json_string_length(v)}, o, &err) ||
              clo_api_fail_err(e, &err);
    ok = ok && (clo_generation_add_prompt(g, &ids) || clo_api_fail(e, CLO_API_BUSY, NULL, "no memory is left"));
    clo_ids_free(&ids);
    return ok;
}

static bool add_prompt(clo_generation *g, const json_t *v, clo_api_error *e)
{
    if (json_is_string(v)) return add_text(g, v, e);
    if (json_is_array(v) && json_array_size(v) > 0) return add_ids(g, v, e);
    return bad_prompt(e);
}

/* The four forms. */
static bool read_prompts(clo_generation *g, clo_api_error *e)
{
    const json_t *prompt = json_object_get(g->body, "prompt"), *v;
    size_t i;
    if (!prompt || json_is_null(prompt)) return clo_api_fail(e, CLO_API_INVALID, "prompt", "prompt is required");
    bool one = json_is_string(prompt) || json_is_integer(json_array_get(prompt, 0));
    if (one) return add_prompt(g, prompt, e);
    if (!json_is_array(prompt) || json_array_size(prompt) == 0) return bad_prompt(e);
    if (json_array_size(prompt) > CLO_GENERATION_CHOICES_MAX)
        return clo_api_fail(e, CLO_API_INVALID, "prompt", "'prompt' has %zu prompts; at most %d are allowed",
                            json_array_size(prompt), CLO_GENERATION_CHOICES_MAX);
    json_array_foreach (prompt, i, v)
        if (!add_prompt(g, v, e)) return false;
    return true;
}

/* What echo returns first: a text as it came, ids as the text that they stand for. */
static bool keep_texts(clo_generation *g, clo_api_error *e)
{
    const json_t *prompt = json_object_get(g->body, "prompt");
    clo_arena *a = clo_request_arena(g->r);
    g->prompt_texts = CLO_NEW(a, clo_str, g->n_prompts);
    for (size_t i = 0; g->prompt_texts && i < g->n_prompts; i++) {
        const json_t *v = json_is_string(prompt) ? prompt : json_array_get(prompt, i);
        if (json_is_string(v)) {
            g->prompt_texts[i] = (clo_str){json_string_value(v), json_string_length(v)};
            continue;
        }
        clo_buf text = {0};
        clo_err err = {0};
        bool ok = clo_tok_decode(g->model->tok, &text, g->prompts[i].ids, g->prompts[i].n, true, &err);
        if (ok) g->prompt_texts[i] = clo_arena_copy_str(a, clo_buf_str(&text));
        clo_buf_free(&text);
        if (!ok) return clo_api_fail_err(e, &err);
    }
    return g->prompt_texts || clo_api_fail(e, CLO_API_BUSY, NULL, "no memory is left");
}

static bool check_asked(clo_generation *g, clo_api_error *e)
{
    clo_str suffix;
    clo_params *p = &g->params;
    if (!clo_body_str(&suffix, g->body, "suffix", false, e)) return false;
    if (suffix.len > 0)
        return clo_api_fail(e, CLO_API_UNSUPPORTED, "suffix", "model '%s' does not support insert", g->model->info->name);
    if (p->n_max == CLO_PARAMS_NONE) p->n_max = 16;
    if (p->n_max == 0 && !p->echo)
        return clo_api_fail(e, CLO_API_INVALID, "max_tokens", "'max_tokens' is 0: that needs 'echo': true");
    g->prompt_only = p->n_max == 0;
    return true;
}

static bool read_asked(clo_generation *g, clo_api_error *e)
{
    return check_asked(g, e) && read_prompts(g, e) && (!g->params.echo || keep_texts(g, e));
}

void clo_openai_completions(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_openai_answer(s, r, &(clo_openai_kind){&completions_face, "cmpl-", CLO_PARAMS_COMPLETIONS, read_asked});
}
