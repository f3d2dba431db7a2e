/* See server.h. */
#include "serve/server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "serve/airgap.h"
#include "serve/http_impl.h"
#include "serve/json_out.h"
#include "serve/seal.h"
#include "serve/server_impl.h"
#include "tensor/kernel.h"

#define SWEEP_S 600      /* between two looks at the stored receipts, and at what keys were used */
#define USED_STEP_S 3600 /* a key's last use on disk is no older than this, while it is used */

/* --- opening ------------------------------------------------------------------------------------------------------*/

static void log_line(const clo_server *s, const char *fmt, ...) CLO_PRINTF(2, 3);
static void log_line(const clo_server *s, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (s->o.log) s->o.log(line);
}

/* The seal proves itself: what it should keep is tried before anybody is let in. */
static bool seal(clo_server *s, clo_err *err)
{
    clo_seal_state state;
    clo_attempt tries[CLO_ATTEMPTS_MAX];
    if (!clo_seal(&state, &(clo_seal_opts){s->o.data_dir, s->o.notify_fd}, err)) return false;
    size_t n = clo_airgap_try(tries, s->o.data_dir);
    for (size_t i = 0; i < n; i++)
        if (tries[i].got_out && (state.landlock_abi > 0 || !tries[i].writes))
            return clo_fail(err, CLO_ERR_MISMATCH, "the seal does not hold: it was possible to %s", tries[i].what);
    log_line(s, "sealed: %zu ways out were tried and refused%s", n,
             state.landlock_abi ? "" : ", save for files, which this kernel cannot seal (no Landlock)");
    return true;
}

static bool open_models(clo_server *s, clo_err *err)
{
    const clo_server_opts *o = &s->o;
    const clo_models_opts mo = {.data_dir = o->data_dir,
                                .given = o->models,
                                .n_given = o->n_models,
                                .n_threads = o->n_threads,
                                .keep_alive_s = o->keep_alive_s,
                                .kv_bytes_max = o->kv_bytes_max,
                                .n_ctx_max = o->n_ctx_max,
                                .n_running_max = o->n_running_max,
                                .n_waiting_max = o->n_waiting_max,
                                .log = o->log,
                                .hub = s->hub,
                                .keys = s->keys,
                                .metrics = s->metrics};
    return clo_models_open(&s->models, &mo, err);
}

static bool write_event(clo_server *s, const char *event, const char *note, clo_err *err)
{
    const clo_audit_record r = {.at_ms = clo_unix_us() / 1000, .event = event, .note = clo_str_from(note)};
    return !s->ledger || clo_ledger_put_wait(s->ledger, &r, err);
}

static void sweep_receipts(clo_server *s)
{
    uint64_t n = 0;
    clo_err err = {0};
    if (s->o.receipts.n_max == 0 && s->o.receipts.age_max_s <= 0) return;
    bool ok = clo_receipt_files_sweep(s->o.data_dir, s->o.receipts, &n, &err);
    if (!ok) log_line(s, "stored receipts were not swept: %s", err.text);
    else if (n) log_line(s, "%llu stored receipts were beyond the limits and removed", (unsigned long long)n);
}

static void write_used(clo_server *s)
{
    clo_db *db = NULL;
    clo_err err = {0};
    bool ok = clo_db_open(&db, s->o.data_dir, &err) && clo_keys_write_used(s->keys, db, USED_STEP_S, &err);
    clo_db_close(db);
    if (!ok) log_line(s, "when keys were last used was not written: %s", err.text);
}

static void *sweep(void *ctx)
{
    clo_server *s = (clo_server *)ctx;
    clo_sweeper *w = &s->sweeper;
    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        pthread_mutex_unlock(&w->lock);
        sweep_receipts(s);
        write_used(s);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += SWEEP_S;
        pthread_mutex_lock(&w->lock);
        if (!w->stopping) pthread_cond_timedwait(&w->stop, &w->lock, &until);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static bool start_sweeper(clo_server *s, clo_err *err)
{
    clo_sweeper *w = &s->sweeper;
    if (!s->o.data_dir) return true;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->stop, NULL);
    int rc = pthread_create(&w->thread, NULL, sweep, s);
    w->running = rc == 0;
    return w->running || clo_fail_sys(err, rc, "start a thread");
}

static void stop_sweeper(clo_sweeper *w)
{
    if (!w->running) return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->stop);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->stop);
    pthread_mutex_destroy(&w->lock);
}

/* It listens, and no thread runs yet: the last moment to seal the process, and then to start what has threads. */
static bool on_listening(void *ctx, clo_http *h, clo_err *err)
{
    clo_server *s = (clo_server *)ctx;
    bool needed = s->keys && clo_keys_needed(s->keys);
    if (!clo_keys_check_listen(clo_http_url(h), clo_http_is_local(h), needed, s->o.no_keys, err)) return false;
    if (s->o.sealed && !seal(s, err)) return false;
    if (s->o.data_dir && !clo_ledger_open(&s->ledger, s->o.data_dir, 0, err)) return false;
    return write_event(s, "start", clo_http_url(h), err) && open_models(s, err) && start_sweeper(s, err);
}

bool clo_server_open(clo_server **out, const clo_server_opts *opts, clo_err *err)
{
    clo_server *s = (clo_server *)calloc(1, sizeof *s);
    const clo_kernels *k = NULL;
    if (!s) return clo_fail(err, CLO_ERR_MEMORY, "server");
    s->o = *opts;
    pthread_mutex_init(&s->changes.lock, NULL);
    const clo_http_opts ho = {.listen = opts->listen,
                              .tls_cert = opts->tls_cert,
                              .tls_key = opts->tls_key,
                              .listening = on_listening,
                              .app = clo_router_app(s)};
    if (!clo_kernels_pick(&k, err)) goto fail;
    s->isa = k->name;
    if (!clo_metrics_open(&s->metrics, s->labels, clo_router_labels(s->labels), s->isa, opts->metrics_compat, err)) goto fail;
    if (opts->data_dir && !clo_keys_open(&s->keys, opts->data_dir, err)) goto fail;
    if (opts->data_dir && !clo_hub_open(&s->hub, opts->data_dir, err)) goto fail;
    if (s->keys && opts->no_keys) clo_keys_ask_nobody(s->keys);
    if (!clo_http_open(&s->http, &ho, err)) goto fail;
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
    stop_sweeper(&s->sweeper);
    clo_models_close(s->models);
    if (s->ledger && !write_event(s, "stop", "", NULL)) log_line(s, "the audit log has no line of this stop");
    clo_ledger_close(s->ledger);
    clo_hub_close(s->hub);
    clo_keys_close(s->keys);
    clo_metrics_close(s->metrics);
    pthread_mutex_destroy(&s->changes.lock);
    free(s);
}
