/* cloche serve: models for many clients, through the OpenAI and Ollama interfaces. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "serve/duration.h"
#include "serve/metrics.h"
#include "serve/notify.h"
#include "serve/server.h"

#define PEM_BYTES_MAX ((size_t)1 << 20)
#define KEEP_ALIVE_S 300
#define LFS_PART_BYTES_MIN ((uint64_t)1 << 20)

typedef struct {
    const char *listen, *data, *keep_alive, *kv_memory, *tls_cert, *tls_key, *drain, *metrics_compat, *lfs_part;
    clo_opt_list models, origins, hosts;
    size_t n_threads, n_ctx, n_parallel, n_queue, receipts_max, receipts_days;
    bool json, sealed, no_keys, audit_text;
} options;

/* --- values -------------------------------------------------------------------------------------------------------*/

/* "2GiB", "512M", "1073741824": powers of 1024 in every spelling. */
static bool parse_bytes(uint64_t *out, const char *text)
{
    static const char letters[] = "KMGT";
    char *end = NULL;
    errno = 0;
    double v = text[0] >= '0' && text[0] <= '9' ? strtod(text, &end) : -1;
    if (v < 0 || errno || !end) return false;
    const char *unit = *end ? strchr(letters, *end & ~32) : NULL;
    if (*end && (!unit || (end[1] && strcmp(end + 1, "iB") != 0 && strcmp(end + 1, "B") != 0))) return false;
    for (const char *p = letters; unit && p <= unit; p++) v *= 1024;
    if (v >= 1e18) return false;
    *out = (uint64_t)v;
    return true;
}

static bool read_seconds(double *out, const char *text, const char *option, clo_err *err)
{
    if (!text || clo_duration_parse(out, clo_str_from(text))) return true;
    return clo_fail(err, CLO_ERR_USAGE, "--%s '%s': 90, 5m, 1h30m or -1 (for ever) is expected", option, text);
}

/* "llamacpp,vllm": either or both. */
static bool read_compat(unsigned *out, const char *text, clo_err *err)
{
    clo_str s = clo_str_from(text ? text : "");
    *out = 0;
    for (size_t at = 0; at < s.len;) {
        size_t end = clo_str_find(s, at, ',');
        clo_str one = {s.ptr + at, end - at};
        if (clo_str_eq(one, CLO_STR("llamacpp"))) *out |= CLO_METRICS_LLAMACPP;
        else if (clo_str_eq(one, CLO_STR("vllm"))) *out |= CLO_METRICS_VLLM;
        else return clo_fail(err, CLO_ERR_USAGE, "--metrics-compat '%s': llamacpp, vllm or both with a comma between are expected", text);
        at = end + 1;
    }
    return true;
}

static bool fill_opts(clo_server_opts *so, const options *o, char data[4096], double *drain_s, clo_arena *arena, clo_err *err)
{
    clo_str cert = {0}, key = {0};
    if (!clo_cli_data_dir(data, o->data, err)) return false;
    *so = (clo_server_opts){.listen = o->listen,
                            .data_dir = data,
                            .models = o->models.items,
                            .n_models = o->models.n,
                            .origins = o->origins.items,
                            .n_origins = o->origins.n,
                            .hosts = o->hosts.items,
                            .n_hosts = o->hosts.n,
                            .keep_alive_s = KEEP_ALIVE_S,
                            .n_threads = o->n_threads,
                            .n_ctx_max = o->n_ctx,
                            .n_running_max = o->n_parallel,
                            .n_waiting_max = o->n_queue,
                            .sealed = o->sealed,
                            .receipts = {.n_max = o->receipts_max, .age_max_s = (double)o->receipts_days * 86400},
                            .no_keys = o->no_keys,
                            .audit_text = o->audit_text};
    if (o->kv_memory && !parse_bytes(&so->kv_bytes_max, o->kv_memory))
        return clo_fail(err, CLO_ERR_USAGE, "--kv-memory '%s': 2GiB, 512M or bytes are expected", o->kv_memory);
    if (o->lfs_part && (!parse_bytes(&so->lfs_part_bytes, o->lfs_part) || so->lfs_part_bytes < LFS_PART_BYTES_MIN))
        return clo_fail(err, CLO_ERR_USAGE, "--lfs-part '%s': 100MiB, 1GiB or bytes, at least 1MiB, are expected", o->lfs_part);
    if (!read_compat(&so->metrics_compat, o->metrics_compat, err)) return false;
    if (!read_seconds(&so->keep_alive_s, o->keep_alive, "keep-alive", err) || !read_seconds(drain_s, o->drain, "drain", err))
        return false;
    if (o->tls_cert && !clo_file_read(&cert, o->tls_cert, PEM_BYTES_MAX, arena, err)) return false;
    if (o->tls_key && !clo_file_read(&key, o->tls_key, PEM_BYTES_MAX, arena, err)) return false;
    so->tls_cert = cert.ptr;
    so->tls_key = key.ptr;
    return true;
}

