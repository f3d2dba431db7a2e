/* POST /api/embed, and the older /api/embeddings of one prompt. */
#include <math.h>

#include "serve/embedding.h"
#include "serve/http_impl.h"
#include "serve/json_out.h"
#include "serve/ollama.h"
#include "serve/server_impl.h"

static long long nanoseconds(double s)
{
    return (long long)(s * 1e9);
}

static void write_many(const clo_embedding *g, clo_buf *out)
{
    clo_buf_add(out, CLO_STR("{\"model\":"));
    clo_json_add_str(out, g->model_name);
    clo_buf_add(out, CLO_STR(",\"embeddings\":["));
    for (size_t i = 0; i < g->n_texts; i++) {
        if (i) clo_buf_add_char(out, ',');
        clo_embedding_add_vector(g, i, out);
    }
    clo_buf_addf(out, "],\"total_duration\":%lld,\"load_duration\":%lld,\"prompt_eval_count\":%zu}",
                 nanoseconds(clo_http_now() - g->begin_s), nanoseconds(g->start_s - g->begin_s), g->n_tokens);
}

static void write_one(const clo_embedding *g, clo_buf *out)
{
    clo_buf_add(out, CLO_STR("{\"embedding\":"));
    if (g->n_texts > 0) clo_embedding_add_vector(g, 0, out);
    else clo_buf_add(out, CLO_STR("[]"));
    clo_buf_add_char(out, '}');
}

static const clo_embedding_face many = {.write = write_many, .input = "input", .surface = CLO_SURFACE_OLLAMA};
static const clo_embedding_face one = {.write = write_one, .input = "prompt", .surface = CLO_SURFACE_OLLAMA};

/* Text, or for /api/embed a list of texts; none asks for nothing but the model. */
static bool read_input(clo_embedding *g, bool truncate, clo_api_error *e)
{
    const json_t *input = json_object_get(g->body, g->face->input), *v;
    size_t i;
    if (!input || json_is_null(input) || (json_is_string(input) && json_string_length(input) == 0)) return true;
    if (json_is_string(input))
        return clo_embedding_add_text(g, (clo_str){json_string_value(input), json_string_length(input)}, truncate, e);
    if (!json_is_array(input) || g->face == &one)
        return clo_api_fail(e, CLO_API_INVALID, g->face->input, "'%s': text%s is expected", g->face->input,
                            g->face == &one ? "" : " or a list of texts");
    json_array_foreach (input, i, v) {
        if (!json_is_string(v))
            return clo_api_fail(e, CLO_API_INVALID, g->face->input, "'%s': text or a list of texts is expected",
                                g->face->input);
        if (!clo_embedding_add_text(g, (clo_str){json_string_value(v), json_string_length(v)}, truncate, e)) return false;
    }
    return true;
}

static void reply_empty(clo_embedding *g)
{
    clo_buf out = {0};
    g->face->write(g, &out);
    clo_buf_add_char(&out, '\n');
    clo_reply_buf(g->r, 200, CLO_TYPE_JSON, &out);
}

static void embed(clo_server *s, clo_request *r, const clo_embedding_face *face)
{
    json_t *body = NULL;
    clo_str name;
    clo_api_error e = {0};
    double keep_s = (double)NAN;
    bool truncate = true;
    const clo_open_model *model = NULL;
    if (clo_embedding_again(r)) return;
    bool ok = clo_body_parse(&body, clo_request_body(r), &e) && clo_ollama_model_name(&name, body, &e) &&
              clo_ollama_keep_alive(&keep_s, body, &e) && clo_body_bool(&truncate, body, "truncate", &e) &&
              clo_account_may_use(s, r, name, &e);
    clo_model_taken how = ok ? clo_models_take(&model, s->models, name, r, &e) : CLO_MODEL_NONE;
    if (how != CLO_MODEL_READY) {
        json_decref(body);
        if (how == CLO_MODEL_NONE) clo_route_fail(s, r, &e);
        return;
    }
    clo_embedding *g = clo_embedding_make(s, r, model, body, face);
    if (!g) return;
    g->model_name = name;
    g->keep_alive_s = keep_s;
    if (!clo_embedding_read_length(g, &e) || !read_input(g, truncate, &e)) clo_embedding_fail(g, &e);
    else if (g->n_texts == 0) reply_empty(g);
    else clo_embedding_start(g);
}

void clo_ollama_embed(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    embed(s, r, &many);
}

void clo_ollama_embeddings(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    embed(s, r, &one);
}
