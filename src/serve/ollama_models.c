/* /api/version, tags, ps, show, and what is refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/tokenizer.h"
#include "serve/account.h"
#include "serve/json_out.h"
#include "serve/ollama.h"
#include "serve/params.h"
#include "serve/server_impl.h"

#define FOR_EVER_US ((int64_t)100 * 365 * 86400 * 1000000)

void clo_ollama_version(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_reply_json(r, 200, json_pack("{s:s}", "version", s->o.ollama_version ? s->o.ollama_version : CLO_OLLAMA_VERSION));
}

static json_t *listed(const clo_model_info *m, const char *digest)
{
    json_t *details = clo_ollama_details(m);
    json_object_set_new(details, "context_length", json_integer(m->facts.n_ctx));
    json_object_set_new(details, "embedding_length", json_integer(m->facts.n_dim));
    return json_pack("{s:o, s:o, s:I, s:s, s:o}", "name", clo_ollama_name(m->name), "model", clo_ollama_name(m->name), "size",
                     (json_int_t)m->bytes, "digest", digest, "details", details);
}

void clo_ollama_tags(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_model_info *list = NULL;
    size_t n = 0;
    clo_err err = {0};
    clo_api_error e = {0};
    char time[CLO_TIME_BYTES];
    if (!clo_models_list(&list, &n, s->models, r, &err)) {
        clo_api_fail_err(&e, &err);
        clo_route_fail(s, r, &e);
        return;
    }
    n = clo_account_keep_allowed(list, n, s, r);
    json_t *models = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *o = listed(&list[i], list[i].digest);
        json_object_set_new(o, "modified_at", json_string(clo_json_time(time, list[i].modified_unix * 1000000)));
        json_object_set_new(o, "capabilities", clo_ollama_capabilities(&list[i]));
        json_array_append_new(models, o);
    }
    free(list);
    clo_reply_json(r, 200, json_pack("{s:o}", "models", models));
}

typedef struct {
    clo_server *s;
    const clo_request *r;
    json_t *models;
} showing;

static void add_open(void *ctx, const clo_open_state *st)
{
    const showing *sh = (const showing *)ctx;
    if (!clo_models_shows(sh->s->models, st->info, sh->r)) return;
    json_t *o = listed(st->info, st->digest);
    char time[CLO_TIME_BYTES];
    int64_t left_us = st->expires_in_s < 0 ? FOR_EVER_US : (int64_t)(st->expires_in_s * 1e6);
    json_object_set_new(o, "size", json_integer((json_int_t)st->memory_bytes));
    json_object_set_new(o, "size_vram", json_integer(0));
    json_object_set_new(o, "expires_at", json_string(clo_json_time(time, clo_unix_us() + left_us)));
    json_object_set_new(o, "context_length", json_integer((json_int_t)st->n_ctx));
    json_array_append_new(sh->models, o);
}

void clo_ollama_ps(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    showing sh = {s, r, json_array()};
    clo_models_each_open(s->models, add_open, &sh);
    clo_reply_json(r, 200, json_pack("{s:o}", "models", sh.models));
}

/* --- show ---------------------------------------------------------------------------------------------------------*/

/* The keys that clients read; <architecture>.x as GGUF names them. */
static json_t *model_info(const clo_model_info *m)
{
    const clo_facts *f = &m->facts;
    const struct {
        const char *name;
        json_int_t value;
    } rows[] = {{"context_length", f->n_ctx},
                {"embedding_length", f->n_dim},
                {"block_count", f->n_layer},
                {"feed_forward_length", f->n_ff},
                {"attention.head_count", f->n_head},
                {"attention.head_count_kv", f->n_kv_head},
                {"vocab_size", f->n_vocab}};
    json_t *o = json_pack("{s:s, s:s, s:I}", "general.architecture", f->family, "general.basename",
                          f->basename[0] ? f->basename : m->name, "general.parameter_count", (json_int_t)f->n_weights);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char key[96];
        snprintf(key, sizeof key, "%s.%s", f->family, rows[i].name);
        json_object_set_new(o, key, json_integer(rows[i].value));
    }
    return o;
}

