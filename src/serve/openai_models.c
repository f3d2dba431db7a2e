/* GET /v1/models and /v1/models/{id}. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/account.h"
#include "serve/json_out.h"
#include "serve/ollama.h"
#include "serve/openai.h"
#include "serve/server_impl.h"

/* name: as it was asked for. */
static json_t *model_json(const clo_model_info *m, clo_str name)
{
    const char *slash = strchr(m->name, '/');
    size_t n_owner = slash ? (size_t)(slash - m->name) : 0;
    char digest[80] = "";
    if (m->digest[0]) snprintf(digest, sizeof digest, "sha256:%s", m->digest);
    json_t *meta = json_pack("{s:I, s:I, s:I, s:I, s:I, s:s?}", "n_ctx_train", (json_int_t)m->facts.n_ctx, "n_params",
                             (json_int_t)m->facts.n_weights, "n_vocab", (json_int_t)m->facts.n_vocab, "n_embd",
                             (json_int_t)m->facts.n_dim, "size", (json_int_t)m->bytes, "digest",
                             m->digest[0] ? digest : NULL);
    return json_pack("{s:s%, s:s, s:I, s:s%, s:I, s:o, s:o}", "id", name.ptr, name.len, "object", "model", "created",
                     (json_int_t)m->modified_unix, "owned_by", slash ? m->name : "local", slash ? n_owner : (size_t)5,
                     "max_model_len", (json_int_t)(m->facts.encoder ? m->facts.n_text : m->facts.n_ctx), "capabilities",
                     clo_ollama_capabilities(m), "meta", meta);
}

void clo_openai_models(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_model_info *list = NULL;
    size_t n = 0;
    clo_err err = {0};
    clo_api_error e = {0};
    if (!clo_models_list(&list, &n, s->models, r, &err)) {
        clo_api_fail_err(&e, &err);
        clo_route_fail(s, r, &e);
        return;
    }
    n = clo_account_keep_allowed(list, n, s, r);
    json_t *data = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(data, model_json(&list[i], clo_str_from(list[i].name)));
    free(list);
    clo_reply_json(r, 200, json_pack("{s:s, s:o}", "object", "list", "data", data));
}

void clo_openai_model(clo_server *s, clo_request *r, clo_str id)
{
    clo_model_info *m = CLO_NEW(clo_request_arena(r), clo_model_info, 1);
    clo_api_error e = {0};
    clo_model_taken how = CLO_MODEL_NONE;
    if (m) how = clo_models_find(m, s->models, id, r, &e);
    else clo_api_fail(&e, CLO_API_BUSY, NULL, "server busy, please try again.  no memory is left");
    if (how == CLO_MODEL_READY) clo_reply_json(r, 200, model_json(m, id));
    else if (how == CLO_MODEL_NONE) clo_route_fail(s, r, &e);
}
