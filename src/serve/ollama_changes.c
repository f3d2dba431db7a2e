/* /api/create, copy, delete, and the blobs that models are created of. Only who may change models comes here (router.h). */
#include <stdlib.h>
#include <string.h>

#include "serve/changes.h"
#include "serve/json_out.h"
#include "serve/ollama.h"
#include "serve/params.h"
#include "serve/server_impl.h"

/* --- what all share -----------------------------------------------------------------------------------------------*/

static bool needs_data(const clo_server *s, clo_api_error *e)
{
    return s->o.data_dir || clo_api_fail(e, CLO_API_POLICY, NULL, "this server has no data folder");
}

/* A name for a new model: without :latest, and with no other tag. */
static bool take_name(char out[CLO_MODEL_NAME_MAX], clo_str name, const char *field, clo_api_error *e)
{
    if (clo_str_ends_with(name, CLO_STR(":latest"))) name.len -= strlen(":latest");
    bool fits = name.len < CLO_MODEL_NAME_MAX;
    if (fits) memcpy(out, name.ptr, name.len);
    out[fits ? name.len : 0] = '\0';
    return (fits && strlen(out) == name.len && clo_library_name_ok(out)) ||
           clo_api_fail(e, CLO_API_INVALID, field,
                        "%s: name or org/name of letters, digits, . _ - is expected (the only tag is latest)", field);
}

/* The library's name of a model that is there, in whatever spelling it was asked for. */
static bool find_stored(char out[CLO_MODEL_NAME_MAX], clo_server *s, clo_request *r, clo_str name, clo_api_error *e)
{
    json_t *manifest = NULL;
    char spelled[CLO_SERVED_NAME_MAX];
    if (!clo_account_may_use(s, r, name, e) || !clo_models_spell(spelled, s->models, name, r, e)) return false;
    bool ok = strlen(spelled) < CLO_MODEL_NAME_MAX && clo_library_show(&manifest, s->o.data_dir, spelled, NULL);
    if (ok) memcpy(out, spelled, strlen(spelled) + 1);
    json_decref(manifest);
    return ok || clo_api_fail(e, CLO_API_POLICY, NULL, "'%s' is no imported model: --model names it, or a repository holds it", spelled);
}

/* Text about files, without where they lie on this machine. */
static void without_paths(char *text, const char *data_dir)
{
    size_t n = strlen(data_dir);
    for (char *at = strstr(text, data_dir); at; at = strstr(at, data_dir)) {
        char *end = at + n + strcspn(at + n, "' ");
        char *name = end;
        while (name > at && name[-1] != '/')
            name--;
        memmove(at, name, strlen(name) + 1);
    }
}

/* What went wrong, in the kinds that Ollama's clients know. */
static void fail_change(clo_server *s, clo_request *r, clo_change *c)
{
    clo_api_error e = {0};
    if (s->o.data_dir) without_paths(c->err.text, s->o.data_dir);
    switch (c->err.code) {
    case CLO_ERR_USAGE:
    case CLO_ERR_MISMATCH:
    case CLO_ERR_DENIED:
    case CLO_ERR_FORMAT:
    case CLO_ERR_UNSUPPORTED:
        clo_api_fail(&e, CLO_API_INVALID, NULL, "%s", c->err.text);
        break;
    case CLO_ERR_NOT_FOUND:
        if (c->kind == CLO_CHANGE_CREATE)
            clo_api_fail(&e, CLO_API_INVALID, NULL, "%s", c->err.text);
        else
            clo_api_fail(&e, CLO_API_NO_MODEL, NULL, "model '%s' not found",
                         c->kind == CLO_CHANGE_COPY ? c->from : c->name);
        break;
    default:
        clo_api_fail_err(&e, &c->err);
    }
    clo_route_fail(s, r, &e);
}

/* A change of this request that is done: replied, and true. */
static bool reply_done(clo_server *s, clo_request *r, unsigned status, clo_str body)
{
    clo_change *c = clo_changes_take(s, r);
    if (!c) return false;
    if (!c->ok)
        fail_change(s, r, c);
    else
        clo_reply(r, status, c->stream ? CLO_TYPE_LINES : body.len > 0 ? CLO_TYPE_JSON : NULL, body);
    clo_change_free(c);
    return true;
}