/* --- running ------------------------------------------------------------------------------------------------------*/

static void log_line(const char *line)
{
    fputs("cloche: ", stderr);
    clo_cli_print_escaped(clo_str_from(line), true);
    fputc('\n', stderr);
}

static void tell(const options *o, const char *event, const char *url)
{
    if (o->json) (void)clo_cli_print_json(json_pack("{s:s, s:s, s:i}", "event", event, "url", url, "pid", (int)getpid()));
    else if (strcmp(event, "listening") == 0) printf("listening on %s\n", url);
    else printf("%s\n", event);
    fflush(stdout);
}

/* Waits for a signal, telling the service manager that it is alive; readiness is looked for until it is there. */
static void wait_for_signal(clo_server *s, const options *o, const sigset_t *signals, const clo_notify *notify)
{
    bool ready = false;
    for (int sig = -1; sig < 0;) {
        if (!ready && clo_server_is_ready(s)) {
            ready = true;
            tell(o, "ready", clo_server_url(s));
            clo_notify_send(notify, "READY=1");
        }
        double wait_s = !ready ? 0.1 : notify->watchdog_s > 0 ? notify->watchdog_s / 3 : 3600;
        const struct timespec wait = {.tv_sec = (time_t)wait_s, .tv_nsec = (long)((wait_s - (double)(time_t)wait_s) * 1e9)};
        if (notify->watchdog_s > 0) clo_notify_send(notify, "WATCHDOG=1");
        sig = sigtimedwait(signals, NULL, &wait);
    }
}

/* Until SIGTERM or SIGINT; a second one ends the wait for running answers. */
static void serve_until_told(clo_server *s, const options *o, const sigset_t *signals, const clo_notify *notify, double drain_s)
{
    tell(o, "listening", clo_server_url(s));
    wait_for_signal(s, o, signals, notify);
    clo_notify_send(notify, "STOPPING=1");
    tell(o, "stopping", clo_server_url(s));
    clo_server_drain(s);
    for (double begin = clo_cli_now(); clo_cli_now() - begin < drain_s && !clo_server_wait_idle(s, 0.1);) {
        if (notify->watchdog_s > 0) clo_notify_send(notify, "WATCHDOG=1");
        if (sigtimedwait(signals, NULL, &(struct timespec){0}) > 0) break;
    }
}

static bool work(const options *o, clo_err *err)
{
    clo_server_opts so;
    clo_server *s = NULL;
    char data[4096];
    double drain_s = 30;
    clo_arena arena = clo_arena_make(4 * PEM_BYTES_MAX);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before the first thread, which inherits it */
    clo_notify notify = {.fd = -1};
    bool ok = fill_opts(&so, o, data, &drain_s, &arena, err) && clo_notify_open(&notify, err);
    so.log = log_line;
    so.notify_fd = notify.fd;
    ok = ok && clo_server_open(&s, &so, err);
    if (ok) serve_until_told(s, o, &signals, &notify, drain_s);
    clo_server_close(s);
    clo_notify_close(&notify);
    clo_arena_free(&arena);
    return ok;
}

