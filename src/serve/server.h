/* The server: models behind HTTP, with the OpenAI and Ollama interfaces.
 *
 *   clo_server *s = NULL;
 *   if (!clo_server_open(&s, &(clo_server_opts){.listen = "127.0.0.1:11434", .data_dir = dir}, &err)) ...
 *   ... until a signal comes ...
 *   clo_server_drain(s);                 // /readyz says 503, new answers are refused, running ones go on
 *   clo_server_wait_idle(s, 30);
 *   clo_server_close(s);
 *
 * What a request passes through: http.h (connection), router.h (policy, route), its handler (openai.h, ollama.h, health.h),
 * params.h (its parameters), models.h (its model), generation.h (its answer, from scheduler to client). */
#ifndef CLO_SERVE_SERVER_H
#define CLO_SERVE_SERVER_H

#include "base/err.h"
#include "base/slice.h"
#include "serve/receipt_files.h"

typedef struct clo_server clo_server;

typedef struct {
    const char *listen;             /* as clo_http_opts */
    const char *tls_cert, *tls_key; /* PEM texts; both or none */
    const char *data_dir;           /* or NULL */
    const char *const *models;      /* [n_models] as clo_models_opts.given */
    size_t n_models;
    const char *const *origins;     /* [n_origins] web origins besides those of this machine: "https://chat.example" */
    size_t n_origins;
    const char *const *hosts;       /* [n_hosts] names that this server may be called by, when only this machine reaches it */
    size_t n_hosts;
    double keep_alive_s;            /* < 0: for ever */
    uint64_t kv_bytes_max;
    size_t n_threads, n_ctx_max, n_running_max, n_waiting_max;
    void (*log)(const char *line);  /* as clo_models_opts */
    bool no_keys;                   /* nobody is asked for a key, whatever was made */
    clo_receipt_limits receipts;    /* of those that are stored: kept so by a sweep at the start and every ten minutes */
    unsigned metrics_compat;        /* CLO_METRICS_...: families under other servers' names */
    bool audit_text;                /* requests and answers stand in the audit log */
    bool sealed;                    /* seal.h, before the first request; no thread may have been started */
    uint64_t lfs_part_bytes;        /* larger files come in parts from clients that know how; 0: 1 GiB */
    int notify_fd;                  /* as clo_seal_opts; used when sealed */
    const char *ollama_version;     /* compatibility level of the Ollama interface: digits and dots; NULL: a default */
} clo_server_opts;

/* opts and what it points at are borrowed for the server's life. Listens when it returns; models open meanwhile. */
CLO_CHECK bool clo_server_open(clo_server **out, const clo_server_opts *opts, clo_err *err);
const char *clo_server_url(const clo_server *s);
bool clo_server_is_ready(clo_server *s);
void clo_server_drain(clo_server *s);
/* True when no request is under way any more; false after seconds. */
bool clo_server_wait_idle(clo_server *s, double seconds);
void clo_server_close(clo_server *s);

#endif