/* Takes c over. */
static void start(clo_server *s, clo_request *r, clo_change *c, bool ok, clo_api_error *e)
{
    if (ok && clo_changes_start(s, r, c, e)) return;
    if (!ok) clo_change_free(c);
    clo_route_fail(s, r, e);
}

/* --- copy and delete ----------------------------------------------------------------------------------------------*/

void clo_ollama_copy(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    json_t *body = NULL;
    clo_str source, destination;
    clo_api_error e = {0};
    if (reply_done(s, r, 200, CLO_STR(""))) return;
    clo_change *c = clo_change_make(&e);
    bool ok = c && needs_data(s, &e) && clo_body_parse(&body, clo_request_body(r), &e) &&
              clo_body_str(&source, body, "source", true, &e) &&
              clo_body_str(&destination, body, "destination", true, &e) &&
              take_name(c->name, destination, "destination", &e) && find_stored(c->from, s, r, source, &e);
    if (c) c->kind = CLO_CHANGE_COPY;
    start(s, r, c, ok, &e);
    json_decref(body);
}

void clo_ollama_delete(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    json_t *body = NULL;
    clo_str name;
    clo_api_error e = {0};
    if (reply_done(s, r, 200, CLO_STR(""))) return;
    clo_change *c = clo_change_make(&e);
    bool ok = c && needs_data(s, &e) && clo_body_parse(&body, clo_request_body(r), &e) &&
              clo_ollama_model_name(&name, body, &e) && find_stored(c->name, s, r, name, &e);
    if (c) c->kind = CLO_CHANGE_REMOVE;
    start(s, r, c, ok, &e);
    json_decref(body);
}

/* --- blobs --------------------------------------------------------------------------------------------------------*/

/* sha256:HEX, or sha256-HEX as some clients write it. */
static bool parse_digest(clo_sha256 *out, clo_str text, clo_api_error *e)
{
    bool named = clo_str_starts_with(text, CLO_STR("sha256:")) || clo_str_starts_with(text, CLO_STR("sha256-"));
    return (named && clo_sha256_parse(out, text.ptr + 7, text.len - 7)) ||
           clo_api_fail(e, CLO_API_INVALID, "digest",
                        "invalid digest format: sha256: and 64 lower-case hexadecimal digits are expected");
}

void clo_ollama_blob_head(clo_server *s, clo_request *r, clo_str rest)
{
    char path[4096];
    bool in_blobs;
    clo_sha256 digest;
    clo_api_error e = {0};
    bool ok = needs_data(s, &e) && parse_digest(&digest, rest, &e);
    if (ok && !clo_upload_find(path, &in_blobs, s->o.data_dir, &digest, NULL))
        ok = clo_api_fail(&e, CLO_API_NO_PATH, NULL, "no such blob");
    if (ok)
        clo_reply(r, 200, NULL, CLO_STR(""));
    else
        clo_route_fail(s, r, &e);
}

/* What takes a blob's bytes as they come; ends with the request. */
typedef struct {
    clo_upload *upload; /* owned */
    clo_err err;        /* once a piece was not taken */
} blob_sink;

static bool take_bytes(void *ctx, clo_str bytes)
{
    blob_sink *k = (blob_sink *)ctx;
    return clo_upload_put(k->upload, bytes, &k->err);
}

static void end_sink(void *ctx)
{
    blob_sink *k = (blob_sink *)ctx;
    clo_upload_close(k->upload);
    free(k);
}

bool clo_ollama_blob_begin(clo_server *s, clo_request *r, clo_str rest, clo_api_error *e)
{
    clo_sha256 digest;
    clo_err err = {0};
    if (!needs_data(s, e) || !parse_digest(&digest, rest, e)) return false;
    blob_sink *k = (blob_sink *)calloc(1, sizeof *k);
    if (!k) return clo_api_fail(e, CLO_API_BUSY, NULL, "server busy, please try again.  no memory is left");
    if (!clo_upload_open(&k->upload, s->o.data_dir, &digest, &err)) {
        free(k);
        return clo_api_fail_err(e, &err);
    }
    clo_request_sink(r, take_bytes, end_sink, k);
    return true;
}

