/* See embedding.h. The scheduler's thread tells of each text that is done and starts the next ones; tasks that are done stay
 * until the request ends, for a task cannot be closed by who is told of it. */
#include "serve/embedding.h"

#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "serve/http_impl.h"
#include "serve/server_impl.h"

#define TEXTS_AT_ONCE 48 /* of one request, in line or running: more than a pass of short texts carries */

/* --- life ---------------------------------------------------------------------------------------------------------*/

static bool no_memory(clo_api_error *e)
{
    return clo_api_fail(e, CLO_API_BUSY, NULL, "server busy, please try again.  no memory is left");
}

/* Of texts that are not done. */
static void cancel_all(clo_embedding *g)
{
    for (size_t i = 0; i < g->n_started; i++)
        if (!g->texts[i].finished) clo_task_cancel(g->texts[i].task);
}

static void on_gone(void *data)
{
    clo_embedding *g = (clo_embedding *)data;
    pthread_mutex_lock(&g->lock);
    g->gone = true;
    cancel_all(g);
    pthread_mutex_unlock(&g->lock);
}

/* What the line of the audit log and the metrics say of what was computed; false: nothing was. */
static bool sum_up(const clo_embedding *g, clo_audit_record *r, clo_sha256 *digest)
{
    const char *hex = g->model->info->digest;
    *r = (clo_audit_record){.event = "answer", .model = clo_str_from(g->model->info->name), .counts = true, .status = 200};
    for (size_t i = 0; i < g->n_started; i++)
        if (g->texts[i].finished) r->n_prompt += (int64_t)g->texts[i].ids.n;
    bool failed = g->fault.kind != CLO_API_OK, whole = g->n_finished == g->n_texts;
    r->finish = failed ? CLO_STR("error") : whole ? CLO_STR("stop") : CLO_STR("cancelled");
    r->ms = (int64_t)((clo_http_now() - g->begin_s) * 1e3);
    if (clo_sha256_parse(digest, hex, strlen(hex))) r->model_digest = digest;
    return r->n_prompt > 0;
}

static void count_in_metrics(const clo_embedding *g, const clo_audit_record *r)
{
    bool failed = g->fault.kind != CLO_API_OK, whole = g->n_finished == g->n_texts;
    const clo_answer_times t = {.ended = failed ? CLO_ENDED_ERROR : whole ? CLO_ENDED_STOP : CLO_ENDED_CANCELLED,
                                .n_prompt = (size_t)r->n_prompt,
                                .whole_s = clo_http_now() - g->begin_s};
    if (g->n_started > 0) clo_metrics_answer(g->model->metrics, &t);
}

/* Its text too, where the operator wants that. *text is the caller's to free. */
static void add_text(const clo_embedding *g, clo_audit_record *r, char **text)
{
    if (!g->s->o.audit_text) return;
    *text = json_dumps(g->body, JSON_COMPACT);
    r->prompt = clo_str_from(*text);
}

