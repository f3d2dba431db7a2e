/* What handlers of the OpenAI interface share. See openai.h. */
#include "serve/account.h"
#include "serve/json_out.h"
#include "serve/openai.h"
#include "serve/server_impl.h"

bool clo_openai_begin(json_t **body, clo_str *model_name, const clo_open_model **model, clo_server *s, clo_request *r)
{
    clo_api_error e = {0};
    clo_model_taken how = CLO_MODEL_NONE;
    *body = NULL;
    bool ok = clo_body_parse(body, clo_request_body(r), &e) && clo_body_str(model_name, *body, "model", true, &e);
    ok = ok && clo_account_may_use(s, r, *model_name, &e);
    if (ok) how = clo_models_take(model, s->models, *model_name, r, &e);
    if (how == CLO_MODEL_READY) return true;
    json_decref(*body);
    *body = NULL;
    if (how == CLO_MODEL_NONE) clo_route_fail(s, r, &e); /* LATER: r belongs to the models for now */
    return false;
}

void clo_openai_answer(clo_server *s, clo_request *r, const clo_openai_kind *kind)
{
    json_t *body;
    clo_str name;
    const clo_open_model *model = NULL;
    clo_api_error e = {0};
    if (!clo_openai_begin(&body, &name, &model, s, r)) return;
    clo_generation *g = clo_generation_make(s, r, model, body, kind->face, kind->id_prefix);
    if (!g) return;
    g->model_name = name;
    bool ok = clo_params_read(&g->params, body, kind->params, clo_request_arena(r), &e) &&
              clo_params_sampler(&g->sampler, &g->params, &model->advice, &e) && kind->read(g, &e);
    if (ok) clo_generation_start(g);
    else clo_generation_fail(g, &e);
}

/* --- what every chunk and answer begins with ----------------------------------------------------------------------*/

static void add_head(const clo_generation *g, const char *object, clo_buf *out)
{
    clo_buf_addf(out, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", g->id, object,
                 (long long)g->created_unix);
    clo_json_add_str(out, g->model_name);
    clo_buf_addf(out, ",\"system_fingerprint\":\"%s\",\"choices\":[", g->model->fingerprint);
}

void clo_openai_chunk_begin(const clo_generation *g, const char *object, clo_buf *out)
{
    clo_buf_add(out, CLO_STR("data: "));
    add_head(g, object, out);
}

void clo_openai_chunk_end(const clo_generation *g, clo_buf *out)
{
    clo_buf_add(out, g->params.include_usage ? CLO_STR("],\"usage\":null}\n\n") : CLO_STR("]}\n\n"));
}

void clo_openai_whole_begin(const clo_generation *g, const char *object, clo_buf *out)
{
    add_head(g, object, out);
}

