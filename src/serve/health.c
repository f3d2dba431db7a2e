/* See health.h. */
#include "serve/health.h"

#include <stdlib.h>

#include "serve/json_out.h"
#include "serve/server_impl.h"

void clo_health_root(clo_server *s, clo_request *r, clo_str rest)
{
    (void)s;
    (void)rest;
    clo_reply(r, 200, CLO_TYPE_TEXT, CLO_STR("Ollama is running"));
}

void clo_health_live(clo_server *s, clo_request *r, clo_str rest)
{
    (void)s;
    (void)rest;
    clo_reply(r, 200, CLO_TYPE_TEXT, CLO_STR("ok"));
}

void clo_health_ping(clo_server *s, clo_request *r, clo_str rest)
{
    (void)s;
    (void)rest;
    clo_reply(r, 200, CLO_TYPE_TEXT, CLO_STR(""));
}

/* `why` says what is awaited. */
static bool is_ready(clo_server *s, clo_buf *why)
{
    bool ready = clo_models_are_ready(s->models, why);
    if (!atomic_load(&s->draining)) return ready;
    if (why->len > 0) clo_buf_add(why, CLO_STR(", "));
    clo_buf_add(why, CLO_STR("the server is stopping"));
    return false;
}

void clo_health_ready(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_buf why = {0};
    if (is_ready(s, &why)) clo_reply(r, 200, CLO_TYPE_JSON, CLO_STR("{\"status\":\"ok\"}\n"));
    else
        clo_reply_json(r, 503, json_pack("{s:s, s:[s%]}", "status", "unavailable", "reasons", clo_buf_str(&why).ptr, why.len));
    clo_buf_free(&why);
}

/* Draining shows in /readyz alone. */
void clo_health_health(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_buf why = {0};
    if (clo_models_are_ready(s->models, &why)) clo_reply(r, 200, CLO_TYPE_JSON, CLO_STR("{\"status\":\"ok\"}\n"));
    else
        clo_reply_json(r, 503, json_pack("{s:{s:i, s:s, s:s}}", "error", "code", 503, "message", "Loading model", "type",
                                         "unavailable_error"));
    clo_buf_free(&why);
}

void clo_health_version(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_reply_json(r, 200, json_pack("{s:s, s:s, s:s}", "version", CLO_VERSION, "numerics", "n1", "isa", s->isa));
}

/* --- metrics ------------------------------------------------------------------------------------------------------*/

#define SHOWN_MAX 256

typedef struct {
    clo_model_gauges rows[SHOWN_MAX];
    size_t n;
    clo_arena *arena; /* the request's */
} gauges;

static void add_gauges(void *ctx, const clo_open_state *st)
{
    gauges *g = (gauges *)ctx;
    const char *name = clo_arena_copy_str(g->arena, clo_str_from(st->info->label)).ptr;
    if (g->n == SHOWN_MAX || !name) return;
    g->rows[g->n++] = (clo_model_gauges){
        .name = name,
        .n_running = st->stats.n_running,
        .n_waiting = st->stats.n_waiting,
        .n_ctx = st->n_ctx,
        .kv_used = st->stats.kv_bytes_max > 0 ? (double)st->stats.kv_bytes_used / (double)st->stats.kv_bytes_max : 0,
        .memory_bytes = st->memory_bytes - st->stats.kv_bytes,
        .n_passes = st->stats.n_passes,
        .n_preempted = st->stats.n_preempted};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const clo_model_gauges *)a)->name, ((const clo_model_gauges *)b)->name);
}

void clo_health_metrics(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_buf out = {0};
    gauges *g = CLO_NEW(clo_request_arena(r), gauges, 1);
    if (!g) {
        clo_reply(r, 503, CLO_TYPE_TEXT, CLO_STR("no memory is left\n"));
        return;
    }
    g->arena = clo_request_arena(r);
    clo_models_each_open(s->models, add_gauges, g);
    qsort(g->rows, g->n, sizeof *g->rows, by_name);
    clo_metrics_show(s->metrics, &out, g->rows, g->n);
    clo_reply_buf(r, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}
