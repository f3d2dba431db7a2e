/* See receipts.h. */
#include "serve/receipts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "serve/json_out.h"
#include "serve/openai.h"
#include "serve/receipt_files.h"
#include "serve/router.h"
#include "serve/server_impl.h"

/* --- making -------------------------------------------------------------------------------------------------------*/

static bool make(clo_receipt *out, const clo_choice *c, clo_err *err)
{
    const clo_generation *g = c->g;
    clo_sha256 template_text = {0};
    if (g->chat) template_text = clo_chat_digest(g->chat);
    const clo_receipt_facts facts = {.result = &c->result->gen,
                                     .prompt = g->prompts[c->i_prompt].ids,
                                     .sampler = &g->sampler,
                                     .seed = g->seed + c->index % (size_t)g->params.n,
                                     .template_text = g->chat ? &template_text : NULL,
                                     .grammar = &g->source,
                                     .version = CLO_VERSION};
    return clo_receipt_make(out, clo_sched_decoder(g->model->sched), &facts, err);
}

bool clo_receipts_make(clo_choice *c, clo_api_error *e)
{
    clo_receipt receipt = {0};
    clo_err err = {0};
    char hex[65];
    bool ok = make(&receipt, c, &err) && clo_receipt_format(&c->receipt, &receipt, &err);
    clo_receipt_free(&receipt);
    if (!ok) return clo_api_fail_err(e, &err);
    c->receipt_digest = clo_sha256_of(c->receipt.ptr, c->receipt.len);
    clo_sha256_hex(hex, &c->receipt_digest);
    snprintf(c->receipt_id, sizeof c->receipt_id, "r_%s", hex);
    clo_metrics_receipt(c->g->model->metrics);
    return true;
}

void clo_receipts_show(const clo_choice *c, clo_buf *out)
{
    const clo_gen_result *r = c->result ? &c->result->gen : NULL;
    char chain[65] = "";
    if (!c->receipt_id[0]) return;
    if (r && r->n_ids > 0) clo_sha256_hex(chain, &r->chain[r->n_ids - 1]);
    clo_buf_addf(out, ",\"x_receipt\":{\"id\":\"%s\",\"chain\":\"%s\",\"seed\":\"%llu\",\"stored\":%s,\"text\":", c->receipt_id,
                 chain, (unsigned long long)(c->g->seed + c->index % (size_t)c->g->params.n),
                 c->g->s->o.data_dir ? "true" : "false");
    clo_json_add_str(out, clo_buf_str(&c->receipt));
    clo_buf_add_char(out, '}');
}

/* --- reading ------------------------------------------------------------------------------------------------------*/

static bool read_stored(clo_map *out, clo_server *s, clo_str id, clo_api_error *e)
{
    clo_sha256 wanted;
    clo_err err = {0};
    if (!clo_str_starts_with(id, CLO_STR("r_")) || !clo_sha256_parse(&wanted, id.ptr + 2, id.len - 2) || !s->o.data_dir)
        return clo_api_fail(e, CLO_API_NO_PATH, NULL, "no such receipt here");
    if (clo_receipt_file_open(out, s->o.data_dir, &wanted, &err)) return true;
    if (err.code == CLO_ERR_NOT_FOUND) return clo_api_fail(e, CLO_API_NO_PATH, NULL, "%s", err.text);
    if (err.code == CLO_ERR_DAMAGED) return clo_api_fail(e, CLO_API_INTERNAL, NULL, "%s", err.text);
    return clo_api_fail_err(e, &err);
}

void clo_receipts_get(clo_server *s, clo_request *r, clo_str id)
{
    clo_map map = {0};
    clo_api_error e = {0};
    if (!read_stored(&map, s, id, &e)) {
        clo_route_fail(s, r, &e);
        return;
    }
    clo_reply_header(r, "Cache-Control", "private, no-cache");
    clo_reply(r, 200, CLO_TYPE_JSON, clo_str_of(map.bytes));
    clo_map_close(&map);
}

/* --- replaying ----------------------------------------------------------------------------------------------------*/