static double per_second(size_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

/* Usage, and what llama-server's clients read beside it. */
static void add_usage(const clo_generation *g, clo_buf *out)
{
    clo_usage u = clo_generation_usage(g);
    clo_buf_addf(out,
                 "\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu,"
                 "\"prompt_tokens_details\":{\"cached_tokens\":%zu},"
                 "\"completion_tokens_details\":{\"reasoning_tokens\":%zu}}",
                 u.n_prompt, u.n_output, u.n_prompt + u.n_output, u.n_cached, u.n_thought);
    clo_buf_addf(out,
                 ",\"timings\":{\"cache_n\":%zu,\"prompt_n\":%zu,\"prompt_ms\":%.3f,\"prompt_per_second\":%.3f,"
                 "\"predicted_n\":%zu,\"predicted_ms\":%.3f,\"predicted_per_second\":%.3f},\"x_seed\":%llu",
                 u.n_cached, u.n_prompt - u.n_cached, u.prefill_s * 1e3, per_second(u.n_prompt - u.n_cached, u.prefill_s),
                 u.n_output, u.decode_s * 1e3, per_second(u.n_output, u.decode_s), (unsigned long long)g->seed);
}

void clo_openai_whole_end(const clo_generation *g, clo_buf *out)
{
    clo_buf_add(out, CLO_STR("],"));
    add_usage(g, out);
    clo_buf_add_char(out, '}');
}

void clo_openai_tail(const clo_generation *g, const char *object, clo_buf *out)
{
    if (g->params.include_usage) {
        clo_openai_chunk_begin(g, object, out);
        clo_buf_add(out, CLO_STR("],"));
        add_usage(g, out);
        clo_buf_add(out, CLO_STR("}\n\n"));
    }
    clo_buf_add(out, CLO_STR("data: [DONE]\n\n"));
}

/* Clients take any event with an error for the end; [DONE] does not follow. */
void clo_openai_fault(clo_generation *g, const clo_api_error *e, clo_buf *out)
{
    (void)g;
    clo_buf_add(out, CLO_STR("data: "));
    clo_api_error_json(out, CLO_SURFACE_OPENAI, e);
    clo_buf_add(out, CLO_STR("\n\n"));
}

void clo_openai_place(clo_choice *c, const char *object, clo_buf *out)
{
    clo_openai_chunk_begin(c->g, object, out);
    clo_buf_addf(out, "],\"x_queue\":{\"index\":%zu,\"place\":%zu}}\n\n", c->index, c->place);
}

void clo_openai_ping(clo_generation *g, clo_buf *out)
{
    (void)g;
    clo_buf_add(out, CLO_STR(": ping\n\n"));
}

/* --- log-probabilities --------------------------------------------------------------------------------------------*/

void clo_openai_token(const clo_open_model *m, int32_t id, clo_buf *out)
{
    clo_json_add_str(out, clo_tok_piece(m->tok, id, true));
}

/* "token":...,"logprob":...,"bytes":[...] */
static void add_token(const clo_open_model *m, int32_t id, double logprob, clo_buf *out)
{
    clo_str bytes = clo_tok_piece(m->tok, id, true);
    clo_buf_add(out, CLO_STR("\"token\":"));
    clo_openai_token(m, id, out);
    clo_buf_add(out, CLO_STR(",\"logprob\":"));
    clo_json_add_logprob(out, logprob);
    clo_buf_add(out, CLO_STR(",\"bytes\":["));
    for (size_t i = 0; i < bytes.len; i++) clo_buf_addf(out, "%s%u", i ? "," : "", (unsigned)(uint8_t)bytes.ptr[i]);
    clo_buf_add_char(out, ']');
}

void clo_openai_entries(const clo_choice *c, clo_buf *out)
{
    const clo_open_model *m = c->g->model;
    bool first = true;
    clo_buf_add_char(out, '[');
    for (size_t i = 0; i < c->n_entries; i++) {
        const clo_entry *t = &c->entries[i];
        if (clo_is_stop_id(m, t->id)) continue; /* no part of the text */
        clo_buf_add(out, first ? CLO_STR("{") : CLO_STR(",{"));
        first = false;
        add_token(m, t->id, t->logprob, out);
        clo_buf_add(out, CLO_STR(",\"top_logprobs\":["));
        for (size_t k = 0; k < t->n_top; k++) {
            clo_buf_add(out, k ? CLO_STR(",{") : CLO_STR("{"));
            add_token(m, c->tops[t->i_top + k].id, c->tops[t->i_top + k].logprob, out);
            clo_buf_add_char(out, '}');
        }
        clo_buf_add(out, CLO_STR("]}"));
    }
    clo_buf_add_char(out, ']');
}

void clo_openai_logprobs(const clo_choice *c, clo_buf *out)
{
    if (!c->g->params.logprobs) {
        clo_buf_add(out, CLO_STR("null"));
        return;
    }
    clo_buf_add(out, CLO_STR("{\"content\":"));
    clo_openai_entries(c, out);
    clo_buf_add(out, CLO_STR(",\"refusal\":null}"));
}