static void on_end(void *data)
{
    clo_embedding *g = (clo_embedding *)data;
    clo_audit_record r;
    clo_sha256 digest;
    char *text = NULL;
    on_gone(g);
    for (size_t i = 0; i < g->n_texts; i++) clo_task_close(g->texts[i].task); /* nobody is told of them from here on */
    bool any = sum_up(g, &r, &digest);
    count_in_metrics(g, &r);
    if (any) add_text(g, &r, &text);
    clo_account_end(g->account, any ? &r : NULL);
    free(text);
    for (size_t i = 0; i < g->n_texts; i++) clo_ids_free(&g->texts[i].ids);
    free(g->texts);
    free(g->vectors);
    clo_models_give(g->s->models, g->model, g->keep_alive_s);
    json_decref(g->body);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static bool can(const clo_open_model *model, clo_surface surface, clo_api_error *e)
{
    if (clo_embed_can(model->model, NULL)) return true;
    const char *form = surface == CLO_SURFACE_OLLAMA ? "\"%s\" does not support embeddings"
                                                     : "model '%s' does not support embeddings";
    char text[CLO_SERVED_NAME_MAX + 64];
    snprintf(text, sizeof text, form, model->info->name);
    return clo_api_fail(e, CLO_API_UNSUPPORTED, "model", "%s", text);
}

clo_embedding *clo_embedding_make(clo_server *s, clo_request *r, const clo_open_model *model, json_t *body,
                                  const clo_embedding_face *face)
{
    clo_api_error e = {0};
    clo_embedding *g = NULL;
    if (can(model, face->surface, &e) && !(g = (clo_embedding *)calloc(1, sizeof *g))) no_memory(&e);
    if (g && !(g->texts = (clo_embedding_text *)calloc(CLO_EMBEDDING_TEXTS_MAX, sizeof *g->texts))) {
        no_memory(&e);
        free(g);
        g = NULL;
    }
    if (!g) {
        clo_route_fail(s, r, &e);
        clo_models_give(s->models, model, (double)NAN);
        json_decref(body);
        return NULL;
    }
    g->s = s;
    g->r = r;
    g->model = model;
    g->body = body;
    g->face = face;
    g->n_dim = clo_model_spec(model->model)->n_dim;
    g->start_s = clo_http_now();
    g->begin_s = g->start_s - clo_request_age_s(r);
    g->keep_alive_s = (double)NAN;
    pthread_mutex_init(&g->lock, NULL);
    clo_request_attach(r, g, on_gone, on_end);
    return g;
}

void clo_embedding_fail(clo_embedding *g, const clo_api_error *e)
{
    clo_route_fail(g->s, g->r, e);
}

/* --- texts --------------------------------------------------------------------------------------------------------*/

static size_t tokens_max(const clo_embedding *g)
{
    return clo_min(clo_embed_tokens_max(g->model->model), clo_sched_ctx(g->model->sched));
}

static bool too_long(const clo_embedding *g, size_t n, clo_api_error *e)
{
    return clo_api_fail(e, CLO_API_CONTEXT, g->face->surface == CLO_SURFACE_OPENAI ? g->face->input : NULL,
                        "This model's maximum context length is %zu tokens, but text %zu of the input has %zu tokens. "
                        "Please reduce the length of the input.",
                        tokens_max(g), g->n_texts, n);
}

/* Takes over ids, on success. */
static bool add(clo_embedding *g, clo_ids *ids, clo_api_error *e)
{
    if (ids->n == 0)
        return clo_api_fail(e, CLO_API_INVALID, g->face->input, "'%s': text %zu is empty: it has no token", g->face->input,
                            g->n_texts);
    if (g->n_texts == CLO_EMBEDDING_TEXTS_MAX)
        return clo_api_fail(e, CLO_API_INVALID, g->face->input, "'%s' has more than %d texts", g->face->input,
                            CLO_EMBEDDING_TEXTS_MAX);
    g->n_tokens += ids->n;
    g->texts[g->n_texts++] = (clo_embedding_text){.g = g, .ids = *ids};
    *ids = (clo_ids){0};
    return true;
}

bool clo_embedding_add_text(clo_embedding *g, clo_str text, bool truncate, clo_api_error *e)
{
    clo_ids ids = {0};
    clo_err err = {0};
    bool ok = clo_embed_encode(&ids, g->model->model, text, tokens_max(g), truncate, &err);
    if (!ok && err.code == CLO_ERR_LIMIT && err.at > 0) too_long(g, err.at, e);
    else if (!ok) clo_api_fail_err(e, &err);
    ok = ok && add(g, &ids, e);
    clo_ids_free(&ids);
    return ok;
}

bool clo_embedding_add_ids(clo_embedding *g, const json_t *list, clo_api_error *e)
{
    clo_ids ids = {0};
    clo_err err = {0};
    size_t n_vocab = clo_gen_vocab(g->model->model), i;
    const json_t *v;
    bool ok = json_array_size(list) <= tokens_max(g) || too_long(g, json_array_size(list), e);
    json_array_foreach (list, i, v) {
        if (!ok) break;
        json_int_t id = json_integer_value(v);
        if (!json_is_integer(v) || id < 0 || (uint64_t)id >= n_vocab)
            ok = clo_api_fail(e, CLO_API_INVALID, g->face->input, "'%s': token ids from 0 to %zu are expected", g->face->input,
                              n_vocab - 1);
        else
            ok = clo_ids_push(&ids, (int32_t)id, &err) || clo_api_fail_err(e, &err);
    }
    ok = ok && add(g, &ids, e);
    clo_ids_free(&ids);
    return ok;
}

bool clo_embedding_read_length(clo_embedding *g, clo_api_error *e)
{
    const json_t *v = json_object_get(g->body, "dimensions");
    if (!v || json_is_null(v)) return true;
    json_int_t n = json_integer_value(v);
    if (!json_is_integer(v) || n < 1)
        return clo_api_fail(e, CLO_API_INVALID, "dimensions", "'dimensions': a whole number from 1 on is expected");
    if ((uint64_t)n > g->n_dim || !clo_embed_length_ok(g->model->model, (size_t)n))
        return clo_api_fail(e, CLO_API_UNSUPPORTED, "dimensions",
                            "'dimensions' is %lld: the vectors of model '%s' have %zu numbers, and it was not trained for this "
                            "length",
                            (long long)n, g->model->info->name, g->n_dim);
    g->n_dim = (size_t)n;
    return true;
}

/* --- vectors come -------------------------------------------------------------------------------------------------*/

static void on_done(void *ctx);

/* Starts the next texts. With the lock held. */
static void start_texts(clo_embedding *g)
{
    clo_err err = {0};
    while (!g->gone && g->fault.kind == CLO_API_OK && g->n_started < g->n_texts &&
           g->n_started - g->n_finished < TEXTS_AT_ONCE) {
        clo_embedding_text *t = &g->texts[g->n_started];
        const clo_task_opts o = {.prompt = t->ids.ids,
                                 .n_prompt = t->ids.n,
                                 .embed = true,
                                 .n_top = -1,
                                 .key = clo_account_key(g->account),
                                 .notify = on_done,
                                 .ctx = t};
        g->n_started++; /* it may be told of before the call returns, and then waits for the lock */
        if (clo_task_start(&t->task, g->model->sched, &o, &err)) continue;
        g->n_started--;
        if (err.code != CLO_ERR_DENIED) clo_api_fail_err(&g->fault, &err);
        else if (g->n_started == g->n_finished)
            clo_api_fail(&g->fault, CLO_API_BUSY, NULL,
                         "server busy, please try again.  maximum pending requests exceeded");
        return; /* the line is full: again when one of this request's is done */
    }
}

/* With the lock held. */
static void take_vector(clo_embedding_text *t)
{
    clo_embedding *g = t->g;
    const clo_task_result *res = clo_task_result_of(t->task);
    float *v = g->vectors + (size_t)(t - g->texts) * g->n_dim;
    t->finished = true;
    g->n_finished++;
    if (g->fault.kind != CLO_API_OK) return;
    if (!res->ok) clo_api_fail_err(&g->fault, &res->err);
    else if (!res->vector) clo_api_fail(&g->fault, CLO_API_BUSY, NULL, "request canceled: the server is stopping");
    if (g->fault.kind != CLO_API_OK) return;
    memcpy(v, res->vector, g->n_dim * sizeof *v);
    if (g->n_dim < clo_model_spec(g->model->model)->n_dim) clo_embed_normalise(v, g->n_dim);
}

static void reply_on_worker(void *ctx)
{
    clo_embedding *g = (clo_embedding *)ctx;
    clo_request_hold(g->r);
    clo_request_again(g->r);
}

/* All is there, or will never be: the books are closed, and then a worker replies. */
static void close_account(clo_embedding *g)
{
    clo_audit_record r;
    clo_sha256 digest;
    char *text = NULL;
    sum_up(g, &r, &digest);
    add_text(g, &r, &text);
    clo_account_close(g->account, &r, reply_on_worker, g);
    free(text);
}

/* Lets go of the lock. */
static void go_on(clo_embedding *g)
{
    if (g->fault.kind == CLO_API_OK) start_texts(g);
    if (g->fault.kind != CLO_API_OK) cancel_all(g);
    bool close = g->open && !g->closed && !g->gone && (g->fault.kind != CLO_API_OK || g->n_finished == g->n_texts);
    if (close) g->closed = true;
    pthread_mutex_unlock(&g->lock);
    if (close) close_account(g);
}

/* On the scheduler's thread. */
static void on_done(void *ctx)
{
    clo_embedding_text *t = (clo_embedding_text *)ctx;
    clo_embedding *g = t->g;
    pthread_mutex_lock(&g->lock);
    if (t->task && !t->finished && clo_task_state(t->task, NULL) == CLO_TASK_DONE) take_vector(t);
    go_on(g);
}

/* --- starting and replying ----------------------------------------------------------------------------------------*/

void clo_embedding_start(clo_embedding *g)
{
    clo_api_error e = {0};
    size_t bytes;
    if (atomic_load(&g->s->draining)) clo_api_fail(&e, CLO_API_BUSY, NULL, "the server is stopping");
    else if (!clo_mul(g->n_texts, g->n_dim * sizeof(float), &bytes) || !(g->vectors = (float *)malloc(bytes))) no_memory(&e);
    if (e.kind != CLO_API_OK || !clo_account_begin(&g->account, g->s, g->r, g->model->info->name, g->n_tokens, &e)) {
        clo_embedding_fail(g, &e);
        return;
    }
    pthread_mutex_lock(&g->lock);
    g->open = true;
    go_on(g);
}

bool clo_embedding_again(clo_request *r)
{
    clo_embedding *g = (clo_embedding *)clo_request_data(r);
    clo_buf out = {0};
    if (!g) return false;
    if (g->fault.kind == CLO_API_OK && clo_account_state(g->account) == CLO_ACCOUNT_FAILED)
        clo_api_fail(&g->fault, CLO_API_INTERNAL, NULL, "the audit log cannot be written");
    if (g->fault.kind != CLO_API_OK) {
        clo_route_fail(g->s, r, &g->fault);
        return true;
    }
    g->face->write(g, &out);
    clo_buf_add_char(&out, '\n');
    clo_reply_buf(r, 200, "application/json", &out);
    return true;
}

/* Nine digits bring every float32 back. */
void clo_embedding_add_vector(const clo_embedding *g, size_t i, clo_buf *out)
{
    const float *v = g->vectors + i * g->n_dim;
    if (g->base64) {
        size_t n = g->n_dim * sizeof *v; /* in memory as they go out: the machines that are built for are little-endian */
        char *text = (char *)malloc(4 * clo_ceil_div(n, 3) + 1);
        if (text) EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)v, (int)n);
        else out->failed = true;
        clo_buf_add_char(out, '"');
        clo_buf_add(out, clo_str_from(text));
        clo_buf_add_char(out, '"');
        free(text);
        return;
    }
    for (size_t k = 0; k < g->n_dim; k++) clo_buf_addf(out, "%c%.9g", k ? ',' : '[', (double)v[k]);
    clo_buf_add_char(out, ']');
}