/* Bytes that are not UTF-8 are U+FFFD, as in answers. */
static json_t *text_json(clo_str text)
{
    clo_buf json = {0};
    clo_json_add_str(&json, text);
    json_t *v = json.failed ? NULL : json_loadb(json.ptr, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    clo_buf_free(&json);
    return v ? v : json_null();
}

static json_t *token_json(const clo_open_model *m, int32_t id)
{
    if (id < 0) return json_null();
    return json_pack("{s:i, s:o}", "id", id, "text", text_json(clo_tok_piece(m->tok, id, true)));
}

static json_t *verdict_json(const clo_replay_verdict *v, const clo_receipt *r, const clo_open_model *m, double seconds)
{
    json_t *o = json_pack("{s:b, s:s, s:I, s:I, s:b, s:f}", "same", v->same, "model", m->info->name, "checked",
                          (json_int_t)v->n_checked, "tokens", (json_int_t)r->output.n, "same_program", v->same_program,
                          "seconds", seconds);
    if (!o || v->same) return o;
    json_object_set_new(o, "what", json_string(v->what));
    bool token = strcmp(v->what, "token") == 0;
    if (token || strcmp(v->what, "logits") == 0) json_object_set_new(o, "at", json_integer((json_int_t)v->at));
    if (token) {
        json_object_set_new(o, "stated", token_json(m, v->stated));
        json_object_set_new(o, "found", token_json(m, v->found));
    }
    return o;
}

static void write_verdict(clo_generation *g, clo_buf *out)
{
    clo_replay_verdict v = {.same_program = g->replayed_program};
    const clo_gen_result *res = &g->choices[0].result->gen;
    clo_receipt_check_answer(g->replayed, res->ids, res->chain, res->n_ids, &v);
    clo_metrics_replay(g->model->metrics, v.same);
    json_t *o = verdict_json(&v, g->replayed, g->model, clo_request_age_s(g->r));
    if (o && v.same) json_object_set_new(o, "text", text_json(clo_buf_str(&g->choices[0].said)));
    clo_json_add_tree(out, o);
}

/* It is never a stream. */
static const clo_face replay_face = {.whole = write_verdict, .surface = CLO_SURFACE_OPENAI};

/* The receipt in the request's body. *out is malloc'ed. */
static bool parse(clo_receipt **out, clo_request *r, clo_api_error *e)
{
    clo_err err = {0};
    clo_receipt *receipt = (clo_receipt *)calloc(1, sizeof *receipt);
    *out = receipt;
    if (!receipt) return clo_api_fail(e, CLO_API_BUSY, NULL, "no memory is left");
    if (!clo_receipt_parse(receipt, clo_request_body(r), &err))
        return clo_api_fail(e, CLO_API_INVALID, NULL, "not a receipt (rcp1): %s", err.text);
    if (receipt->prompt.n == 0)
        return clo_api_fail(e, CLO_API_INVALID, "prompt", "the receipt does not hold its prompt, so nothing can be made again here");
    return true;
}

static void drop(clo_receipt *receipt)
{
    if (receipt) clo_receipt_free(receipt);
    free(receipt);
}

/* The digest of whichever of the model's two templates the receipt names. */
static clo_sha256 template_for(const clo_receipt *r, const clo_open_model *m)
{
    clo_sha256 d = {0};
    if (m->chat_tools) d = clo_chat_digest(m->chat_tools);
    if (m->chat && !clo_sha256_eq(&d, &r->template_text)) d = clo_chat_digest(m->chat);
    return d;
}

/* False: e says what is wrong with what the answer was held to. */
static bool compile(clo_generation *g, const clo_receipt *receipt, clo_api_error *e)
{
    clo_err err = {0};
    if (receipt->grammar.kind == CLO_GRAMMAR_SOURCE_NONE || clo_grammar_source_compile(&g->grammar, &receipt->grammar, &err))
        return true;
    if (err.code == CLO_ERR_MEMORY) return clo_api_fail_err(e, &err);
    return clo_api_fail(e, CLO_API_INVALID, "grammar", "the receipt's grammar: %s", err.text);
}

/* Takes over receipt and model. */
static void start(clo_server *s, clo_request *r, clo_receipt *receipt, const clo_open_model *model, bool same_program)
{
    clo_ids prompt = receipt->prompt;
    clo_generation *g = clo_generation_make(s, r, model, json_object(), &replay_face, "replay-");
    clo_api_error e = {0};
    if (!g) {
        drop(receipt);
        return;
    }
    receipt->prompt = (clo_ids){0}; /* the generation's now */
    g->replayed = receipt;
    g->replayed_program = same_program;
    g->model_name = clo_str_from(model->info->name);
    g->sampler = receipt->sampler;
    g->params.has_seed = true;
    g->params.seed = (int64_t)receipt->seed;
    g->params.n_max = (int64_t)receipt->output.n;
    g->params.ignore_eos = true; /* as many tokens as are stated, whatever ended them */
    g->prompt_only = receipt->output.n == 0;
    bool ok = clo_generation_add_prompt(g, &prompt) || clo_api_fail(&e, CLO_API_BUSY, NULL, "no memory is left");
    if (ok && compile(g, receipt, &e)) clo_generation_start(g);
    else clo_generation_fail(g, &e);
}

void clo_receipts_replay(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_receipt *receipt = NULL;
    const clo_open_model *model = NULL;
    clo_replay_verdict v;
    clo_api_error e = {0};
    clo_err err = {0};
    char hex[65];
    if (!parse(&receipt, r, &e)) {
        drop(receipt);
        clo_route_fail(s, r, &e);
        return;
    }
    clo_sha256_hex(hex, &receipt->model);
    if (!clo_account_may_use(s, r, clo_str_from(hex), &e)) {
        drop(receipt);
        clo_route_fail(s, r, &e);
        return;
    }
    clo_model_taken how = clo_models_take(&model, s->models, clo_str_from(hex), r, &e);
    if (how != CLO_MODEL_READY) {
        drop(receipt);
        if (how == CLO_MODEL_NONE) clo_route_fail(s, r, &e);
        return;
    }
    clo_sha256 template_text = template_for(receipt, model);
    bool ok = clo_receipt_check_setting(receipt, clo_sched_decoder(model->sched), NULL, &template_text, &v, &err);
    if (ok && v.same) {
        start(s, r, receipt, model, v.same_program);
        return;
    }
    if (ok) clo_metrics_replay(model->metrics, false);
    if (ok) clo_reply_json(r, 200, verdict_json(&v, receipt, model, clo_request_age_s(r)));
    else if (!clo_api_fail_err(&e, &err)) clo_route_fail(s, r, &e);
    clo_models_give(s->models, model, (double)NAN);
    drop(receipt);
}
