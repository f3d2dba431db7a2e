/* See server.h. */
#include "serve/server.h"

#include <stdlib.h>
#include <time.h>

#include "serve/http_impl.h"
#include "serve/server_impl.h"
#include "tensor/kernel.h"

bool clo_server_open(clo_server **out, const clo_server_opts *opts, clo_err *err)
{
    clo_server *s = (clo_server *)calloc(1, sizeof *s);
    const clo_kernels *k = NULL;
    if (!s) return clo_fail(err, CLO_ERR_MEMORY, "server");
    s->o = *opts;
    const clo_http_opts ho = {.listen = opts->listen,
                              .tls_cert = opts->tls_cert,
                              .tls_key = opts->tls_key,
                              .app = clo_router_app(s)};
    clo_models_opts mo = {.data_dir = opts->data_dir,
                          .given = opts->models,
                          .n_given = opts->n_models,
                          .n_threads = opts->n_threads,
                          .keep_alive_s = opts->keep_alive_s,
                          .kv_bytes_max = opts->kv_bytes_max,
                          .n_ctx_max = opts->n_ctx_max,
                          .n_running_max = opts->n_running_max,
                          .n_waiting_max = opts->n_waiting_max,
                          .log = opts->log};
    if (!clo_kernels_pick(&k, err)) goto fail;
    s->isa = k->name;
    if (!clo_metrics_open(&s->metrics, s->labels, clo_router_labels(s->labels), s->isa, err)) goto fail;
    mo.metrics = s->metrics;
    if (!clo_models_open(&s->models, &mo, err) || !clo_http_open(&s->http, &ho, err)) goto fail;
    *out = s;
    return true;
fail:
    clo_server_close(s);
    return false;
}

const char *clo_server_url(const clo_server *s)
{
    return clo_http_url(s->http);
}

bool clo_server_is_ready(clo_server *s)
{
    clo_buf why = {0};
    bool ready = clo_models_are_ready(s->models, &why);
    clo_buf_free(&why);
    return ready;
}

void clo_server_drain(clo_server *s)
{
    atomic_store(&s->draining, true);
}

bool clo_server_wait_idle(clo_server *s, double seconds)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    double until = clo_http_now() + seconds;
    for (;;) {
        clo_http_stats st;
        clo_http_stats_of(s->http, &st);
        if (st.n_requests == 0) return true;
        if (clo_http_now() >= until) return false;
        nanosleep(&pause, NULL);
    }
}

void clo_server_close(clo_server *s)
{
    if (!s) return;
    clo_http_close(s->http); /* requests first: they hold models */
    clo_models_close(s->models);
    clo_metrics_close(s->metrics);
    free(s);
}