void clo_ollama_blob_post(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_api_error e = {0};
    blob_sink *k = (blob_sink *)clo_request_sink_ctx(r);
    if (reply_done(s, r, 201, CLO_STR(""))) return;
    if (clo_request_body_fault(r) == CLO_BODY_REFUSED) {
        clo_api_fail_err(&e, &k->err);
        clo_route_fail(s, r, &e);
        return;
    }
    clo_change *c = clo_change_make(&e);
    if (c) {
        c->kind = CLO_CHANGE_UPLOAD;
        c->upload = k->upload;
    }
    start(s, r, c, c != NULL, &e);
}

/* --- create -------------------------------------------------------------------------------------------------------*/

/* What a model of ours has from its file alone. */
static bool refuse_others(const json_t *body, clo_api_error *e)
{
    static const char *const names[] = {"adapters", "template", "system",   "parameters",
                                        "messages", "license",  "quantize", "modelfile"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *v = json_object_get(body, names[i]);
        bool empty = !v || json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0) ||
                     ((json_is_object(v) || json_is_array(v)) && json_object_size(v) + json_array_size(v) == 0);
        if (!empty)
            return clo_api_fail(e, CLO_API_UNSUPPORTED, names[i],
                                "%s: a model is created as its files are, nothing is added", names[i]);
    }
    return true;
}

static bool take_files(clo_change *c, const json_t *files, clo_api_error *e)
{
    const char *name;
    json_t *v;
    c->kind = CLO_CHANGE_CREATE;
    c->files = (clo_library_file *)calloc(json_object_size(files), sizeof *c->files);
    if (!c->files) return clo_api_fail(e, CLO_API_BUSY, NULL, "server busy, please try again.  no memory is left");
    json_object_foreach((json_t *)(uintptr_t)files, name, v)
    {
        clo_library_file *f = &c->files[c->n_files];
        if (!parse_digest(&f->digest, (clo_str){json_string_value(v), json_string_length(v)}, e)) return false;
        f->name = strdup(name);
        if (!f->name) return clo_api_fail(e, CLO_API_BUSY, NULL, "server busy, please try again.  no memory is left");
        c->n_files++;
    }
    return true;
}

/* Of files, or of another model. */
static bool take_origin(clo_change *c, clo_server *s, clo_request *r, const json_t *body, clo_api_error *e)
{
    json_t *files = NULL;
    clo_str from;
    if (!clo_body_object(&files, body, "files", e) || !clo_body_str(&from, body, "from", false, e)) return false;
    bool any = json_object_size(files) > 0;
    if (any == (from.len > 0))
        return clo_api_fail(e, CLO_API_INVALID, "files",
                            "neither 'from' or 'files' was specified, or both: one of them is expected");
    if (any) return take_files(c, files, e);
    c->kind = CLO_CHANGE_COPY;
    return find_stored(c->from, s, r, from, e);
}

#define STATUS(text) "{\"status\":\"" text "\"}\n"

void clo_ollama_create(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    json_t *body = NULL;
    clo_str name;
    clo_api_error e = {0};
    bool stream = true;
    bool ok = clo_body_parse(&body, clo_request_body(r), &e) && clo_body_bool(&stream, body, "stream", &e);
    if (ok &&
        reply_done(s, r, 200,
                   stream ? CLO_STR(STATUS("verifying sha256 digest") STATUS("writing manifest") STATUS("success"))
                          : CLO_STR(STATUS("success")))) {
        json_decref(body);
        return;
    }
    clo_change *c = ok ? clo_change_make(&e) : NULL;
    ok = c && needs_data(s, &e) && clo_ollama_model_name(&name, body, &e) && take_name(c->name, name, "model", &e) &&
         refuse_others(body, &e) && take_origin(c, s, r, body, &e);
    if (c) c->stream = stream;
    start(s, r, c, ok, &e);
    json_decref(body);
}
