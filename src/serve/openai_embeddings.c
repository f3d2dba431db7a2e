/* POST /v1/embeddings. */
#include "serve/embedding.h"
#include "serve/json_out.h"
#include "serve/openai.h"

static void write_list(const clo_embedding *g, clo_buf *out)
{
    clo_buf_add(out, CLO_STR("{\"object\":\"list\",\"model\":"));
    clo_json_add_str(out, g->model_name);
    clo_buf_add(out, CLO_STR(",\"data\":["));
    for (size_t i = 0; i < g->n_texts; i++) {
        clo_buf_addf(out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "", i);
        clo_embedding_add_vector(g, i, out);
        clo_buf_add_char(out, '}');
    }
    clo_buf_addf(out, "],\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}}", g->n_tokens, g->n_tokens);
}

static const clo_embedding_face face = {.write = write_list, .input = "input", .surface = CLO_SURFACE_OPENAI};

static bool bad_input(clo_api_error *e)
{
    return clo_api_fail(e, CLO_API_INVALID, "input", "'input': text, texts, token ids or arrays of token ids are expected");
}

static bool add_one(clo_embedding *g, const json_t *v, clo_api_error *e)
{
    if (json_is_array(v)) return clo_embedding_add_ids(g, v, e);
    if (!json_is_string(v)) return bad_input(e);
    clo_str text = {json_string_value(v), json_string_length(v)};
    if (text.len == 0) return clo_api_fail(e, CLO_API_INVALID, "input", "'input': text %zu is empty", g->n_texts);
    return clo_embedding_add_text(g, text, false, e);
}

static bool read_input(clo_embedding *g, clo_api_error *e)
{
    const json_t *input = json_object_get(g->body, "input"), *v;
    size_t i;
    if (!input || json_is_null(input)) return clo_api_fail(e, CLO_API_INVALID, "input", "input is required");
    if (json_is_string(input) || json_is_integer(json_array_get(input, 0))) return add_one(g, input, e);
    if (json_array_size(input) == 0) return bad_input(e);
    if (json_array_size(input) > CLO_EMBEDDING_TEXTS_MAX)
        return clo_api_fail(e, CLO_API_INVALID, "input", "'input' has %zu texts; at most %d are allowed",
                            json_array_size(input), CLO_EMBEDDING_TEXTS_MAX);
    json_array_foreach (input, i, v)
        if (!add_one(g, v, e)) return false;
    return true;
}

static bool read_format(clo_embedding *g, clo_api_error *e)
{
    clo_str format;
    if (!clo_body_str(&format, g->body, "encoding_format", false, e)) return false;
    g->base64 = clo_str_eq(format, CLO_STR("base64"));
    if (!format.ptr || g->base64 || clo_str_eq(format, CLO_STR("float"))) return true;
    return clo_api_fail(e, CLO_API_INVALID, "encoding_format", "'encoding_format': float or base64 is expected");
}

void clo_openai_embeddings(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    json_t *body;
    clo_str name;
    const clo_open_model *model = NULL;
    clo_api_error e = {0};
    if (clo_embedding_again(r) || !clo_openai_begin(&body, &name, &model, s, r)) return;
    clo_embedding *g = clo_embedding_make(s, r, model, body, &face);
    if (!g) return;
    g->model_name = name;
    if (read_format(g, &e) && clo_embedding_read_length(g, &e) && read_input(g, &e)) clo_embedding_start(g);
    else clo_embedding_fail(g, &e);
}