int clo_cmd_serve(int argc, char **argv)
{
    options o = {.listen = "127.0.0.1:11434"};
    const clo_opt opts[] = {
        {"listen", NULL, CLO_OPT_STR, &o.listen, "H:P|unix:PATH", "where to listen (default: 127.0.0.1:11434)"},
        {"model", NULL, CLO_OPT_LIST, &o.models, "MODEL", "open this model at once and keep it, for everyone (may be repeated)"},
        {"keep-alive", NULL, CLO_OPT_STR, &o.keep_alive, "D", "how long an unused model stays open: 90, 5m, -1 (default: 5m)"},
        {"kv-memory", NULL, CLO_OPT_STR, &o.kv_memory, "SIZE", "memory for the contexts of each model: 2GiB (default: 1GiB)"},
        {"ctx", NULL, CLO_OPT_SIZE, &o.n_ctx, "N", "context in tokens at most (default: the model's)"},
        {"parallel", NULL, CLO_OPT_SIZE, &o.n_parallel, "N", "answers at once for each model (default: 32)"},
        {"queue", NULL, CLO_OPT_SIZE, &o.n_queue, "N", "answers in line for each model (default: 512)"},
        {"tls-cert", NULL, CLO_OPT_STR, &o.tls_cert, "FILE", "certificate chain in PEM: serve https"},
        {"tls-key", NULL, CLO_OPT_STR, &o.tls_key, "FILE", "its private key in PEM"},
        {"allow-origin", NULL, CLO_OPT_LIST, &o.origins, "ORIGIN", "web pages that may ask: https://chat.example"},
        {"allow-host", NULL, CLO_OPT_LIST, &o.hosts, "NAME", "another name of this server, while it listens on loopback"},
        {"drain", NULL, CLO_OPT_STR, &o.drain, "D", "how long running answers may go on after SIGTERM (default: 30)"},
        {"threads", "t", CLO_OPT_SIZE, &o.n_threads, "N", "processors to use (default: all this process may use)"},
        {"sealed", NULL, CLO_OPT_FLAG, &o.sealed, NULL, "the kernel lets it open no connection and write nowhere but in the data folder"},
        {"no-keys", NULL, CLO_OPT_FLAG, &o.no_keys, NULL, "ask nobody for a key, also from other machines"},
        {"audit-text", NULL, CLO_OPT_FLAG, &o.audit_text, NULL, "put the text of requests and answers into the audit log"},
        {"metrics-compat", NULL, CLO_OPT_STR, &o.metrics_compat, "LIST", "metrics by the names of other servers too: llamacpp,vllm"},
        {"lfs-part", NULL, CLO_OPT_STR, &o.lfs_part, "SIZE", "larger files may come in parts of so many bytes: 100MiB (default: 1GiB)"},
        {"receipts-max", NULL, CLO_OPT_SIZE, &o.receipts_max, "N", "keep the newest N stored receipts (default: all)"},
        {"receipts-days", NULL, CLO_OPT_SIZE, &o.receipts_days, "N", "keep stored receipts for N days (default: for ever)"},
        {"data", NULL, CLO_OPT_STR, &o.data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print one JSON object a line: listening, ready, stopping"},
    };
    const clo_cli_spec spec = {
        "serve",
        "Serves the models of the data folder to OpenAI and Ollama clients: imported ones, and those of repositories to\n"
        "whoever may read them. It opens no connection of its own. A model is opened when it is first asked for. An answer\n"
        "has the same bits whatever else is asked meanwhile.",
        "  cloche serve\n"
        "  cloche serve --model SmolLM2.gguf --listen 127.0.0.1:8080\n"
        "  cloche serve --listen unix:/run/cloche/cloche.sock --keep-alive -1\n"
        "  cloche serve --listen 10.0.0.5:443 --tls-cert chain.pem --tls-key key.pem\n",
        opts, CLO_COUNT(opts), 0, 0};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!work(&o, &err)) return clo_cli_fail(&err, NULL);
    return CLO_EXIT_OK;
}