/* Lines of key, spaces, value, as clients parse them; texts in quotes. */
static void add_parameters(clo_buf *out, const clo_model_info *m)
{
    clo_arena arena = clo_arena_make(0);
    clo_map map = {0};
    clo_tok *tok = NULL;
    int32_t stops[16];
    clo_buf_addf(out, "%-30s %u", "num_ctx", m->facts.n_ctx);
    if (clo_tok_open_path(&tok, &map, m->path, &arena, NULL)) {
        size_t n = clo_tok_stop_ids(tok, stops, 16);
        for (size_t i = 0; i < n && i < 16; i++) {
            clo_str name = clo_tok_name(tok, stops[i]);
            clo_buf quoted = {0};
            clo_json_add_str(&quoted, name);
            clo_buf_addf(out, "\n%-30s %.*s", "stop", (int)quoted.len, clo_buf_str(&quoted).ptr);
            clo_buf_free(&quoted);
        }
        clo_tok_close(tok);
    }
    clo_map_close(&map);
    clo_arena_free(&arena);
}

static json_t *show_json(const clo_model_info *m)
{
    char time[CLO_TIME_BYTES], modelfile[CLO_SERVED_NAME_MAX + 32];
    clo_buf parameters = {0};
    add_parameters(&parameters, m);
    snprintf(modelfile, sizeof modelfile, "# generated\nFROM %s\n", m->name);
    json_t *o = json_pack("{s:s, s:s, s:s%, s:s, s:s, s:o, s:o, s:o, s:s}", "license", m->facts.license, "modelfile",
                          modelfile, "parameters", clo_buf_str(&parameters).ptr, parameters.len, "template", "{{ .Prompt }}",
                          "system", "", "details", clo_ollama_details(m), "model_info", model_info(m), "capabilities",
                          clo_ollama_capabilities(m), "modified_at", clo_json_time(time, m->modified_unix * 1000000));
    clo_buf_free(&parameters);
    return o;
}

/* The model that the body names; the memory is the request's. */
static clo_model_taken find_named(clo_model_info **out, clo_server *s, clo_request *r, clo_api_error *e)
{
    json_t *body = NULL;
    clo_str name;
    clo_model_taken how = CLO_MODEL_NONE;
    clo_model_info *m = *out = CLO_NEW(clo_request_arena(r), clo_model_info, 1);
    if (!m) clo_api_fail(e, CLO_API_BUSY, NULL, "server busy, please try again.  no memory is left");
    else if (clo_body_parse(&body, clo_request_body(r), e) && clo_ollama_model_name(&name, body, e))
        how = clo_models_find(m, s->models, name, r, e);
    json_decref(body);
    return how;
}

void clo_ollama_show(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_api_error e = {0};
    clo_model_info *m;
    clo_model_taken how = find_named(&m, s, r, &e);
    if (how == CLO_MODEL_READY) clo_reply_json(r, 200, show_json(m));
    else if (how == CLO_MODEL_NONE) clo_route_fail(s, r, &e);
}

/* --- what is refused ----------------------------------------------------------------------------------------------*/

void clo_ollama_refuse(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    json_t *body = NULL;
    clo_str name = {0};
    clo_api_error e = {0};
    if (clo_body_parse(&body, clo_request_body(r), &e) && clo_ollama_model_name(&name, body, &e)) {
        int n = (int)(name.len > 200 ? 200 : name.len);
        clo_api_fail(&e, CLO_API_POLICY, NULL,
                     "offline mode: '%.*s' is not in the store or in any bundle; import it with 'cloche import FILE'", n,
                     name.ptr);
    }
    clo_route_fail(s, r, &e);
    json_decref(body);
}
